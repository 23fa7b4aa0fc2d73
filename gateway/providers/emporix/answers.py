"""What Emporix answers to writes: refusals, and one row for each of a bulk.

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
"""Why something is refused, by the status or the code of a row that says so."""

# 409 has two messages, "already exists" and "has changed": which one it is follows from the call.
CREATING: Reasons = {
    409: Refusal("TAKEN", "There is a segment with this id already.", ("externalId",))
}
WRITING: Reasons = {
    409: Refusal("VERSION_CONFLICT", "The segment was changed in the meantime.", ("version",))
}
CHANGING: Reasons = {404: Refusal("NOT_FOUND", "There is no such segment.", ("id",))}
ASSIGNING: Reasons = {
    404: Refusal("NOT_FOUND", "The segment or what is assigned to it does not exist.")
}

NEW: Mapping[int, Outcome] = {201: Outcome.CREATED}
# Emporix calls 204 "OK" in its rows.
NEW_OR_NOT: Mapping[int, Outcome] = {
    201: Outcome.CREATED,
    200: Outcome.UPDATED,
    204: Outcome.UPDATED,
}
GONE: Mapping[int, Outcome] = {200: Outcome.DELETED, 204: Outcome.DELETED}

MULTI_STATUS = frozenset({HTTPStatus.MULTI_STATUS})

Fields = Mapping[str, str]
"""What Emporix calls a part of the input, and what the caller calls it."""

NO_FIELDS: Fields = {}
ASSIGNMENT_FIELDS: Fields = {name: name for name in ("segmentId", "customerId", "legalEntityId")}

_WORD = re.compile(r"\w+")


class CreatedModel(msgspec.Struct, frozen=True):
    """The answer to a segment that is new."""

    id: Id


class DetailModel(msgspec.Struct, frozen=True):
    """What a refusal is about."""

    field: str | None = None


class RefusalModel(msgspec.Struct, frozen=True):
    """The body of a refusal; the customer service of Emporix has a list of details."""

    details: DetailModel | list[DetailModel] | None = None


class RowModel(msgspec.Struct, frozen=True):
    """One row of a bulk. Its `index` is of no use: in the examples it counts from 1."""

    code: Documented[int]
    id: str | None = None


ODD = RowModel(0)


class Single(NamedTuple):
    """How the answer to a write of one thing is judged; `fields` are those it may be about."""

    provider: str
    operation: str
    ok: frozenset[HTTPStatus]
    reasons: Reasons
    fields: Fields = NO_FIELDS

    def accept(self, reply: Reply) -> None:
        """Raise what a status outside `ok` stands for, with the reason where it is known."""
        try:
            check(self.provider, self.operation, reply, self.ok)
        except Refused as refused:
            refused.refusal = self.reasons.get(reply.status)
            if refused.refusal is None and reply.status == HTTPStatus.BAD_REQUEST:
                refused.refusal = self._part_refused(reply)
            raise

    def id_told(self, reply: Reply) -> str:
        """Return the id of what is new."""
        return decode_part(self.provider, self.operation, reply.body, CreatedModel).id

    def _part_refused(self, reply: Reply) -> Refusal | None:
        """Return the part of the input that a refusal names; its notation is not documented."""
        told = error_body(reply, RefusalModel)
        details = told.details if told else None
        detail = next(iter(details), None) if isinstance(details, list) else details
        word = _WORD.search(detail.field) if detail and detail.field else None
        field = self.fields.get(word[0]) if word else None
        if field is None:
            return None
        return Refusal("INVALID", "Emporix does not accept this value.", (field,))


class Bulk(NamedTuple):
    """How the answer to a write of many things is read.

    `keys` are the ids of the rows, None where Emporix makes or tells none.
    """

    provider: str
    operation: str
    keys: Sequence[str | None]
    done: Mapping[int, Outcome]
    reasons: Reasons

    def read(self, reply: Reply) -> Sequence[RowResult]:
        """Return one result for each row of the request, in its order."""
        rows = decode(self.provider, self.operation, reply, list[RowModel], MULTI_STATUS)
        if length(rows) != len(self.keys):
            told = f"{length(rows)} rows for {len(self.keys)}"
            raise Malformed(self.provider, self.operation, detail=told)
        by_place = dict(zip(places(rows), rows, strict=True))
        return [self._result(key, by_place.get(at, ODD)) for at, key in enumerate(self.keys)]

    def _result(self, key: str | None, row: RowModel) -> RowResult:
        is_another = bool(key and row.id and key != row.id)
        if row.code is not None and row.code in self.done and not is_another:
            return RowResult(self.done[row.code], row.id or key)
        is_refused = HTTPStatus.BAD_REQUEST <= (row.code or 0) < HTTPStatus.INTERNAL_SERVER_ERROR
        if is_another or not is_refused:
            told = "The provider does not say what became of this row."
            error = UserError(told, Reason.PROVIDER_FAILED, None, self.provider)
            return RowResult(Outcome.UNKNOWN, error=error)
        why = self.reasons.get(row.code or 0) or Refusal(
            "PROVIDER_REFUSED", "The provider does not accept this row."
        )
        error = UserError(why.message, Reason(why.reason), why.field, self.provider)
        return RowResult(Outcome.FAILED, error=error)


def segment_fields(given: SegmentDraft | SegmentChanges) -> Fields:
    """Return the parts of a segment as the caller gave them: texts in one language or in many."""
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
    """Return why a segment is not deleted; `field` is where the caller named it."""
    there = field or None
    missing = Refusal("NOT_FOUND", "There is no such segment.", there)
    if force:
        return {404: missing}
    # The documents know of one 400 only: "has items or customers assigned to it".
    told = "Customers or items are assigned to the segment; only force deletes it with them."
    return {404: missing, 400: Refusal("SEGMENT_IN_USE", told, there)}
