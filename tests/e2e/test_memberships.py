"""The two bulk tests: who is in which segment, and which items are in any."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from tests.e2e.failures import answering
from tests.e2e.known import DACH_STRATEGIC, HIRO_AT, NEVER_BOUGHT, SILVER_MEMBERS
from tests.e2e.serving import Front, customer_id, segment_id

MEMBERSHIPS = """
query($customers: [ID!]!, $segments: [ID!]!) {
  segmentMemberships(customerIds: $customers, segmentIds: $segments) {
    customerId segmentId isMember origin
  }
}
"""
AT_VOUCHERIFY = customer_id("voucherify", HIRO_AT["voucherify"])
AT_EMPORIX = customer_id("emporix", HIRO_AT["emporix"])
AT_STUUT = customer_id("stuut", HIRO_AT["stuut"])
UNKNOWN = customer_id("voucherify", "cust_nobody")
SILVER = segment_id("voucherify", SILVER_MEMBERS)
NEVER = segment_id("voucherify", NEVER_BOUGHT)
DACH = segment_id("stuut", DACH_STRATEGIC)
B2B, GOLDEN = segment_id("emporix", "b2b-partners"), segment_id("emporix", "golden")


def row(customer: str, segment: str, *, is_member: bool | None) -> Mapping[str, Any]:
    """Return one answer."""
    return {
        "customerId": customer,
        "segmentId": segment,
        "isMember": is_member,
        "origin": None if is_member is None else "LIVE",
    }


async def test_memberships(front: Front) -> None:
    """One row per pair in the order given; null across providers; false for unknown."""
    shown = await front.data(
        MEMBERSHIPS,
        {
            "customers": [AT_EMPORIX, UNKNOWN, AT_VOUCHERIFY, AT_STUUT],
            "segments": [SILVER, NEVER, B2B, GOLDEN, DACH],
        },
    )

    assert shown["segmentMemberships"] == [
        *(row(AT_EMPORIX, segment, is_member=None) for segment in (SILVER, NEVER)),
        row(AT_EMPORIX, B2B, is_member=True),
        row(AT_EMPORIX, GOLDEN, is_member=False),
        row(AT_EMPORIX, DACH, is_member=None),
        *(row(UNKNOWN, segment, is_member=False) for segment in (SILVER, NEVER)),
        *(row(UNKNOWN, segment, is_member=None) for segment in (B2B, GOLDEN, DACH)),
        row(AT_VOUCHERIFY, SILVER, is_member=True),
        row(AT_VOUCHERIFY, NEVER, is_member=False),
        *(row(AT_VOUCHERIFY, segment, is_member=None) for segment in (B2B, GOLDEN, DACH)),
        *(row(AT_STUUT, segment, is_member=None) for segment in (SILVER, NEVER, B2B, GOLDEN)),
        row(AT_STUUT, DACH, is_member=True),
    ]
    # Voucherify: the customers of each segment.
    assert front.counts == {"stuut": 1, "voucherify": 2, "emporix": 1}


async def test_memberships_lead_to_customer_and_segment(front: Front) -> None:
    """A row leads to what it is of; null where there is none."""
    shown = await front.data(
        """query($customers: [ID!]!, $segments: [ID!]!) {
          segmentMemberships(customerIds: $customers, segmentIds: $segments) {
            isMember customer { name } segment { name }
          }
        }""",
        {
            "customers": [AT_VOUCHERIFY, UNKNOWN],
            "segments": [SILVER, segment_id("voucherify", "seg_none")],
        },
    )

    silver, hiro = {"name": "Silver members"}, {"name": "Hiro Lindqvist"}
    assert shown["segmentMemberships"] == [
        {"isMember": True, "customer": hiro, "segment": silver},
        {"isMember": False, "customer": hiro, "segment": None},
        {"isMember": False, "customer": None, "segment": silver},
        {"isMember": False, "customer": None, "segment": None},
    ]
    # The customers of each segment, the one who is in none, both segments at once.
    assert front.counts == {"voucherify": 4}


class Project:
    """A Voucherify with one segment of so many customers."""

    def __init__(self, size: int) -> None:
        """Have customers `cust_0`, `cust_1`, … in the segment; of none there is no such list."""
        self.size = size
        self.calls: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as Voucherify does."""
        request = Request(scope)
        self.calls.append(request.url.path)
        if request.url.path != "/v1/customers":
            number = int(request.url.path.split("/")[3].removeprefix("cust_"))
            rows = [{"id": "seg_x", "name": "X"}] if number < self.size else []
            answer: Any = {"object": "list", "data": rows, "total": len(rows)}
        else:
            limit, page = (int(request.query_params[name]) for name in ("limit", "page"))
            numbers = range(self.size)[(page - 1) * limit : page * limit]
            rows = [{"id": f"cust_{n}", "created_at": "2026-01-01T00:00:00Z"} for n in numbers]
            answer = {"customers": rows, "total": self.size}
        status = 200 if request.url.path != "/v1/customers" or self.size else 404
        await JSONResponse(answer, status)(scope, receive, send)


LIST, OF_ONE = "/v1/customers", "/v1/customers/cust_{}/segments"


@pytest.mark.parametrize(
    ("size", "customers", "listed", "single"),
    [
        (3, 80, 1, 0),
        (100, 80, 1, 0),
        (1, 1, 1, 0),
        (250, 80, 3, 0),
        (1_000, 80, 10, 0),
        (20_000, 80, 1, 80),
        (250, 1, 1, 1),
    ],
)
async def test_the_cheaper_way(
    front: Front, size: int, customers: int, listed: int, single: int
) -> None:
    """One segment is listed where that takes fewer calls than its customers, as page 1 tells."""
    project = Project(size)
    front.providers.instead["voucherify"] = project
    # The last two of those are in it, if it is that long.
    numbers = range(max(size - 2, 0), max(size - 2, 0) + customers)
    given = {
        "customers": [customer_id("voucherify", f"cust_{n}") for n in numbers],
        "segments": [segment_id("voucherify", "seg_x")],
    }

    shown = await front.data(MEMBERSHIPS, given)

    assert [each["isMember"] for each in shown["segmentMemberships"]] == [
        n < size for n in numbers
    ]
    of_each = [OF_ONE.format(n) for n in numbers] if single else []
    assert sorted(project.calls) == sorted([LIST] * listed + of_each)
    assert len(of_each) == single


async def test_fewer_customers_than_segments(front: Front) -> None:
    """One customer's segments take one call, however many segments there are: none confirms."""
    project = Project(3)
    front.providers.instead["voucherify"] = project
    segments = [segment_id("voucherify", f"seg_{letter}") for letter in "xyz"]
    given = {"customers": [customer_id("voucherify", "cust_1")], "segments": segments}

    shown = await front.data(MEMBERSHIPS, given)

    assert [row["isMember"] for row in shown["segmentMemberships"]] == [True, False, False]
    assert project.calls == [OF_ONE.format(1)]


async def test_memberships_of_a_failing_list(front: Front) -> None:
    """What a list fails with stands at its segment's pairs alone; the customers are not tried."""
    front.providers.instead["voucherify"] = answering(503, b"down")
    given = {"customers": [AT_VOUCHERIFY, UNKNOWN, AT_EMPORIX], "segments": [SILVER, B2B]}

    answer = await front.ask(MEMBERSHIPS, given)

    rows = [row["isMember"] for row in answer["data"]["segmentMemberships"]]
    assert rows == [None, None, None, None, None, True]
    assert [(e["path"], e["extensions"]["code"]) for e in answer["errors"]] == [
        (["segmentMemberships", 0, "isMember"], "PROVIDER_BROKEN"),
        (["segmentMemberships", 2, "isMember"], "PROVIDER_BROKEN"),
    ]
    assert front.counts == {"emporix": 1}


async def test_customer_with_the_id_of_a_segment(front: Front) -> None:
    """A customer and a segment may have the same id: neither is taken for the other."""
    project = front.providers.instead["voucherify"] = Project(0)
    customers = [customer_id("voucherify", f"cust_{n}") for n in (0, 1)]
    segments = [segment_id("voucherify", "cust_1")]

    shown = await front.data(MEMBERSHIPS, {"customers": customers, "segments": segments})
    project.size = 1
    listed = await front.data(MEMBERSHIPS, {"customers": customers, "segments": segments})

    assert [row["isMember"] for row in shown["segmentMemberships"]] == [False, False]
    assert [row["isMember"] for row in listed["segmentMemberships"]] == [True, False]


async def test_memberships_in_no_such_segment(front: Front) -> None:
    """A segment whose list is refused is decided by the customers: nobody is in it."""
    project = front.providers.instead["voucherify"] = Project(0)
    customers = [customer_id("voucherify", f"cust_{n}") for n in range(3)]
    given = {"customers": customers, "segments": [segment_id("voucherify", "seg_x")]}

    shown = await front.data(MEMBERSHIPS, given)

    assert [row["isMember"] for row in shown["segmentMemberships"]] == [False] * 3
    assert project.calls == [LIST, *(OF_ONE.format(n) for n in range(3))]


@pytest.mark.parametrize(
    ("customers", "segments"), [([], []), ([AT_EMPORIX], []), ([], [B2B])], ids=str
)
async def test_memberships_of_nothing(
    front: Front, customers: Sequence[str], segments: Sequence[str]
) -> None:
    """An empty test returns no rows and makes no calls."""
    given = {"customers": customers, "segments": segments}

    assert await front.data(MEMBERSHIPS, given) == {"segmentMemberships": []}
    assert front.calls == []


async def test_repeated_memberships(front: Front) -> None:
    """A pair that is given twice is returned twice and read once."""
    given = {"customers": [AT_EMPORIX, AT_EMPORIX], "segments": [B2B, B2B]}

    shown = await front.data(MEMBERSHIPS, given)

    assert shown["segmentMemberships"] == [row(AT_EMPORIX, B2B, is_member=True)] * 4
    assert front.counts == {"emporix": 1}


@pytest.mark.parametrize(
    ("customers", "segments", "message"),
    [
        ([AT_EMPORIX] * 101, [B2B] * 100, "10100"),
        ([B2B], [B2B], "customerIds[0] is not the id of a customer."),
        ([AT_EMPORIX], [AT_EMPORIX], "segmentIds[0] is not the id of a segment."),
        (["garbage"], [B2B], "customerIds[0] is not an id of this gateway."),
    ],
    ids=["too many", "segment for customer", "customer for segment", "garbage"],
)
async def test_refused_memberships(
    front: Front, customers: Sequence[str], segments: Sequence[str], message: str
) -> None:
    """Ids must be of the right type, and pairs at most 10,000; nobody is called."""
    answer = await front.ask(MEMBERSHIPS, {"customers": customers, "segments": segments})

    if message == "10100":
        message = "customerIds x segmentIds is 10100; at most 10000 pairs can be tested at once."
    assert answer["data"] is None
    assert [(e["message"], e["path"], e["extensions"]) for e in answer["errors"]] == [
        (message, ["segmentMemberships"], {"code": "BAD_USER_INPUT"})
    ]
    assert front.calls == []


MATCH = """
query($input: SegmentItemsMatchInput!) { segmentItemsMatch(input: $input) { externalId } }
"""


@pytest.mark.parametrize(
    ("items", "segments", "result"),
    [
        # p1003 and p1004 themselves; the others of espresso by their category.
        (["p1001", "p1003", "p1004", "p1012"], ["golden"], ["p1003", "p1004"]),
        (["p1001", "p1003"], ["staff"], []),
        (["no-such"], ["golden"], []),
        (["p1003"], ["no-such"], []),
    ],
    ids=str,
)
async def test_items_match(
    front: Front, items: Sequence[str], segments: Sequence[str], result: Sequence[str]
) -> None:
    """The items in any of these active segments are returned, in one call."""
    given = {
        "provider": "emporix",
        "siteCode": "main",
        "itemIds": items,
        "segmentIds": [segment_id("emporix", key) for key in segments],
    }

    shown = await front.data(MATCH, {"input": given})

    assert shown["segmentItemsMatch"] == [{"externalId": key} for key in result]
    assert front.calls == ["POST /customer-segment/sandbox/segments/match"]


@pytest.mark.parametrize(
    ("provider", "segment", "message", "extensions"),
    [
        (
            "stuut",
            B2B,
            "Provider 'stuut' does not support ITEM_MATCH.",
            {"code": "UNSUPPORTED", "provider": "stuut"},
        ),
        (
            "instaleap",
            B2B,
            "Provider 'instaleap' does not support ITEM_MATCH.",
            {"code": "UNSUPPORTED", "provider": "instaleap"},
        ),
        (
            "nobody",
            B2B,
            "input.provider: no provider has the key 'nobody'.",
            {"code": "BAD_USER_INPUT"},
        ),
        (
            "emporix",
            SILVER,
            "segmentIds must all be segments of provider 'emporix'.",
            {"code": "BAD_USER_INPUT"},
        ),
        (
            "emporix",
            "garbage",
            "input.segmentIds[0] is not an id of this gateway.",
            {"code": "BAD_USER_INPUT"},
        ),
    ],
)
async def test_refused_match(
    front: Front, provider: str, segment: str, message: str, extensions: Mapping[str, Any]
) -> None:
    """Only Emporix matches, and only its own segments; nobody is called."""
    given = {
        "provider": provider,
        "siteCode": "main",
        "itemIds": ["p1003"],
        "segmentIds": [segment],
    }

    answer = await front.ask(MATCH, {"input": given})

    assert answer == {
        "data": {"segmentItemsMatch": None},
        "errors": [
            {
                "message": message,
                "locations": [{"line": 2, "column": 42}],
                "path": ["segmentItemsMatch"],
                "extensions": extensions,
            }
        ],
    }
    assert front.calls == []
