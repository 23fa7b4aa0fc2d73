"""The list with pages of a fixed size in docs/adding-a-provider.md works."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gateway.domain.pages import Page, PageRequest
from gateway.providers.base.decoding import Id, decode
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.numbered_pages import numbered_page, position, window

PEOPLE = "/v2/people"
PAGE_SIZE = 50


class PersonModel(msgspec.Struct, frozen=True, gc=False):
    """A person. The vendor's ids are numbers: with `Id` they are essential, as texts are."""

    id: int | Id


class PersonList(msgspec.Struct, frozen=True, gc=False):
    """A page of people."""

    people: list[PersonModel]
    total_pages: int


class Acorn:
    """An invented vendor: pages have 50 rows, and replies the number of pages."""

    key = "acorn"

    def people(self, page: PageRequest) -> Exchange[Page[str]]:
        """Read a page of the people's ids."""
        start = position(page.position)
        at = window(start.offset, PAGE_SIZE, PAGE_SIZE)

        def read(reply: Reply) -> Page[str]:
            listed = decode(self.key, "people.list", reply, PersonList)
            rows = [str(person.id) for person in listed.people]
            return numbered_page(
                rows,
                at,
                start,
                page.size,
                None,
                decoded=listed.people,
                pages=listed.total_pages,
            )

        query = (("page", str(at.page + 1)),)
        return Exchange("people.list", Call("GET", PEOPLE, query), read)


def answer(call: Call, length: int) -> Reply:
    """Answer a call as the vendor does, with a list of `length` people."""
    page = int(dict(call.query)["page"]) - 1
    numbers = range(length)[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    pages = max(1, -(-length // PAGE_SIZE))
    people = [{"id": number} for number in numbers]
    return Reply(200, {}, msgspec.json.encode({"people": people, "total_pages": pages}))


@pytest.mark.parametrize("length", [0, 1, 49, 50, 51, 100, 137])
@pytest.mark.parametrize("size", [1, 7, 50, 250])
def test_the_whole_list_is_read(length: int, size: int) -> None:
    """Every row once, in order, and no call after the last page."""
    rows: list[str] = []
    calls = []
    after = None
    while True:
        exchange = Acorn().people(PageRequest(size, after))
        calls.append(dict(exchange.call.query)["page"])
        page = exchange.read(answer(exchange.call, length))
        rows += page.rows
        if page.is_last:
            break
        after = page.next_position
    assert rows == [str(number) for number in range(length)]
    assert calls[-1] == str(max(1, -(-length // PAGE_SIZE)))


@pytest.mark.parametrize("odd", [{}, {"id": None}, {"id": ""}, {"id": True}, {"id": 1.5}])
def test_a_row_without_an_id_is_left_out(odd: Mapping[str, Any]) -> None:
    """It gets none that is made up, such as "None"."""
    body = msgspec.json.encode({"people": [{"id": 1}, odd, {"id": "3"}], "total_pages": 1})
    page = Acorn().people(PageRequest(10)).read(Reply(200, {}, body))
    assert (page.rows, page.skipped) == (["1", "3"], 1)
