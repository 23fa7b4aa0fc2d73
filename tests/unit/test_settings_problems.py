"""What is wrong with a configuration: all of it at once, each by its path, and no secret."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.providers import registry
from gateway.providers.base.kind import ProviderKind
from gateway.providers.registry import KINDS, SANDBOXED
from gateway.settings.loading import load
from gateway.settings.problems import PATTERNS
from tests.unit.configurations import ACCOUNT, EXAMPLE, problems, read

VOUCHERIFY = """
[[providers]]
key = "acme"
kind = "voucherify"
base_url = "https://upstream.test"
app_id = "id"
app_token = "secret-1"
"""


def test_every_missing_variable_is_named_by_its_place(file: Path) -> None:
    """All at once, in file order, each with the path of the setting that wants it."""
    assert problems(file, EXAMPLE) == [
        (path, f"the environment variable {name} is not set")
        for path, name in [
            ("providers[0].client_id", "EMPORIX_CLIENT_ID"),
            ("providers[0].client_secret", "EMPORIX_CLIENT_SECRET"),
            ("providers[1].app_id", "VOUCHERIFY_APP_ID"),
            ("providers[1].app_token", "VOUCHERIFY_APP_TOKEN"),
            ("providers[2].token", "INSTALEAP_TOKEN"),
            ("providers[2].reverse_token", "INSTALEAP_REVERSE_TOKEN"),
            ("providers[3].token", "STUUT_TOKEN"),
        ]
    ]


def test_all_problems_of_a_file_are_told_at_once(file: Path) -> None:
    """One reading of the list is enough to mend the file."""
    text = """
servers = 1
[server]
request_timeout_s = 0
allow_anonymous = "perhaps"
color = "red"
[store]
url = "mysql://db"
[[providers]]
key = "a b"
kind = "stuut"
base_url = "upstream.test"
tokn = "secret-1"
[[providers]]
key = "acme"
kind = "acme"
[[providers]]
key = "acme"
kind = "voucherify"
base_url = "https://upstream.test"
app_id = "${NOT_SET}"
app_token = ""
timeout_s = 1000
max_concurrency = 1.5
[[providers]]
"""
    assert problems(file, text) == [
        ("providers[2].app_id", "the environment variable NOT_SET is not set"),
        ("server.allow_anonymous", "input should be a valid boolean, unable to interpret input"),
        ("server.request_timeout_s", "input should be greater than 0"),
        ("server.color", "is not a known setting"),
        ("store.url", "must begin with sqlite:// or postgresql://"),
        (
            "servers",
            (
                "is not a known table; did you mean [server]?; known are server, store, changes, "
                "identity, auth, limits, documents, federation, mcp, log, traces, fast_paths, "
                "[[providers]] and [[watch]]"
            ),
        ),
        ("providers[0].key", PATTERNS["key"]),
        ("providers[0].base_url", PATTERNS["base_url"]),
        ("providers[0].token", "is missing"),
        ("providers[0].tokn", "is not a known setting; did you mean token?"),
        (
            "providers[1].kind",
            (
                f"must be one of {', '.join(KINDS)}; a package may add it: install it where the "
                "gateway is installed"
            ),
        ),
        ("providers[2].timeout_s", "input should be less than or equal to 120 seconds"),
        (
            "providers[2].max_concurrency",
            "input should be a valid integer, got a number with a fractional part",
        ),
        ("providers[2].app_token", "must not be empty"),
        ("providers[3].kind", f"must be one of {', '.join(KINDS)}"),
        ("providers[2].key", "'acme' is taken by providers[1]; keys are unique"),
    ]


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        pytest.param(
            "providers = []", "providers", "at least one [[providers]] table is needed", id="none"
        ),
        pytest.param(
            "[providers]\nkey = 'a'",
            "providers",
            "must be tables, each headed [[providers]]",
            id="one bracket",
        ),
        pytest.param(
            "providers = [1]",
            "providers",
            "must be tables, each headed [[providers]]",
            id="a list",
        ),
        pytest.param(
            "watch = 1" + ACCOUNT, "watch", "must be tables, each headed [[watch]]", id="watch"
        ),
        pytest.param(
            ACCOUNT + '[[watch]]\nprovider = "shop"\nsegments = ["a"]',
            "watch[0].provider",
            "no [[providers]] table has the key 'shop'",
            id="watched provider",
        ),
        pytest.param(
            ACCOUNT + '[[watch]]\nprovider = "acme"\nsegments = ["a"]',
            "watch[0].provider",
            "cannot be watched: Stuut lists no members of segments",
            id="no members",
        ),
        pytest.param(
            VOUCHERIFY + '[[watch]]\nprovider = "acme"\nsegments = []',
            "watch[0].segments",
            "must not be empty",
            id="no segments",
        ),
        pytest.param(
            VOUCHERIFY + '[[watch]]\nprovider = "acme"\nsegments = ["a", "*"]',
            "watch[0].segments",
            '"*" must be alone: it is all segments',
            id="all and one",
        ),
        pytest.param(
            VOUCHERIFY + '[[watch]]\nprovider = "acme"\nsegments = ["*"]\nevery_s = 0.5',
            "watch[0].every_s",
            "input should be greater than or equal to 1",
            id="too often",
        ),
        pytest.param(
            "server = 1" + ACCOUNT,
            "server",
            "must be a table",
            id="a table that is none",
        ),
        pytest.param(
            ACCOUNT.replace("https://upstream.test", "${URL}"),
            "providers[0].base_url",
            "the environment variable URL is not set",
            id="a variable that is missing, and no address either",
        ),
        pytest.param(
            ACCOUNT.replace("secret-1", "${1X}"),
            "providers[0].token",
            "${1X} is not the name of a variable",
            id="no name",
        ),
        pytest.param(
            ACCOUNT.replace("secret-1", "$STUUT_TOKEN"),
            "providers[0].token",
            "would be used as it stands: an environment variable is written ${NAME}, in braces",
            id="a variable without braces",
        ),
        pytest.param(
            ACCOUNT.replace("secret-1", "secret-1\\n"),
            "providers[0].token",
            "contains a line break, leading or trailing spaces, or a non-ASCII character",
            id="a secret from a file with a line break",
        ),
        pytest.param(
            ACCOUNT.replace("https://upstream.test", "https:///path"),
            "providers[0].base_url",
            "has no host",
            id="no host",
        ),
        pytest.param(
            ACCOUNT.replace("https://upstream.test", "https://upstream.test:99999"),
            "providers[0].base_url",
            "port out of range 0-65535",
            id="no such port",
        ),
        pytest.param(
            ACCOUNT + "timeout_s = nan\n",
            "providers[0].timeout_s",
            "input should be less than or equal to 120 seconds",
            id="not a number",
        ),
    ],
)
def test_a_problem_is_told_by_its_path(file: Path, text: str, path: str, problem: str) -> None:
    """Each single mistake has one line."""
    assert problems(file, text) == [(path, problem)]


def test_references_are_checked_in_tables_with_other_problems(file: Path) -> None:
    """What names a provider is reported together with all the rest."""
    text = (
        ACCOUNT
        + """
[[watch]]
provider = "zz"
segments = ["a"]
every_s = 0
[[auth.keys]]
name = "a"
hash = "x"
scopes = ["segments:read@acme", "segments:read@nope", "customers:read"]
[identity]
max_customers = 0
[[identity.rules]]
name = "one"
keys = ["acme:id", "yy:id"]
[[identity.rules]]
name = "two"
keys = ["acme:id"]
[[identity.rules]]
name = "one"
keys = ["acme:id", "acme:nothing"]
"""
    )
    none = "no [[providers]] table has the key"
    assert problems(file, text) == [
        ("identity.rules[1].keys", "must have at least two keys: a rule compares them"),
        ("identity.max_customers", "input should be greater than or equal to 2"),
        ("auth.keys[0].hash", "is not what `gateway key create` prints: sha256:…"),
        ("watch[0].every_s", "input should be greater than or equal to 1"),
        ("auth.keys[0].scopes[1]", f"{none} 'nope'"),
        ("watch[0].provider", f"{none} 'zz'"),
        ("identity.rules[0].keys[1]", "no provider has the key 'yy'"),
        ("identity.rules[2].name", "'one' is taken by identity.rules[0]"),
        (
            "identity.rules[2].keys[1]",
            (
                "customers there have no 'nothing'; they have id, remote_id, account_number,"
                " email, phone, attributes.<path>"
            ),
        ),
    ]


@pytest.mark.parametrize("secret", ["secret-1", "http://me:secret-1@upstream.test"])
def test_a_secret_is_in_no_problem(file: Path, secret: str) -> None:
    """Wherever it was written by mistake: in no text, no repr and no cause."""
    text = f"""
[server]
secret = "{secret}"
allow_anonymous = "{secret}"
[store]
url = "{secret}"
[[providers]]
key = "{secret}:"
kind = "stuut"
base_url = "{secret}"
token = ["{secret}"]
timeout_s = "{secret}"
"""
    with pytest.raises(SettingsError) as refused:
        read(file, text)
    shown = str(refused.value) + repr(refused.value) + repr(refused.value.problems)
    cause: BaseException | None = refused.value
    while cause is not None:
        shown += str(cause)
        cause = cause.__cause__ or cause.__context__
    assert len(refused.value.problems) == 7
    assert "secret-1" not in shown


@pytest.mark.parametrize(
    "content",
    [b"[server", b"a = 1\na = 2", b'a = "\xff"'],
    ids=["unfinished", "said twice", "not UTF-8"],
)
def test_a_file_that_is_not_toml_is_told(file: Path, content: bytes) -> None:
    """By the file's name, with the reader's words, which differ from Python to Python."""
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load(file, {})
    ((path, text),) = refused.value.problems
    assert (path, text[:13]) == (str(file), "is not TOML: ")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A missing file and a folder, by name, with the system's words."""
    for path, why in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(SettingsError) as refused:
            load(path, {})
        assert refused.value.problems == ((str(path), f"cannot be read: {why}"),)


@pytest.mark.parametrize("name", ["*, x-a", "x a", "", "x:", "x\\r\\ny: z", "é"])
def test_names_of_headers(file: Path, name: str) -> None:
    """What is no name of a header goes into none."""
    text = f'{ACCOUNT}\n[server]\ncors_allow_headers = ["x-shop", "{name}"]\n'
    ((path, message),) = problems(file, text)
    assert path == "server.cors_allow_headers[1]"
    assert message.startswith("must be the name of a header")


def test_a_byte_order_mark(file: Path) -> None:
    """Some editors write one before the file."""
    file.write_bytes(b"\xef\xbb\xbf" + ACCOUNT.encode())
    assert len(load(file, {}).providers) == 1


def test_a_kind_without_a_sandbox_needs_a_url(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem names the setting, and the kinds that have a sandbox; other URLs are fine."""
    kinds = {**KINDS, "stuut": ProviderKind(KINDS["stuut"].adapter)}
    monkeypatch.setattr(registry, "KINDS", kinds)
    assert problems(file, ACCOUNT.replace("https://upstream.test", "sandbox:")) == [
        (
            "providers[0].base_url",
            f"must be a URL: stuut has no sandbox; {', '.join(SANDBOXED)} have one",
        )
    ]
    assert [each.kind for each in read(file, ACCOUNT).providers] == ["stuut"]


def test_an_old_webhook_secret_needs_a_new_one(file: Path) -> None:
    """Alone it would accept nothing: without `webhook_secret` all webhooks are refused."""
    old = f'{VOUCHERIFY}webhook_secret_old = "x"\n'
    text = "needs webhook_secret: without it all webhooks are refused"
    assert problems(file, old) == [("providers[0].webhook_secret_old", text)]
    empty = [("providers[0].webhook_secret", "must not be empty")]
    assert problems(file, f'{old}webhook_secret = ""\n') == empty
    assert read(file, f'{old}webhook_secret = "y"\n').providers[0].key == "acme"


def test_files_of_secrets_that_cannot_be_used(file: Path, tmp_path: Path) -> None:
    """Each is named by its setting and its path."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, reason in {
        f"{tmp_path}/none": f"the file {tmp_path}/none cannot be read: No such file or directory",
        f"{tmp_path}/empty": f"the file {tmp_path}/empty is empty",
        f"{tmp_path}/binary": f"the file {tmp_path}/binary cannot be read: it is not UTF-8",
        "token": "${file:token} is not an absolute path",
    }.items():
        text = ACCOUNT.replace("secret-1", f"${{file:{name}}}")
        assert problems(file, text) == [("providers[0].token", reason)]
