"""A provider that a caller may not see is as one that there is not.

Each probe is asked twice: by a caller who sees some of the providers, and by an administrator of a
gateway that has no others. Answers, headers, costs and upstream calls must be the same.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.settings.tables import StoreSettings
from resolvers import global_ids
from resolvers.execution.document import Document
from tests.e2e.known import APP_BETA, DACH_STRATEGIC, HIRO, HIRO_AT, SILVER_MEMBERS
from tests.e2e.serving import (
    PROVIDERS,
    Front,
    Providers,
    assignment_id,
    customer_id,
    segment_id,
    settings_with,
)
from tests.e2e.writes.asking import document, shoppers
from tests.security.callers import guarded, signed

SCOPES = (
    "segments:read",
    "segments:write",
    "assignments:read",
    "assignments:write",
    "customers:read",
    "customers:write",
    "raw:read",
)


@contextlib.asynccontextmanager
async def gateway(
    keys: Sequence[str], state: Path, providers: Providers | None = None
) -> AsyncIterator[Front]:
    """Serve a gateway that has these providers, and a record of its own."""
    settings = settings_with()
    accounts = tuple(each for each in settings.providers if each.key in keys)
    store = StoreSettings(url=f"sqlite:///{state / '-'.join(keys)}.db")
    changed = {"providers": accounts, "store": store}
    async with guarded(providers, settings.model_copy(update=changed)) as front:
        yield front


Probe = tuple[str, Mapping[str, Any]]

ROWS = "nodes { id name } totalCount sources { provider { key } totalCount error { code } }"
ERRORS = "userErrors { message field code provider }"


def ids_at(provider: str) -> Mapping[str, str]:
    """Return global ids of things that there are at a provider."""
    segment = {
        "stuut": DACH_STRATEGIC,
        "voucherify": SILVER_MEMBERS,
        "instaleap": '["tier","GOLD"]',
        "emporix": "b2b-partners",
    }[provider]
    customer = HIRO_AT.get(provider, "AT-1020007919")
    entity = "4f9032fb22fc0be510d27be9" if provider == "emporix" else None
    return {
        "provider": global_ids.of(SimpleNamespace(key=provider)),
        "segment": segment_id(provider, segment),
        "customer": customer_id(provider, customer),
        "assignment": assignment_id(provider, segment, customer, entity),
    }


def reads(provider: str) -> Mapping[str, Probe]:
    """Return probes that read, of a provider that may be hidden."""
    at = ids_at(provider)
    segments = f"query($in: SegmentFilter) {{ segments(first: 3, filter: $in) {{ {ROWS} }} }}"
    customers = f"query($in: CustomerFilter) {{ customers(first: 3, filter: $in) {{ {ROWS} }} }}"
    identity = "query($of: CustomerIdentityInput) { customer(identity: $of) { id } }"
    match = "query($in: SegmentItemsMatchInput!) { segmentItemsMatch(input: $in) { externalId } }"
    items = {"siteCode": "main", "itemIds": ["p1001"], "segmentIds": [at["segment"]]}
    return {
        "providers": (
            "query($key: String!) { providers { key kind } provider(key: $key) { key } }",
            {"key": provider},
        ),
        "providers by key": (
            "query($keys: [String!]) { providers(keys: $keys) { key } }",
            {"keys": [provider]},
        ),
        "its health": (
            (
                "query($key: String!) { provider(key: $key) { health { status } "
                "limits { name } capabilities { operation } } }"
            ),
            {"key": provider},
        ),
        "its list": (
            f"query($key: String!) {{ provider(key: $key) {{ segments {{ {ROWS} }} }} }}",
            {"key": provider},
        ),
        "node": ("query($id: ID!) { node(id: $id) { id } }", {"id": at["segment"]}),
        "nodes": ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": list(at.values())}),
        "segment": ("query($id: ID!) { segment(id: $id) { id raw } }", {"id": at["segment"]}),
        "customer": ("query($id: ID!) { customer(id: $id) { id raw } }", {"id": at["customer"]}),
        "identity": (identity, {"of": {"provider": provider, "externalId": HIRO.crm_id}}),
        "segments": (segments, {}),
        "segments of it": (segments, {"in": {"providers": [provider]}}),
        "segments by id": (segments, {"in": {"ids": [at["segment"]]}}),
        "segments by customer": (segments, {"in": {"customerId": at["customer"]}}),
        "segments by its query": (
            segments,
            {"in": {"native": {"provider": provider, "q": "a"}}},
        ),
        "segments in order": (
            f"{{ segments(first: 5, sortKey: NAME, reverse: true) {{ {ROWS} }} }}",
            {},
        ),
        "segments by size": (
            f"{{ segments(first: 5, sortKey: MEMBERS_COUNT) {{ {ROWS} }} }}",
            {},
        ),
        "segments by their own id": (segments, {"in": {"externalId": "golden"}}),
        "segments by item": (
            segments,
            {"in": {"containsItem": {"type": "PRODUCT", "externalId": "p1003"}}},
        ),
        "segments by time": (segments, {"in": {"updatedAfter": "2025-10-07T10:19:00Z"}}),
        "customers": (customers, {}),
        "customers by name": (customers, {"in": {"nameContains": "ana"}}),
        "customers by phone": (customers, {"in": {"phone": HIRO.phone}}),
        "customers of it": (customers, {"in": {"providers": [provider]}}),
        "customers by email": (customers, {"in": {"email": HIRO.email}}),
        "customers by key": (customers, {"in": {"externalId": HIRO.crm_id}}),
        "customers by segment": (customers, {"in": {"segmentId": at["segment"]}}),
        "memberships": (
            (
                "query($c: [ID!]!, $s: [ID!]!) { "
                "segmentMemberships(customerIds: $c, segmentIds: $s) { "
                "customerId segmentId isMember origin customer { id } segment { id } } }"
            ),
            {
                "c": [at["customer"], ids_at("stuut")["customer"]],
                "s": [at["segment"], ids_at("stuut")["segment"]],
            },
        ),
        "matches": (match, {"in": {"provider": provider, **items}}),
    }


def writes(provider: str) -> Mapping[str, Probe]:
    """Return probes that write, of a provider that is hidden."""
    at = ids_at(provider)
    who = {"customerId": at["customer"]}
    items = {"segmentId": at["segment"], "items": [{"externalId": "p1001", "type": "PRODUCT"}]}
    new = {"provider": provider, "name": "New", "customerExternalIds": ["x"]}
    rows = {"provider": provider, "segments": [{"name": "New", "customers": [at["customer"]]}]}
    replaced = {"externalId": "x", "segmentIds": [at["segment"]]}
    given: Mapping[str, Mapping[str, Any]] = {
        "segmentCreate": new,
        "segmentUpdate": {"id": at["segment"], "name": "New"},
        "segmentUpsert": {"provider": provider, "externalId": "x", "name": "New"},
        "segmentDelete": {"id": at["segment"]},
        "segmentBulkCreate": rows,
        "segmentBulkUpsert": rows,
        "segmentBulkDelete": {"ids": [at["segment"]]},
        "segmentsReorder": {"provider": provider, "ids": [at["segment"]]},
        "assignmentCreate": {"segmentId": at["segment"], **who},
        "assignmentDelete": {"id": at["assignment"]},
        "assignmentBulkCreate": {"segmentId": at["segment"], "assignments": [who]},
        "assignmentBulkDelete": {"segmentId": at["segment"], "assignments": [who]},
        "customerSegmentsReplace": {"provider": provider, "customers": [replaced]},
        "customerAttributesUpdate": {**who, "attributes": {"a": 1}},
        "customerAttributesUpdate of an identity": {
            "identity": {"provider": provider, "externalId": HIRO.crm_id},
            "attributes": {"a": 1},
        },
        "segmentItemsBulkAssign": items,
        "segmentItemsBulkUnassign": items,
    }
    return {
        f"{field}{' by a key' if key else ''}": (
            document(field.partition(" ")[0]),
            {"m0": {**of, "idempotencyKey": "key"} if key else of},
        )
        for field, of in given.items()
        for key in (False, True)
    }


async def view(front: Front, caller: str, probe: Probe) -> tuple[Any, ...]:
    """Return all that a caller is told, but for what differs from request to request."""
    query, variables = probe
    front.forget()
    reply = await front.client.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers={"authorization": caller, "x-show-calls": "1"},
    )
    body = reply.json()
    extensions = body.get("extensions", {})
    extensions.get("upstreamCalls", []).sort(
        key=lambda call: (call["provider"], call["operation"])
    )
    for each in extensions.get("upstreamCalls", ()):
        for timing in ("startMs", "durationMs", "waitedMs"):
            del each[timing]
    extensions.get("cost", {}).pop("remaining", None)
    for each in body.get("errors", ()):
        each["extensions"].pop("requestId", None)
    headers = {name: value for name, value in reply.headers.items() if name != "x-request-id"}
    headers.pop("content-length", None)  # durations and remainders have more digits or fewer
    return reply.status_code, headers, body, sorted(front.calls)


VIEWS = [("stuut",), ("voucherify",), ("stuut", "voucherify", "emporix"), ("emporix",)]


@pytest.mark.parametrize("executor", ["plan", "graphql-core"])
@pytest.mark.parametrize("seen", VIEWS, ids="+".join)
async def test_hidden_providers(
    seen: Sequence[str], executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of a hidden provider is answered as if there were none."""
    if executor == "graphql-core":
        monkeypatch.setattr(Document, "plan", lambda *_: None)
    caller = signed(*(f"{scope}@{','.join(seen)}" for scope in SCOPES))
    hidden = [key for key in PROVIDERS if key not in seen]
    probes = {
        (key, name): probe
        for key in hidden
        for name, probe in {**reads(key), **writes(key)}.items()
    }
    views = {}
    async with gateway(PROVIDERS, tmp_path) as front:
        for name, probe in probes.items():
            views[name] = await view(front, caller, probe)
            called = set(front.counts)
            assert called <= set(seen), name
    async with gateway(seen, tmp_path) as front:
        for name, probe in probes.items():
            assert await view(front, signed("admin"), probe) == views[name], name
    answers = [body for _, _, body, _ in views.values()]
    assert sum("data" in body for body in answers) > len(answers) * 3 // 4


async def test_what_is_seen_is_whole(tmp_path: Path) -> None:
    """Probes of a provider that is seen tell of it what there is."""
    caller = signed(*(f"{scope}@stuut" for scope in SCOPES))
    async with gateway(PROVIDERS, tmp_path) as front:
        views = {name: await view(front, caller, probe) for name, probe in reads("stuut").items()}
    async with gateway(("stuut",), tmp_path) as front:
        for name, probe in reads("stuut").items():
            assert await view(front, signed("admin"), probe) == views[name], name
    assert [each["id"] for each in views["nodes"][2]["data"]["nodes"]] == [
        *ids_at("stuut").values()
    ]


async def test_own_view_of_one_provider(tmp_path: Path) -> None:
    """A customer of one provider sees what they would if there were no other."""
    caller = signed("own:read", emporix=HIRO_AT["emporix"])
    kept = ("providers", "providers by key", "node", "nodes", "identity")
    probes = {
        (key, name): probe
        for key in PROVIDERS
        for name, probe in reads(key).items()
        if name in kept
    }
    async with gateway(PROVIDERS, tmp_path) as front:
        views = {name: await view(front, caller, probe) for name, probe in probes.items()}
    async with gateway(("emporix",), tmp_path) as front:
        for name, probe in probes.items():
            assert await view(front, caller, probe) == views[name], name
    assert all(views[key, "nodes"][2]["data"]["nodes"][1] is None for key in PROVIDERS[:3])
    assert None not in views["emporix", "nodes"][2]["data"]["nodes"]


# Cursors.

LIST = """query($after: String) { segments(first: 3, after: $after) {
  edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }"""


async def test_cursors_name_no_hidden_provider(tmp_path: Path) -> None:
    """They are those of a gateway that has no others; a list of others goes on with none."""
    caller = signed("segments:read@stuut,voucherify")
    async with gateway(PROVIDERS, tmp_path) as front:
        mine = await view(front, caller, (LIST, {}))
        wider = await view(front, signed("admin"), (LIST, {}))
        foreign = wider[2]["data"]["segments"]["pageInfo"]["endCursor"]
        refused = await view(front, caller, (LIST, {"after": foreign}))
    async with gateway(("stuut", "voucherify"), tmp_path) as front:
        assert await view(front, signed("admin"), (LIST, {})) == mine
        assert await view(front, signed("admin"), (LIST, {"after": foreign})) == refused
    assert refused[2]["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert refused[3] == []


async def test_pages_go_on_with_the_same_scopes(tmp_path: Path) -> None:
    """A narrowed list is paged through like any other, to its end."""
    caller = signed("segments:read@stuut,emporix")
    async with gateway(PROVIDERS, tmp_path) as front:
        rows, after = 0, None
        for _ in range(20):
            page = (await view(front, caller, (LIST, {"after": after})))[2]["data"]["segments"]
            rows += len(page["edges"])
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert rows == page["totalCount"] == 24


# Receipts.

CREATE = document("segmentCreate")
GIVEN = {"provider": "stuut", "name": "New", "priority": 1, "idempotencyKey": "key"}


async def test_somebody_elses_idempotency_key(tmp_path: Path) -> None:
    """It is as new: what it did for another is neither shown nor hinted at."""
    writer = signed("segments:read", "segments:write")
    stranger = signed("segments:read@emporix", "segments:write@emporix")
    async with gateway(PROVIDERS, tmp_path, Providers()) as front:
        done = await view(front, writer, (CREATE, {"m0": GIVEN}))
        assert done[2]["data"]["m0"]["segment"]["name"] == "New"
        views = [
            await view(front, stranger, (CREATE, {"m0": {**GIVEN, **change}}))
            for change in ({}, {"name": "Other"})
        ]
        assert front.calls == []
    async with gateway(("emporix",), tmp_path, Providers()) as front:
        assert [
            await view(front, signed("admin"), (CREATE, {"m0": {**GIVEN, **change}}))
            for change in ({}, {"name": "Other"})
        ] == views


REPLAYED: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"provider": "stuut", "name": "New", "priority": 1},
    "segmentUpdate": {"id": segment_id("emporix", "staff"), "name": "Crew"},
    "segmentDelete": {"id": segment_id("emporix", "staff")},
    "segmentBulkDelete": {"ids": [segment_id("emporix", "staff")]},
    "segmentsReorder": {"provider": "stuut", "ids": [segment_id("stuut", DACH_STRATEGIC)]},
    "assignmentCreate": {
        "segmentId": segment_id("emporix", "staff"),
        "customerId": customer_id("emporix", HIRO_AT["emporix"]),
    },
    "segmentItemsBulkAssign": {
        "segmentId": segment_id("emporix", "staff"),
        "items": [{"externalId": "p1001", "type": "PRODUCT"}],
    },
    "customerSegmentsReplace": {
        "provider": "instaleap",
        "customers": [{"externalId": shoppers(1)[0], "segments": [{"type": "a", "value": "b"}]}],
    },
}
EVERY = signed(*SCOPES, "#shop")
FEWER = signed(*(f"{scope}@voucherify" for scope in SCOPES), "#shop")


@pytest.mark.parametrize("field", REPLAYED)
async def test_receipts_of_what_one_may_not_see_any_more(field: str, tmp_path: Path) -> None:
    """Who has lost their scopes at a provider is answered as if there were no such provider.

    Their own old receipt is not shown; the key stands for it again when they have their scopes.
    """
    probe = (document(field), {"m0": {**REPLAYED[field], "idempotencyKey": "key"}})
    unused = (probe[0], {"m0": {**REPLAYED[field], "idempotencyKey": "unused"}})
    other = (probe[0], {"m0": {**probe[1]["m0"], **OTHER.get(field, {})}})
    async with gateway(PROVIDERS, tmp_path, Providers()) as front:
        done = (await view(front, EVERY, probe))[2]["data"]
        assert done["m0"]["userErrors"] == []
        views = [await view(front, FEWER, each) for each in (probe, unused, other)]
        assert front.calls == []
        assert (await view(front, EVERY, probe))[2]["data"] == done
        assert {call.partition(" ")[0] for call in front.calls} <= {"GET"}  # it is shown anew
    async with gateway(("voucherify",), tmp_path, Providers()) as front:
        admin = signed("admin")
        assert [await view(front, admin, each) for each in (probe, unused, other)] == views


OTHER: Mapping[str, Mapping[str, Any]] = {
    "segmentCreate": {"name": "Other"},
    "segmentUpdate": {"name": "Other"},
    "segmentsReorder": {"ids": []},
}


async def test_a_receipt_of_several_providers(tmp_path: Path) -> None:
    """Rows of a provider that is hidden by now read as those of an unknown one; others stay."""
    ids = [segment_id("emporix", "staff"), segment_id("voucherify", APP_BETA)]
    probe = (document("segmentBulkDelete"), {"m0": {"ids": ids, "idempotencyKey": "key"}})
    single = (document("segmentBulkDelete"), {"m0": {"ids": ids[:1]}})
    async with gateway(PROVIDERS, tmp_path, Providers()) as front:
        done = (await view(front, EVERY, probe))[2]["data"]["m0"]
        assert [row["outcome"] for row in done["results"]] == ["DELETED", "DELETED"]
        again = (await view(front, FEWER, probe))[2]["data"]["m0"]
        (hidden,) = (await view(front, FEWER, single))[2]["data"]["m0"]["results"]
        assert front.calls == []
    assert hidden["outcome"] == "FAILED"
    assert again["results"] == [hidden, done["results"][1]]
    assert (again["succeeded"], again["failed"]) == (1, 1)
