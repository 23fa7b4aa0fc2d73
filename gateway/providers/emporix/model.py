"""What Emporix answers, as wire models, and the domain values they become.

Facts: the OpenAPI files of the customer segment, customer and OAuth services in
github.com/emporix/api-references, read 2026-11-21. Parts that a segment or an assignment cannot
be without are required; all others may be absent or null.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple, SupportsBytes

import msgspec

from gateway.domain import (
    NO_TEXTS,
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Customer,
    CustomerKey,
    Item,
    ItemKind,
    Membership,
    Ref,
    Segment,
    Status,
    Texts,
)
from gateway.reading import utc

Id = Annotated[str, msgspec.Meta(min_length=1)]

# A text comes in all its languages, as `Accept-Language: *` asks for. What a service does that
# knows one language only is not stated; elsewhere at Emporix it is a plain string. In the map,
# q-param knows of languages that are null.
Translated = str | dict[str, str | None]

STATUSES: Mapping[str | None, Status] = {"ACTIVE": Status.ACTIVE, "INACTIVE": Status.INACTIVE}
ASSIGNMENT_KINDS: Mapping[str | None, AssignmentKind] = {
    "MANUAL": AssignmentKind.MANUAL,
    "AUTOMATIC": AssignmentKind.AUTOMATIC,
}
ITEM_KINDS: Mapping[str, ItemKind] = {
    "PRODUCT": ItemKind.PRODUCT,
    "CATEGORY": ItemKind.CATEGORY,
}


class Account(NamedTuple):
    """Whose answers are read: the provider's key, and the language of texts that tell none."""

    key: str
    language: str


class TokenModel(msgspec.Struct, frozen=True, gc=False):
    """The answer of the token endpoint; `expires_in` in seconds."""

    # The characters that RFC 6749, A.12, allows, without the blank: it goes into a header.
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: Annotated[float, msgspec.Meta(ge=0)]


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What Emporix itself keeps about a document."""

    created_at: datetime | None = None
    modified_at: datetime | None = None
    version: int | None = None


NO_METADATA = Metadata()


class Validity(msgspec.Struct, frozen=True, gc=False):
    """A time frame, open where an end is absent."""

    start: datetime | None = msgspec.field(name="from", default=None)
    end: datetime | None = msgspec.field(name="to", default=None)


ALWAYS = Validity()


class SegmentModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A segment."""

    id: Id
    name: Translated
    description: Translated | None = None
    validity: Validity | None = None
    status: str | None = None
    site_code: str | None = None
    mixins: dict[str, Any] | None = None
    metadata: Metadata | None = None


class CustomerModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A customer, as the customer service tells it."""

    id: Id
    customer_number: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    mixins: dict[str, Any] | None = None


class NamedModel(msgspec.Struct, frozen=True, gc=False):
    """A customer or legal entity inside an assignment: a copy, of which little is sure."""

    id: Id
    name: str | None = None


class AssignmentModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The assignment of a customer to the segment whose path was asked."""

    customer: NamedModel
    legal_entity: NamedModel | None = None
    assignment_type: str | None = None
    metadata: Metadata | None = None


class ItemModel(msgspec.Struct, frozen=True, gc=False):
    """A product or category inside an assignment: a copy."""

    id: Id
    code: str | None = None
    name: Translated | None = None


class ItemAssignmentModel(msgspec.Struct, frozen=True, gc=False):
    """The assignment of an item to the segment whose path was asked."""

    item: ItemModel
    type: str
    metadata: Metadata | None = None


class MatchModel(msgspec.Struct, frozen=True, gc=False):
    """One item that matched."""

    id: Id


def _texts(account: Account, told: Translated | None) -> Texts:
    if told is None:
        return NO_TEXTS
    texts: Mapping[str, Any] = {account.language: told} if isinstance(told, str) else told
    if None in texts.values():
        texts = {language: text for language, text in texts.items() if text is not None}
    return Texts(texts, account.language)


def segment_of(account: Account, told: SegmentModel, raw: SupportsBytes) -> Segment:
    """Return a segment. All are lists kept by hand: Emporix has no rules."""
    metadata = told.metadata or NO_METADATA
    validity = told.validity or ALWAYS
    return Segment(
        ref=Ref(account.key, told.id),
        names=_texts(account, told.name),
        descriptions=_texts(account, told.description),
        membership=Membership.MANUAL,
        status=STATUSES.get(told.status, Status.UNKNOWN),
        valid_from=validity.start and utc(validity.start),
        valid_to=validity.end and utc(validity.end),
        site_code=told.site_code,
        created_at=metadata.created_at and utc(metadata.created_at),
        updated_at=metadata.modified_at and utc(metadata.modified_at),
        version=metadata.version,
        attributes=told.mixins,
        raw=raw,
    )


def customer_of(account: Account, told: CustomerModel, raw: SupportsBytes) -> Customer:
    """Return a customer. Its number is its id in every example; only another one is kept."""
    keys = [CustomerKey("id", told.id)]
    if told.customer_number and told.customer_number != told.id:
        keys.append(CustomerKey("customerNumber", told.customer_number))
    names = (told.first_name, told.middle_name, told.last_name)
    return Customer(
        ref=Ref(account.key, told.id),
        keys=tuple(keys),
        name=" ".join(filter(None, names)) or told.company,
        email=told.contact_email,
        phone=told.contact_phone,
        attributes=told.mixins,
        raw=raw,
    )


def assignment_of(
    account: Account, segment: str, told: AssignmentModel, _raw: SupportsBytes | None = None
) -> Assignment:
    """Return a customer's assignment to this segment; the customer itself is read elsewhere."""
    metadata = told.metadata or NO_METADATA
    entity = told.legal_entity
    return Assignment(
        ref=AssignmentRef(account.key, segment, told.customer.id, entity.id if entity else None),
        legal_entity_name=entity.name if entity else None,
        kind=ASSIGNMENT_KINDS.get(told.assignment_type, AssignmentKind.UNKNOWN),
        created_at=metadata.created_at and utc(metadata.created_at),
        updated_at=metadata.modified_at and utc(metadata.modified_at),
        version=metadata.version,
    )


def item_of(account: Account, told: ItemAssignmentModel, _raw: SupportsBytes) -> Item:
    """Return an item of a segment, with the times of its assignment."""
    metadata = told.metadata or NO_METADATA
    return Item(
        key=told.item.id,
        kind=ITEM_KINDS.get(told.type, ItemKind.UNKNOWN),
        code=told.item.code,
        names=_texts(account, told.item.name),
        created_at=metadata.created_at and utc(metadata.created_at),
        updated_at=metadata.modified_at and utc(metadata.modified_at),
    )
