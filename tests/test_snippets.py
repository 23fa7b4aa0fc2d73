"""Every code block of the documentation is run, checked, or named here with the reason why not."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from graphql import GraphQLObjectType, GraphQLSchema, OperationType, parse, print_ast, validate
from graphql.language.ast import NonNullTypeNode, OperationDefinitionNode
from ruamel.yaml import YAML

from gateway.__main__ import COMMANDS, cli, imported
from gateway.asgi import build
from gateway.sandbox.app import Sandbox
from gateway.settings.tables import Settings
from resolvers.schema import SCHEMA
from tests.clients.test_query import BIN
from tests.e2e.serving import without_cost
from tests.four_kinds import SANDBOXES, four_settings
from tests.proxies.processes import need
from tests.snippets import PAGES, ROOT, Block, blocks, commands

REPAIRING = "repairs a damaged store, by SQLite's own program, which CI does not have"
NOT_RUN: Mapping[str, str] = {
    "cd": "the tutorial is followed by hand, and its page is tested in tests/browser",
    "chmod": REPAIRING,
    "curl": "needs servers, except where a block is marked `run`",
    "cp": REPAIRING,
    "cut": "a part of a pipeline with curl",
    "docker": "needs Docker; tests/deploy checks the files and runs the image's steps",
    "git": "needs the address of the repository",
    "jq": "a part of a pipeline with a server",
    "kubectl": "needs a cluster; tests/deploy checks the manifests by Kubernetes' schemas",
    "mv": REPAIRING,
    "npm": "installs and serves examples; tests/browser/test_client_examples.py builds them",
    "pip": "installs a package; tests/test_wheel.py and tests/test_provider_package.py do so",
    "python": "takes a secret of yours, or runs the tests of your package",
    "python3": "a static file server; tests/browser/test_tutorial.py has one",
    "rm": REPAIRING,
    "sqlite3": REPAIRING,
    "sudo": "changes the system; tests/deploy checks the unit and runs deploy/install.sh",
    "sudoedit": "opens an editor",
    "tee": "a part of a pipeline with a server",
}
"""Programs in `sh` blocks that are not run, and why."""

NOT_RUN_LANGUAGES: Mapping[str, str] = {
    "": "shows a figure, or output",
    "text": "shows output",
    "sql": "needs the rights of a database's administrator",
}
TESTED_ELSEWHERE: Mapping[str, str] = {
    "file=": "tests/test_provider_package.py, tests/browser/test_tutorial.py",
    "replace-last-line=": "tests/browser/test_tutorial.py",
    "run": "tests/test_commands.py",
    "server": "tests/test_commands.py",
}
"""What follows a language, and the tests that run such blocks."""

VARIABLES: Mapping[str, Any] = {
    "crm": "crm-00001",
    "product": "p1012",
    "me": {"provider": "voucherify", "externalId": "crm-00000"},
}
"""Values of the variables that examples require, by name."""

KEYS = {"loyalty": "voucherify", "acme-emporix": "emporix", "shop": "instaleap"}
"""The providers of example configurations, and those of the sandbox."""

CHANGING = re.compile(r"^mutation", re.MULTILINE)
COMMAND = typer.main.get_command(cli)
INLINE = re.compile(r"`((?:\.venv/bin/)?gateway(?: [a-z-]+)* --?[^`]*|gateway(?: [a-z]+)+)`")
EVERY_BLOCK = [block for page in PAGES for block in blocks(page)]
WITH_QUERIES = [page for page in PAGES if any(b.language == "graphql" for b in blocks(page))]


def named(page: Path) -> str:
    """Return a page's path, for test ids."""
    return page.relative_to(ROOT).as_posix()


def of_language(*languages: str) -> list[Block]:
    """Return the blocks of some languages."""
    return [each for each in EVERY_BLOCK if each.language in languages]


@asynccontextmanager
async def sandbox() -> AsyncIterator[httpx.AsyncClient]:
    """Serve what `make serve` serves."""
    settings: Settings = four_settings(links=True)
    app = build(settings, Sandbox(SANDBOXES))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


def checked(text: str) -> OperationDefinitionNode:
    """Return the operation of a document, which must be valid."""
    document = parse(text)
    schema: GraphQLSchema = SCHEMA._schema  # noqa: SLF001  # the schema as graphql-core has it
    assert validate(schema, document) == [], print_ast(document)
    assert isinstance(schema.query_type, GraphQLObjectType)
    [operation] = [e for e in document.definitions if isinstance(e, OperationDefinitionNode)]
    return operation


@pytest.mark.parametrize("page", WITH_QUERIES, ids=named)
async def test_operations_have_their_answers(page: Path) -> None:
    """Each is run, in order; JSON that follows is the answer, else there is no error."""
    on_page = blocks(page)
    async with sandbox() as client:
        for block, following in zip(on_page, [*on_page[1:], None], strict=True):
            if block.language != "graphql":
                continue
            text = re.sub("|".join(KEYS), lambda match: KEYS[match[0]], block.text)
            operation = checked(text)
            if operation.operation is OperationType.SUBSCRIPTION:
                continue  # valid; tests/e2e and tests/clients subscribe
            required = [
                each.variable.name.value
                for each in operation.variable_definitions or ()
                if isinstance(each.type, NonNullTypeNode)
            ]
            variables = {name: VARIABLES[name] for name in required}
            reply = await client.post("/graphql", json={"query": text, "variables": variables})
            body = without_cost(reply.json())
            if following is not None and following.language == "json":
                assert json.loads(following.text) == body, block.name
            else:
                assert "errors" not in body, (block.name, body)


def test_data_is_valid() -> None:
    """An answer, a line of the log, a part of a configuration: each can be read."""
    for block in of_language("json"):
        json.loads(block.text)
    for block in of_language("yaml"):
        assert isinstance(YAML(typ="safe").load(block.text), dict), block.name


def command_of(words: Sequence[str]) -> tuple[Any, list[str]]:
    """Return the command that some words name, and the other words."""
    command: Any = COMMAND
    rest = list(words)
    if rest and rest[0] in COMMANDS:
        command = imported(rest.pop(0))
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command, rest


def check_command(words: list[str]) -> None:
    """Assert that a command exists and takes these arguments; it is not run."""
    command, rest = command_of(words[1:])
    parser = command.make_parser(command.context_class(command))
    options, arguments, _ = parser.parse_args(rest)
    assert arguments == []
    missing = [
        each.name for each in command.params if each.required and not options.get(each.name)
    ]
    assert missing == []


def test_commands() -> None:
    """Each command of the gateway is parsed by its own parser; others are named with a reason."""
    seen = set()
    for block in of_language("sh"):
        for words in commands(block.text):
            program = words[0].rpartition("/")[2]
            if program == "gateway":
                check_command(words)
            elif program != "make":  # tests/test_docs.py checks its targets
                seen.add(program)
    assert seen == set(NOT_RUN)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_the_text_exist(page: Path) -> None:
    """`gateway …` in a sentence names a command, and options that it has."""
    for text in INLINE.findall(page.read_text(encoding="utf-8")):
        command, rest = command_of(text.split()[1:])
        options = {option for each in command.params for option in each.opts}
        assert set(re.findall(r"--[a-z][\w-]*", text)) <= options, text
        assert not hasattr(command, "commands") or not rest or rest[0].startswith("-"), text


@pytest.mark.clients
def test_scripts(tmp_path: Path) -> None:
    """A script is a part of a file that is tested, or at least JavaScript."""
    for number, block in enumerate(of_language("js")):
        if block.info.startswith("from="):
            source = (ROOT / block.info.removeprefix("from=")).read_text(encoding="utf-8")
            assert block.text in source, block.name
        else:
            file = tmp_path / f"{number}.mjs"
            file.write_text(block.text, encoding="utf-8")
            subprocess.run([need("node", "nodejs", BIN), "--check", file], check=True)


def test_every_block_is_classified() -> None:
    """A block in another language, or with another mark, needs a test of its own."""
    tested = {"graphql", "json", "toml", "yaml", "sh", "js", *NOT_RUN_LANGUAGES}
    unknown = [
        block.name
        for block in EVERY_BLOCK
        if not (block.language in tested and (not block.info or block.info.startswith("from=")))
        and not any(block.info.startswith(mark) for mark in TESTED_ELSEWHERE)
    ]
    assert unknown == []
