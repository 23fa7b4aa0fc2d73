"""What can be written at Stuut: new segments, and their order.

Facts: docs.api.stuut.co/api-reference/customer-segments, read 2026-11-21. No error body is
documented: those of FastAPI are expected, whose wording the pages have, and none is relied on.
"""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from gateway.domain.entities import Segment
from gateway.domain.mutations import Reason, SegmentDraft, UserError, Written
from gateway.errors import Refused
from gateway.providers.base.decoding import decode, document, documents, error_body
from gateway.providers.base.exchange import Exchange, Reply, json_call
from gateway.providers.base.write_protocols import only_description, only_name, unsupported_parts
from gateway.providers.stuut.model import SegmentModel, segments_of

PATH = "/v2/customer-segments"
PARTS = frozenset({"name", "names", "description", "descriptions", "priority", "rule"})
LONGEST_NAME = 128

# "Successful Response" without a number.
MADE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


class Complaint(msgspec.Struct, frozen=True):
    """What FastAPI finds wrong with a part of a request: `loc` is "body", then its path."""

    loc: list[str | int]
    type: str | None = None


class Complaints(msgspec.Struct, frozen=True):
    """The body of a 422."""

    detail: list[Complaint]


def problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return what the documents forbid of a segment."""
    name, description = only_name(draft), only_description(draft)
    found = unsupported_parts(provider, "Stuut", draft, PARTS)

    def add(reason: Reason, field: str, message: str) -> None:
        found.append(UserError(message, reason, (field,), provider))

    if name.text is None:
        add(Reason.REQUIRED, name.field, "A segment of Stuut needs a name.")
    elif not 1 <= len(name.text) <= LONGEST_NAME:
        text = f"A name at Stuut has 1 to {LONGEST_NAME} characters; this has {len(name.text)}."
        add(Reason.INVALID, name.field, text)
    if draft.priority is None:
        add(Reason.REQUIRED, "priority", "A segment of Stuut needs a priority.")
    elif draft.priority < 0:
        add(Reason.INVALID, "priority", "A priority at Stuut is not below 0.")
    return [*found, *name.problems(provider, "Stuut"), *description.problems(provider, "Stuut")]


def create(provider: str, draft: SegmentDraft) -> Exchange[Written]:
    """Make a segment; parts that were not given are not sent."""
    operation = "segments.create"
    name, description = only_name(draft), only_description(draft)
    body = {
        "name": name.text,
        "priority": draft.priority,
        "description": description.text,
        "conditions": draft.rule,
    }
    fields = {
        "name": name.field,
        "priority": "priority",
        "description": description.field,
        "conditions": "rule",
    }

    def read(reply: Reply) -> Written:
        try:
            told = decode(provider, operation, reply, SegmentModel, MADE)
        except Refused as error:
            # The name is unique, ignoring case; nothing else of a new segment can conflict.
            if error.status == HTTPStatus.CONFLICT:
                text = "Another segment of Stuut has this name."
                error.with_refusal(Reason.TAKEN.value, text, (name.field,))
            blame(error, reply, fields)
            raise
        (segment,) = segments_of(provider, (told,), (document(reply.body),))
        return Written(told.id, is_new=True, segment=segment)

    given = {part: value for part, value in body.items() if value is not None}
    return Exchange(operation, json_call("POST", PATH, given), read, is_idempotent=False)


def reorder(provider: str, keys: Sequence[str]) -> Exchange[Sequence[Segment]]:
    """Give segments the priorities 0, 1, …; the answer is how they stand."""
    operation = "segments.reorder"

    def read(reply: Reply) -> Sequence[Segment]:
        try:
            told = decode(provider, operation, reply, list[SegmentModel])
        except Refused as error:
            # What an id of nothing gets is not documented; 404 can mean nothing else here.
            if error.status == HTTPStatus.NOT_FOUND:
                text = "Stuut does not have all of these segments."
                error.with_refusal(Reason.NOT_FOUND.value, text, ("ids",))
            blame(error, reply, {"segment_ids": "ids"})
            raise
        return segments_of(provider, told, documents(reply, told))

    call = json_call("POST", f"{PATH}/reorder", {"segment_ids": list(keys)})
    return Exchange(operation, call, read)


def blame(error: Refused, reply: Reply, fields: dict[str, str]) -> None:
    """Say which input a 422 is about; `fields` are the caller's words for parts of the body."""
    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return
    told = error_body(reply, Complaints)
    for complaint in told.detail if told else ():
        error.with_key(complaint.type)
        match complaint.loc:
            case ["body", str(part), *_] if part in fields:
                field = fields[part]
                error.with_refusal(
                    Reason.INVALID.value, f"Stuut does not accept the value of {field}.", (field,)
                )
                return
