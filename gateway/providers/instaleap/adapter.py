"""Instaleap: the customers of one shop and the tags they have.

Facts: dev-center.instaleap.io/reference (customer-segments, customer-segments-gateway), read
2026-11-21. No page reads a customer, their segments or a segment's customers: what can be read
here is the gateway's own record of what it wrote.
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
from gateway.providers.instaleap.recorded import (
    AS_WRITTEN,
    BY_CUSTOMER,
    BY_TAG,
    Recorded,
    assignment_of,
    batches,
    customer_of,
    segment_of,
    tag_of,
    tags,
)

RECORD = "Instaleap cannot be read: what is shown of it is what this gateway recorded."
READS = (
    "SEGMENT_LIST",
    "SEGMENT_GET",
    "SEGMENT_MEMBERS",
    "CUSTOMER_LIST",
    "CUSTOMER_GET",
    "CUSTOMER_SEGMENTS",
)

# The number of the status is not printed. Those left out have no body, or not the whole of one.
ANSWERED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED})


class InstaleapSettings(AccountSettings):
    """An account at Instaleap. `reverse_token` is what Instaleap shows when it asks us."""

    kind: Literal["instaleap"]
    token: Annotated[SecretStr, Field(min_length=1)]
    reverse_token: Annotated[SecretStr, Field(min_length=1)] | None = None
    # No largest batch is documented; this one is a guess.
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100


class ReplacedModel(msgspec.Struct, frozen=True):
    """The answer to a replacement: the document ids of the customers that were updated."""

    updated: list[Id] = msgspec.field(name="updatedCustomers")


class Instaleap:
    """One shop at Instaleap."""

    kind: ClassVar[str] = "instaleap"
    label: ClassVar[str] = "Instaleap"
    Settings: ClassVar[type[AccountSettings]] = InstaleapSettings
    notes: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(READS, RECORD),
        "CUSTOMER_SEARCH_EMAIL": "Instaleap cannot be read, and no email address is recorded.",
        "ASSIGNMENT_REPLACE": "Customers that Instaleap does not know are not updated.",
    }
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.TAG})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: InstaleapSettings) -> None:
        self.key = settings.key
        self.rows_per_call = settings.batch_size
        self._token = settings.token

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The token, as a bearer's."""
        return {"authorization": f"Bearer {self._token.get_secret_value()}"}

    def tag_of(self, key: str) -> Tag:
        """Return the pair that an id of a segment names. Raises `BadInput` if it names none."""
        tag = tag_of(key)
        if tag is None:
            raise BadInput("This is no id of a segment of Instaleap.")
        return tag

    def replace_problems(self, rows: Sequence[Replacement]) -> Sequence[UserError]:
        """Return what the documents forbid of these rows: types and values are free text."""
        text = "A customer of Instaleap needs a document id."
        return [
            UserError(text, Reason.REQUIRED, (str(index), "externalId"), self.key)
            for index, row in enumerate(rows)
            if not row.customer
        ]

    def replace_tags(self, rows: Sequence[Replacement]) -> Exchange[ReplacedCustomers]:
        """Replace all tags of customers, at least one; a pair that stands twice is sent once.

        The answer names those that were updated, in the order of the rows. Why another was not
        (maybe it is unknown) Instaleap does not say.
        """
        operation = "tags.replace"
        customers = [
            {
                "document_id": row.customer,
                # Null is allowed as well; that it clears, like an empty list, is nowhere stated.
                "segments": [
                    {"type": tag.type, "value": tag.value} for tag in dict.fromkeys(row.tags)
                ],
            }
            for row in rows
        ]

        def read(reply: Reply) -> ReplacedCustomers:
            updated = decode(self.key, operation, reply, ReplacedModel, ANSWERED).updated
            named = frozenset(updated)
            # The example of the documents names a customer that is not in its request.
            customers = [row.customer for row in rows if row.customer in named]
            return ReplacedCustomers(customers, is_whole=length(updated) == len(updated))

        call = json_call("POST", "/api/v3/customers/segments", {"customers": customers})
        return Exchange(operation, call, read)

    def segments(self, query: SegmentQuery, page: PageRequest) -> Recall[Page[Segment]]:
        """Read one stretch of the recorded pairs, by type and value."""
        if query.native is not None:
            raise BadInput("Instaleap has no query language.")
        show = partial(segment_of, self.key)
        listed = Recorded("segments.list", "segments", BY_TAG, show)
        # The record judges no part of the query: its total is of all pairs.
        return listed.page(page._replace(with_total=page.with_total and not query.is_local))

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read recorded pairs."""
        return batches("segments.get", "segment", keys, tags, partial(segment_of, self.key))

    def customers(self, query: CustomerQuery, page: PageRequest) -> Recall[Page[Customer]]:
        """Read one stretch of the recorded customers, by document id."""
        del query  # No email address is recorded.
        return Recorded("customers.list", "customers", BY_CUSTOMER, self._customer).page(page)

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read recorded customers."""
        return batches(
            "customers.get",
            "customer",
            keys,
            lambda part: tuple((key,) for key in part),
            self._customer,
        )

    def members(self, segment: str, page: PageRequest) -> Recall[Page[Assignment]]:
        """Read one stretch of the customers recorded with a pair, by document id."""
        show = partial(assignment_of, self.key)
        listed = Recorded("members.list", "members", BY_CUSTOMER, show, tags((segment,)))
        return listed.page(page)

    def member_count(self, segment: str) -> Recall[int]:
        """Count the customers recorded with a pair."""

        def read(count: int) -> int:
            return count

        return Recall("members.count", Lookup("member_count", tags((segment,))), read)

    def segments_of(self, customer: str, page: PageRequest) -> Recall[Page[Assignment]]:
        """Read one stretch of the pairs recorded of a customer, in the order of the write."""
        show, keys = partial(assignment_of, self.key), ((customer,),)
        return Recorded("segments.of_customer", "assignments", AS_WRITTEN, show, keys).page(page)

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> Recall[Assignment | None]:
        """Read whether a customer is recorded with a pair. Instaleap knows no legal entities."""
        keys = ((customer,),) if legal_entity is None else ()

        def read(found: Rows[TaggingRow]) -> Assignment | None:
            shown = (assignment_of(self.key, row) for row in found.rows)
            return next((each for each in shown if each.ref.segment == segment), None)

        return Recall("assignments.get", Lookup("assignments", keys), read)

    def _customer(self, row: CustomerRow) -> Customer:
        return customer_of(self.key, row.customer)
