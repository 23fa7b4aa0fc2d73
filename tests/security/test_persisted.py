"""Documents asked by a name: automatic ones, trusted ones, and nothing else where that is said."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.asgi import build
from gateway.errors import SettingsError
from gateway.http import persisted_documents
from gateway.http.graphql_over_http import GraphQLRequest, RequestError
from gateway.http.persisted_documents import PersistedDocuments
from gateway.limits.settings import LimitSettings
from gateway.settings.tables import DocumentSettings, Settings
from tests.e2e.serving import Front, serving, settings_with

KEYS = "query Keys { providers { key } }"
NAMES = 'query Names { provider(key: "stuut") { displayName } }'
WRITE = (
    'mutation Rank { segmentsReorder(input: {provider: "stuut", ids: []}) { segments { id } } }'
)
FOUND = {
    "data": {"providers": [{"key": k} for k in ("stuut", "voucherify", "instaleap", "emporix")]}
}
NAMED = {"data": {"provider": {"displayName": "Stuut"}}}
UNKNOWN = (200, "PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
CLOSED = (200, "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
ONLY = (
    403,
    "Only documents in the gateway's manifest are allowed.",
    "PERSISTED_QUERY_NOT_IN_LIST",
)
MANIFEST = "is not a manifest of Apollo's or Relay's tools: "
MISMATCH = (400, "The document does not match its hash or id.", "BAD_USER_INPUT")


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """Return the front door of a gateway with the settings that are the default."""
    async with serving() as front:
        yield front


def hash_of(text: str) -> str:
    """Return the name of a document."""
    return sha256(text.encode()).hexdigest()


def apollo(text: str, **more: Any) -> dict[str, Any]:
    """Return a request by hash, as Apollo's clients send it."""
    named = {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}}
    return {"extensions": named, **more}


def settings_of(**documents: Any) -> Settings:
    """Return the sandbox's settings with a `[documents]` table."""
    return settings_with().model_copy(update={"documents": DocumentSettings(**documents)})


def manifest(folder: Path, form: str, **documents: str) -> Path:
    """Write a manifest of documents by their ids, in Apollo's or Relay's form."""
    written: Mapping[str, Any] = documents
    if form == "apollo":
        written = {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [
                {"id": name, "name": f"Op{n}", "type": "query", "body": text}
                for n, (name, text) in enumerate(documents.items())
            ],
        }
    file = folder / "manifest.json"
    file.write_text(json.dumps(written), encoding="utf-8")
    return file


async def post(front: Front, **body: Any) -> Any:
    """Return a whole answer, or of a refusal its status, message and code."""
    return content(await front.client.post("/graphql", json=body))


async def get(front: Front, **given: Any) -> Any:
    """Do the same by GET."""
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in given.items()}
    return content(await front.client.get(f"/graphql?{urlencode(texts)}"))


def content(reply: httpx.Response) -> Any:
    """Return what an answer says, its cost left aside."""
    body = reply.json()
    if "data" in body:
        body.pop("extensions", None)
        return body
    (error,) = body["errors"]
    return reply.status_code, error["message"], error["extensions"]["code"]


async def test_automatic_documents(front: Front) -> None:
    """By hash alone it is not known; with its text it is carried out and from then on known."""
    assert await post(front, **apollo(KEYS)) == UNKNOWN
    assert await post(front, **apollo(KEYS, query=KEYS)) == FOUND
    assert await post(front, **apollo(KEYS)) == FOUND
    assert await get(front, **apollo(KEYS)) == FOUND
    assert await post(front, documentId=f"sha256:{hash_of(KEYS)}") == FOUND


async def test_automatic_documents_by_get(front: Front) -> None:
    """A browser's cache can keep them: both steps go by GET."""
    assert await get(front, **apollo(NAMES)) == UNKNOWN
    assert await get(front, **apollo(NAMES, query=NAMES)) == NAMED
    assert await get(front, **apollo(NAMES)) == NAMED


async def test_a_named_mutation_is_no_query(front: Front) -> None:
    """A hash does not open GET to what changes something."""
    assert await post(front, **apollo(WRITE)) == UNKNOWN
    refused = (405, "GET is for queries; send a mutation by POST.", "BAD_USER_INPUT")
    assert await get(front, **apollo(WRITE, query=WRITE)) == refused
    assert await get(front, **apollo(WRITE)) == refused
    assert front.calls == []


@pytest.mark.parametrize("absent", [{"query": None}, {"query": ""}], ids=["null", "empty"])
async def test_no_text_beside_a_hash(front: Front, absent: Mapping[str, Any]) -> None:
    """Clients that fill in what they leave out send null or an empty text: the hash counts."""
    assert await post(front, **apollo(KEYS, **absent)) == UNKNOWN
    assert await post(front, **apollo(KEYS, query=KEYS)) == FOUND
    assert await post(front, **apollo(KEYS, **absent)) == FOUND
    assert await get(front, **apollo(KEYS), query="") == FOUND
    assert await post(front, documentId=hash_of(KEYS), id="", doc_id="", **absent) == FOUND


@pytest.mark.parametrize(
    "invalid", ["{", "{ nothing }", "query($id: ID!) { node(id: $id) { id(x: 1) } }"]
)
async def test_invalid_documents_are_not_kept(front: Front, invalid: str) -> None:
    """They are refused each time with their text, and never known by their hash."""
    for _ in range(2):
        status, message, code = await post(front, **apollo(invalid, query=invalid))
        assert (status, code) == (200, "BAD_USER_INPUT")
        assert message != UNKNOWN[1]
        assert await post(front, **apollo(invalid)) == UNKNOWN
        assert await get(front, **apollo(invalid)) == UNKNOWN


async def test_documents_that_are_too_deep_are_not_kept() -> None:
    """What a bound refuses takes no other document's place."""
    settings = settings_of().model_copy(update={"limits": LimitSettings(depth=1)})
    async with serving(settings=settings) as front:
        status, _, code = await post(front, **apollo(NAMES, query=NAMES))
        assert (status, code) == (200, "LIMIT_EXCEEDED")
        assert await post(front, **apollo(NAMES)) == UNKNOWN


async def test_a_hash_of_another_text_is_refused_and_keeps_nothing(front: Front) -> None:
    """Nobody can put a document of theirs in the place of another."""
    assert await post(front, **apollo(KEYS, query=NAMES)) == MISMATCH
    assert await post(front, **apollo(KEYS)) == UNKNOWN
    assert await post(front, query=NAMES, documentId="keys") == MISMATCH


@pytest.mark.parametrize(
    "body",
    [
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash_of(KEYS)}}},
        {"extensions": {"persistedQuery": {"sha256Hash": hash_of(KEYS)}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}},
        {"extensions": {"persistedQuery": []}, "query": KEYS},
        {"documentId": "a", "id": "b"},
        {"doc_id": hash_of(NAMES), **apollo(KEYS)},
        {"extensions": {}},
        {"documentId": 7},
        {"query": None},
        {"documentId": "", "query": None},
        {},
    ],
)
async def test_what_names_no_document(front: Front, body: Mapping[str, Any]) -> None:
    """It is refused with 400, and nothing else happens."""
    status, _, code = await post(front, **body)
    assert (status, code) == (400, "BAD_USER_INPUT")


async def test_automatic_documents_can_be_switched_off() -> None:
    """Then a client is told to send the text, always."""
    async with serving(settings=settings_of(automatic=False)) as front:
        assert await post(front, **apollo(KEYS, query=KEYS)) == FOUND
        assert await post(front, **apollo(KEYS)) == CLOSED


@pytest.mark.parametrize("form", ["apollo", "relay"])
async def test_trusted_documents(tmp_path: Path, form: str) -> None:
    """They are known by their id in the manifest, and by their hash, from the start."""
    file = manifest(tmp_path, form, keys=KEYS, **{hash_of(NAMES): NAMES})
    async with serving(settings=settings_of(manifest=file)) as front:
        for name in ("documentId", "doc_id", "id"):
            assert await post(front, **{name: "keys"}) == FOUND
            assert await get(front, **{name: hash_of(NAMES)}) == NAMED
        assert await post(front, **apollo(KEYS)) == FOUND
        assert await post(front, documentId=f"sha256:{hash_of(KEYS)}") == FOUND
        assert await post(front, query=KEYS, id="keys") == FOUND
        assert await post(front, query=NAMES, id="keys") == MISMATCH
        assert await post(front, documentId="missing") == UNKNOWN
        assert await post(front, query='{ provider(key: "x") { key } }') == {
            "data": {"provider": None}
        }


async def test_nothing_but_the_manifest(tmp_path: Path) -> None:
    """By name or by text, since it is the same document; whatever else is asked is refused."""
    file = manifest(tmp_path, "apollo", keys=KEYS)
    async with serving(settings=settings_of(manifest=file, only_manifest=True)) as front:
        assert await post(front, id="keys") == FOUND
        assert await post(front, query=KEYS) == FOUND
        assert await post(front, **apollo(KEYS, query=KEYS)) == FOUND
        for body in ({"query": NAMES}, {"query": f"{KEYS} "}, {"id": "names"}, {"query": "{"}):
            assert await post(front, **body) == ONLY
        assert await post(front, **apollo(NAMES)) == ONLY
        assert await post(front, **apollo(NAMES, query=NAMES)) == ONLY
        assert await post(front, **apollo(NAMES)) == ONLY
        assert await get(front, query="{ __schema { queryType { name } } }") == ONLY


async def test_trusted_documents_are_past_the_bounds_of_documents(tmp_path: Path) -> None:
    """The operator wrote them; what strangers write is bounded all the same."""
    file = manifest(tmp_path, "relay", keys=KEYS)
    settings = settings_of(manifest=file).model_copy(update={"limits": LimitSettings(depth=1)})
    async with serving(settings=settings) as front:
        assert await post(front, id="keys") == FOUND
        assert await post(front, query=KEYS) == FOUND
        status, _, code = await post(front, query=NAMES)
        assert (status, code) == (200, "LIMIT_EXCEEDED")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", MANIFEST + "Input data was truncated"),
        ("[]", MANIFEST + "Expected `object`, got `array`"),
        (
            '{"a": 7}',
            MANIFEST + "Expected `str`, got `int` - at `$[...]`",
        ),
        (
            '{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}',
            MANIFEST + "Invalid enum value 2 - at `$.version`",
        ),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str | None, problem: str) -> None:
    """The gateway does not start, and says which file and what is wrong with it."""
    file = tmp_path / "m.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        build(settings_of(manifest=file))
    assert raised.value.problems == (("documents.manifest", f"{file} {problem}"),)


def test_a_manifest_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Some editors write one."""
    file = manifest(tmp_path, "relay", keys=KEYS)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    build(settings_of(manifest=file))


def test_each_document_of_a_manifest_must_be_sound(tmp_path: Path) -> None:
    """All that are not are told at once, by their entries."""
    file = manifest(tmp_path, "apollo", good=KEYS, bad="{ nothing }", worse="{")
    with pytest.raises(SettingsError) as raised:
        build(settings_of(manifest=file))
    assert [tuple(problem) for problem in raised.value.problems] == [
        (
            "documents.manifest",
            f"{file}: operations[1] (Op1): Cannot query field 'nothing' on type 'Query'.",
        ),
        (
            "documents.manifest",
            f"{file}: operations[2] (Op2): Syntax Error: Expected Name, found <EOF>.",
        ),
    ]


def test_the_command_line_says_what_is_wrong(tmp_path: Path) -> None:
    """Before anything is served, with another exit status than success."""
    file = manifest(tmp_path, "relay", bad="{ nothing }")
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[documents]\nmanifest = "{file}"\n'
        '[[providers]]\nkey = "a"\nkind = "stuut"\nbase_url = "sandbox:"\n'
    )
    for command in ("serve", "check"):
        done = CliRunner().invoke(cli, [command, "--config", str(config)])
        assert done.exit_code == 2
        problem = f"documents.manifest: {file}: bad: Cannot query field 'nothing' on type 'Query'."
        assert problem in done.output


def test_an_id_stands_for_one_document(tmp_path: Path) -> None:
    """Twice the same id with another text is a mistake."""
    file = manifest(tmp_path, "apollo", a=KEYS)
    written = json.loads(file.read_text())
    written["operations"].append({**written["operations"][0], "body": NAMES})
    file.write_text(json.dumps(written))
    with pytest.raises(SettingsError, match=r"operations\[1\] \(Op0\): its id is already used"):
        build(settings_of(manifest=file))


def test_nothing_but_a_manifest_needs_one() -> None:
    """Else nobody could ask anything."""
    with pytest.raises(SettingsError, match=r"documents\.manifest names no file"):
        build(settings_of(only_manifest=True))


def kept(texts: list[str]) -> list[bool]:
    """Send documents in this order; tell which of them are known afterwards."""
    store = PersistedDocuments(DocumentSettings(), lambda _: ())
    for text in texts:
        store.keep(hash_of(text), text)
    return [is_known(store, text) for text in texts]


def is_known(store: PersistedDocuments, text: str) -> bool:
    """Tell whether a document is known by its hash."""
    with contextlib.suppress(RequestError):
        return store.text(GraphQLRequest(), hash_of(text)) == text
    return False


def test_automatic_documents_are_bounded_in_number() -> None:
    """However many are sent: the newest are known."""
    texts = [f"{{ a{n} }}" for n in range(persisted_documents.MAX_CACHED + 2)]
    assert kept(texts) == [False, False, *[True] * persisted_documents.MAX_CACHED]


def test_automatic_documents_are_bounded_in_bytes() -> None:
    """Wide characters count as what they take."""
    long = persisted_documents.MAX_CACHED_LENGTH
    fit = persisted_documents.MAX_CACHED_BYTES // (4 * long)
    texts = ["🙂" * (long - 2) + f"{n:02}" for n in range(fit + 5)]
    assert sum(kept(texts)) == fit


def test_a_document_that_is_too_long_is_not_kept() -> None:
    """At the bound it is."""
    assert kept(
        [
            "a" * persisted_documents.MAX_CACHED_LENGTH,
            "b" * (persisted_documents.MAX_CACHED_LENGTH + 1),
        ]
    ) == [
        True,
        False,
    ]
