"""The writes of Voucherify: segments are created and deleted, customers' metadata is changed.

Facts: docs.voucherify.io/api-reference (create segment, update customer, errors) and
github.com/voucherifyio/voucherify-openapi, API v2018-08-01, read 2026-11-21.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from gateway.domain.entities import Customer
from gateway.domain.merge_patch import replacement
from gateway.domain.mutations import Reason, SegmentDraft, UserError, Written
from gateway.errors import Refused
from gateway.providers.base.decoding import check, decode, document, error_body, path_part
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.base.write_protocols import only_name, unsupported_parts
from gateway.providers.voucherify.model import (
    CustomerModel,
    SegmentModel,
    SegmentType,
    customers_of,
    segments_of,
)

PARTS = frozenset({"name", "names", "customers", "rule", "emits_membership_events"})
MAX_CUSTOMERS = 20_000
MAX_DYNAMIC_SEGMENTS = 100
"""The most segments with a rule in one project."""
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
    """Return what is wrong with a segment according to the documents."""
    name = only_name(draft)
    problems = unsupported_parts(provider, "Voucherify", draft, PARTS)

    def add(reason: Reason, field: str, message: str) -> None:
        problems.append(UserError(message, reason, (field,), provider))

    if name.text is None:
        add(Reason.REQUIRED, name.field, "A segment of Voucherify needs a name.")
    problems += name.problems(provider, "Voucherify")
    if draft.rule is None and draft.customers is None:
        add(Reason.REQUIRED, "rule", "A segment of Voucherify needs a rule or customers.")
    elif draft.rule is not None and draft.customers is not None:
        add(
            Reason.INVALID,
            "rule",
            "A segment of Voucherify has a rule or customers, not both.",
        )
    if draft.rule is not None and not draft.rule.keys() - {JUNCTION}:
        add(Reason.INVALID, "rule", "A filter of Voucherify needs at least one condition.")
    if draft.rule is not None and draft.rule.get(JUNCTION, "and") not in ("and", "or"):
        add(Reason.INVALID, "rule", 'The junction of a filter of Voucherify is "and" or "or".')
    if draft.emits_membership_events and draft.rule is None:
        text = "Only a segment of Voucherify with a rule emits membership events."
        add(Reason.INVALID, "emitsMembershipEvents", text)
    if draft.rule is None and draft.customers == ():
        text = "A static segment of Voucherify needs a customer: none can be added later."
        add(Reason.REQUIRED, "customers", text)
    count = len(set(draft.customers or ()))
    if count > MAX_CUSTOMERS:
        text = f"A segment of Voucherify can have up to {MAX_CUSTOMERS} customers, not {count}."
        add(Reason.LIMIT_EXCEEDED, "customers", text)
    return problems


def members_to_resolve(draft: SegmentDraft) -> Sequence[str]:
    """Return the members that are not given by Voucherify's own id, or else the first one.

    Whether a new segment accepts a `source_id` is not documented. Unknown ids are ignored, and a
    static segment never changes: one known member makes sure that it is not empty.
    """
    members = draft.customers or ()
    return [each for each in members if not each.startswith(OWN_ID)] or list(members[:1])


def create(provider: str, draft: SegmentDraft) -> Exchange[Written]:
    """Create a segment; duplicate customers are sent once."""
    operation = "segments.create"
    name = only_name(draft)
    body: dict[str, Any] = {"name": name.text}
    if draft.rule is None:
        customers = list(dict.fromkeys(draft.customers or ()))
        body |= {"type": SegmentType.STATIC, "customers": customers}
    else:
        emits = draft.emits_membership_events
        kind = SegmentType.AUTO_UPDATE if emits else SegmentType.PASSIVE
        body |= {"type": kind, "filter": draft.rule}

    def read(reply: Reply) -> Written:
        try:
            model = decode(provider, operation, reply, SegmentModel)
        except Refused as error:
            reason = refusal_reason(error, reply)
            # Documented for campaigns. The list's filter shows that segments' names are unique.
            if reason == (HTTPStatus.CONFLICT, "duplicate_found"):
                text = "Another segment of Voucherify has this name."
                error.with_refusal(Reason.TAKEN.value, text, (name.field,))
            elif field := refused_part(reply, {**FIELDS, "name": name.field}):
                text = f"Voucherify does not accept the value of {field}."
                error.with_refusal(Reason.INVALID.value, text, (field,))
            elif draft.rule is not None and error.status == HTTPStatus.BAD_REQUEST:
                # How it refuses one too many is not documented, only that it does.
                text = (
                    "Voucherify does not accept this segment. It accepts up to"
                    f" {MAX_DYNAMIC_SEGMENTS} segments with a rule."
                )
                error.with_refusal(Reason.PROVIDER_REFUSED.value, text)
            raise
        (segment,) = segments_of(provider, (model,), (document(reply.body),))
        return Written(model.id, is_new=True, segment=segment)

    return Exchange(operation, json_call("POST", "/v1/segments", body), read, is_idempotent=False)


def delete(provider: str, key: str) -> Exchange[None]:
    """Delete a segment."""
    operation = "segments.delete"

    def read(reply: Reply) -> None:
        try:
            check(provider, operation, reply, DELETED)
        except Refused as error:
            reason = refusal_reason(error, reply)
            if error.status == HTTPStatus.NOT_FOUND:
                text = "Voucherify does not have this segment."
                error.with_refusal(Reason.NOT_FOUND.value, text, ("id",))
            # Documented for product collections; for segments, a guess.
            elif reason == (HTTPStatus.BAD_REQUEST, "resource_in_use"):
                text = "Voucherify does not delete a segment that is in use."
                error.with_refusal(Reason.SEGMENT_IN_USE.value, text, ("id",))
            raise

    return Exchange(operation, Call("DELETE", f"/v1/segments/{path_part(key)}"), read)


def update_metadata(
    provider: str, current: Customer, metadata: Mapping[str, Any]
) -> Exchange[Customer | None]:
    """Replace the metadata of a customer; an unknown customer is not created.

    That metadata is merged key by key, and that null removes a key, is our guess: the documents
    say that parameters that are left out do not change.
    """
    operation = "customers.update"

    def read(reply: Reply) -> Customer:
        try:
            model = decode(provider, operation, reply, CustomerModel)
        except Refused as error:
            refusal_reason(error, reply)
            if error.status == HTTPStatus.NOT_FOUND:
                text = "Voucherify does not have this customer."
                error.with_refusal(Reason.NOT_FOUND.value, text)
            elif field := refused_part(reply, {"metadata": "attributes"}):
                text = f"Voucherify does not accept the value of {field}."
                error.with_refusal(Reason.INVALID.value, text, (field,))
            raise
        (customer,) = customers_of(provider, (model,), (document(reply.body),))
        return customer

    body = {"metadata": replacement(current.attributes or {}, metadata, depth=0)}
    path = f"/v1/customers/{path_part(current.ref.key)}"
    return Exchange(operation, json_call("PUT", path, body), read)


def refusal_reason(error: Refused, reply: Reply) -> tuple[int, str | None]:
    """Return the status and the documented key of a refusal; add the key to the error."""
    body = error_body(reply, FaultModel)
    error.with_key(body.key if body else None)
    return reply.status, error.key


def refused_part(reply: Reply, fields: Mapping[str, str]) -> str | None:
    """Return the caller's name for the part of the body that a 400 names, if it does.

    "Property .redemption.quantity should be number,null" is the documented form of `details`.
    """
    body = error_body(reply, FaultModel)
    if reply.status != HTTPStatus.BAD_REQUEST or body is None or not body.details:
        return None
    match = _PROPERTY.match(body.details)
    return fields.get(match["part"]) if match else None
