"""The log holds no personal data and no secrets, whatever is asked and whatever fails."""

import json
import subprocess
import sys

import httpx
import pytest
import structlog
from pydantic import SecretStr

from gateway.observability.confidential import Foreign, Personal
from gateway.observability.settings import LogSettings
from tests.e2e.failures import answering, raising, silent
from tests.e2e.serving import Front, Providers, customer_id, segment_id, settings_with
from tests.e2e.writes.asking import SELECTIONS, document
from tests.e2e.writes.conftest import providers, url
from tests.e2e.writes.inputs import BY_PROVIDER
from tests.e2e.writes.serving import serving
from tests.four_kinds import CREDENTIALS
from tests.security.logged import logged

__all__ = ["providers", "url"]

PERSON = "zoe.quill@private.example"
NAME = "Zoe Quill"
PHONE = "+49 170 5550123"
PRIVATE = (PERSON, "zoe.quill", NAME, PHONE, "5550123")
SECRETS = tuple(
    value for account in CREDENTIALS.values() for value in account.values() if len(value) > 10
)
WORDS = json.dumps(
    {
        "message": f"{NAME} <{PERSON}> {PHONE} is not allowed",
        "detail": [{"loc": [PERSON], "msg": PERSON, "type": PERSON}],
        "key": PERSON,
        "data": [{"id": 7, "name": NAME, "status": PERSON}],
        "headers": list(SECRETS),
    }
).encode()
WAYS = {
    "well": None,
    "refused": answering(400, WORDS),
    "denied": answering(403, WORDS),
    "broken": answering(500, WORDS),
    "unreadable": answering(200, WORDS),
    "no JSON": answering(200, PERSON.encode()),
    "unreachable": raising(httpx.ConnectError),
    "silent": silent,
}
READS = """query($who: String!, $id: ID!, $segment: ID!) {
  a: customers(filter: {externalId: $who}) { nodes { name email } sources { error { code } } }
  b: customers(filter: {email: $who}) { nodes { name email } sources { error { code } } }
  c: customers(filter: {nameContains: $who}) { nodes { name } sources { error { code } } }
  d: customers(filter: {phone: $who}) { nodes { name } sources { error { code } } }
  stuut: customer(identity: {provider: "stuut", externalId: $who}) {
    name segments { nodes { name } }
  }
  voucherify: customer(identity: {provider: "voucherify", externalId: $who}) { name email }
  emporix: customer(identity: {provider: "emporix", externalId: $who}) { name email }
  instaleap: customer(identity: {provider: "instaleap", externalId: $who}) { name }
  unknown: customer(identity: {provider: "zoe.quill", externalId: $who}) { name }
  node(id: $id) { id ... on Customer { name } }
  segment(id: $segment) { name customers(first: 5) { nodes { name } } }
  segments(filter: {nameContains: $who}) { nodes { name } }
}"""


async def ask_everything(front: Front) -> None:
    """Read and write with personal values, at every provider."""
    provided = {
        "who": PERSON,
        "id": customer_id("emporix", PERSON),
        "segment": segment_id("emporix", "golden"),
    }
    assert "data" in await front.ask(READS, provided)
    for provider in ("stuut", "voucherify", "emporix", "instaleap"):
        for field, given in BY_PROVIDER.items():
            text = json.dumps(given).replace("{}", provider).replace('"A"', json.dumps(NAME))
            text = text.replace('"segment"', json.dumps(segment_id(provider, "golden")))
            text = text.replace('"customer"', json.dumps(customer_id(provider, PERSON)))
            variables = {**json.loads(text), "idempotencyKey": f"{PERSON} {provider} {field}"}
            assert "data" in await front.ask(document(field), {"m0": variables})
    for query in (f"{{ {NAME} }}", f'{{ node(id: "{PERSON}") {{ id }} }}', f"# {PERSON}"):
        await front.client.post(f"/graphql?name={PERSON}", json={"query": query})
        await front.client.get("/graphql", params={"query": query, "operationName": PERSON})


@pytest.mark.parametrize("way", WAYS)
async def test_no_line_has_personal_data(providers: Providers, url: str, way: str) -> None:
    """Neither of callers' documents and variables, nor of providers' answers; and no secret."""
    timeout_s = 0.2 if way == "silent" else 10
    async with serving(providers, url, settings_with(timeout_s=timeout_s)) as front:
        server = WAYS[way]
        if server is not None:
            providers.instead.update(dict.fromkeys(CREDENTIALS, server))
        with logged() as log:
            await ask_everything(front)
    events = {line["event"] for line in log.lines}
    assert "write" in events
    assert way == "well" or "provider call failed" in events
    assert [each for each in (*PRIVATE, *SECRETS) if each in log.text] == []


def test_the_inputs_of_these_tests_are_those_of_every_mutation() -> None:
    """None is left out but the one whose rows are of any provider, and those that ask none."""
    of_none = {"customersLink", "customersUnlink", "identityLinkDecide"}
    assert SELECTIONS.keys() - BY_PROVIDER.keys() == {"segmentBulkDelete", *of_none}


async def test_the_place_in_an_answer_that_could_not_be_read(
    providers: Providers, url: str
) -> None:
    """The path is told, and nothing of what stood there: so that the cause can be found."""
    body = json.dumps({"name": {"first": PERSON}, "priority": PERSON}).encode()
    async with serving(providers, url) as front:
        providers.instead["stuut"] = answering(200, body)
        with logged() as log:
            await front.ask('{ segments(filter: {providers: ["stuut"]}) { nodes { name } } }')
    (line,) = log.lines
    assert line["error"] == "Malformed"
    assert PERSON not in log.text
    assert "detail" not in line


async def test_the_parts_of_an_answer_that_are_odd(providers: Providers, url: str) -> None:
    """Likewise: their paths, in our models' words."""
    body = json.dumps([{"id": "1", "name": {PERSON: PERSON}, "priority": PERSON}]).encode()
    async with serving(providers, url) as front:
        providers.instead["stuut"] = answering(200, body)
        with logged() as log:
            await front.ask('{ segments(filter: {providers: ["stuut"]}) { nodes { name } } }')
    (line,) = log.lines
    assert line["parts"][:2] == ["[0].name: null", "[0].description: missing"]
    assert PERSON not in log.text


BUG = f"{PERSON} is unknown"


def fail() -> None:
    """Raise what nobody foresaw, with personal data in message, cause and variables."""
    who = {"email": PERSON}
    try:
        who[who["email"]]
    except KeyError as error:
        raise ExceptionGroup(BUG, [ValueError(PERSON)]) from error


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_bug_is_told_by_types_and_places(on_terminal: bool) -> None:  # noqa: FBT001  # a case
    """Messages and variables stay away, also on a terminal; where it came from does not."""
    with logged(on_terminal=on_terminal) as log:
        try:
            fail()
        except ExceptionGroup:
            structlog.get_logger().exception("bug")
    for part in ("builtins.ExceptionGroup", "builtins.ValueError", "builtins.KeyError"):
        assert part in log.text
    assert log.text.count("test_privacy.py") == 3  # caught, raised, and its cause
    assert PERSON not in log.text


def test_personal_data_is_shown_where_the_operator_says_so() -> None:
    """One word in the configuration; on a development machine it helps."""
    with logged(LogSettings(personal_data=True)) as log:
        structlog.get_logger().info("x", who=[Personal(PERSON)], text=Foreign(NAME))
        try:
            fail()
        except ExceptionGroup:
            structlog.get_logger().exception("bug")
    first, second = log.lines
    assert (first["who"], first["text"]) == ([PERSON], NAME)
    assert BUG in second["exception"]


def digests(key: str | None) -> list[str]:
    """Return what stands in the log for two people, the first of them twice."""
    secret = None if key is None else SecretStr(key)
    with logged(LogSettings(digest_key=secret)) as log:
        who = [Personal(each) for each in (PERSON, NAME, PERSON)]
        structlog.get_logger().info("x", who=who, text=Foreign(PERSON))
    (line,) = log.lines
    assert "text" not in line
    digests: list[str] = line["who"]
    return digests


def test_ids_are_digests() -> None:
    """Equal for equal ids; for ever with a key, else in one process; never without the key."""
    first, other, again = digests("0123456789abcdef")
    assert first == again != other
    assert len(first) == 17
    assert digests("0123456789abcdef") == [first, other, again]
    assert first not in digests("fedcba9876543210")
    assert first not in digests(None)
    assert digests(None) != digests(None)


def test_confidential_values_do_not_show_themselves() -> None:
    """A log that nobody set up shows nothing either."""
    for value in (Personal(PERSON), Foreign(PERSON)):
        assert PERSON not in f"{value} {value!r} {[value]} {json.dumps(value, default=repr)}"


def test_a_line_on_a_terminal_cannot_move_its_cursor() -> None:
    """Ids are the callers' words: no line can be made up, or wiped out."""
    with logged(on_terminal=True) as log:
        structlog.get_logger().info("x", one="\x1b[2Kforged", two=["a\nb\x1b[2K"])
    assert "\x1b[2K" not in log.text
    assert log.text.count("\n") == 1


SCRIPT = f"""
import asyncio, logging
from gateway.observability.logs import start_log
from gateway.observability.settings import LogSettings
from tests.four_kinds import CREDENTIALS
start_log(LogSettings())
logging.getLogger("uvicorn.error").error("{PERSON}")
logging.getLogger("some.library").warning("%s went", "{PERSON}")
logging.getLogger("some.library").info("unimportant")
async def main():
    async def lost():
        raise KeyError("{PERSON}")
    asyncio.get_running_loop().call_soon(lambda who: 1 / 0, "{PERSON}")
    task = asyncio.create_task(lost())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(main())
"""


def test_what_libraries_log_is_told_by_its_place() -> None:
    """Their words are foreign. In a process of its own, as it sets the log of all of it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["logger"]) for line in lines] == [
        ("a library reports", "uvicorn.error"),
        ("a library reports", "some.library"),
        ("a library reports", "asyncio"),
        ("a library reports", "asyncio"),
    ]
    assert all(":" in line["at"] for line in lines)
    assert lines[2]["exception"].startswith("builtins.ZeroDivisionError\n")
    assert PERSON not in done.stderr
