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
from gateway.providers.emporix.listing import ALL_LANGUAGES, Listed
from gateway.providers.emporix.model import (
    Account,
    AssignmentModel,
    CustomerModel,
    ItemAssignmentModel,
    MatchModel,
    SegmentModel,
    TokenModel,
    assignments_of,
    customers_of,
    items_of,
    segments_of,
)
from gateway.providers.emporix.query import EVERYTHING, Question, can_say, one_of, segments_asked
from gateway.providers.emporix.segment_writes import SegmentWrites
from gateway.providers.emporix.webhooks import EmporixWebhooks, EmporixWebhookSettings


class EmporixSettings(EmporixWebhookSettings):
    """An account at Emporix: a tenant and the client that may read it."""

    kind: Literal["emporix"]
    tenant: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9]+$", min_length=3, max_length=16)
    ]
    client_id: Annotated[str, StringConstraints(min_length=1)]
    client_secret: Annotated[SecretStr, Field(min_length=1)]
    scope: Annotated[str, StringConstraints(min_length=1)] | None = None
    default_language: Annotated[str, StringConstraints(min_length=1)] = "en"

    @property
    def account(self) -> str:
        """The tenant."""
        return self.tenant


class Emporix(SegmentWrites, AssignmentWrites, EmporixWebhooks):
    """One tenant of Emporix: what it reads is here, what it writes in the classes above it."""

    kind: ClassVar[str] = "emporix"
    label: ClassVar[str] = "Emporix"
    Settings: ClassVar[type[AccountSettings]] = EmporixSettings
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.MANUAL})
    statuses: ClassVar[frozenset[Status]] = frozenset(Status)
    has_sites: ClassVar[bool] = True
    notes: ClassVar[Mapping[str, str]] = {
        "SEGMENT_MEMBERS": "Who belongs through an IAM group is neither listed nor counted.",
        "ITEM_MATCH": "Needs the scope customersegment.segment_manage, although it only reads.",
        "SEGMENT_CREATE": "Attributes are mixins; their schemas cannot be told through here.",
        "SEGMENT_UPDATE": "With a version it is written as a whole: only then is that compared.",
        "SEGMENT_UPSERT": "What is left out is removed; without a status it becomes INACTIVE.",
        "SEGMENT_DELETE": "What has customers or items is deleted by force alone.",
        "ASSIGNMENT_REPLACE": "Not at once: segments are added and removed one by one.",
    }
    rows_per_call: ClassVar[int] = 200
    limits: ClassVar[Sequence[Limit]] = (Limit("BULK_ROWS", rows_per_call),)
    finds_by_email: ClassVar[bool] = True
    confirms_customer: ClassVar[bool] = True

    def __init__(self, settings: EmporixSettings) -> None:
        self.key = settings.key
        self._settings: EmporixSettings = settings
        self._account = Account(settings.key, settings.default_language)
        self._segments_path = f"/customer-segment/{settings.tenant}/segments"
        self._segments = Listed(
            provider=settings.key,
            path=self._segments_path,
            form=SegmentModel,
            show=partial(segments_of, self._account),
            taken=frozenset({"bulk", "items", "match", "me", "search"}),
        )
        self._customers = Listed(
            provider=settings.key,
            path=f"/customer/{settings.tenant}/customers",
            form=CustomerModel,
            show=partial(customers_of, self._account),
            # Without it a customer comes without its mixins.
            params=(("expand", "mixin:*"),),
            tells_count=True,
        )

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """None: the credentials go only to the token endpoint."""
        return NO_HEADERS

    def sign_in(self) -> Exchange[Token]:
        """Ask for a token by client credentials. There is no refresh for service tokens."""
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
        """Read one stretch of the segments; see `segments_asked` for what Emporix judges."""
        return self._segments.page("segments.list", page, segments_asked(query))

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read segments, up to a hundred at once; ids that `q` cannot say one by one."""
        return self._segments.by_key("segments", keys, lambda row: (row.ref.key,))

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment that Emporix's own document of it tells."""
        told = decode_part(self.key, "segments.restore", document, SegmentModel)
        (segment,) = segments_of(self._account, (told,), (document,))
        return segment

    def customers(self, query: CustomerQuery, page: PageRequest) -> Exchange[Page[Customer]]:
        """Read one stretch of the customers, all or those of one email address."""
        question = EVERYTHING
        if query.email is not None:
            if not can_say(query.email):
                raise BadInput("Emporix cannot be asked for this email address.")
            question = Question(f"contactEmail:{query.email}", is_whole=True)
        return self._customers.page("customers.list", page, question)

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read customers, up to a hundred at once; ids that `q` cannot say one by one."""
        return self._customers.by_key(
            "customers", keys, lambda row: [key.value for key in row.keys]
        )

    def members(self, segment: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read one stretch of the customers assigned to a segment."""
        return self._members(segment).page("members.list", page)

    def assignments_within(
        self, segment: str, customers: Sequence[str], page: PageRequest
    ) -> Exchange[Page[Assignment]]:
        """Read one stretch of these customers' assignments to a segment.

        That `q` takes `customer.id` here follows from its rules; no page shows it. What it cannot
        name, or passes over, is left out here.
        """
        wanted, question = frozenset(customers), EVERYTHING
        if all(map(can_say, customers)):
            question = Question(one_of("customer.id", customers), is_whole=True)
        exchange = self._members(segment).page("members.of_customers", page, question)

        def read(reply: Reply) -> Page[Assignment]:
            found = exchange.read(reply)
            rows = [row for row in found.rows if row.ref.customer in wanted]
            if len(rows) == len(found.rows):
                return found
            return msgspec.structs.replace(
                found, rows=rows, total=None, end=found.next_position, position_after=str
            )

        return Exchange(exchange.operation, exchange.call, read)

    def member_count(self, segment: str) -> Exchange[int]:
        """Count the customers assigned to a segment."""
        return self._members(segment).count("members.count")

    def segments_of(self, customer: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read one stretch of a customer's segments; when they were assigned is not told."""
        listed = Listed(
            provider=self.key,
            path=self._segments_path,
            form=SegmentModel,
            show=partial(self._assigned, customer),
            params=(("customerId", customer),),
        )
        return listed.page("segments.of_customer", page)

    def assignment(
        self, segment: str, customer: str, legal_entity: str | None
    ) -> Exchange[Assignment | None]:
        """Read one assignment; None when Emporix answers 404."""
        operation = "assignments.get"

        def read(reply: Reply) -> Assignment | None:
            if reply.status == HTTPStatus.NOT_FOUND:
                return None
            told = decode(self.key, operation, reply, AssignmentModel)
            (found,) = assignments_of(self._account, segment, (told,))
            return found

        path = f"{self._members(segment).path}/{path_part(customer)}"
        if legal_entity is not None:
            path += f"/{path_part(legal_entity)}"
        return Exchange(operation, Call("GET", path, headers=ALL_LANGUAGES), read)

    def items(
        self, segment: str, kind: ItemKind | None, page: PageRequest
    ) -> Exchange[Page[Item]]:
        """Read one stretch of the products and categories of a segment, or of one of the two."""
        if kind is ItemKind.UNKNOWN:
            raise BadInput("Items can be asked for by the kinds PRODUCT and CATEGORY.")
        listed = Listed(
            provider=self.key,
            path=f"{self._segments_path}/{path_part(segment)}/items",
            form=ItemAssignmentModel,
            show=partial(items_of, self._account),
        )
        question = EVERYTHING if kind is None else Question(f"type:{kind.value}", is_whole=True)
        return listed.page("items.list", page, question)

    def match_items(
        self, site: str, items: Sequence[str], segments: Sequence[str]
    ) -> Exchange[Sequence[str]]:
        """Tell which products belong to an active segment of these, directly or by category."""
        operation = "items.match"

        def read(reply: Reply) -> Sequence[str]:
            return [told.id for told in decode(self.key, operation, reply, list[MatchModel])]

        # The schema requires `site`, the example on the same page sends `siteCode`.
        body = {
            "siteCode": site,
            "site": site,
            "items": [{"id": item} for item in items],
            "segmentIds": segments,
        }
        call = json_call("POST", f"{self._segments_path}/match", body, headers=ALL_LANGUAGES)
        return Exchange(operation, call, read)

    def _token(self, reply: Reply) -> Token:
        # RFC 6749, 5.2: a token endpoint refuses a client or a scope with 400, too.
        if reply.status == HTTPStatus.BAD_REQUEST:
            raise Denied(self.key, "oauth.token", status=reply.status)
        told = decode_strictly(self.key, "oauth.token", reply, TokenModel)
        return Token(f"Bearer {told.access_token}", told.expires_in)

    def _members(self, segment: str) -> Listed[AssignmentModel, Assignment]:
        return Listed(
            provider=self.key,
            path=f"{self._segments_path}/{path_part(segment)}/customers",
            form=AssignmentModel,
            show=partial(assignments_of, self._account, segment),
        )

    def _assigned(
        self, customer: str, told: Sequence[SegmentModel], raw: Iterable[SupportsBytes]
    ) -> list[Assignment]:
        return [
            Assignment(
                ref=AssignmentRef(self.key, segment.ref.key, customer),
                segment=segment,
                is_partial=True,
            )
            for segment in segments_of(self._account, told, raw)
        ]
