"""Stuut: accounts receivable, with rule segments of which the first that matches wins.

Facts: docs.api.stuut.co/api-reference (customer-segments, partners), read 2026-11-21. There is no
specification file; what is stated nowhere is marked as a guess.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

import msgspec
from pydantic import Field, SecretStr

from gateway.adapter import AccountSettings
from gateway.domain import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Condition,
    Customer,
    CustomerKey,
    CustomerQuery,
    Limit,
    Membership,
    Page,
    PageRequest,
    Ref,
    Rule,
    Segment,
    SegmentQuery,
    Status,
    plain,
)
from gateway.errors import Malformed
from gateway.paging import cut, number, numbered_page, window
from gateway.reading import decode, decode_rows, path_part, pointer_part, utc
from gateway.wire import Call, Exchange, Reply

T = TypeVar("T")

Id = Annotated[str, msgspec.Meta(min_length=1)]


class Listed(NamedTuple):
    """A list in numbered pages, from 0; `largest` is the most rows of one."""

    operation: str
    path: str
    largest: int


SEGMENTS = Listed("segments.list", "/v2/customer-segments", 500)

# How partners are paged could not be read: a guess from contact suggestions, their sibling in v1.
PARTNERS = Listed("customers.list", "/v1/partners", 200)


class SegmentModel(msgspec.Struct, frozen=True):
    """A segment; all its parts are always there."""

    id: Id
    name: str
    description: str | None
    priority: int
    conditions: dict[str, Any]
    created_at: datetime
    modified_at: datetime | None


class PartnerModel(msgspec.Struct, frozen=True):
    """A partner. The list of its fields breaks off in the documents: only the id is sure."""

    id: Id
    remote_id: str | None = None
    account_number: str | None = None
    name: str | None = None
    custom_fields: dict[str, Any] | None = None


class PartnerList(msgspec.Struct, frozen=True):
    """What a list of v1 is wrapped in."""

    data: list[msgspec.Raw]


class StuutSettings(AccountSettings):
    """An account at Stuut: one organisation's token."""

    kind: Literal["stuut"]
    token: Annotated[SecretStr, Field(min_length=1)]


class Stuut:
    """One organisation at Stuut. Its customers are called partners there."""

    kind: ClassVar[str] = "stuut"
    label: ClassVar[str] = "Stuut"
    Settings: ClassVar[type[AccountSettings]] = StuutSettings
    notes: ClassVar[Mapping[str, str]] = {
        "SEGMENT_LIST": "`nameContains` is Stuut's `search`: what it compares is not documented.",
        "SEGMENT_GET": "Stuut reads no single segment: its whole list is read.",
        "CUSTOMER_GET": "Stuut reads no single partner: the whole list is read.",
        "CUSTOMER_SEGMENTS": "At most one: of those that match, the one of the lowest priority.",
    }
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.RULE})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: StuutSettings) -> None:
        self.key = settings.key
        self._token = settings.token

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The token, as a bearer's."""
        return {"authorization": f"Bearer {self._token.get_secret_value()}"}

    def segments(self, query: SegmentQuery, page: PageRequest) -> Exchange[Page[Segment]]:
        """Read one stretch of the segments. `native` is a text for Stuut's `search`."""

        def rows(reply: Reply) -> list[Segment]:
            listed = decode(self.key, SEGMENTS.operation, reply, list[msgspec.Raw])
            told = decode_rows(self.key, SEGMENTS.operation, listed, SegmentModel)
            return [self._segment(*each) for each in told]

        search = query.name_contains if query.native is None else query.native
        return self._page(SEGMENTS, page, rows, (("search", search),) if search else ())

    def customers(self, query: CustomerQuery, page: PageRequest) -> Exchange[Page[Customer]]:
        """Read one stretch of the partners."""
        del query  # Stuut judges no part of it.

        def rows(reply: Reply) -> list[Customer]:
            listed = decode(self.key, PARTNERS.operation, reply, PartnerList).data
            told = decode_rows(self.key, PARTNERS.operation, listed, PartnerModel, "$.data")
            return [self._customer(*each) for each in told]

        return self._page(PARTNERS, page, rows)

    def segments_of(self, customer: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read the one segment that a partner is in, if any."""
        operation = "segments.of_customer"

        def read(reply: Reply) -> Page[Assignment]:
            # What an unknown partner gets is not documented; 404 can mean nothing else here.
            if reply.status == HTTPStatus.NOT_FOUND:
                return cut((), page)
            body = decode(self.key, operation, reply, msgspec.Raw)
            found = [] if bytes(body) == b"null" else [body]
            told = decode_rows(self.key, operation, found, SegmentModel)
            return cut([self._assignment(customer, *each) for each in told], page)

        call = Call("GET", f"{SEGMENTS.path}/partners/{path_part(customer)}")
        return Exchange(operation, call, read)

    def _page(
        self,
        listed: Listed,
        page: PageRequest,
        rows: Callable[[Reply], Sequence[T]],
        query: tuple[tuple[str, str], ...] = (),
    ) -> Exchange[Page[T]]:
        offset = number(page.position)
        # Stuut tells no total: one row more than wanted tells whether any follows.
        asked = window(offset, page.size + 1, listed.largest)

        def read(reply: Reply) -> Page[T]:
            found = rows(reply)
            if len(found) > asked.size:
                raise Malformed(self.key, listed.operation, detail="more rows than asked for")
            return numbered_page(found, asked, offset, page.size, None)

        paging = (("page", str(asked.page)), ("limit", str(asked.size)))
        return Exchange(listed.operation, Call("GET", listed.path, (*paging, *query)), read)

    def _assignment(self, customer: str, told: SegmentModel, raw: msgspec.Raw) -> Assignment:
        return Assignment(
            ref=AssignmentRef(self.key, told.id, customer),
            kind=AssignmentKind.AUTOMATIC,
            segment=self._segment(told, raw),
        )

    def _segment(self, told: SegmentModel, raw: msgspec.Raw) -> Segment:
        return Segment(
            ref=Ref(self.key, told.id),
            names=plain(told.name),
            descriptions=plain(told.description),
            membership=Membership.RULE,
            priority=told.priority,
            rule=Rule(told.conditions, conditions),
            created_at=utc(told.created_at),
            updated_at=utc(told.modified_at) if told.modified_at else None,
            raw=raw,
        )

    def _customer(self, told: PartnerModel, raw: msgspec.Raw) -> Customer:
        keys = {
            "id": told.id,
            "remote_id": told.remote_id,
            "account_number": told.account_number,
        }
        return Customer(
            ref=Ref(self.key, told.id),
            keys=tuple(CustomerKey(kind, value) for kind, value in keys.items() if value),
            name=told.name,
            attributes=told.custom_fields,
            raw=raw,
        )


# The example writes `and` and `or`, the prose beside it `and_` and `or_`.
JUNCTIONS = frozenset({"and", "or", "and_", "or_"})


def conditions(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return the tests in a segment's conditions, in their order, those under and/or as well.

    A test is a list under `in` or `nin`; the names above it, from the last and/or on, are its
    field. What else a document holds has no documented meaning and is left to `Rule.native`.
    """
    found = []
    waiting: list[tuple[str, str, Any]] = [("", "", native)]
    while waiting:
        path, field, part = waiting.pop()
        if not isinstance(part, dict):
            continue
        below = []
        for name, value in part.items():
            at = f"{path}/{pointer_part(name)}"
            if isinstance(value, list) and name in {"in", "nin"} and field:
                found.append(Condition(at, field, name, tuple(value)))
            elif isinstance(value, list) and name in JUNCTIONS:
                below += [(f"{at}/{index}", "", each) for index, each in enumerate(value)]
            else:
                below.append((at, f"{field}.{name}" if field else name, value))
        waiting += reversed(below)
    return found
