"""Instaleap: the customers of one shop and the tags they have.

Facts: dev-center.instaleap.io/reference (customer-segments, customer-segments-gateway), read
2026-11-21. Customers, their segments and a segment's customers cannot be read: the gateway reads
from its own store what it wrote.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal

import msgspec
from pydantic import Field, SecretStr

from gateway.domain.entities import Assignment, Customer, Limit, Membership, Segment, Status
from gateway.domain.mutations import Reason, Replacement, Tag, UserError
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.errors import BadInput
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.decoding import Id, decode
from gateway.providers.base.exchange import Exchange, Reply, json_call
from gateway.providers.base.lenient_decoding import length
from gateway.providers.base.settings import AccountSettings
from gateway.providers.base.store_lookup import CustomerRow, Lookup, Recall, Rows, TaggingRow
from gateway.providers.base.write_protocols import ReplacedCustomers
from gateway.providers.instaleap.stored import (
    AS_WRITTEN,
    BY_CUSTOMER,
    BY_TAG,
    StoredList,
    assignment_of,
    batches,
    customer_of,
    segment_of,
    tag_of,
    tags,
)

FROM_STORE = "Instaleap cannot be read: the gateway returns what it wrote, from its own store."
READS = (
    "SEGMENT_LIST",
    "SEGMENT_GET",
    "SEGMENT_MEMBERS",
    "CUSTOMER_LIST",
    "CUSTOMER_GET",
    "CUSTOMER_SEGMENTS",
)

# The status code is not documented. Other codes of success have no body, or an incomplete one.
SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})


class InstaleapSettings(AccountSettings):
    """An account at Instaleap. Instaleap sends `reverse_token` with the reverse call."""

    kind: Literal["instaleap"]
    token: Annotated[SecretStr, Field(min_length=1)]
    """The shop's API token."""
    reverse_token: Annotated[SecretStr, Field(min_length=1)] | None = None
    """What Instaleap sends with the reverse call. None: the call is refused."""
    # The largest batch is not documented; this is a guess.
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Customers in one call."""


class ReplacedModel(msgspec.Struct, frozen=True):
    """The reply to a replacement: the document ids of the customers that were updated."""

    updated: list[Id] = msgspec.field(name="updatedCustomers")


class Instaleap:
    """One shop at Instaleap."""

    kind: ClassVar[str] = "instaleap"
    label: ClassVar[str] = "Instaleap"
    Settings: ClassVar[type[AccountSettings]] = InstaleapSettings
    notes: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(READS, FROM_STORE),
        "CUSTOMER_SEARCH_EMAIL": "Instaleap cannot be read, and the store has no email addresses.",
        "ASSIGNMENT_REPLACE": "Customers that Instaleap does not know are not updated.",
    }
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.TAG})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False
    customer_keys: ClassVar[Sequence[str]] = ("document_id",)
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: InstaleapSettings) -> None:
        self.key = settings.key
        self.rows_per_call = settings.batch_size
        self._token = settings.token

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The bearer token."""
        return {"authorization": f"Bearer {self._token.get_secret_value()}"}

    def tag_of(self, key: str) -> Tag:
        """Return the tag with this id. Raises `BadInput` if it is not one."""
        tag = tag_of(key)
        if tag is None:
            raise BadInput("This is not the id of a segment of Instaleap.")
        return tag

    def replace_problems(self, rows: Sequence[Replacement]) -> Sequence[UserError]:
        """Return what is wrong with these rows; types and values are free text."""
        text = "A customer of Instaleap needs a document id."
        return [
            UserError(text, Reason.REQUIRED, (str(index), "externalId"), self.key)
            for index, row in enumerate(rows)
            if not row.customer
        ]

    def replace_tags(self, rows: Sequence[Replacement]) -> Exchange[ReplacedCustomers]:
        """Replace all tags of one or more customers; duplicate tags are sent once.

        Returns those that were updated, in the order of the rows. Instaleap does not report why
        others were not; they may be unknown.
        """
        operation = "tags.replace"
        customers = [
            {
                "document_id": row.customer,
                # Null is allowed as well, but whether it clears the tags is not documented.
                "segments": [
                    {"type": tag.type, "value": tag.value} for tag in dict.fromkeys(row.tags)
                ],
            }
            for row in rows
        ]

        def read(reply: Reply) -> ReplacedCustomers:
            updated = decode(self.key, operation, reply, ReplacedModel, SUCCESS).updated
            named = frozenset(updated)
            # In the documented example, the reply has a customer that is not in the request.
            customers = [row.customer for row in rows if row.customer in named]
            return ReplacedCustomers(customers, is_whole=length(updated) == len(updated))

        call = json_call("POST", "/api/v3/customers/segments", {"customers": customers})
        return Exchange(operation, call, read)

    def segments(self, query: SegmentQuery, page: PageRequest) -> Recall[Page[Segment]]:
        """Read one page of the stored tags, by type and value."""
        if query.native is not None:
            raise BadInput("Instaleap has no query language.")
        show = partial(segment_of, self.key)
        stored = StoredList("segments.list", "segments", BY_TAG, show)
        # The store does not filter: its total counts all tags.
        return stored.page(page._replace(with_total=page.with_total and not query.is_local))

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read stored tags."""
        return batches("segments.get", "segment", keys, tags, partial(segment_of, self.key))

    def customers(self, query: CustomerQuery, page: PageRequest) -> Recall[Page[Customer]]:
        """Read one page of the stored customers, by document id."""
        del query  # The store has no email addresses.
        return StoredList("customers.list", "customers", BY_CUSTOMER, self._customer).page(page)

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read stored customers."""
        return batches(
            "customers.get",
            "customer",
            keys,
            lambda part: tuple((key,) for key in part),
            self._customer,
        )

    def members(self, segment: str, page: PageRequest) -> Recall[Page[Assignment]]:
        """Read one page of the stored customers with a tag, by document id."""
        show = partial(assignment_of, self.key)
        stored = StoredList("members.list", "members", BY_CUSTOMER, show, tags((segment,)))
        return stored.page(page)

    def member_count(self, segment: str) -> Recall[int]:
        """Count the stored customers with a tag."""

        def read(count: int) -> int:
            return count

        return Recall("members.count", Lookup("member_count", tags((segment,))), read)

    def segments_of(self, customer: str, page: PageRequest) -> Recall[Page[Assignment]]:
        """Read one page of a customer's stored tags, in the order of the write."""
        show, keys = partial(assignment_of, self.key), ((customer,),)
        return StoredList("segments.of_customer", "assignments", AS_WRITTEN, show, keys).page(page)

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> Recall[Assignment | None]:
        """Read one tag of a customer from the store. Instaleap has no legal entities."""
        keys = ((customer,),) if legal_entity is None else ()

        def read(tags: Rows[TaggingRow]) -> Assignment | None:
            assignments = (assignment_of(self.key, row) for row in tags.rows)
            return next((each for each in assignments if each.ref.segment == segment), None)

        return Recall("assignments.get", Lookup("assignments", keys), read)

    def _customer(self, row: CustomerRow) -> Customer:
        return customer_of(self.key, row.customer)
