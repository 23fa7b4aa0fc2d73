"""Read Emporix's replies to writes: refusals, and the rows of a bulk.

Facts: the OpenAPI file of the customer segment service in github.com/emporix/api-references,
read 2026-11-21.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from gateway.domain.mutations import (
    Outcome,
    Reason,
    RowResult,
    SegmentChanges,
    SegmentDraft,
    UserError,
)
from gateway.errors import Malformed, Refusal, Refused
from gateway.providers.base.decoding import Documented, Id, check, decode, decode_part, error_body
from gateway.providers.base.exchange import Reply
from gateway.providers.base.lenient_decoding import length, places

Reasons = Mapping[int, Refusal]
"""The reasons for refusals, by the status of the reply or the code of a row."""

# 409 has two messages, "already exists" and "has changed": the call tells which one is meant.
CREATING: Reasons = {
    409: Refusal("TAKEN", "A segment with this id already exists.", ("externalId",))
}
WRITING: Reasons = {
    409: Refusal("VERSION_CONFLICT", "The segment has been changed in the meantime.", ("version",))
}
CHANGING: Reasons = {404: Refusal("NOT_FOUND", "There is no such segment.", ("id",))}
ASSIGNING: Reasons = {
    404: Refusal("NOT_FOUND", "The segment or what is assigned to it does not exist.")
}

NEW: Mapping[int, Outcome] = {201: Outcome.CREATED}
# The status text of 204 is "OK" in the rows of a bulk.
NEW_OR_NOT: Mapping[int, Outcome] = {
    201: Outcome.CREATED,
    200: Outcome.UPDATED,
    204: Outcome.UPDATED,
}
GONE: Mapping[int, Outcome] = {200: Outcome.DELETED, 204: Outcome.DELETED}

MULTI_STATUS = frozenset({HTTPStatus.MULTI_STATUS})

Fields = Mapping[str, str]
"""The caller's name for each part of the input, by Emporix's name."""

NO_FIELDS: Fields = {}
ASSIGNMENT_FIELDS: Fields = {name: name for name in ("segmentId", "customerId", "legalEntityId")}

_WORD = re.compile(r"\w+")


class CreatedModel(msgspec.Struct, frozen=True):
    """The reply for a new segment."""

    id: Id


class DetailModel(msgspec.Struct, frozen=True):
    """The part of the request that a refusal is about."""

    field: str | None = None


class RefusalModel(msgspec.Struct, frozen=True):
    """The body of a refusal. In Emporix's customer service, `details` is a list."""

    details: DetailModel | list[DetailModel] | None = None


class RowModel(msgspec.Struct, frozen=True):
    """One row of a bulk. `index` is not used: in the examples it starts at 1."""

    code: Documented[int]
    id: str | None = None


ODD = RowModel(0)


class SingleWrite(NamedTuple):
    """Reads the reply to a write of one object; `fields` are those that a refusal may name."""

    provider: str
    operation: str
    ok: frozenset[HTTPStatus]
    reasons: Reasons
    fields: Fields = NO_FIELDS

    def accept(self, reply: Reply) -> None:
        """Raise the error for a status that is not in `ok`, with the reason if it is known."""
        try:
            check(self.provider, self.operation, reply, self.ok)
        except Refused as refused:
            refused.refusal = self.reasons.get(reply.status)
            if refused.refusal is None and reply.status == HTTPStatus.BAD_REQUEST:
                refused.refusal = self._refused_part(reply)
            raise

    def created_id(self, reply: Reply) -> str:
        """Return the id of the new object."""
        return decode_part(self.provider, self.operation, reply.body, CreatedModel).id

    def _refused_part(self, reply: Reply) -> Refusal | None:
        """Return the part of the input that a refusal names. Its notation is not documented."""
        body = error_body(reply, RefusalModel)
        details = body.details if body else None
        detail = next(iter(details), None) if isinstance(details, list) else details
        word = _WORD.search(detail.field) if detail and detail.field else None
        field = self.fields.get(word[0]) if word else None
        if field is None:
            return None
        return Refusal("INVALID", "Emporix does not accept this value.", (field,))


class BulkWrite(NamedTuple):
    """Reads the reply to a write of many objects.

    `keys` are the ids of the rows; None where Emporix creates the id, or does not return any.
    """

    provider: str
    operation: str
    keys: Sequence[str | None]
    outcomes: Mapping[int, Outcome]
    reasons: Reasons

    def read(self, reply: Reply) -> Sequence[RowResult]:
        """Return one result for each row of the request, in its order."""
        rows = decode(self.provider, self.operation, reply, list[RowModel], MULTI_STATUS)
        if length(rows) != len(self.keys):
            detail = f"{length(rows)} rows for {len(self.keys)}"
            raise Malformed(self.provider, self.operation, detail=detail)
        by_index = dict(zip(places(rows), rows, strict=True))
        return [self._result(key, by_index.get(i, ODD)) for i, key in enumerate(self.keys)]

    def _result(self, key: str | None, row: RowModel) -> RowResult:
        is_another = bool(key and row.id and key != row.id)
        if row.code is not None and row.code in self.outcomes and not is_another:
            return RowResult(self.outcomes[row.code], row.id or key)
        is_refused = HTTPStatus.BAD_REQUEST <= (row.code or 0) < HTTPStatus.INTERNAL_SERVER_ERROR
        if is_another or not is_refused:
            text = "The provider did not report the outcome of this row."
            error = UserError(text, Reason.PROVIDER_FAILED, None, self.provider)
            return RowResult(Outcome.UNKNOWN, error=error)
        refusal = self.reasons.get(row.code or 0) or Refusal(
            "PROVIDER_REFUSED", "The provider does not accept this row."
        )
        error = UserError(refusal.message, Reason(refusal.reason), refusal.field, self.provider)
        return RowResult(Outcome.FAILED, error=error)


def segment_fields(given: SegmentDraft | SegmentChanges) -> Fields:
    """Return the caller's names for the parts of a segment; texts may be given by language."""
    texts = {"name": given.names, "description": given.descriptions}
    return {
        "id": "externalId",
        "validity": "validity",
        "status": "status",
        "siteCode": "siteCode",
        "mixins": "attributes",
        **{one: f"{one}s" if isinstance(each, Mapping) else one for one, each in texts.items()},
    }


def deleting(*field: str, force: bool) -> Reasons:
    """Return the reasons why a segment is not deleted; `field` is its id in the input."""
    id_field = field or None
    missing = Refusal("NOT_FOUND", "There is no such segment.", id_field)
    if force:
        return {404: missing}
    # The documents have one 400 only: "has items or customers assigned to it".
    text = "The segment has customers or items. Set force to delete it together with them."
    return {404: missing, 400: Refusal("SEGMENT_IN_USE", text, id_field)}
