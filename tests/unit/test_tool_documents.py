"""Documents of tools: those that are shipped, and what is wrong with others."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.errors import SettingsError
from gateway.http.tool_catalog import tools_of
from gateway.tools.documents import FOLDER, read
from gateway.tools.settings import SHIPPED, McpSettings
from resolvers.execution.executor import Executor
from resolvers.schema import SCHEMA

ROOT = Path(__file__).resolve().parents[2]
QUERY = '"Keys."\nquery %s { providers { key } }'
WRITE = (
    '"Rank."\nmutation rank { segmentsReorder(input: {provider: "a", ids: []}) { __typename } }'
)


def executor() -> Executor:
    """Return what trusts documents."""
    return Executor(SCHEMA._schema)  # noqa: SLF001  # as gateway.asgi


def problems(settings: McpSettings) -> list[tuple[str, str]]:
    """Return the problems with the tools of these settings."""
    with pytest.raises(SettingsError) as raised:
        tools_of(read(settings), executor())
    return [(each.path, each.text) for each in raised.value.problems]


def test_shipped_tools() -> None:
    """Each is valid, is a query, describes itself and is named as its file."""
    schema = build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(SHIPPED)
    documents = read(McpSettings(enabled=True))
    assert [validate(schema, parse(each.text)) for each in documents] == [[]] * 8
    tools = tools_of(documents, executor())
    assert [tool.name for tool in tools] == [*SHIPPED]
    assert not any(tool.document.writes for tool in tools)
    for tool in tools:
        arguments = tool.input_schema["properties"]
        assert [name for name, of in arguments.items() if not of.get("description")] == []


def test_off() -> None:
    """Then nothing is read."""
    assert read(McpSettings(folder=Path("missing"))) == ()


BAD: Mapping[str, tuple[str, str]] = {
    "invalid": ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
    "unreadable": ("{", "Syntax Error: Expected Name, found <EOF>."),
    "two": (f"{QUERY % 'a'}\n{QUERY % 'b'}", "a tool is one operation, not 2"),
    "none": ("fragment A on Query { __typename }", "Fragment 'A' is never used."),
    "nameless": (
        "{ providers { key } }",
        "the operation of a tool needs a name and a description",
    ),
    "no description": (
        "query a { providers { key } }",
        "the operation of a tool needs a name and a description",
    ),
    "long": (QUERY % ("a" * 65), "the name of a tool has at most 64 characters"),
    "event": (
        '"News."\nsubscription news { changed { __typename } }',
        "a subscription cannot be a tool",
    ),
    "writes": (WRITE, "a mutation must say `# writes: true` above it, and a query must not"),
    "below": (
        f"{WRITE}\n# writes: true",
        "a mutation must say `# writes: true` above it, and a query must not",
    ),
    "reads": (
        f"# writes: true\n{QUERY % 'a'}",
        "a mutation must say `# writes: true` above it, and a query must not",
    ),
    "again": (QUERY % "find_person", "find_person has the name find_person, too"),
}


def test_documents_that_cannot_be_tools(tmp_path: Path) -> None:
    """All problems are reported at once, each with its file."""
    for name, (text, _) in BAD.items():
        (tmp_path / f"{name}.graphql").write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text("not a tool", encoding="utf-8")
    settings = McpSettings(enabled=True, folder=tmp_path)
    assert problems(settings) == [
        ("mcp.folder", f"{tmp_path / name}.graphql: {BAD[name][1]}") for name in sorted(BAD)
    ]


def test_too_many(tmp_path: Path) -> None:
    """The gateway's own count; 30 are allowed."""
    for number in range(23):
        text = QUERY % f"keys_{number}"
        (tmp_path / f"{number:02}.graphql").write_text(text, encoding="utf-8")
    settings = McpSettings(enabled=True, folder=tmp_path)
    text = "31 tools; at most 30 are allowed, with those of the gateway"
    assert problems(settings) == [("mcp", text)]
    fewer = settings.model_copy(update={"shipped": SHIPPED[1:]})
    assert len(tools_of(read(fewer), executor())) == 30


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """It is named, with the reason."""
    folder = tmp_path / "none"
    assert problems(McpSettings(enabled=True, folder=folder)) == [
        ("mcp.folder", f"{folder} cannot be read: No such file or directory")
    ]


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    """Before anything is served."""
    file = tmp_path / "bad.graphql"
    file.write_text(BAD["invalid"][0], encoding="utf-8")
    config = tmp_path / "gateway.toml"
    config.write_text(f'[mcp]\nenabled = true\nfolder = "{tmp_path}"\n', encoding="utf-8")
    for command in ("serve", "check"):
        done = CliRunner().invoke(cli, [command, "--config", str(config)])
        problem = f"  mcp.folder: {file}: Cannot query field 'nothing' on type 'Query'."
        assert (done.exit_code, done.stderr.splitlines()) == (
            2,
            ["The configuration cannot be used:", problem],
        )
