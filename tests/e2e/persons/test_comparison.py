"""`segmentsCompare` over several providers: who is in which, by persons."""

from collections.abc import Mapping
from typing import Any

from gateway.sandbox.people import Person, person
from tests.e2e.failures import answering
from tests.e2e.persons.asking import at, do, read_everyone
from tests.e2e.persons.test_people import SILVER, circle, members
from tests.e2e.serving import Front

COMPARE = """query($ids: [ID!]!, $first: Int = 250, $after: String) {
    segmentsCompare(segmentIds: $ids) {
        total
        sets { segment { id } count unlinked }
        regions {
            segmentIds
            count
            customers(first: $first, after: $after) {
                totalCount
                nodes { id }
                pageInfo { hasNextPage endCursor }
                sources { provider { key } error { code } }
            }
        }
    }
}"""
EVERYONE = [person(n) for n in range(300)]
LINKED = ("stuut", "voucherify", "emporix")


def ids(one: Person) -> set[str]:
    """Return the global ids of a person's customers."""
    return {at(one, each) for each in LINKED if getattr(one, f"{each}_id")}


async def compared(front: Front, *segments: str) -> Any:
    """Return the comparison of segments."""
    return (await front.data(COMPARE, {"ids": segments}))["segmentsCompare"]


async def test_segments_of_two_providers(front: Front) -> None:
    """Regions count persons, and list the members among them; who is linked to nobody."""
    await read_everyone(front)
    gold = await circle(front)
    silver, ring = await members(front, SILVER), await members(front, gold)
    front.forget()
    shown = await compared(front, SILVER, gold)
    # The segment and its members; Emporix lists members without their records.
    assert front.counts == {"voucherify": 2, "emporix": 3}

    of: Mapping[str, set[str]] = {SILVER: silver, gold: ring}
    people = [one for one in EVERYONE if ids(one) & (silver | ring)]
    assert shown["total"] == len(people)
    assert shown["sets"] == [
        {
            "segment": {"id": each},
            "count": len([one for one in people if ids(one) & of[each]]),
            "unlinked": len([one for one in people if ids(one) & of[each] and len(ids(one)) == 1]),
        }
        for each in (SILVER, gold)
    ]
    expected = []
    for within in ([SILVER], [gold], [SILVER, gold]):
        inside = [
            one
            for one in people
            if [each for each in (SILVER, gold) if ids(one) & of[each]] == within
        ]
        listed = {
            each for one in inside for each in ids(one) if any(each in of[w] for w in within)
        }
        expected.append((within, len(inside), listed))
    found = [
        (each["segmentIds"], each["count"], {node["id"] for node in each["customers"]["nodes"]})
        for each in shown["regions"]
    ]
    assert sorted(found, key=str) == sorted((each for each in expected if each[1]), key=str)
    assert [each[1] for each in found] == sorted((each[1] for each in found), reverse=True)


async def test_an_unlink_parts_regions(front: Front) -> None:
    """Who is kept apart counts twice."""
    await read_everyone(front)
    gold = await circle(front)
    before = await compared(front, SILVER, gold)
    silver, ring = await members(front, SILVER), await members(front, gold)
    both = next(one for one in EVERYONE if ids(one) & silver and ids(one) & ring)
    await do(
        front, "customersUnlink", {"customerIds": [at(both, "voucherify"), at(both, "emporix")]}
    )
    after = await compared(front, SILVER, gold)
    assert after["total"] == before["total"] + 1


async def test_pages_of_a_region(front: Front) -> None:
    """A region of two providers is one list under one cursor."""
    await read_everyone(front)
    gold = await circle(front)
    regions = (await compared(front, SILVER, gold))["regions"]
    place, whole = next(
        (i, each["customers"]["nodes"])
        for i, each in enumerate(regions)
        if len(each["segmentIds"]) == 2
    )
    found: list[Any] = []
    after = None
    while True:
        variables = {"ids": [SILVER, gold], "first": 3, "after": after}
        # The cursor is one of this region: the others refuse it.
        answer = await front.ask(COMPARE, variables)
        page = answer["data"]["segmentsCompare"]["regions"][place]["customers"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found == whole


async def test_a_provider_that_fails(front: Front) -> None:
    """Nothing can be compared without one of the segments: an error of the field."""
    gold = await circle(front)
    front.providers.instead["emporix"] = answering(500, b"")
    answer = await front.ask(COMPARE, {"ids": [SILVER, gold]})
    assert answer["data"] == {"segmentsCompare": None}
    assert [each["extensions"]["code"] for each in answer["errors"]] == ["PROVIDER_BROKEN"]
