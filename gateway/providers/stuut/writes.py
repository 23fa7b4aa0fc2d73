"""The writes of Stuut: new segments, and their order.

Facts: docs.api.stuut.co/api-reference/customer-segments, read 2026-11-21. Error bodies are not
documented. The pages suggest those of FastAPI, which are read if present, but never required.
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
MAX_NAME_LENGTH = 128

# The documents say "Successful Response" without a status code.
SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


class ValidationError(msgspec.Struct, frozen=True):
    """A validation error of FastAPI: `loc` is "body" followed by the path of the part."""

    loc: list[str | int]
    type: str | None = None


class ValidationErrors(msgspec.Struct, frozen=True):
    """The body of a 422."""

    detail: list[ValidationError]


def problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return what is wrong with a segment according to the documents."""
    name, description = only_name(draft), only_description(draft)
    errors = unsupported_parts(provider, "Stuut", draft, PARTS)

    def add(reason: Reason, field: str, message: str) -> None:
        errors.append(UserError(message, reason, (field,), provider))

    if name.text is None:
        add(Reason.REQUIRED, name.field, "A segment of Stuut needs a name.")
    elif not 1 <= len(name.text) <= MAX_NAME_LENGTH:
        text = f"A name at Stuut has 1 to {MAX_NAME_LENGTH} characters, not {len(name.text)}."
        add(Reason.INVALID, name.field, text)
    if draft.priority is None:
        add(Reason.REQUIRED, "priority", "A segment of Stuut needs a priority.")
    elif draft.priority < 0:
        add(Reason.INVALID, "priority", "A priority at Stuut cannot be negative.")
    return [*errors, *name.problems(provider, "Stuut"), *description.problems(provider, "Stuut")]


def create(provider: str, draft: SegmentDraft) -> Exchange[Written]:
    """Create a segment; parts that are not given are not sent."""
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
            model = decode(provider, operation, reply, SegmentModel, SUCCESS)
        except Refused as error:
            # Names are unique, ignoring case; nothing else in a new segment can conflict.
            if error.status == HTTPStatus.CONFLICT:
                text = "Another segment of Stuut has this name."
                error.with_refusal(Reason.TAKEN.value, text, (name.field,))
            name_field(error, reply, fields)
            raise
        (segment,) = segments_of(provider, (model,), (document(reply.body),))
        return Written(model.id, is_new=True, segment=segment)

    given = {part: value for part, value in body.items() if value is not None}
    return Exchange(operation, json_call("POST", PATH, given), read, is_idempotent=False)


def reorder(provider: str, keys: Sequence[str]) -> Exchange[Sequence[Segment]]:
    """Give segments the priorities 0, 1, …; return them as they are now."""
    operation = "segments.reorder"

    def read(reply: Reply) -> Sequence[Segment]:
        try:
            models = decode(provider, operation, reply, list[SegmentModel])
        except Refused as error:
            # The reply for an unknown id is not documented; 404 can mean nothing else here.
            if error.status == HTTPStatus.NOT_FOUND:
                text = "Stuut does not have all of these segments."
                error.with_refusal(Reason.NOT_FOUND.value, text, ("ids",))
            name_field(error, reply, {"segment_ids": "ids"})
            raise
        return segments_of(provider, models, documents(reply, models))

    call = json_call("POST", f"{PATH}/reorder", {"segment_ids": list(keys)})
    return Exchange(operation, call, read)


def name_field(error: Refused, reply: Reply, fields: dict[str, str]) -> None:
    """Add the input field that a 422 names; `fields` has the caller's names by Stuut's."""
    if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return
    body = error_body(reply, ValidationErrors)
    for each in body.detail if body else ():
        error.with_key(each.type)
        match each.loc:
            case ["body", str(part), *_] if part in fields:
                field = fields[part]
                error.with_refusal(
                    Reason.INVALID.value, f"Stuut does not accept the value of {field}.", (field,)
                )
                return
