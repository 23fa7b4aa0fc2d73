"""Stuut: the segments and partners of one organisation.

Facts: docs.api.stuut.co/api-reference (customer-segments, partners), read 2026-11-21. There is no
specification file; what is not documented is marked as a guess.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import repeat
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field, SecretStr

from gateway.domain.entities import Assignment, Customer, Limit, Membership, Segment, Status
from gateway.domain.mutations import SegmentDraft, UserError, Written
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.errors import Malformed
from gateway.providers.base.decoding import (
    check,
    decode,
    decode_part,
    document,
    documents,
    path_part,
)
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.lenient_decoding import Rows, length
from gateway.providers.base.numbered_pages import (
    numbered_page,
    page_of_whole_list,
    position,
    window,
)
from gateway.providers.base.settings import AccountSettings
from gateway.providers.stuut import writes
from gateway.providers.stuut.model import (
    PartnerList,
    SegmentModel,
    assignment_of,
    customer_of,
    segments_of,
)

T = TypeVar("T")


class PagedList(NamedTuple):
    """A list in numbered pages, from 0; `largest` is the largest page."""

    operation: str
    path: str
    largest: int


SEGMENTS = PagedList("segments.list", "/v2/customer-segments", 500)

# The paging of partners could not be read: a guess from contact suggestions, which are in v1, too.
PARTNERS = PagedList("customers.list", "/v1/partners", 200)


class StuutSettings(AccountSettings):
    """An account at Stuut: one organisation's token."""

    kind: Literal["stuut"]
    token: Annotated[SecretStr, Field(min_length=1)]
    """The organisation's API token."""


class Stuut:
    """One organisation at Stuut. Its customers are called partners there."""

    kind: ClassVar[str] = "stuut"
    label: ClassVar[str] = "Stuut"
    Settings: ClassVar[type[AccountSettings]] = StuutSettings
    notes: ClassVar[Mapping[str, str]] = {
        "SEGMENT_LIST": "`nameContains` is Stuut's `search`; what it searches is not documented.",
        "SEGMENT_GET": "Stuut has no call for one segment: the whole list is read.",
        "CUSTOMER_GET": "Stuut has no call for one partner: the whole list is read.",
        "CUSTOMER_SEGMENTS": "At most one: of those that match, the one with the lowest priority.",
        "SEGMENT_CREATE": "Requires a priority; `rule.native` is Stuut's `conditions`.",
        "SEGMENT_REORDER": "The new priorities of the other segments are not documented.",
    }
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.RULE})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False
    customer_keys: ClassVar[Sequence[str]] = ("id", "remote_id", "account_number")
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: StuutSettings) -> None:
        self.key = settings.key
        self._token = settings.token

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The bearer token."""
        return {"authorization": f"Bearer {self._token.get_secret_value()}"}

    def segments(self, query: SegmentQuery, page: PageRequest) -> Exchange[Page[Segment]]:
        """Read one page of the segments. `native` is a text for Stuut's `search`."""

        def rows(reply: Reply) -> tuple[Sequence[Any], list[Segment]]:
            models = decode(self.key, SEGMENTS.operation, reply, list[SegmentModel])
            return models, segments_of(self.key, models, documents(reply, models))

        search = query.name_contains if query.native is None else query.native
        return self._page(SEGMENTS, page, rows, (("search", search),) if search else ())

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment of this document."""
        model = decode_part(self.key, "segments.restore", document, SegmentModel)
        (segment,) = segments_of(self.key, (model,), (document,))
        return segment

    def customers(self, query: CustomerQuery, page: PageRequest) -> Exchange[Page[Customer]]:
        """Read one page of the partners."""
        del query  # Stuut cannot filter partners.

        def rows(reply: Reply) -> tuple[Sequence[Any], list[Customer]]:
            models = decode(self.key, PARTNERS.operation, reply, PartnerList).data
            raw = documents(reply, models, name="data")
            return models, list(map(customer_of, repeat(self.key), models, raw))

        return self._page(PARTNERS, page, rows)

    def segments_of(self, customer: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read the one segment that a partner is in, if any."""
        operation = "segments.of_customer"

        def read(reply: Reply) -> Page[Assignment]:
            # The reply for an unknown partner is not documented; 404 can mean nothing else here.
            if reply.status == HTTPStatus.NOT_FOUND:
                return page_of_whole_list((), page)
            check(self.key, operation, reply)
            if reply.body.strip() == b"null":
                return page_of_whole_list((), page)
            try:
                model = decode(self.key, operation, reply, SegmentModel)
            except Malformed as error:
                if not error.is_of_one_row:
                    raise
                reply.oddities.append("id: the row is left out")
                return page_of_whole_list((), page, Rows((), (), 1, ()))
            return page_of_whole_list(
                (assignment_of(self.key, customer, model, document(reply.body)),), page
            )

        call = Call("GET", f"{SEGMENTS.path}/partners/{path_part(customer)}")
        return Exchange(operation, call, read)

    def create_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with a segment according to the documents."""
        return writes.problems(self.key, draft)

    def create_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment."""
        return writes.create(self.key, draft)

    def reorder_segments(self, keys: Sequence[str]) -> Exchange[Sequence[Segment]]:
        """Give segments the priorities 0, 1, …; those of the others are not documented."""
        return writes.reorder(self.key, keys)

    def _page(
        self,
        listed: PagedList,
        page: PageRequest,
        rows: Callable[[Reply], tuple[Sequence[Any], Sequence[T]]],
        query: tuple[tuple[str, str], ...] = (),
    ) -> Exchange[Page[T]]:
        start = position(page.position)
        # Stuut has no total: one row more than wanted shows whether more follow.
        requested = window(start.offset, page.size + 1, start.largest or listed.largest)

        def read(reply: Reply) -> Page[T]:
            decoded, converted = rows(reply)
            if length(decoded) > requested.size:
                raise Malformed(self.key, listed.operation, detail="more rows than requested")
            return numbered_page(converted, requested, start, page.size, None, decoded=decoded)

        paging = (("page", str(requested.page)), ("limit", str(requested.size)))
        return Exchange(listed.operation, Call("GET", listed.path, (*paging, *query)), read)
