"""Emporix's replies as wire models, and their conversion to domain values.

Facts: the OpenAPI files of the customer segment, customer and OAuth services in
github.com/emporix/api-references, read 2026-11-21. Parts that a segment or an assignment
always has are required; all others may be absent or null.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Annotated, Any, NamedTuple, SupportsBytes

import msgspec

from gateway.domain.entities import (
    Assignment,
    AssignmentKind,
    AssignmentRef,
    Customer,
    CustomerKey,
    Item,
    ItemKind,
    Membership,
    Origin,
    Ref,
    Segment,
    Status,
)
from gateway.domain.lazy_rows import Columns, same
from gateway.domain.texts import NO_TEXTS, LazyTexts, Texts
from gateway.providers.base.decoding import Documented, Id, Int32, times, utc

# A text comes in all its languages, as `Accept-Language: *` requests. Whether a text in one
# language is a plain string, as in other services of Emporix, is not documented. According to
# q-param, a language in the map may be null.
Translated = str | dict[str, str | None]


class Account(NamedTuple):
    """The provider's key, and the language of texts that come without one."""

    key: str
    language: str


class TokenModel(msgspec.Struct, frozen=True, gc=False):
    """The reply of the token endpoint; `expires_in` is in seconds."""

    # The characters of RFC 6749, A.12, except the space: the token is sent in a header.
    access_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]+\Z")]
    expires_in: Annotated[float, msgspec.Meta(ge=0)]


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What Emporix itself sets about a document."""

    created_at: datetime | None = None
    modified_at: datetime | None = None
    version: Int32 | None = None


NO_METADATA = Metadata()


class Validity(msgspec.Struct, frozen=True, gc=False):
    """A time frame; an end that is absent is open."""

    start: datetime | None = msgspec.field(name="from", default=None)
    end: datetime | None = msgspec.field(name="to", default=None)


ALWAYS = Validity()


class SegmentModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A segment."""

    id: Id
    name: Documented[Translated]
    description: Translated | None = None
    validity: Validity | None = None
    status: Status | None = None
    site_code: str | None = None
    mixins: dict[str, Any] | None = None
    metadata: Metadata | None = None


class CustomerModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A customer of the customer service."""

    id: Id
    customer_number: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    business_model: str | None = None
    mixins: dict[str, Any] | None = None


class AssignedCustomerModel(msgspec.Struct, frozen=True, gc=False):
    """A customer in an assignment: a copy, which may be incomplete and is not used."""

    id: Id


class LegalEntityModel(msgspec.Struct, frozen=True, gc=False):
    """A legal entity in an assignment: a copy, which may be incomplete."""

    id: Id
    name: str | None = None


class AssignmentModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The assignment of a customer to the segment in the path."""

    customer: AssignedCustomerModel
    legal_entity: LegalEntityModel | None = None
    assignment_type: AssignmentKind | None = None
    metadata: Metadata | None = None


class ItemModel(msgspec.Struct, frozen=True, gc=False):
    """A product or category in an assignment: a copy."""

    id: Id
    code: str | None = None
    name: Translated | None = None


class ItemAssignmentModel(msgspec.Struct, frozen=True, gc=False):
    """The assignment of an item to the segment in the path."""

    item: ItemModel
    type: Documented[ItemKind]
    metadata: Metadata | None = None


class SegmentOfItemModel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The assignment of an item to any segment."""

    segment_id: Id
    item: ItemModel
    type: Documented[str]


class MatchModel(msgspec.Struct, frozen=True, gc=False):
    """One item that matched."""

    id: Id


def _texts(language: str, value: Translated | None) -> Texts:
    if isinstance(value, dict):
        texts: Mapping[str, Any] = value
        if None in texts.values():
            texts = {tag: text for tag, text in texts.items() if text is not None}
        return Texts(texts, language)
    return NO_TEXTS if value is None else Texts({language: value}, language)


def _texts_of_each(language: str, values: Sequence[Translated | None]) -> Sequence[Texts]:
    """Return the same for the texts of many rows: mostly all have some, in languages."""
    texts: Any = values
    with suppress(TypeError):  # another type has no `values`
        if all(chain.from_iterable(map(dict.values, texts))):
            return [*map(Texts, texts, repeat(language))]
    return [_texts(language, value) for value in values]


# Rows are converted in one comprehension: a call per row would take as long as the conversion.
# Accessing an enum's member takes 0.1 µs (Python 3.11), so that is done outside the loop. Calling
# `utc` takes as long, so that is done only for times with another offset.


def segments_of(
    account: Account, models: Sequence[SegmentModel], raw: Iterable[SupportsBytes]
) -> list[Segment]:
    """Convert segments. All are maintained manually: Emporix has no rules."""
    key, language = account
    manual, unknown = Membership.MANUAL, Status.UNKNOWN
    return [
        Segment(
            ref=Ref(key, each.id),
            names=names,
            descriptions=descriptions,
            membership=manual,
            status=each.status or unknown,
            valid_from=at if (at := validity.start) is None or at.tzinfo is UTC else utc(at),
            valid_to=at if (at := validity.end) is None or at.tzinfo is UTC else utc(at),
            site_code=each.site_code,
            created_at=at if (at := metadata.created_at) is None or at.tzinfo is UTC else utc(at),
            updated_at=at if (at := metadata.modified_at) is None or at.tzinfo is UTC else utc(at),
            version=metadata.version,
            attributes=each.mixins,
            raw=document,
        )
        for each, names, descriptions, document in zip(
            models,
            _texts_of_each(language, [each.name for each in models]),
            _texts_of_each(language, [each.description for each in models]),
            raw,
            strict=True,
        )
        for metadata in (each.metadata or NO_METADATA,)
        for validity in (each.validity or ALWAYS,)
    ]


def segment_columns(language: str) -> Columns[SegmentModel, Segment]:
    """Return how lists of segments are read by column."""
    unknown = Status.UNKNOWN

    # What has no text in the language, or is a plain text, raises.
    def names(models: Sequence[Any]) -> LazyTexts:
        return LazyTexts(
            len(models),
            language,
            lambda: _texts_of_each(language, [each.name for each in models]),
            lambda tag: [each.name[tag] for each in models],
        )

    def descriptions(models: Sequence[Any]) -> LazyTexts:
        return LazyTexts(
            len(models),
            language,
            lambda: _texts_of_each(language, [each.description for each in models]),
            lambda tag: [each.description[tag] for each in models],
        )

    by_path: Mapping[str, Callable[[Sequence[SegmentModel]], Sequence[Any]]] = {
        "ref.key": lambda models: [each.id for each in models],
        "names": names,
        "descriptions": descriptions,
        "membership": same(Membership.MANUAL),
        "emits_membership_events": same(value=False),
        "status": lambda models: [each.status or unknown for each in models],
        "site_code": lambda models: [each.site_code for each in models],
        "priority": same(None),
        "created_at": lambda models: times(
            [(each.metadata or NO_METADATA).created_at for each in models]
        ),
        "updated_at": lambda models: times(
            [(each.metadata or NO_METADATA).modified_at for each in models]
        ),
        "version": lambda models: [(each.metadata or NO_METADATA).version for each in models],
        "attributes": lambda models: [each.mixins for each in models],
        "origin": same(Origin.LIVE),
    }
    return Columns(Segment, by_path)


def customers_of(
    account: Account, models: Iterable[CustomerModel], raw: Iterable[SupportsBytes]
) -> list[Customer]:
    """Convert customers. In every example the number is the id; it is a key only if it differs."""
    key = account.key
    return [
        Customer(
            ref=Ref(key, each.id),
            keys=(
                (CustomerKey("id", each.id), CustomerKey("customerNumber", each.customer_number))
                if each.customer_number and each.customer_number != each.id
                else (CustomerKey("id", each.id),)
            ),
            name=" ".join(filter(None, (each.first_name, each.middle_name, each.last_name)))
            or each.company,
            email=each.contact_email,
            phone=each.contact_phone,
            attributes=each.mixins,
            raw=document,
            acts_alone=each.business_model == "B2C",
        )
        for each, document in zip(models, raw, strict=True)
    ]


def assignments_of(
    account: Account,
    segment: str,
    models: Iterable[AssignmentModel],
    _raw: Iterable[SupportsBytes] = (),
) -> list[Assignment]:
    """Convert assignments to this segment, without their customers."""
    key, unknown = account.key, AssignmentKind.UNKNOWN
    return [
        Assignment(
            ref=AssignmentRef(key, segment, each.customer.id, entity.id if entity else None),
            legal_entity_name=entity.name if entity else None,
            kind=each.assignment_type or unknown,
            created_at=at if (at := metadata.created_at) is None or at.tzinfo is UTC else utc(at),
            updated_at=at if (at := metadata.modified_at) is None or at.tzinfo is UTC else utc(at),
            version=metadata.version,
        )
        for each in models
        for metadata in (each.metadata or NO_METADATA,)
        for entity in (each.legal_entity,)
    ]


def items_of(
    account: Account, models: Iterable[ItemAssignmentModel], _raw: Iterable[SupportsBytes]
) -> list[Item]:
    """Convert items of a segment, with the times of their assignments."""
    unknown = ItemKind.UNKNOWN
    return [
        Item(
            key=each.item.id,
            kind=each.type or unknown,
            code=each.item.code,
            names=_texts(account.language, each.item.name),
            created_at=utc(metadata.created_at),
            updated_at=utc(metadata.modified_at),
        )
        for each in models
        for metadata in (each.metadata or NO_METADATA,)
    ]
