"""The workloads of requests that differ, as those of real clients: page sizes, pages, ids.

Requests that are sent one after the other need different calls, so that no gateway can share
calls between those in flight. Every server gets the same sequence.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from bench.workloads import (
    EIGHT,
    EIGHT_PLAIN,
    EMPORIX,
    EMPORIX_PLAIN,
    GATEWAY,
    HIVE,
    PLAIN,
    SIX,
    SIX_PLAIN,
    Workload,
)
from gateway.domain.entities import Ref
from gateway.domain.queries import SegmentFilter, SortKey
from gateway.reads.cursor import Progress, identity, write
from resolvers.global_ids import Kind, of_ref

PAGES = 100
PAGE_SIZE = 16
MEMBERS = (3, 4, 5)


def _shuffled(numbers: Sequence[int], seed: int = 0) -> Sequence[int]:
    """Return the numbers in an order that is the same in every run."""
    return Random(seed).sample(numbers, len(numbers))  # noqa: S311  # no secret


SIZES = _shuffled(range(60, 101), seed=16)
"""The gateway reads 99 and 100 with the same call, so they are far apart: 19 of the 41 places."""


def _cursor(provider: str, page: int) -> str:
    """Return the cursor after the pages before this one, counted from 1."""
    only = SegmentFilter(providers=(provider,))
    of = identity("segments", [provider], only, SortKey.PROVIDER, False, ())  # noqa: FBT003  # JSON
    return write(of, {provider: Progress(str((page - 1) * PAGE_SIZE), (page - 1) * PAGE_SIZE)})


def _pages(provider: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the variables for pages of segments: the second one and so on, in a fixed order."""
    ours, theirs = [], []
    for index, page in enumerate(_shuffled(range(2, 2 + PAGES))):
        members = MEMBERS[index % len(MEMBERS)]
        ours.append({"after": _cursor(provider, page), "members": members})
        theirs.append({"page": page, "members": members})
    return {GATEWAY: ours, PLAIN: theirs}


def _n_plus_1(provider: str) -> str:
    people = "nodes { createdAt customer { name email phone } }"
    rows = f"externalId name assignments(first: $members) {{ {people} }}"
    page = f"segments(first: {PAGE_SIZE}, after: $after) {{ nodes {{ {rows} }} }}"
    return (
        f"query Page($after: String!, $members: Int!) "
        f'{{ provider(key: "{provider}") {{ {page} }} }}'
    )


def _n_plus_1_plain(person: str) -> str:
    people = f"metadata {{ createdAt }} {person} {{ name email phone }}"
    rows = f"id name {{ en }} customers(first: $members) {{ {people} }}"
    page = f"emporixSegments(first: {PAGE_SIZE}, page: $page) {{ {rows} }}"
    return f"query Page($page: Int!, $members: Int!) {{ {page} }}"


def _listed(provider: str, rows: str) -> str:
    return f'provider(key: "{provider}") {{ segments(first: $first) {{ nodes {{ {rows} }} }} }}'


VARIED = (
    Workload(
        "D2",
        "60 to 100 segments x 8 fields, 1 call",
        {
            GATEWAY: f"query List($first: Int!) {{ {_listed('voucherify', EIGHT)} }}",
            PLAIN: f"query List($first: Int!) {{ segments(first: $first) {{ {EIGHT_PLAIN} }} }}",
            HIVE: "query List($first: Int!) "
            f"{{ segmentList(first: $first) {{ data {{ {EIGHT_PLAIN} }} }} }}",
        },
        {PLAIN: [{"first": size} for size in SIZES]},
    ),
    Workload(
        "D3",
        f"one of {PAGES} pages of 16 segments, their 3 to 5 assignments each, the 24 customers "
        "one by one: 41 calls",
        {GATEWAY: _n_plus_1("comma"), PLAIN: _n_plus_1_plain("person")},
        _pages("comma"),
    ),
    Workload(
        "D3b",
        "the same, the customers in one call: 18 calls",
        {GATEWAY: _n_plus_1("many"), PLAIN: _n_plus_1_plain("personBatched")},
        _pages("many"),
    ),
    Workload(
        "D4b",
        "two lists, each of 60 to 100 segments x 8 fields, 2 calls",
        {
            GATEWAY: f"query Lists($first: Int!) "
            f"{{ v: {_listed('voucherify', EIGHT)} e: {_listed('emporix', EMPORIX)} }}",
            PLAIN: f"query Lists($first: Int!) "
            f"{{ v: segments(first: $first) {{ {EIGHT_PLAIN} }} "
            f"e: emporixSegments(first: $first, page: 1) {{ {EMPORIX_PLAIN} }} }}",
            HIVE: f"query Lists($first: Int!) "
            f"{{ v: segmentList(first: $first) {{ data {{ {EIGHT_PLAIN} }} }} "
            f"e: emporixSegments(first: $first, page: 1) {{ {EMPORIX_PLAIN} }} }}",
        },
        {PLAIN: [{"first": size} for size in SIZES]},
    ),
    Workload(
        "D5",
        "one of 100 segments by its id",
        {
            GATEWAY: f"query One($id: ID!) {{ segment(id: $id) {{ {SIX} }} }}",
            PLAIN: f"query One($id: ID!) {{ segment(id: $id) {{ {SIX_PLAIN} }} }}",
            HIVE: f"query One($id: String!) {{ segment(id: $id) {{ {SIX_PLAIN} }} }}",
        },
        {
            GATEWAY: [
                {"id": of_ref(Kind.SEGMENT, Ref("voucherify", f"seg_{number:03}"))}
                for number in _shuffled(range(100))
            ],
            PLAIN: [{"id": f"seg_{number:03}"} for number in _shuffled(range(100))],
        },
    ),
)
