"""Agents list the tools and call them, each with its own rights."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LimitExceeded
from gateway.limits.caller_budgets import Budgets, LeaseNeeded
from gateway.tools.settings import SHIPPED
from tests.e2e.serving import Providers, customer_id, segment_id
from tests.e2e.tools.agents import LIST, QUERY, agents, failure, folder, names
from tests.security.callers import signed
from tests.security.logged import logged
from tests.security.served import settings_of

ANSWERS = json.loads((Path(__file__).parent / "answers.json").read_text(encoding="utf-8"))
"""What each tool answers over the sandbox, by name."""

HIRO = {"identity": {"provider": "voucherify", "externalId": "crm-00001"}}
GOLD, SILVER = (
    segment_id("voucherify", "seg_iDmAbiqi5bKJYVYyEb8NxJ3V"),
    segment_id("voucherify", "seg_v5tjz2V59MawAtQiKrSZgAuJ"),
)
SOMEBODY = customer_id("voucherify", "cust_YAMeAqTqH8qZ38k4yfZPAgPB")
CALLS: dict[str, dict[str, Any]] = {
    "find_person": HIRO,
    "person_segments": {**HIRO, "first": 2},
    "segment_members": {"segmentId": GOLD, "first": 2},
    "find_segments": {"nameContains": "gold", "first": 2, "sortKey": "NAME"},
    "compare_segments": {"segmentIds": [GOLD, SILVER], "first": 1},
    "test_membership": {"customerIds": [SOMEBODY], "segmentIds": [GOLD, SILVER]},
    "recent_changes": {"kinds": ["ENTERED"]},
    "provider_health": {"keys": ["instaleap"]},
}
CHANGE = """mutation { customerSegmentsReplace(input: {provider: "instaleap", customers: [
  {externalId: "crm-00001", segments: [{type: "tier", value: "gold"}]}
]}) { results { outcome } } }"""
TIME = re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"')
LATENCY = re.compile(r'("latencyMs\w+":)[\d.]+')
OF_LOG = re.compile(r'"w[\w-]{31}"')
"""A cursor of the change log, which is different in every store."""


def steady(text: str) -> str:
    """Return an answer without what differs from run to run."""
    return OF_LOG.sub('"CURSOR"', LATENCY.sub(r"\g<1>0", TIME.sub('"TIME"', text)))


async def test_all_eight() -> None:
    """The reference client lists and calls all of them, in both forms of the protocol."""
    async with agents(providers=Providers()) as served:
        written = await served.send(path="/graphql", body={"query": CHANGE})
        assert written.json()["data"] == {
            "customerSegmentsReplace": {"results": [{"outcome": "UPDATED"}]}
        }
        for mode in ("auto", "legacy"):
            async with served.agent(mode=mode) as agent:
                assert await names(agent) == [*SHIPPED]
                for name, arguments in CALLS.items():
                    result = await agent.call_tool(name, arguments)
                    (content,) = result.content
                    assert content.type == "text"
                    assert json.loads(content.text) == result.structured_content
                    shown = json.loads(steady(content.text))
                    assert (result.is_error, shown) == (False, ANSWERS[name])
        metrics = (await served.send("GET", path="/metrics")).text
    # Each call is counted as an operation, by the name of its tool.
    named = re.findall(
        r'request_duration_seconds_count\{error="false",graphql_operation_name="(\w+)",'
        r'graphql_operation_type="query"\} (\S+)',
        metrics,
    )
    assert dict(named) == dict.fromkeys(SHIPPED, "2.0")


async def test_what_a_tool_says_about_itself(tmp_path: Path) -> None:
    """Its arguments are the variables of its document, with what the schema says about them."""
    write = folder(
        tmp_path,
        unlink="""# writes: true
# destructive: false
# idempotent: true
"Keep customers apart."
mutation unlink(
  "The customers."
  $customerIds: [ID!]!
  $idempotencyKey: String
) {
  customersUnlink(input: {customerIds: $customerIds, idempotencyKey: $idempotencyKey}) {
    userErrors { message }
  }
}""",
    )
    only = ("segment_members",)
    async with agents(shipped=only, folder=write) as served, served.agent() as agent:
        members, unlink = (await agent.list_tools()).tools
    assert members.model_dump(exclude_none=True) == {
        "name": "segment_members",
        "title": "Segment members",
        "description": "List the customers in one segment. `customers` is null if the provider "
        "cannot list them.",
        "input_schema": {
            "type": "object",
            "properties": {
                "segmentId": {"type": "string", "description": "A global id."},
                "first": {
                    "type": "integer",
                    "description": "The page size, from 1 to 250; 50 if null.",
                    "default": 20,
                },
                "after": {
                    "type": "string",
                    "description": "The `endCursor` of the previous page; if missing or empty, "
                    "the first page.",
                },
            },
            "required": ["segmentId"],
            "additionalProperties": False,
        },
        "annotations": {
            "read_only_hint": True,
            "destructive_hint": False,
            "idempotent_hint": True,
            "open_world_hint": False,
        },
    }
    assert unlink.input_schema["properties"]["customerIds"] == {
        "type": "array",
        "items": {"type": "string"},
        "description": "The customers.",
    }
    assert unlink.annotations is not None
    assert unlink.annotations.model_dump(exclude_none=True) == {
        "read_only_hint": False,
        "destructive_hint": False,
        "idempotent_hint": True,
        "open_world_hint": False,
    }


async def test_rights() -> None:
    """A caller sees the tools that it has the scopes for; another is refused before any call."""
    of_scopes: dict[str, list[str]] = {
        "metrics:read": [],
        "segments:read": ["find_segments", "recent_changes", "provider_health"],
        "customers:read": ["find_person"],
        "assignments:read": ["test_membership", "recent_changes"],
        "segments:read customers:read": [
            "find_person",
            "find_segments",
            "recent_changes",
            "provider_health",
        ],
        "segments:read@stuut customers:read assignments:read@emporix": [
            "find_person",
            "find_segments",
            "test_membership",
            "recent_changes",
            "provider_health",
        ],
        "segments:read customers:read assignments:read": [*SHIPPED],
        "admin": [*SHIPPED],
    }
    async with agents() as served:
        for scopes, expected in of_scopes.items():
            async with served.agent(signed(scopes)) as agent:
                assert await names(agent) == expected, scopes
        async with served.agent(signed("own:read", voucherify="crm-00001")) as agent:
            assert await names(agent) == ["find_person", "person_segments", "recent_changes"]
        served.providers.reset_calls()
        async with served.agent(signed("segments:read")) as agent:
            refused = await agent.call_tool("find_person", HIRO)
        assert failure(refused) == {
            "message": "person needs the scope customers:read.",
            "extensions": {"code": "FORBIDDEN"},
        }
        assert not served.providers.calls
        # At one provider: the others do not exist.
        async with served.agent(signed("segments:read@emporix")) as agent:
            health = await agent.call_tool("provider_health", {})
        (provider,) = health.structured_content["data"]["providers"]
        assert provider["key"] == "emporix"


async def test_audit(tmp_path: Path) -> None:
    """A tool that writes is in the audit log like any other write, also if it is refused."""
    write = folder(
        tmp_path,
        rank='# writes: true\n"Rank."\nmutation rank($ids: [ID!]!) { segmentsReorder(input: '
        '{provider: "stuut", ids: $ids}) { userErrors { code } } }',
    )
    arguments = {"ids": [segment_id("nowhere", "x")]}
    async with agents(folder=write) as served:
        with logged() as log:
            async with served.agent(signed("segments:read", "#reader")) as agent:
                assert "rank" not in await names(agent)
                refused = await agent.call_tool("rank", arguments)
            async with served.agent(signed("segments:write", "#writer")) as agent:
                assert await names(agent) == ["rank"]
                result = await agent.call_tool("rank", arguments)
        assert failure(refused)["extensions"] == {"code": "FORBIDDEN"}
        assert (result.is_error, result.structured_content) == (
            False,
            {"data": {"segmentsReorder": {"userErrors": [{"code": "INVALID"}]}}},
        )
        assert [
            (line["caller"], line["operation"], line["outcome"]) for line in log.of("audit")
        ] == [("#reader", "segmentsReorder", "denied"), ("#writer", "segmentsReorder", "refused")]
        assert result.meta is not None
        assert log.lines[-1]["request_id"] == result.meta["requestId"]
        assert not served.providers.calls


async def test_pages() -> None:
    """Pages of a tool, one after the other, are the whole list, each row once."""
    async with agents() as served, served.agent() as agent:
        pages, after = [], None
        while True:
            arguments = {"segmentId": GOLD, "first": 15, **({"after": after} if after else {})}
            result = await agent.call_tool("segment_members", arguments)
            members = result.structured_content["data"]["segment"]["customers"]
            pages.append([each["id"] for each in members["nodes"]])
            if not members["pageInfo"]["hasNextPage"]:
                break
            after = members["pageInfo"]["endCursor"]
    assert [len(page) for page in pages] == [15, 15, 4]
    assert len({each for page in pages for each in page}) == 34


async def test_results_that_are_too_large(tmp_path: Path) -> None:
    """They are an error that says what to do; a smaller page fits."""
    async with agents(result_bytes=1024) as served, served.agent() as agent:
        result = await agent.call_tool("find_segments", {"first": 10, "providers": ["emporix"]})
        size = re.compile(r"result_bytes is \d+; ")
        error = failure(result)
        assert error["extensions"] == {"code": "LIMIT_EXCEEDED"}
        assert size.sub("", error["message"]) == (
            "at most 1024 are allowed (mcp.result_bytes). "
            "Ask for less, for example a smaller `first`."
        )
        result = await agent.call_tool("find_segments", {"first": 1, "providers": ["emporix"]})
        assert not result.is_error
    fields = " ".join(f"a{n}: userErrors {{ message }}" for n in range(150))
    rank = f'segmentsReorder(input: {{provider: "stuut", ids: []}}) {{ {fields} }}'
    large = folder(tmp_path, big=f'# writes: true\n"Big."\nmutation big {{ {rank} }}')
    async with agents(folder=large, result_bytes=1024) as served, served.agent() as agent:
        message = failure(await agent.call_tool("big", {}))["message"]
        assert message.endswith("(mcp.result_bytes). It was carried out.")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "find_segments": (
        {"nameContain": "x"},
        (
            "An argument is not known; known are nameContains, providers, status, membership, "
            "updatedAfter, sortKey, reverse, first, after."
        ),
    ),
    "segment_members": (
        {},
        (
            "Variable '$segmentId' has invalid value: Expected a value of non-null type 'ID!' "
            "to be provided."
        ),
    ),
    "recent_changes": (
        {"kinds": ["MOVED"]},
        (
            "Variable '$kinds' has invalid value at [0]: Value 'MOVED' does not exist in "
            "'ChangeKind' enum."
        ),
    ),
}


async def test_arguments_that_are_wrong() -> None:
    """They are errors of the call, so that a model can correct them; no provider is called."""
    async with agents() as served, served.agent() as agent:
        for name, (arguments, message) in WRONG.items():
            error = failure(await agent.call_tool(name, arguments))
            assert (error["message"], error["extensions"]) == (
                message,
                {"code": "BAD_USER_INPUT"},
            )
        assert not served.providers.calls


async def test_a_provider_that_fails() -> None:
    """The rest of the result is there; what failed is named in our words."""
    async with agents() as served, served.agent() as agent:

        async def broken(_: Any, __: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"secret words"})

        served.providers.instead["emporix"] = broken
        arguments = {"providers": ["stuut", "emporix"], "first": 1}
        result = await agent.call_tool("find_segments", arguments)
        found = result.structured_content["data"]["segments"]
        assert not result.is_error
        assert [each["name"] for each in found["nodes"]] == ["Key accounts"]
        assert [each["error"] and each["error"]["code"] for each in found["sources"]] == [
            None,
            "PROVIDER_BROKEN",
        ]
        # A tool whose only answer failed is an error.
        lost = await agent.call_tool("segment_members", {"segmentId": segment_id("emporix", "x")})
        assert lost.is_error
        assert lost.structured_content["data"] == {"segment": None}
        (error,) = lost.structured_content["errors"]
        assert (error["path"], error["extensions"]["code"]) == (["segment"], "PROVIDER_BROKEN")
        assert "secret" not in str(result) + str(lost)


class NotRefilled(Budgets):
    """Budgets of a minute that never passes."""

    def _of(self, caller: str, _: float) -> Any:
        return super()._of(caller, 0.0)


async def test_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request counts once, and a call costs what its operation costs elsewhere."""
    monkeypatch.setattr("gateway.asgi.Budgets", NotRefilled)
    # Two calls, a list that the client needs for the first, and what is sent below.
    limits = {"requests_per_minute": 5, "cost_per_minute": 200}
    async with agents(settings_of(limits=limits)) as served:
        caller = signed("admin", "#agent")
        async with served.agent(caller, mode="2026-07-28") as agent:
            first = await agent.call_tool("find_person", HIRO)
            again = await agent.call_tool("find_person", {"email": "x@example.com"})
        assert first.meta is not None
        assert first.meta["cost"]["requested"] == 138
        error = failure(again)
        assert error["message"].endswith("at most 200 are allowed (limits.cost_per_minute).")
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert error["extensions"]["retryAfterMs"] > 0
        # The same budget as that of other requests.
        keys = {"query": "{ providers { key } }"}
        ok = await served.send(path="/graphql", body=keys, authorization=caller)
        assert ok.status_code == 200
        assert (await served.send(authorization=caller)).status_code == 200
        refused = await served.send(authorization=caller)
        assert (refused.status_code, refused.json()["error"]["data"]["code"]) == (
            429,
            "LIMIT_EXCEEDED",
        )
        assert int(refused.headers["retry-after"]) > 0
        refused = await served.send(path="/graphql", body=keys, authorization=caller)
        assert refused.status_code == 429
        other = await served.send(authorization=signed("admin", "#other"))
        assert other.status_code == 200


async def test_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for a part of its caller's budget, and counts once."""
    counted: list[str] = []
    attempts = 0

    class Leased(Budgets):
        """Needs a lease for each request, and another one for its operation."""

        def count(self, caller: str, now: float) -> None:
            self._need(is_counted=False)
            counted.append(caller)
            super().count(caller, now)

        def spend(self, caller: str, cost: int, now: float) -> None:
            self._need(is_counted=True)
            super().spend(caller, cost, now)

        def _need(self, *, is_counted: bool) -> None:
            nonlocal attempts
            attempts += 1
            if attempts % 2:
                raise LeaseNeeded(LimitExceeded("late"), is_counted=is_counted)

    monkeypatch.setattr("gateway.asgi.Budgets", Leased)
    caller = signed("admin", "#agent")
    call = {**LIST, "method": "tools/call", "params": {"name": "provider_health"}}
    keys = {"query": "{ providers { key } }"}
    async with agents() as served:
        called = await served.send(body=call, authorization=caller)
        asked = await served.send(path="/graphql", body=keys, authorization=caller)
    assert not called.json()["result"].get("isError", False)
    assert "errors" not in asked.json()
    assert (counted, attempts) == (["#agent"] * 2, 8)


@pytest.mark.parametrize("only", [True, False], ids=["only the manifest", "any document"])
async def test_tools_are_trusted_documents(tmp_path: Path, *, only: bool) -> None:
    """They are known by their names at `/graphql`, too, and run where nothing else may."""
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    documents = {"manifest": tmp_path / "manifest.json", "only_manifest": only}
    mine = folder(tmp_path, keys=QUERY)
    settings = settings_of(documents=documents, limits={"depth": 1})
    keys = {"providers": [{"key": k} for k in ("stuut", "voucherify", "instaleap", "emporix")]}
    async with agents(settings, folder=mine, shipped=()) as served:
        named = await served.send(path="/graphql", body={"documentId": "provider_keys"})
        assert named.json()["data"] == keys
        other = await served.send(path="/graphql", body={"query": "{ providers { kind } }"})
        assert other.status_code == (403 if only else 200)
        await served.server.reload(
            served.server.settings.model_copy(update={"limits": settings_of().limits})
        )
        async with served.agent() as agent:
            result = await agent.call_tool("provider_keys")
            assert result.structured_content == {"data": keys}
