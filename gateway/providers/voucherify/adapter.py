"""Voucherify: the segments and customers of one project.

Facts: docs.voucherify.io/api-reference and github.com/voucherifyio/voucherify-openapi, API
v2018-08-01, read 2026-11-21.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast
from urllib.parse import urlencode

from pydantic import Field, SecretStr, StringConstraints

from gateway.domain.entities import Assignment, Customer, Limit, Membership, Segment, Status
from gateway.domain.mutations import SegmentDraft, UserError, Written
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import CustomerQuery, SegmentQuery
from gateway.errors import Denied, Malformed
from gateway.providers.base.adapter import RateLimitStatus, ReadBatch
from gateway.providers.base.decoding import (
    decode,
    decode_part,
    decode_strictly,
    document,
    documents,
    path_part,
)
from gateway.providers.base.exchange import NO_HEADERS, Call, Exchange, Reply, Token
from gateway.providers.base.lenient_decoding import length
from gateway.providers.base.numbered_pages import page_of_whole_list
from gateway.providers.base.settings import AccountSettings
from gateway.providers.base.webhooks import WebhookAccountSettings
from gateway.providers.voucherify import writes
from gateway.providers.voucherify.listing import (
    MAX_ROWS_PER_CALL,
    NEWEST_FIRST,
    Customers,
    count,
    segments_page,
)
from gateway.providers.voucherify.model import (
    CustomerModel,
    NamedSegmentModel,
    SegmentList,
    SegmentModel,
    TokenModel,
    assignments_of,
    customers_of,
    members_of,
    segments_of,
)
from gateway.providers.voucherify.query import filters
from gateway.providers.voucherify.webhooks import VoucherifyWebhooks

M = TypeVar("M", SegmentModel, NamedSegmentModel)

RATE_LIMIT_HEADERS = ("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-retry")
DYNAMIC_SEGMENTS = "DYNAMIC_SEGMENTS"
DIGITS = 15
DYNAMIC = SegmentQuery(membership=frozenset({Membership.RULE}))


class VoucherifySettings(WebhookAccountSettings):
    """An account at Voucherify: a project's key pair, sent as it is or exchanged for a token."""

    kind: Literal["voucherify"]
    app_id: Annotated[SecretStr, Field(min_length=1)]
    """The id of the project's key pair (`X-App-Id`)."""
    app_token: Annotated[SecretStr, Field(min_length=1)]
    """The secret of the key pair (`X-App-Token`)."""
    oauth: bool = False
    """True: exchange the key pair for a bearer token."""
    scope: Annotated[str, StringConstraints(min_length=1)] = "segments customers"
    """The scopes of the token, separated by spaces; used only with `oauth`."""


class Voucherify(VoucherifyWebhooks):
    """One project at Voucherify. With the setting `oauth`, it is a `VoucherifyWithOAuth`."""

    kind: ClassVar[str] = "voucherify"
    label: ClassVar[str] = "Voucherify"
    Settings: ClassVar[type[AccountSettings]] = VoucherifySettings
    notes: ClassVar[Mapping[str, str]] = {
        "SEGMENT_MEMBERS": (
            "Voucherify updates members some seconds after a change: the list of a new segment"
            " may be incomplete."
        ),
        "SEGMENT_CREATE": (
            "Either with customers (static; at most a hundred by `source_id`, others by id), or"
            " with a rule, whose `native` is Voucherify's filter (auto-update if it emits"
            " membership events, otherwise passive)."
        ),
        "SEGMENT_DELETE": "`force` has no effect.",
        "CUSTOMER_ATTRIBUTES_UPDATE": (
            "Attributes are metadata. The customer's segments follow some seconds later."
        ),
    }
    limits: ClassVar[Sequence[Limit]] = (
        Limit("STATIC_SEGMENT_CUSTOMERS", writes.MAX_CUSTOMERS),
        Limit(DYNAMIC_SEGMENTS, writes.MAX_DYNAMIC_SEGMENTS),
    )
    memberships: ClassVar[frozenset[Membership]] = frozenset(
        {Membership.MANUAL, Membership.RULE, Membership.UNKNOWN}
    )
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False
    finds_by_email: ClassVar[bool] = True
    customer_keys: ClassVar[Sequence[str]] = ("id", "source_id")
    confirms_customer: ClassVar[bool] = False

    def __new__(cls, settings: VoucherifySettings) -> Self:
        """Create a `VoucherifyWithOAuth` if the settings have `oauth`."""
        return super().__new__(cast("type[Self]", VoucherifyWithOAuth) if settings.oauth else cls)

    def __init__(self, settings: VoucherifySettings) -> None:
        self.key = settings.key
        self._settings: VoucherifySettings = settings

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The key pair."""
        return self._key_pair

    @property
    def _key_pair(self) -> Mapping[str, str]:
        return {
            "x-app-id": self._settings.app_id.get_secret_value(),
            "x-app-token": self._settings.app_token.get_secret_value(),
        }

    def rate_limit(self, reply: Reply) -> RateLimitStatus | None:
        """Read the headers that every reply has (docs.voucherify.io/guides/limits).

        `X-Rate-Limit-Limit` does not name its period. It is a minute in the plans Business and
        Organization (read 2026-11-21). Sandbox projects have 100 calls an hour, and an earlier
        version of the page says "an hour or a minute": their limit is taken as per minute, too.
        """
        values = [reply.headers.get(name, "") for name in RATE_LIMIT_HEADERS]
        if not values[0]:
            return None
        # Numbers with more digits are not plausible.
        if not all(text.isascii() and text.isdecimal() and len(text) <= DIGITS for text in values):
            return None
        limit, remaining, resets_at = map(int, values)
        return RateLimitStatus(limit, remaining, resets_at)

    def segments(self, query: SegmentQuery, page: PageRequest) -> Exchange[Page[Segment]]:
        """Read one page of the segments, newest first. `native` is a filter, as JSON."""
        return segments_page(self.key, query, page)

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read segments, up to a hundred in one call."""
        batches = [keys[i : i + MAX_ROWS_PER_CALL] for i in range(0, len(keys), MAX_ROWS_PER_CALL)]
        return [
            ReadBatch(batch, self._listed(batch) if len(batch) > 1 else self._segment(batch[0]))
            for batch in batches
        ]

    def segment_from(self, document: bytes) -> Segment:
        """Return the segment of this document."""
        model = decode_part(self.key, "segments.restore", document, SegmentModel)
        (segment,) = segments_of(self.key, (model,), (document,))
        return segment

    def customers(self, query: CustomerQuery, page: PageRequest) -> Exchange[Page[Customer]]:
        """Read one page of the customers, newest first, of all or those with one email address."""
        params = () if query.email is None else (("email", query.email),)
        show = partial(customers_of, self.key)
        return Customers(self.key, "customers.list", show, params).page(page)

    def customers_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read customers by their `id` or `source_id`, one per call."""
        return [ReadBatch((key,), self._customer(key)) for key in keys]

    def members(self, segment: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read one page of the customers in a segment, newest customer first."""
        show = partial(members_of, self.key, segment)
        params = (("segment_id", segment),)
        return Customers(self.key, "members.list", show, params).page(page)

    def member_count(self, segment: str) -> Exchange[int]:
        """Count the customers in a segment."""
        return count(self.key, "members.count", "/v1/customers", (("segment_id", segment),))

    def segments_of(self, customer: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read the segments that a customer is in.

        For an unknown customer, Voucherify returns the segments that they would be in.
        """
        operation = "segments.of_customer"

        def read(reply: Reply) -> Page[Assignment]:
            models = self._whole(operation, reply, SegmentList[NamedSegmentModel])
            raw = documents(reply, models, name="data")
            rows = assignments_of(self.key, customer, models, raw)
            return page_of_whole_list(rows, page, models)

        call = Call("GET", f"/v1/customers/{path_part(customer)}/segments")
        return Exchange(operation, call, read)

    def used(self, limit: str) -> Exchange[int] | None:
        """Count the segments that have a filter; the other limit applies to each segment."""
        if limit != DYNAMIC_SEGMENTS:
            return None
        params = filters(DYNAMIC).params(None)
        return count(self.key, "segments.count", "/v1/segments", params)

    def create_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with a segment according to the documents."""
        return writes.problems(self.key, draft)

    def members_to_resolve(self, draft: SegmentDraft) -> Sequence[str]:
        """Return the members that may be given by a `source_id`, or else one of all."""
        return writes.members_to_resolve(draft)

    def create_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment: a static one with customers, or one with a filter."""
        return writes.create(self.key, draft)

    def delete_segment(self, key: str, *, force: bool) -> Exchange[None]:
        """Delete a segment. Voucherify does not have `force`."""
        del force
        return writes.delete(self.key, key)

    def update_attributes(
        self, current: Customer, attributes: Mapping[str, Any]
    ) -> Exchange[Customer | None]:
        """Replace the metadata of a customer."""
        return writes.update_metadata(self.key, current, attributes)

    def _segment(self, key: str) -> Exchange[Mapping[str, Segment]]:
        operation = "segments.get"

        def read(reply: Reply) -> "Mapping[str, Segment]":  # quoted: else evaluated for each call
            if reply.status == HTTPStatus.NOT_FOUND:
                return {}
            model = decode(self.key, operation, reply, SegmentModel)
            (segment,) = segments_of(self.key, (model,), (document(reply.body),))
            return {key: segment}

        call = Call("GET", f"/v1/segments/{path_part(key)}")
        return Exchange(operation, call, read, keys=1, bounds_depth=True)

    def _listed(self, keys: Sequence[str]) -> Exchange[Mapping[str, Segment]]:
        operation = "segments.of_ids"

        def read(reply: Reply) -> "Mapping[str, Segment]":  # quoted: else evaluated for each call
            models = self._whole(operation, reply, SegmentList[SegmentModel])
            rows = segments_of(self.key, models, documents(reply, models, name="data"))
            by_key = {row.ref.key: row for row in rows}
            return {key: by_key[key] for key in keys if key in by_key}

        ids = tuple(("ids", key) for key in keys)
        query = (("limit", str(MAX_ROWS_PER_CALL)), NEWEST_FIRST, *ids)
        call = Call("GET", "/v1/segments", query)
        return Exchange(operation, call, read, keys=len(keys), bounds_depth=True)

    def _whole(self, operation: str, reply: Reply, form: type[SegmentList[M]]) -> Sequence[M]:
        """Return the rows of a list that must be complete."""
        body = decode(self.key, operation, reply, form)
        if body.total is not None and length(body.data) < body.total:
            raise Malformed(self.key, operation, detail="fewer rows than its total")
        return body.data

    def _customer(self, key: str) -> Exchange[Mapping[str, Customer]]:
        operation = "customers.get"

        def read(reply: Reply) -> Mapping[str, Customer]:
            if reply.status == HTTPStatus.NOT_FOUND:
                return {}
            model = decode(self.key, operation, reply, CustomerModel)
            (customer,) = customers_of(self.key, (model,), (document(reply.body),))
            return {key: customer}

        call = Call("GET", f"/v1/customers/{path_part(key)}")
        return Exchange(operation, call, read, keys=1, bounds_depth=True)


class VoucherifyWithOAuth(Voucherify):
    """One project whose key pair is exchanged for a token, which is valid for 15 minutes."""

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """None: the key pair goes only to the token endpoint."""
        return NO_HEADERS

    def sign_in(self) -> Exchange[Token]:
        """Request a token with client credentials."""
        form = {"grant_type": "client_credentials", "scope": self._settings.scope}
        headers = {"content-type": "application/x-www-form-urlencoded", **self._key_pair}
        call = Call("POST", "/v1/oauth/token", headers=headers, body=urlencode(form).encode())
        return Exchange("oauth.token", call, self._token)

    def _token(self, reply: Reply) -> Token:
        # Scopes and grant types that the key pair may not use are refused with 400.
        if reply.status == HTTPStatus.BAD_REQUEST:
            raise Denied(self.key, "oauth.token", status=reply.status)
        token = decode_strictly(self.key, "oauth.token", reply, TokenModel)
        return Token(f"Bearer {token.access_token}", token.expires_in)
