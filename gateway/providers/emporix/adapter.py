"""Emporix: segments, their customers and items, and the customers of a tenant.

Facts: docs.emporix.io (segments resource), the OpenAPI files of the customer segment, customer and
OAuth services and standard-practices/* in github.com/emporix/api-references, read 2026-11-21.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal, SupportsBytes
from urllib.parse import urlencode

import msgspec
from pydantic import Field, SecretStr, StringConstraints

from gateway.domain.entities import (
    Assignment,
    AssignmentRef,
    Customer,
    Item,
    ItemKind,
    Limit,
    Membership,
    Ref,
    Segment,
    Status,
)
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.errors import BadInput, Denied
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.decoding import decode, decode_part, decode_strictly, path_part
from gateway.providers.base.exchange import NO_HEADERS, Call, Exchange, Reply, Token, json_call
from gateway.providers.base.settings import AccountSettings
from gateway.providers.emporix.assignment_writes import AssignmentWrites
from gateway.providers.emporix.customer_search import Place, searches
from gateway.providers.emporix.customer_writes import CustomerWrites
from gateway.providers.emporix.listing import ALL_LANGUAGES, NumberedList
from gateway.providers.emporix.model import (
    Account,
    AssignmentModel,
    CustomerModel,
    ItemAssignmentModel,
    MatchModel,
    SegmentModel,
    SegmentOfItemModel,
    TokenModel,
    assignments_of,
    customers_of,
    items_of,
    segment_columns,
    segments_of,
)
from gateway.providers.emporix.query import (
    NO_FILTER,
    ListFilter,
    is_expressible,
    one_of,
    segment_filter,
)
from gateway.providers.emporix.segment_writes import SegmentWrites
from gateway.providers.emporix.webhook_setup import EmporixWebhookSetup
from gateway.providers.emporix.webhooks import EmporixWebhookSettings


class EmporixSettings(EmporixWebhookSettings):
    """An account at Emporix: a tenant and the credentials of a client."""

    kind: Literal["emporix"]
    tenant: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9]+$", min_length=3, max_length=16)
    ]
    """The tenant, in lower case."""
    client_id: Annotated[str, StringConstraints(min_length=1)]
    """The client's id, as Emporix shows it."""
    client_secret: Annotated[SecretStr, Field(min_length=1)]
    """The client's secret, exchanged for a token."""
    scope: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The scopes of the token, separated by spaces. None: all that the client has."""
    default_language: Annotated[str, StringConstraints(min_length=1)] = "en"
    """The language of texts that Emporix gives without one."""

    @property
    def account(self) -> str:
        """The tenant."""
        return self.tenant


class Emporix(SegmentWrites, AssignmentWrites, CustomerWrites, EmporixWebhookSetup):
    """One tenant of Emporix. The base classes have the writes."""

    kind: ClassVar[str] = "emporix"
    label: ClassVar[str] = "Emporix"
    Settings: ClassVar[type[AccountSettings]] = EmporixSettings
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.MANUAL})
    statuses: ClassVar[frozenset[Status]] = frozenset(Status)
    has_sites: ClassVar[bool] = True
    notes: ClassVar[Mapping[str, str]] = {
        "SEGMENT_MEMBERS": (
            "Members through an IAM group are neither listed nor counted, and segmentMemberships"
            " does not find them if it tests more customers than segments."
        ),
        "SEGMENT_SEARCH_ITEM": "Products are not found by their category.",
        "CUSTOMER_SEARCH_NAME": "Searches first and last names, for up to four words.",
        "CUSTOMER_SEARCH_PHONE": "The number must be given exactly as Emporix has it.",
        "ITEM_MATCH": "Requires the scope customersegment.segment_manage, although it only reads.",
        "SEGMENT_CREATE": (
            "Attributes are mixins; their schemas cannot be set. Without a status, it is INACTIVE."
        ),
        "SEGMENT_UPDATE": "With a version, the segment is written as a whole.",
        "SEGMENT_UPSERT": (
            "Omitted fields are removed, and so are the schemas of mixins. Without a status, it"
            " becomes INACTIVE."
        ),
        "SEGMENT_DELETE": "A segment with customers or items is deleted only with `force`.",
        "ASSIGNMENT_CREATE": "Mixins of assignments are neither shown nor set; they are kept.",
        "ITEM_ASSIGN": "Mixins of assignments are neither shown nor set; they are kept.",
        "ASSIGNMENT_REPLACE": "Not atomic: segments are added and removed one by one.",
        "CUSTOMER_ATTRIBUTES_UPDATE": (
            "Attributes are mixins; only those whose schemas the customer has can be set."
        ),
    }
    rows_per_call: ClassVar[int] = 200
    limits: ClassVar[Sequence[Limit]] = (Limit("BULK_ROWS", rows_per_call),)
    finds_by_email: ClassVar[bool] = True
    finds_by_name: ClassVar[bool] = True
    finds_by_phone: ClassVar[bool] = True
    customer_keys: ClassVar[Sequence[str]] = ("id", "customerNumber")
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: EmporixSettings) -> None:
        self.key = settings.key
        self._settings: EmporixSettings = settings
        self._account = Account(settings.key, settings.default_language)
        self._segments_path = f"/customer-segment/{settings.tenant}/segments"
        self._customers_path = f"/customer/{settings.tenant}/customers"
        self._segments = NumberedList(
            provider=settings.key,
            path=self._segments_path,
            form=SegmentModel,
            show=partial(segments_of, self._account),
            columns=segment_columns(settings.default_language),
            reserved=frozenset({"bulk", "items", "match", "me", "search"}),
        )
        self._customers = NumberedList(
            provider=settings.key,
            path=self._customers_path,
            form=CustomerModel,
            show=partial(customers_of, self._account),
            # Without it, customers have no mixins.
            params=(("expand", "mixin:*"),),
            always_counts=True,
        )

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """None: the credentials go only to the token endpoint."""
        return NO_HEADERS

    def sign_in(self) -> Exchange[Token]:
        """Request a token with client credentials. Service tokens cannot be refreshed."""
        settings = self._settings
        form = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
        }
        if settings.scope is not None:
            form["scope"] = settings.scope
        call = Call(
            "POST",
            "/oauth/token",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        return Exchange("oauth.token", call, self._token)

    def segments(self, query: SegmentQuery, page: PageRequest) -> Exchange[Page[Segment]]:
        """Read one page of the segments; `segment_filter` has what Emporix filters by."""
        return self._segments.page("segments.list", page, segment_filter(query))

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read segments, up to a hundred in one call; ids that `q` cannot express one by one."""
        return self._segments.by_key("segments", keys, lambda row: (row.ref.key,))

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment of this document."""
        model = decode_part(self.key, "segments.restore", document, SegmentModel)
        (segment,) = segments_of(self._account, (model,), (document,))
        return segment

    def customers(self, query: CustomerQuery, page: PageRequest) -> Exchange[Page[Customer]]:
        """Read one page of the customers: of all, or of a list of a search."""
        lists = searches(self.key, query)
        place = Place.parse(page.position, len(lists))
        search = lists[place.at]
        exchange = self._customers.page(
            "customers.list", page._replace(position=place.position), search.list_filter
        )

        def read(reply: Reply) -> Page[Customer]:
            return place.page(exchange.read(reply), search, len(lists))

        return Exchange(exchange.operation, exchange.call, read)

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read customers, up to a hundred in one call; ids that `q` cannot express one by one."""
        return self._customers.by_key(
            "customers", keys, lambda row: [key.value for key in row.keys]
        )

    def members(self, segment: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read one page of the customers assigned to a segment."""
        return self._members(segment).page("members.list", page)

    def assignments_within(
        self, segment: str, customers: Sequence[str], page: PageRequest
    ) -> Exchange[Page[Assignment]]:
        """Read one page of these customers' assignments to a segment.

        That `q` supports `customer.id` here follows from its rules, but is not documented. If `q`
        cannot express a customer, or ignores them, the other rows are removed here.
        """
        wanted, list_filter = frozenset(customers), NO_FILTER
        if all(map(is_expressible, customers)):
            list_filter = ListFilter(one_of("customer.id", customers), is_whole=True)
        exchange = self._members(segment).page("members.of_customers", page, list_filter)

        def read(reply: Reply) -> Page[Assignment]:
            received = exchange.read(reply)
            rows = [row for row in received.rows if row.ref.customer in wanted]
            if len(rows) == len(received.rows):
                return received
            return msgspec.structs.replace(
                received, rows=rows, total=None, end=received.next_position, position_after=str
            )

        return Exchange(exchange.operation, exchange.call, read)

    def member_count(self, segment: str) -> Exchange[int]:
        """Count the customers assigned to a segment."""
        return self._members(segment).count("members.count")

    def segments_of(self, customer: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read one page of a customer's segments, without the times of the assignments."""
        segments = NumberedList(
            provider=self.key,
            path=self._segments_path,
            form=SegmentModel,
            show=partial(self._assigned, customer),
            params=(("customerId", customer),),
        )
        return segments.page("segments.of_customer", page)

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> Exchange[Assignment | None]:
        """Read one assignment; None if Emporix returns 404."""
        operation = "assignments.get"

        def read(reply: Reply) -> Assignment | None:
            if reply.status == HTTPStatus.NOT_FOUND:
                return None
            model = decode(self.key, operation, reply, AssignmentModel)
            (assignment,) = assignments_of(self._account, segment, (model,))
            return assignment

        path = f"{self._members(segment).path}/{path_part(customer)}"
        if legal_entity is not None:
            path += f"/{path_part(legal_entity)}"
        return Exchange(operation, Call("GET", path, headers=ALL_LANGUAGES), read)

    def items(
        self, segment: str, kind: ItemKind | None, page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one page of a segment's items, of one kind or of both."""
        list_filter = NO_FILTER
        if kind is not None:
            list_filter = ListFilter(_type_is(kind), is_whole=True)
        return self._items(segment).page("items.list", page, list_filter)

    def items_within(
        self, segment: str, kind: ItemKind, keys: Sequence[str], page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one page of those of these items that are in a segment.

        That `q` supports `item.id` is our guess, as below.
        """
        wanted, list_filter = frozenset(keys), ListFilter(_type_is(kind), is_whole=False)
        if all(map(is_expressible, keys)):
            q = f"{one_of('item.id', keys)} {_type_is(kind)}"
            list_filter = ListFilter(q, is_whole=False)
        exchange = self._items(segment).page("items.within", page, list_filter)

        def read(reply: Reply) -> Page[Item]:
            received = exchange.read(reply)
            rows = [row for row in received.rows if row.key in wanted and row.kind is kind]
            return msgspec.structs.replace(
                received, rows=rows, end=received.next_position, position_after=str
            )

        return Exchange(exchange.operation, exchange.call, read)

    def segments_with_item(
        self, kind: ItemKind, key: str, page: PageRequest
    ) -> Exchange[Page[Ref]]:
        """Read one page of the segments to which an item is assigned.

        `q` supports `type` here; that it supports `item.id` is our guess. If it cannot express the
        id, or ignores it, the other rows are removed here.
        """
        list_filter = ListFilter(_type_is(kind), is_whole=False)
        if is_expressible(key):
            list_filter = ListFilter(f"item.id:{key} {_type_is(kind)}", is_whole=False)
        wanted = (key, kind.value)
        assignments = NumberedList(
            provider=self.key,
            path=f"{self._segments_path}/items",
            form=SegmentOfItemModel,
            show=lambda models, _: [
                (Ref(self.key, each.segment_id), (each.item.id, each.type)) for each in models
            ],
        )
        exchange = assignments.page("items.segments", page, list_filter)

        def read(reply: Reply) -> Page[Ref]:
            received = exchange.read(reply)
            kept = [i for i, (_, item) in enumerate(received.rows) if item == wanted]
            return Page(
                rows=[received.rows[i][0] for i in kept],
                position_after=lambda i: received.position_after(kept[i]),
                is_last=received.is_last,
                end=received.next_position,
                skipped=received.skipped,
            )

        return Exchange(exchange.operation, exchange.call, read)

    def match_items(
        self, site: str, items: Sequence[str], segments: Sequence[str]
    ) -> Exchange[Sequence[str]]:
        """Return the products that are in an active one of these segments, also by category."""
        operation = "items.match"

        def read(reply: Reply) -> Sequence[str]:
            return [match.id for match in decode(self.key, operation, reply, list[MatchModel])]

        # The schema requires `site`, but the example on the same page has `siteCode`.
        body = {
            "siteCode": site,
            "site": site,
            "items": [{"id": item} for item in items],
            "segmentIds": segments,
        }
        call = json_call("POST", f"{self._segments_path}/match", body, headers=ALL_LANGUAGES)
        return Exchange(operation, call, read)

    def _token(self, reply: Reply) -> Token:
        # RFC 6749, 5.2: token endpoints also refuse clients and scopes with 400.
        if reply.status == HTTPStatus.BAD_REQUEST:
            raise Denied(self.key, "oauth.token", status=reply.status)
        token = decode_strictly(self.key, "oauth.token", reply, TokenModel)
        return Token(f"Bearer {token.access_token}", token.expires_in)

    def _members(self, segment: str) -> NumberedList[AssignmentModel, Assignment]:
        return NumberedList(
            provider=self.key,
            path=f"{self._segments_path}/{path_part(segment)}/customers",
            form=AssignmentModel,
            show=partial(assignments_of, self._account, segment),
        )

    def _items(self, segment: str) -> NumberedList[ItemAssignmentModel, Item]:
        return NumberedList(
            provider=self.key,
            path=f"{self._segments_path}/{path_part(segment)}/items",
            form=ItemAssignmentModel,
            show=partial(items_of, self._account),
        )

    def _assigned(
        self, customer: str, models: Sequence[SegmentModel], raw: Iterable[SupportsBytes]
    ) -> list[Assignment]:
        return [
            Assignment(
                ref=AssignmentRef(self.key, segment.ref.key, customer),
                segment=segment,
                is_partial=True,
            )
            for segment in segments_of(self._account, models, raw)
        ]


def _type_is(kind: ItemKind) -> str:
    """Return the `q` for items of a kind. Raises `BadInput`."""
    if kind is ItemKind.UNKNOWN:
        raise BadInput("The kind of an item is PRODUCT or CATEGORY.")
    return f"type:{kind.value}"
