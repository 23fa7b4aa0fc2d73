"""What inputs of writing mean in the words of `mutations`, and what is wrong with them.

Everything that the inputs tell by themselves is checked here, all of it at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import strawberry

from gateway.context import ReplacementEntry, UserErrors
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
    """Collects the caller's mistakes."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: list[UserError] = []

    def note(self, message: str, *field: str, reason: Reason = Reason.INVALID) -> None:
        """Keep one."""
        self._found.append(UserError(message, reason, field or None))

    @property
    def found(self) -> tuple[UserError, ...]:
        """All of them."""
        return tuple(self._found)

    def refuse(self) -> None:
        """Raise all of them at once; with none go on."""
        if self._found:
            raise UserErrors(*self._found)


EMPTY_ID = "An id is not empty."


def own_id(text: str | None, problems: Problems, *field: str) -> None:
    """Note an empty id of a provider's: in a path it would name another thing, or all of them."""
    if text == "":
        problems.note(EMPTY_ID, *field)


def texts(value: Any, problems: Problems, *field: str) -> Mapping[str, str] | None:
    """Return a list of localized texts as a map; each language once."""
    if value is None or value is strawberry.UNSET:
        return None
    found: dict[str, str] = {}
    for index, each in enumerate(value):
        if each.language in found:
            problems.note(
                f"The language {each.language!r} stands there already.",
                *field,
                str(index),
                "language",
            )
        found[each.language] = each.text
    return found


def validity(value: Any) -> Validity | None:
    """Return a stretch of time."""
    if value is None or value is strawberry.UNSET:
        return None
    return Validity(given(value.from_), given(value.to))


def json_object(value: Any, problems: Problems, *field: str) -> Mapping[str, Any] | None:
    """Return a JSON object; any other JSON is a mistake."""
    if value is None or value is strawberry.UNSET:
        return None
    if not isinstance(value, dict):
        problems.note("This must be a JSON object.", *field)
        return None
    return value


def draft(value: Any, problems: Problems) -> SegmentDraft:
    """Return the draft that a create, an upsert or a bulk row gives."""
    for one, several in (("name", "names"), ("description", "descriptions")):
        if given(getattr(value, one)) is not None and given(getattr(value, several)) is not None:
            problems.note(f"Give one of {one} and {several}.", several)
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
    """Return the draft of a new segment, and what is wrong with the input by itself."""
    problems = Problems()
    found = draft(value, problems)
    rule = given(value.rule)
    found = msgspec.structs.replace(
        found,
        customers=members(value, provider, problems),
        rule=None if rule is None else json_object(rule.native, problems, "rule", "native"),
        emits_membership_events=given(value.emits_membership_events),
        priority=given(value.priority),
    )
    return found, problems.found


def whole_segment(value: Any) -> tuple[SegmentDraft, tuple[UserError, ...]]:
    """Return the draft of an upsert, and what is wrong with the input by itself."""
    problems = Problems()
    found = draft(value, problems)
    return found, problems.found


def rows(values: Sequence[Any], provider: str) -> Sequence[SegmentDraft | tuple[UserError, ...]]:
    """Return the drafts of a bulk; a row that is wrong by itself spoils no other."""
    read = (new_segment(value, provider) for value in values)
    return [problems or found for found, problems in read]


def members(value: Any, provider: str, problems: Problems) -> tuple[str, ...] | None:
    """Return the provider's own ids of the members, given in either way; each once."""
    global_ids, own = given(value.customers), given(value.customer_external_ids)
    if global_ids is None and own is None:
        return None
    found: dict[str, None] = {}
    for index, text in enumerate(global_ids or ()):
        ref = read(text, Kind.CUSTOMER, problems, "customers", str(index))
        if ref is not None and ref.provider != provider:
            problems.note(
                f"This is no customer of provider {provider!r}.", "customers", str(index)
            )
        # One that is wrong still counts: its problem is noted, and the list is not empty.
        found[text if ref is None else ref.key] = None
    for index, text in enumerate(own or ()):
        own_id(text, problems, "customerExternalIds", str(index))
    found.update(dict.fromkeys(own or ()))
    return tuple(found)


def changes(value: Any) -> tuple[Ref, SegmentChanges, tuple[UserError, ...]]:
    """Return what an update is of, its changes, and what is wrong with the input by itself.

    What is left out is UNSET, null is None. Raises `UserErrors` when the id is none.
    """
    problems = Problems()
    ref = read(value.id, Kind.SEGMENT, problems, "id")
    for one, several in (("name", "names"), ("description", "descriptions")):
        if getattr(value, one) is not UNSET and getattr(value, several) is not UNSET:
            problems.note(f"Give one of {one} and {several}.", several)
    told: dict[str, Any] = {}
    for name in SegmentChanges.__struct_fields__:
        part = getattr(value, name)
        if name == "version" or part is UNSET:
            continue
        if name in {"names", "descriptions"}:
            told[name] = texts(part, problems, name)
        elif name == "validity":
            told[name] = validity(part)
        elif name == "attributes":
            told[name] = json_object(part, problems, name)
        else:
            told[name] = part
    if not told:
        problems.note("Nothing is to change.", reason=Reason.REQUIRED)
    if ref is None:
        raise UserErrors(*problems.found)
    return ref, SegmentChanges(**told, version=given(value.version)), problems.found


def read(text: str, kind: Kind, problems: Problems, *field: str) -> Ref | None:
    """Read a global id; what is none of this kind is a mistake."""
    try:
        return ids.segment(text) if kind is Kind.SEGMENT else ids.customer(text)
    except BadInput as error:
        problems.note(str(error), *field)
        return None


def segment_ref(text: str, *field: str) -> Ref:
    """Read the global id of a segment; raise `UserErrors` for anything else."""
    problems = Problems()
    ref = read(text, Kind.SEGMENT, problems, *field)
    problems.refuse()
    return ref or Ref("", "")


def segment_refs(texts_: Sequence[str], *field: str) -> Sequence[Ref]:
    """Read global ids of segments; raise `UserErrors` for all that are none."""
    problems = Problems()
    found = [
        read(text, Kind.SEGMENT, problems, *field, str(index)) for index, text in enumerate(texts_)
    ]
    problems.refuse()
    return [ref for ref in found if ref is not None]


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
            problems.note("UNKNOWN is no kind of item.", "items", str(index), "type")
        own_id(item.external_id, problems, "items", str(index), "externalId")
    problems.refuse()
    return segment, [(item.type, item.external_id) for item in value.items]


def replacements(value: Any) -> Sequence[ReplacementEntry]:
    """Return what customers are to have; an entry that is wrong by itself spoils no other."""
    found = []
    for each in value.customers:
        problems = Problems()
        tags, segment_ids = given(each.segments), given(each.segment_ids)
        if tags is not None and segment_ids is not None:
            problems.note("Give one of segments and segmentIds.", "segmentIds")
        refs = [
            read(text, Kind.SEGMENT, problems, "segmentIds", str(index))
            for index, text in enumerate(segment_ids or ())
        ]
        found.append(
            ReplacementEntry(
                each.external_id,
                None if tags is None else tuple(Tag(tag.type, tag.value) for tag in tags),
                None if segment_ids is None else tuple(ref for ref in refs if ref is not None),
                problems.found,
            )
        )
    return found


def assignee(value: Any, provider: str) -> Assignee | UserError:
    """Return who a row means, or what is wrong with it; the field is below the row."""
    customer, identity = given(value.customer_id), given(value.identity)
    if (customer is None) is (identity is None):
        return UserError("Give exactly one of customerId and identity.", Reason.REQUIRED)
    legal_entity = given(value.legal_entity_id)
    if empty := _empty_id(identity, legal_entity):
        return UserError(EMPTY_ID, Reason.INVALID, empty)
    if identity is not None:
        if identity.provider != provider:
            told = f"The segment is of provider {provider!r}."
            return UserError(told, Reason.INVALID, ("identity", "provider"), provider)
        return Assignee(identity.external_id, legal_entity)
    ref = read(customer or "", Kind.CUSTOMER, Problems(), "customerId")
    if ref is None:
        problem: tuple[str, str | None] = ("This is not the id of a customer.", None)
    elif ref.provider != provider:
        told = f"This is no customer of provider {provider!r}, which has the segment."
        problem = (told, provider)
    else:
        return Assignee(ref.key, legal_entity)
    return UserError(problem[0], Reason.INVALID, ("customerId",), problem[1])


def assignees(value: Any) -> tuple[Ref, Sequence[Assignee | UserError]]:
    """Return the segment of a bulk, and the assignee or the error of each row."""
    segment = segment_ref(value.segment_id, "segmentId")
    return segment, [assignee(row, segment.provider) for row in value.assignments]


def _empty_id(identity: Any, legal_entity: str | None) -> tuple[str, ...] | None:
    """Return the field of an id that is empty."""
    if legal_entity == "":
        return ("legalEntityId",)
    return ("identity", "externalId") if identity and not identity.external_id else None


def assignment(value: Any) -> tuple[Ref, Assignee, str]:
    """Return which assignment an input means, and the field that names the segment.

    It is meant by its id, or by segment and customer.
    """
    text = given(getattr(value, "id", None))
    if text is not None:
        try:
            kind, parts = ids.read(text)
        except BadInput as error:
            raise UserErrors(UserError(str(error), Reason.INVALID, ("id",))) from error
        if kind is not Kind.ASSIGNMENT:
            told = "This is the id of another thing than an assignment."
            raise UserErrors(UserError(told, Reason.INVALID, ("id",)))
        ref = AssignmentRef(*parts)
        return Ref(ref.provider, ref.segment), Assignee(ref.customer, ref.legal_entity), "id"
    if given(value.segment_id) is None:
        raise UserErrors(UserError("Give id, or segmentId and a customer.", Reason.REQUIRED))
    segment = segment_ref(value.segment_id, "segmentId")
    who = assignee(value, segment.provider)
    if isinstance(who, UserError):
        raise UserErrors(who)
    return segment, who, "segmentId"
