"""Heron: the audiences of one loyalty app. Facts: README.md, which invented this vendor."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal, SupportsBytes, TypeVar

import msgspec
from pydantic import Field, SecretStr

from gateway.domain.entities import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Condition,
    Customer,
    CustomerKey,
    Limit,
    Membership,
    Ref,
    Rule,
    Segment,
    Status,
)
from gateway.domain.pages import Page, PageRequest
from gateway.domain.queries import SegmentQuery
from gateway.domain.texts import plain
from gateway.errors import BadInput, Malformed
from gateway.providers.base.adapter import ReadBatch
from gateway.providers.base.cursor_pages import cursor_page, position
from gateway.providers.base.decoding import (
    Documented,
    Id,
    Int32,
    decode,
    document,
    documents,
    path_part,
    utc,
)
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.lenient_decoding import length
from gateway.providers.base.settings import AccountSettings
from gateway.providers.base.webhooks import WebhookAccountSettings
from provider_heron.webhooks import HeronWebhooks

T = TypeVar("T")

AUDIENCES = "/v1/audiences"
MAX_ROWS_PER_CALL = 100


class HeronSettings(WebhookAccountSettings):
    """An account at Heron."""

    kind: Literal["heron"]
    api_key: Annotated[SecretStr, Field(min_length=1)]


class ConditionModel(msgspec.Struct, frozen=True, gc=False):
    """One condition of a rule; all conditions must hold."""

    field: str
    operator: str
    value: Any


class AudienceModel(msgspec.Struct, frozen=True, gc=False):
    """An audience; `rule` is null if its members are added by hand."""

    id: Id
    name: Documented[str]
    rule: dict[str, Any] | None
    size: Documented[Int32]
    created_at: Documented[datetime]


class MemberModel(msgspec.Struct, frozen=True, gc=False):
    """A member of an audience; `email` is null if Heron does not know it."""

    id: Id
    name: Documented[str]
    email: str | None
    joined_at: Documented[datetime]


class AudienceList(msgspec.Struct, frozen=True, gc=False):
    """A page of audiences. An odd cursor is Malformed: as null it would end the list early."""

    data: list[AudienceModel]
    next: Id | None


class MemberList(msgspec.Struct, frozen=True, gc=False):
    """A page of members."""

    data: list[MemberModel]
    next: Id | None


class Heron(HeronWebhooks):
    """One app at Heron."""

    kind: ClassVar[str] = "heron"
    label: ClassVar[str] = "Heron"
    Settings: ClassVar[type[AccountSettings]] = HeronSettings
    notes: ClassVar[Mapping[str, str]] = {"SEGMENT_LIST": "Heron cannot filter: the gateway does."}
    limits: ClassVar[Sequence[Limit]] = (Limit("rows per page", MAX_ROWS_PER_CALL),)
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.MANUAL, Membership.RULE})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False

    def __init__(self, settings: HeronSettings) -> None:
        """Store the settings."""
        self.key = settings.key
        self._api_key = settings.api_key
        self._settings = settings

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The account's key."""
        return {"x-heron-key": self._api_key.get_secret_value()}

    def segments(self, query: SegmentQuery, page: PageRequest) -> Exchange[Page[Segment]]:
        """Read a page of the audiences."""
        if query.native is not None:
            raise BadInput("Heron has no query language.")
        return self._page("segments.list", AUDIENCES, page, AudienceList, self._segment)

    def segments_by_key(self, keys: Sequence[str]) -> Sequence[ReadBatch]:
        """Read audiences, one per call."""
        return [ReadBatch((key,), self._by_key(key)) for key in keys]

    def members(self, segment: str, page: PageRequest) -> Exchange[Page[Assignment]]:
        """Read a page of an audience's members, each with its customer."""
        path = f"{AUDIENCES}/{path_part(segment)}/members"
        return self._page("members.list", path, page, MemberList, partial(self._member, segment))

    def member_count(self, segment: str) -> Exchange[int]:
        """Read the number of members, which the audience itself has."""
        operation = "members.count"

        def read(reply: Reply) -> int:
            audience = decode(self.key, operation, reply, AudienceModel)
            if audience.size is None:
                raise Malformed(self.key, operation, detail="no size - at `$.size`")
            return audience.size

        return Exchange(operation, Call("GET", f"{AUDIENCES}/{path_part(segment)}"), read)

    def _by_key(self, key: str) -> Exchange[Mapping[str, Segment]]:
        operation = "segments.get"

        def read(reply: Reply) -> Mapping[str, Segment]:
            if reply.status == HTTPStatus.NOT_FOUND:
                return {}
            audience = decode(self.key, operation, reply, AudienceModel)
            return {key: self._segment(audience, document(reply.body))}

        return Exchange(operation, Call("GET", f"{AUDIENCES}/{path_part(key)}"), read)

    def _page(
        self,
        operation: str,
        path: str,
        page: PageRequest,
        form: type[Any],
        show: Callable[[Any, SupportsBytes], T],
    ) -> Exchange[Page[T]]:
        start = position(page.position)
        size = min(start.skip + page.size, MAX_ROWS_PER_CALL)
        cursor = (("cursor", start.cursor),) if start.cursor else ()

        def read(reply: Reply) -> Page[T]:
            listed = decode(self.key, operation, reply, form)
            if length(listed.data) > size:
                raise Malformed(self.key, operation, detail="more rows than requested")
            raw = documents(reply, listed.data, name="data")
            rows = [show(row, json) for row, json in zip(listed.data, raw, strict=True)]
            return cursor_page(rows, start, listed.next, decoded=listed.data)

        return Exchange(operation, Call("GET", path, (("limit", str(size)), *cursor)), read)

    def _segment(self, audience: AudienceModel, json: SupportsBytes) -> Segment:
        return Segment(
            ref=Ref(self.key, audience.id),
            names=plain(audience.name),
            membership=Membership.MANUAL if audience.rule is None else Membership.RULE,
            rule=None if audience.rule is None else Rule(audience.rule, conditions),
            created_at=utc(audience.created_at),
            raw=json,
        )

    def _member(self, segment: str, member: MemberModel, json: SupportsBytes) -> Assignment:
        customer = Customer(
            ref=Ref(self.key, member.id),
            keys=(CustomerKey("id", member.id),),
            name=member.name,
            email=member.email,
            raw=json,
        )
        return Assignment(
            ref=AssignmentRef(self.key, segment, member.id),
            kind=AssignmentKind.UNKNOWN,  # the list does not say whether by the rule or by hand
            created_at=utc(member.joined_at),
            customer=customer,
        )


def conditions(native: Mapping[str, Any]) -> Sequence[Condition]:
    """Return the conditions of a rule: `{"all": [{field, operator, value}, …]}`.

    Anything else has no documented meaning; it is only in `Rule.native`.
    """
    listed = native.get("all")
    result = []
    for index, each in enumerate(listed if isinstance(listed, list) else ()):
        try:
            model = msgspec.convert(each, ConditionModel)
        except msgspec.ValidationError:
            continue
        values = tuple(model.value) if isinstance(model.value, list) else (model.value,)
        result.append(Condition(f"/all/{index}", model.field, model.operator, values))
    return result
