"""Request bodies: of the segment service and the customer service, read strictly.

Required fields, types and defaults are those of the vendor's OpenAPI files; unknown fields are
ignored. Nothing may be null, except a customer's `restriction`.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.sandbox.emporix.faults import invalid
from gateway.sandbox.emporix.languages import check_texts

Texts = dict[str, str]
Mixins = dict[str, Any]
Moment = Annotated[datetime, Meta(tz=True)]
NonEmpty = Annotated[str, Meta(min_length=1)]
T = TypeVar("T", bound=Struct)


class Wire(Struct, kw_only=True, rename="camel"):
    """Fields are camelCase on the wire."""


class Metadata(Wire, kw_only=True):
    """What a caller may send in `metadata`: the expected version, and where mixins are defined."""

    version: int | UnsetType = UNSET
    mixins: Mixins | UnsetType = UNSET


class Validity(Struct, kw_only=True):
    """A time frame; either end may be open."""

    start: Moment | UnsetType = msgspec.field(name="from", default=UNSET)
    end: Moment | UnsetType = msgspec.field(name="to", default=UNSET)


class SegmentBody(Wire, kw_only=True):
    """SegmentCreation, SegmentUpdate and SegmentUpdateBulk: name and site are required."""

    id: NonEmpty | UnsetType = UNSET
    name: Annotated[Texts, Meta(min_length=1)]
    description: Texts | UnsetType = UNSET
    validity: Validity | UnsetType = UNSET
    status: Literal["ACTIVE", "INACTIVE"] = "INACTIVE"
    site_code: NonEmpty
    mixins: Mixins | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class AssignmentBody(Wire, kw_only=True):
    """CustomerAssignmentUpsert and ItemAssignmentUpsert, with the ids of the bulk forms."""

    id: NonEmpty | UnsetType = UNSET
    customer_id: NonEmpty | UnsetType = UNSET
    legal_entity_id: str = ""
    mixins: Mixins | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class MatchItem(Struct):
    """A product to be matched."""

    id: str


class MatchBody(Wire, kw_only=True):
    """Which of these products belong to these segments of a site."""

    items: list[MatchItem]
    segment_ids: list[str]
    site: str = ""
    site_code: str = ""


class PatchOperation(Struct, kw_only=True):
    """One operation of RFC 6902; the service knows three."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = UNSET


class Company(Wire, kw_only=True):
    """What may be written of a customer's company."""

    company_registration_id: str | UnsetType = UNSET


class CustomerBody(Wire, kw_only=True):
    """CustomerSignupBySellerDto and CustomerUpdateBySellerDto: nothing is required."""

    id: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,66}$")] | UnsetType = UNSET
    title: str | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    middle_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET
    contact_email: NonEmpty | UnsetType = UNSET
    contact_phone: str | UnsetType = UNSET
    company: str | UnsetType = UNSET
    preferred_language: str = "en_US"
    preferred_currency: Annotated[str, Meta(min_length=3, max_length=3)] = "USD"
    preferred_site: str = "main"
    type: str | UnsetType = UNSET
    photo_url: str | UnsetType = UNSET
    active: bool = True
    on_hold: bool = False
    b2b: Company | UnsetType = UNSET
    mixins: Mixins | UnsetType = UNSET
    restriction: str | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


def read(body: Any, shape: type[T]) -> T:
    """Return a decoded body as `shape`; RefusedError (400) names the invalid field."""
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise invalid(reason, path.strip("`.")) from error


def read_segment(body: Any) -> SegmentBody:
    """Return a segment's body; its texts must be in languages of the tenant."""
    segment = read(body, SegmentBody)
    check_texts(segment.name, "name")
    check_texts(segment.description or {}, "description")
    return segment


def segment_row(segment: SegmentBody, segment_id: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a segment."""
    row: dict[str, Any] = {"id": segment_id, "name": segment.name}
    if segment.description is not UNSET:
        row["description"] = segment.description
    if segment.validity is not UNSET:
        ends = {"from": segment.validity.start, "to": segment.validity.end}
        row["validity"] = {name: stamp(end) for name, end in ends.items() if end is not UNSET}
    row |= {"status": segment.status, "siteCode": segment.site_code}
    if segment.mixins is not UNSET:
        row["mixins"] = segment.mixins
    row["metadata"] = metadata
    return row


def next_metadata(
    old: dict[str, Any] | None, sent: Metadata | UnsetType, now: str
) -> dict[str, Any]:
    """Return the metadata after a successful write: each increments the version."""
    metadata: dict[str, Any] = {
        "createdAt": old["createdAt"] if old else now,
        "modifiedAt": now,
        "version": old["version"] + 1 if old else 1,
    }
    if sent is not UNSET and sent.mixins is not UNSET:
        metadata["mixins"] = sent.mixins
    return metadata


def has_version(sent: Metadata | UnsetType) -> bool:
    """Return whether the caller sent a version."""
    return sent is not UNSET and sent.version is not UNSET


def is_stale(sent: Metadata | UnsetType, current: int) -> bool:
    """Return whether the caller expects another version; without a version nothing is checked."""
    return sent is not UNSET and sent.version not in {UNSET, current}


@lru_cache(2_000)
def stamp(moment: datetime) -> str:
    """Format a moment as the services do: UTC, milliseconds, Z."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
