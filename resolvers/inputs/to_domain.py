"""Convert inputs of mutations to domain values, and collect the mistakes in them.

Everything that can be checked in the input alone is checked here, and reported at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import strawberry

from gateway.context import AssignmentFields, ReplacementEntry, UserErrors
from gateway.domain.entities import AssignmentRef, ItemKind, Ref
from gateway.domain.mutations import (
    Assignee,
    Reason,
    SegmentChanges,
    SegmentDraft,
    Tag,
    UserError,
    Validity,
)
from gateway.errors import BadInput
from resolvers import global_ids as ids
from resolvers.global_ids import Kind
from resolvers.inputs.filters import given

UNSET = strawberry.UNSET


class Problems:
    """Collects the mistakes in an input."""

    def __init__(self) -> None:
        """Start empty."""
        self._errors: list[UserError] = []

    def note(self, message: str, *field: str, reason: Reason = Reason.INVALID) -> None:
        """Add a mistake at this path of the input."""
        self._errors.append(UserError(message, reason, field or None))

    @property
    def errors(self) -> tuple[UserError, ...]:
        """All mistakes."""
        return tuple(self._errors)

    def raise_if_any(self) -> None:
        """Raise `UserErrors` if there are mistakes."""
        if self._errors:
            raise UserErrors(*self._errors)


EMPTY_ID = "An id must not be empty."


def own_id(text: str | None, problems: Problems, *field: str) -> None:
    """Note an empty provider id: in a URL path it would address another resource, or all."""
    if text == "":
        problems.note(EMPTY_ID, *field)


def texts(value: Any, problems: Problems, *field: str) -> Mapping[str, str] | None:
    """Return localized texts by language; each language may occur once."""
    if value is None or value is strawberry.UNSET:
        return None
    by_language: dict[str, str] = {}
    for index, each in enumerate(value):
        if each.language in by_language:
            problems.note(
                f"The language {each.language!r} occurs twice.",
                *field,
                str(index),
                "language",
            )
        by_language[each.language] = each.text
    return by_language


def validity(value: Any) -> Validity | None:
    """Return a period of validity."""
    if value is None or value is strawberry.UNSET:
        return None
    return Validity(given(value.from_), given(value.to))


def json_object(value: Any, problems: Problems, *field: str) -> Mapping[str, Any] | None:
    """Return a JSON object; other JSON values are a mistake."""
    if value is None or value is strawberry.UNSET:
        return None
    if not isinstance(value, dict):
        problems.note("This must be a JSON object.", *field)
        return None
    return value


def draft(value: Any, problems: Problems) -> SegmentDraft:
    """Return the draft of a segment to create, to upsert, or in a bulk row."""
    for one, several in (("name", "names"), ("description", "descriptions")):
        if given(getattr(value, one)) is not None and given(getattr(value, several)) is not None:
            problems.note(f"Give {one} or {several}, not both.", several)
    return SegmentDraft(
        key=given(value.external_id),
        name=given(value.name),
        names=texts(value.names, problems, "names"),
        description=given(value.description),
        descriptions=texts(value.descriptions, problems, "descriptions"),
        status=given(value.status),
        validity=validity(value.validity),
        site_code=given(value.site_code),
        attributes=json_object(value.attributes, problems, "attributes"),
        version=given(getattr(value, "version", None)),
    )


def new_segment(value: Any, provider: str) -> tuple[SegmentDraft, tuple[UserError, ...]]:
    """Return the draft of a new segment, and the mistakes in the input."""
    problems = Problems()
    segment = draft(value, problems)
    rule = given(value.rule)
    segment = msgspec.structs.replace(
        segment,
        customers=members(value, provider, problems),
        rule=None if rule is None else json_object(rule.native, problems, "rule", "native"),
        emits_membership_events=given(value.emits_membership_events),
        priority=given(value.priority),
    )
    return segment, problems.errors


def whole_segment(value: Any) -> tuple[SegmentDraft, tuple[UserError, ...]]:
    """Return the draft of an upsert, and the mistakes in the input."""
    problems = Problems()
    segment = draft(value, problems)
    return segment, problems.errors


def rows(values: Sequence[Any], provider: str) -> Sequence[SegmentDraft | tuple[UserError, ...]]:
    """Return the draft or the mistakes of each row; a bad row does not affect the others."""
    drafts = (new_segment(value, provider) for value in values)
    return [errors or segment for segment, errors in drafts]


def members(value: Any, provider: str, problems: Problems) -> tuple[str, ...] | None:
    """Return the provider's own ids of the members, without duplicates."""
    global_ids, own = given(value.customers), given(value.customer_external_ids)
    if global_ids is None and own is None:
        return None
    keys: dict[str, None] = {}
    for index, text in enumerate(global_ids or ()):
        ref = read(text, Kind.CUSTOMER, problems, "customers", str(index))
        if ref is not None and ref.provider != provider:
            problems.note(
                f"This is not a customer of provider {provider!r}.", "customers", str(index)
            )
        # An invalid id counts, too: its problem is noted, and the list is not empty.
        keys[text if ref is None else ref.key] = None
    for index, text in enumerate(own or ()):
        own_id(text, problems, "customerExternalIds", str(index))
    keys.update(dict.fromkeys(own or ()))
    return tuple(keys)


def changes(value: Any) -> tuple[Ref, SegmentChanges, tuple[UserError, ...]]:
    """Return the ref of an update, its changes, and the mistakes in the input.

    Missing fields are UNSET, null is None. Raises `UserErrors` for an invalid id.
    """
    problems = Problems()
    ref = read(value.id, Kind.SEGMENT, problems, "id")
    for one, several in (("name", "names"), ("description", "descriptions")):
        if getattr(value, one) is not UNSET and getattr(value, several) is not UNSET:
            problems.note(f"Give {one} or {several}, not both.", several)
    parts: dict[str, Any] = {}
    for name in SegmentChanges.__struct_fields__:
        part = getattr(value, name)
        if name == "version" or part is UNSET:
            continue
        if name in {"names", "descriptions"}:
            parts[name] = texts(part, problems, name)
        elif name == "validity":
            parts[name] = validity(part)
        elif name == "attributes":
            parts[name] = json_object(part, problems, name)
        else:
            parts[name] = part
    if not parts:
        problems.note("There is nothing to change.", reason=Reason.REQUIRED)
    if ref is None:
        raise UserErrors(*problems.errors)
    return ref, SegmentChanges(**parts, version=given(value.version)), problems.errors


def customer_attributes(
    value: Any,
) -> tuple[Ref, Mapping[str, Any], str, tuple[UserError, ...]]:
    """Return a customer, the patch of their attributes, and the field that names the customer.

    Also returns the mistakes in the patch. Raises `UserErrors` if the customer is not named.
    """
    problems = Problems()
    patch = json_object(value.attributes, problems, "attributes")
    customer, identity = given(value.customer_id), given(value.identity)
    ref, field = None, "customerId" if identity is None else "identity"
    if (customer is None) is (identity is None):
        text = "Give exactly one of customerId and identity."
        problems.note(text, reason=Reason.REQUIRED)
    elif identity is None:
        ref = read(customer or "", Kind.CUSTOMER, problems, field)
    elif not identity.external_id:
        problems.note(EMPTY_ID, field, "externalId")
    else:
        ref = Ref(identity.provider, identity.external_id)
    if ref is None:
        raise UserErrors(*problems.errors)
    return ref, patch or {}, field, problems.errors


def read(text: str, kind: Kind, problems: Problems, *field: str) -> Ref | None:
    """Decode a global id of this kind; anything else is a mistake."""
    try:
        return ids.segment(text) if kind is Kind.SEGMENT else ids.customer(text)
    except BadInput as error:
        problems.note(str(error), *field)
        return None


def segment_ref(text: str, *field: str) -> Ref:
    """Decode the global id of a segment. Raises `UserErrors`."""
    problems = Problems()
    ref = read(text, Kind.SEGMENT, problems, *field)
    problems.raise_if_any()
    return ref or Ref("", "")


def segment_refs(global_ids: Sequence[str], *field: str) -> Sequence[Ref]:
    """Decode global ids of segments. Raises `UserErrors` for all invalid ones."""
    problems = Problems()
    refs = [
        read(text, Kind.SEGMENT, problems, *field, str(index))
        for index, text in enumerate(global_ids)
    ]
    problems.raise_if_any()
    return [ref for ref in refs if ref is not None]


def segment_rows(texts: Sequence[str]) -> Sequence[Ref | UserError]:
    """Return the segment that each global id names, or the error of a bad id."""
    return [_segment_row(text) for text in texts]


def _segment_row(text: str) -> Ref | UserError:
    try:
        return ids.segment(text)
    except BadInput as error:
        return UserError(str(error), Reason.INVALID)


def items(value: Any) -> tuple[Ref, Sequence[tuple[ItemKind, str]]]:
    """Return the segment and the items of an input. Raises `UserErrors`."""
    segment, problems = segment_ref(value.segment_id, "segmentId"), Problems()
    for index, item in enumerate(value.items):
        if item.type is ItemKind.UNKNOWN:
            problems.note("UNKNOWN is not a type of items.", "items", str(index), "type")
        own_id(item.external_id, problems, "items", str(index), "externalId")
    problems.raise_if_any()
    return segment, [(item.type, item.external_id) for item in value.items]


def replacements(value: Any) -> Sequence[ReplacementEntry]:
    """Return the new segments of customers; a bad entry does not affect the others."""
    entries = []
    for each in value.customers:
        problems = Problems()
        tags, segment_ids = given(each.segments), given(each.segment_ids)
        if tags is not None and segment_ids is not None:
            problems.note("Give segments or segmentIds, not both.", "segmentIds")
        refs = [
            read(text, Kind.SEGMENT, problems, "segmentIds", str(index))
            for index, text in enumerate(segment_ids or ())
        ]
        entries.append(
            ReplacementEntry(
                each.external_id,
                None if tags is None else tuple(Tag(tag.type, tag.value) for tag in tags),
                None if segment_ids is None else tuple(ref for ref in refs if ref is not None),
                problems.errors,
            )
        )
    return entries


def assignee(value: Any, provider: str) -> Assignee | UserError:
    """Return the assignee of a row, or its mistake with a path below the row."""
    customer, identity = given(value.customer_id), given(value.identity)
    if (customer is None) is (identity is None):
        return UserError("Give exactly one of customerId and identity.", Reason.REQUIRED)
    try:
        legal_entity = _legal_entity(given(value.legal_entity_id), provider)
    except BadInput as error:
        return UserError(str(error), Reason.INVALID, ("legalEntityId",))
    if identity is not None:
        return _identified(identity, provider, legal_entity)
    ref = read(customer or "", Kind.CUSTOMER, Problems(), "customerId")
    if ref is None:
        problem: tuple[str, str | None] = ("This is not the id of a customer.", None)
    elif ref.provider != provider:
        message = f"This is not a customer of provider {provider!r}, which has the segment."
        problem = (message, provider)
    else:
        return Assignee(ref.key, legal_entity)
    return UserError(problem[0], Reason.INVALID, ("customerId",), problem[1])


def _identified(identity: Any, provider: str, legal_entity: str | None) -> Assignee | UserError:
    if not identity.external_id:
        return UserError(EMPTY_ID, Reason.INVALID, ("identity", "externalId"))
    if identity.provider != provider:
        message = f"The segment belongs to provider {provider!r}."
        return UserError(message, Reason.INVALID, ("identity", "provider"), provider)
    return Assignee(identity.external_id, legal_entity)


def _legal_entity(text: str | None, provider: str) -> str | None:
    """Return the provider's own id of a legal entity, which may be given by its global id.

    Raises `BadInput` for an empty one, and for the global id of anything else.
    """
    if text == "":
        raise BadInput(EMPTY_ID)
    try:
        kind, (owner, *keys) = ids.read(text or "")
    except BadInput:
        return text
    if kind is not Kind.LEGAL_ENTITY:
        raise BadInput("This is not the id of a legal entity.")
    if owner != provider:
        raise BadInput(f"This is not a legal entity of provider {provider!r}.")
    return keys[0]


def assignees(value: Any) -> tuple[Ref, Sequence[Assignee | UserError]]:
    """Return the segment of a bulk, and the assignee or the error of each row."""
    segment = segment_ref(value.segment_id, "segmentId")
    return segment, [assignee(row, segment.provider) for row in value.assignments]


def assignment(value: Any) -> tuple[Ref, Assignee, AssignmentFields]:
    """Return the segment and assignee of an input, and the fields that name them.

    The input has the id of the assignment, or segment and customer. Raises `UserErrors`.
    """
    text = given(getattr(value, "id", None))
    if text is not None:
        try:
            kind, parts = ids.read(text)
        except BadInput as error:
            raise UserErrors(UserError(str(error), Reason.INVALID, ("id",))) from error
        if kind is not Kind.ASSIGNMENT:
            message = "This is not the id of an assignment."
            raise UserErrors(UserError(message, Reason.INVALID, ("id",)))
        ref = AssignmentRef(*parts)
        segment, customer = (
            Ref(ref.provider, ref.segment),
            Assignee(ref.customer, ref.legal_entity),
        )
        return segment, customer, AssignmentFields("id", ("id",), "id")
    if given(value.segment_id) is None:
        raise UserErrors(UserError("Give id, or segmentId and a customer.", Reason.REQUIRED))
    segment = segment_ref(value.segment_id, "segmentId")
    named = assignee(value, segment.provider)
    if isinstance(named, UserError):
        raise UserErrors(named)
    if given(value.identity) is None:
        return segment, named, AssignmentFields()
    return segment, named, AssignmentFields(customer=("identity", "externalId"))
