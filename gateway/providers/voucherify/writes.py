"""What can be written at Voucherify: segments are made and deleted, never changed.

Facts: docs.voucherify.io/api-reference (create segment, errors) and
github.com/voucherifyio/voucherify-openapi, API v2018-08-01, read 2026-11-21.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.domain.mutations import Reason, SegmentDraft, UserError, Written
from gateway.errors import Refused
from gateway.providers.base.decoding import check, decode, document, error_body, path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.write_protocols import only_name, unsupported_parts
from gateway.providers.voucherify.model import (
    AUTO_UPDATE,
    PASSIVE,
    STATIC,
    SegmentModel,
    segments_of,
)

PARTS = frozenset({"name", "names", "customers", "rule", "emits_membership_events"})
MOST_CUSTOMERS = 20_000
OWN_ID = "cust_"
JUNCTION = "junction"
FIELDS = {"customers": "customers", "filter": "rule", "type": "emitsMembershipEvents"}
_PROPERTY = re.compile(r"Property \.(?P<part>\w+)")

DELETED = frozenset({HTTPStatus.NO_CONTENT})


class FaultModel(msgspec.Struct, frozen=True):
    """The body of an error; `key` is its documented code."""

    key: str
    details: str | None = None


def problems(provider: str, draft: SegmentDraft) -> Sequence[UserError]:
    """Return what the documents forbid of a segment."""
    name = only_name(draft)
    found = unsupported_parts(provider, "Voucherify", draft, PARTS)

    def add(reason: Reason, field: str, message: str) -> None:
        found.append(UserError(message, reason, (field,), provider))

    if name.text is None:
        add(Reason.REQUIRED, name.field, "A segment of Voucherify needs a name.")
    found += name.problems(provider, "Voucherify")
    if draft.rule is None and draft.customers is None:
        add(Reason.REQUIRED, "rule", "A segment of Voucherify needs a rule or customers.")
    elif draft.rule is not None and draft.customers is not None:
        add(Reason.INVALID, "rule", "A segment of Voucherify has a rule or customers, not both.")
    if draft.rule is not None and not draft.rule.keys() - {JUNCTION}:
        add(Reason.INVALID, "rule", "A filter of Voucherify has at least one condition.")
    if draft.rule is not None and draft.rule.get(JUNCTION, "and") not in ("and", "or"):
        add(Reason.INVALID, "rule", 'The junction of a filter of Voucherify is "and" or "or".')
    if draft.emits_membership_events and draft.rule is None:
        text = "Only a segment of Voucherify with a rule emits membership events."
        add(Reason.INVALID, "emitsMembershipEvents", text)
    if draft.rule is None and draft.customers == ():
        text = "A static segment of Voucherify needs a customer: none can be added later."
        add(Reason.REQUIRED, "customers", text)
    count = len(set(draft.customers or ()))
    if count > MOST_CUSTOMERS:
        text = (
            f"A segment of Voucherify is made of {MOST_CUSTOMERS} customers at most, not {count}."
        )
        add(Reason.LIMIT_EXCEEDED, "customers", text)
    return found


def members_to_resolve(draft: SegmentDraft) -> Sequence[str]:
    """Return the members that are looked up: those not named by Voucherify's own id, else one.

    Whether a new segment takes a `source_id` is not stated. Ids that it does not know it passes
    over: one member that is known makes sure that the segment, which never changes, is not empty.
    """
    members = draft.customers or ()
    return [each for each in members if not each.startswith(OWN_ID)] or list(members[:1])


def create(provider: str, draft: SegmentDraft) -> Exchange[Written]:
    """Make a segment; a customer named twice is sent once."""
    operation = "segments.create"
    name = only_name(draft)
    body: dict[str, Any] = {"name": name.text}
    if draft.rule is None:
        body |= {"type": STATIC, "customers": list(dict.fromkeys(draft.customers or ()))}
    else:
        kind = AUTO_UPDATE if draft.emits_membership_events else PASSIVE
        body |= {"type": kind, "filter": draft.rule}

    def read(reply: Reply) -> Written:
        try:
            told = decode(provider, operation, reply, SegmentModel)
        except Refused as error:
            why = fault_of(error, reply)
            # Documented for campaigns; that a segment's name is unique, the list's filter says.
            if why == (HTTPStatus.CONFLICT, "duplicate_found"):
                text = "Another segment of Voucherify has this name."
                error.with_refusal(Reason.TAKEN.value, text, (name.field,))
            elif field := part_refused(reply, {**FIELDS, "name": name.field}):
                text = f"Voucherify does not accept the value of {field}."
                error.with_refusal(Reason.INVALID.value, text, (field,))
            raise
        (segment,) = segments_of(provider, (told,), (document(reply.body),))
        return Written(told.id, is_new=True, segment=segment)

    return Exchange(operation, json_call("POST", "/v1/segments", body), read, is_idempotent=False)


def delete(provider: str, key: str) -> Exchange[None]:
    """Delete a segment."""
    operation = "segments.delete"

    def read(reply: Reply) -> None:
        try:
            check(provider, operation, reply, DELETED)
        except Refused as error:
            why = fault_of(error, reply)
            if error.status == HTTPStatus.NOT_FOUND:
                text = "Voucherify does not have this segment."
                error.with_refusal(Reason.NOT_FOUND.value, text, ("id",))
            # Documented for product collections: a guess for segments.
            elif why == (HTTPStatus.BAD_REQUEST, "resource_in_use"):
                text = "Voucherify does not delete a segment that is in use."
                error.with_refusal(Reason.SEGMENT_IN_USE.value, text, ("id",))
            raise

    return Exchange(operation, Call("DELETE", f"/v1/segments/{path_part(key)}"), read)


def fault_of(error: Refused, reply: Reply) -> tuple[int, str | None]:
    """Return the status and the documented key of a refusal, and keep the key for the log."""
    told = error_body(reply, FaultModel)
    error.with_key(told.key if told else None)
    return reply.status, error.key


def part_refused(reply: Reply, fields: Mapping[str, str]) -> str | None:
    """Return what the caller calls the part of the body that a 400 is about, if it names one.

    "Property .redemption.quantity should be number,null" is the documented form of `details`.
    """
    told = error_body(reply, FaultModel)
    if reply.status != HTTPStatus.BAD_REQUEST or told is None or not told.details:
        return None
    named = _PROPERTY.match(told.details)
    return fields.get(named["part"]) if named else None
