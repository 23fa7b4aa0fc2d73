"""One thing by its id: of every provider, of nothing, of another type, and what is no id."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping

import pytest

from gateway.domain.entities import Ref
from resolvers import global_ids
from tests.e2e.known import HIRO_AT, SEGMENT_OF, SILVER_MEMBERS
from tests.e2e.serving import (
    PROVIDERS,
    READABLE,
    Front,
    assignment_id,
    customer_id,
    segment_id,
)

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"
SEGMENT = "query($id: ID!) { segment(id: $id) { id externalId provider { key } } }"
NO_ID = "id is not an id of this gateway."

every_readable = pytest.mark.parametrize("key", READABLE)


def known_ids(key: str) -> Mapping[str, str]:
    """Return an id of each type of one provider."""
    segment, person = SEGMENT_OF[key], HIRO_AT[key]
    if key == "stuut":
        return {
            "Segment": segment_id(key, segment),
            "Customer": customer_id(key, person),
            "Assignment": assignment_id(key, segment, person),
        }
    if key == "emporix":
        # Hiro is none of Emporix's golden customers; the first of them is person 0.
        return {
            "Segment": segment_id(key, segment),
            "Customer": customer_id(key, person),
            "Assignment": assignment_id(key, segment, "90000000"),
        }
    return {
        "Segment": segment_id(key, segment),
        "Customer": customer_id(key, person),
        "Assignment": assignment_id(key, segment, person),
    }


@pytest.mark.parametrize("kind", ["Segment", "Customer", "Assignment"])
@every_readable
async def test_node(front: Front, key: str, kind: str) -> None:
    """Whatever has an id is found by it, under the same id."""
    wanted = known_ids(key)[kind]

    assert await front.data(NODE, {"id": wanted}) == {"node": {"__typename": kind, "id": wanted}}


async def test_provider_as_node(front: Front) -> None:
    """A provider is a node, also one that cannot be read; no call is made."""
    shown = await front.data("{ providers { id } }")
    ids = [row["id"] for row in shown["providers"]]

    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Provider { key } } }"
    assert await front.data(query, {"ids": ids}) == {
        "nodes": [{"id": id_, "key": key} for id_, key in zip(ids, PROVIDERS, strict=True)]
    }
    assert len(set(ids)) == 4
    assert front.calls == []


async def test_nodes_in_the_order_asked(front: Front) -> None:
    """`nodes` answers each id in its place, repeated ones too, null for what there is not."""
    wanted = [
        customer_id("emporix", HIRO_AT["emporix"]),
        segment_id("stuut", "seg_none"),
        segment_id("voucherify", SILVER_MEMBERS),
        customer_id("emporix", HIRO_AT["emporix"]),
        segment_id("stuut", SEGMENT_OF["stuut"]),
    ]

    shown = await front.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": wanted})

    assert shown == {"nodes": [None if i == 1 else {"id": id_} for i, id_ in enumerate(wanted)]}
    assert front.counts == {"stuut": 1, "voucherify": 1, "emporix": 1}


@pytest.mark.parametrize(
    "bad",
    ["garbage", global_ids.of_pair((Ref("b", "1"), Ref("a", "1")))],
    ids=["garbage", "link in the wrong order"],
)
async def test_bad_id_among_nodes(front: Front, bad: str) -> None:
    """An id that is none costs its own place only."""
    good = segment_id("emporix", "golden")

    answer = await front.ask(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [good, bad, good]}
    )

    assert answer["data"] == {"nodes": [{"id": good}, None, {"id": good}]}
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        ("ids[1] is not an id of this gateway.", ["nodes", 1], {"code": "BAD_USER_INPUT"})
    ]


async def test_too_many_nodes(front: Front) -> None:
    """`nodes` takes at most 250 ids."""
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    wanted = [segment_id("emporix", str(n)) for n in range(251)]

    assert await front.data(query, {"ids": wanted[:250]}) == {"nodes": [None] * 250}
    # Emporix reads a hundred segments at once.
    assert front.counts == {"emporix": 3}

    answer = await front.ask(query, {"ids": wanted})
    assert answer["data"] is None
    assert [(e["message"], e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        ("251 ids were given; at most 250 are read at once.", ["nodes"], "BAD_USER_INPUT")
    ]
    assert front.counts == {"emporix": 3}


NOTHING = ["no-such", ".", "..", "a/b", "a?b#c", "a,b", "x y", "%2e", "ü", "\n", "bulk", "match"]


@pytest.mark.parametrize("external_id", NOTHING)
@every_readable
async def test_id_of_nothing(front: Front, key: str, external_id: str) -> None:
    """A well-formed id of nothing is null without an error, whatever letters it has."""
    wanted = {
        "s": segment_id(key, external_id),
        "c": customer_id(key, external_id),
        "a": assignment_id(key, external_id, external_id),
    }

    shown = await front.data(
        "query($s: ID!, $c: ID!, $a: ID!) {"
        " segment(id: $s) { id } customer(id: $c) { id }"
        " s: node(id: $s) { id } c: node(id: $c) { id } a: node(id: $a) { id } }",
        wanted,
    )

    assert shown == {"segment": None, "customer": None, "s": None, "c": None, "a": None}


@pytest.mark.parametrize(
    "wanted",
    [
        segment_id("gone", "golden"),
        customer_id("gone", "1"),
        assignment_id("gone", "golden", "1"),
    ],
    ids=["segment", "customer", "assignment"],
)
async def test_id_of_a_provider_that_is_gone(front: Front, wanted: str) -> None:
    """The id of something at a provider that is no longer configured is an id of nothing."""
    assert await front.data(NODE, {"id": wanted}) == {"node": None}


def written(text: str) -> str:
    """Return text in the alphabet of ids."""
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "garbage",
        "ünïcödé",
        "1",
        written('["s","emporix"]'),
        written('["s","emporix","golden","more"]'),
        written('["x","emporix","golden"]'),
        written('["s","emporix",7]'),
        written('["a","emporix","golden"]'),
        written('["s", "emporix", "golden"]'),
        written('["s","emporix",""]'),
        written('["c","voucherify",""]'),
        written('["s","","golden"]'),
        written("[" * 1500),
        segment_id("emporix", "golden") + "=",
        segment_id("emporix", "golden") + "\n",
        segment_id("emporix", "x" * 3000),
    ],
    ids=lambda text: f"{text[:40]!r} of {len(text)}",
)
async def test_what_is_no_id(front: Front, wanted: str) -> None:
    """Text that is no id of ours, or another spelling of one, is refused without a call."""
    query = (
        "query($id: ID!) { node(id: $id) { id } segment(id: $id) { id } customer(id: $id) { id } }"
    )

    answer = await front.ask(query, {"id": wanted})

    assert answer["data"] == {"node": None, "segment": None, "customer": None}
    assert [(e["path"], e["extensions"]) for e in answer["errors"]] == [
        (["node"], {"code": "BAD_USER_INPUT"}),
        (["segment"], {"code": "BAD_USER_INPUT"}),
        (["customer"], {"code": "BAD_USER_INPUT"}),
    ]
    assert {e["message"] for e in answer["errors"]} <= {
        NO_ID,
        "Give exactly one of id and identity.",
    }
    assert front.calls == []


async def test_id_of_another_type(front: Front) -> None:
    """A segment is not found by a customer's id, nor a customer by a segment's."""
    answer = await front.ask(
        "query($s: ID!, $c: ID!) { segment(id: $c) { id } customer(id: $s) { id } }",
        {"s": segment_id("emporix", "golden"), "c": customer_id("emporix", "90000037")},
    )

    assert answer["data"] == {"segment": None, "customer": None}
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (
            "id is not the id of a segment.",
            ["segment"],
            {"code": "BAD_USER_INPUT"},
        ),
        (
            "id is not the id of a customer.",
            ["customer"],
            {"code": "BAD_USER_INPUT"},
        ),
    ]
    assert front.calls == []


@every_readable
async def test_segment(front: Front, key: str) -> None:
    """A segment is found by its id; Stuut reads its list for it."""
    wanted = segment_id(key, SEGMENT_OF[key])

    assert await front.data(SEGMENT, {"id": wanted}) == {
        "segment": {"id": wanted, "externalId": SEGMENT_OF[key], "provider": {"key": key}}
    }
    assert front.counts == {key: 1}
