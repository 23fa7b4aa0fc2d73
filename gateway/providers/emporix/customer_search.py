"""Search customers by email address, phone number and name, in Emporix's query language.

Facts: the OpenAPI file of the customer service and standard-practices/q-param in
github.com/emporix/api-references, read 2026-11-21. Guesses, all here: that `q` supports
`contactPhone`, `firstName` and `lastName`, and that a regular expression matches any part of a
value. `q` has no OR, so a search for a name is several lists, one after the other.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from gateway.domain.entities import Customer
from gateway.domain.pages import Page
from gateway.domain.queries import CustomerQuery
from gateway.errors import BadInput
from gateway.providers.base.decoding import decode_part
from gateway.providers.base.numbered_pages import number
from gateway.providers.emporix.query import NO_FILTER, ListFilter, is_expressible

MAX_WORDS = 4
"""The largest number of words in a search for a name: each of them costs a call."""


class NameModel(msgspec.Struct, frozen=True, rename="camel"):
    """The parts of a customer's name that can be searched."""

    first_name: str | None = None
    last_name: str | None = None


class Search(NamedTuple):
    """One list of a search: its `q`, and which of its rows belong to the result here."""

    list_filter: ListFilter
    holds: Callable[[Customer], bool] | None = None
    """None: all of them."""


class Place(NamedTuple):
    """Where a search continues: in which of its lists, and at which position there."""

    at: int
    position: str | None

    @classmethod
    def parse(cls, position: str | None, count: int) -> "Place":
        """Parse a position of a search of so many lists. Raises `BadInput`."""
        if position is None or count == 1:
            return cls(0, position)
        index, _, rest = position.partition(":")
        if number(index) >= count:
            raise BadInput("The cursor was not made by this gateway.")
        return cls(number(index), rest or None)

    def page(self, received: Page[Customer], search: Search, count: int) -> Page[Customer]:
        """Return the page of the whole search that a page of this list is."""
        at, holds = self.at, search.holds
        if holds is None:
            return received
        kept = [i for i, row in enumerate(received.rows) if holds(row)]
        is_end, is_last = received.is_last, received.is_last and at + 1 == count

        def position(text: str | None) -> str:
            return f"{at}:{text or ''}" if count > 1 else text or ""

        return Page(
            rows=[received.rows[i] for i in kept],
            position_after=lambda i: position(received.position_after(kept[i])),
            is_last=is_last,
            end=f"{at + 1}:" if is_end and not is_last else position(received.next_position),
            skipped=received.skipped,
        )


def searches(provider: str, query: CustomerQuery) -> Sequence[Search]:
    """Return the lists that together have the customers of a query, each once.

    Raises `BadInput` for a value that `q` cannot express.
    """
    parts, is_whole = [], True
    if query.email is not None:
        if not is_expressible(query.email):
            raise BadInput("Emporix cannot search for this email address.")
        parts.append(f"contactEmail:{query.email}")
    if query.phone is not None:
        is_whole = is_expressible(query.phone)
        # Phone numbers have spaces and brackets, which are possible in neither form.
        parts.append(f"contactPhone:{query.phone if is_whole else f'~{pattern(query.phone)}'}")
    if query.name_contains is None:
        if is_whole:
            return (Search(ListFilter(" ".join(parts), is_whole=True) if parts else NO_FILTER),)
        return (Search(ListFilter(" ".join(parts), is_whole=False), query.holds),)
    names = _Names(provider, query.name_contains)
    return [
        Search(
            ListFilter(" ".join((*names.conditions(index), *parts)), is_whole=False),
            partial(names.hold, query, index),
        )
        for index in range(names.count)
    ]


def pattern(text: str) -> str:
    """Return a regular expression that matches a text, whatever its case, and similar texts.

    `q` cannot escape characters, so those that are neither letters nor digits match any other.
    Whether its regular expressions ignore case is not documented.
    """
    if not any(each.isalnum() for each in text):
        raise BadInput("Emporix cannot search for a text without letters and digits.")
    return "".join(map(_one, text))


def _one(character: str) -> str:
    cases = dict.fromkeys((character.upper(), character.lower()))
    if not character.isalnum() or any(len(each) != 1 for each in cases):
        return "."
    return character if len(cases) == 1 else f"[{''.join(cases)}]"


class _Names:
    """The lists of a search for a name, in the order in which a customer is looked for in them.

    A text of several words may start in the first name and end in the last name.
    """

    def __init__(self, provider: str, text: str) -> None:
        words = text.split()
        if len(words) > MAX_WORDS:
            raise BadInput(f"Emporix can search for a name of at most {MAX_WORDS} words.")
        self._provider = provider
        self._text = " ".join(words)
        self._halves = [
            (" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))
        ]
        self.count = len(self._halves) + 2

    def conditions(self, index: int) -> Sequence[str]:
        """Return the conditions of one list."""
        if index < len(self._halves):
            first, last = map(pattern, self._halves[index])
            return f"firstName:~{first}", f"lastName:~{last}"
        field = "firstName" if index == len(self._halves) else "lastName"
        return (f"{field}:~{pattern(self._text)}",)

    def hold(self, query: CustomerQuery, index: int, row: Customer) -> bool:
        """Return whether a customer satisfies the query, and this is the first list with them."""
        return query.holds(row) and self._index_of(row) == index

    def _index_of(self, row: Customer) -> int | None:
        document = bytes(row.raw or b"{}")
        names = decode_part(self._provider, "customers.list", document, NameModel)
        first, last = (names.first_name or "").casefold(), (names.last_name or "").casefold()
        for index, (left, right) in enumerate(self._halves):
            if first.endswith(left.casefold()) and last.startswith(right.casefold()):
                return index
        text = self._text.casefold()
        if text in first:
            return len(self._halves)
        return len(self._halves) + 1 if text in last else None
