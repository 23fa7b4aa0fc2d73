"""The part of the adapter that writes segments.

Facts: docs.emporix.io (segments resource), the OpenAPI file of the customer segment service in
github.com/emporix/api-references, read 2026-11-21. No write returns the segment.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec

from gateway.domain.entities import Segment
from gateway.domain.mutations import (
    Reason,
    RowResult,
    SegmentChanges,
    SegmentDraft,
    UserError,
    Written,
)
from gateway.errors import Refused
from gateway.providers.base.decoding import OK
from gateway.providers.base.exchange import Call, Exchange, Reply, json_call
from gateway.providers.emporix import checks, document, paths
from gateway.providers.emporix.model import Account
from gateway.providers.emporix.write_replies import (
    CHANGING,
    CREATING,
    GONE,
    NEW,
    NEW_OR_NOT,
    WRITING,
    BulkWrite,
    SingleWrite,
    deleting,
    segment_fields,
)

IN_ALL_LANGUAGES: Mapping[str, str] = {"content-language": "*"}

CREATED = frozenset({HTTPStatus.CREATED})
DONE = frozenset({HTTPStatus.NO_CONTENT})
ONE_IN_USE = (
    "No segment was deleted: at least one of those sent together has customers or items. Set force"
    " to delete them together with these."
)


class SegmentWrites:
    """Creates, replaces, changes and deletes segments, one or many in a call."""

    _account: Account
    _segments_path: str

    def create_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with a segment to create according to the documents."""
        return checks.create_problems(self._account.key, draft)

    def upsert_problems(self, draft: SegmentDraft) -> Sequence[UserError]:
        """Return what is wrong with a segment to write according to the documents."""
        return checks.upsert_problems(self._account.key, draft)

    def update_problems(self, changes: SegmentChanges) -> Sequence[UserError]:
        """Return what is wrong with changes according to the documents."""
        return checks.update_problems(self._account.key, changes)

    def sent_document(self, key: str, draft: SegmentDraft) -> bytes:
        """Return the document of a segment that was written as a whole."""
        return msgspec.json.encode({**document.drafted(self._account, draft), "id": key})

    def changed_document(self, current: Segment, changes: SegmentChanges) -> bytes:
        """Return the document of a segment after these changes."""
        fields = document.edited(self._account, current, changes)
        return document.merged(current, fields)

    def create_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment. Without an id in the draft, Emporix generates one."""
        write = SingleWrite(
            self._account.key, "segments.create", CREATED, CREATING, segment_fields(draft)
        )

        def read(reply: Reply) -> Written:
            write.accept(reply)
            return Written(write.created_id(reply), is_new=True)

        body = document.drafted(self._account, draft)
        call = json_call("POST", self._segments_path, body, headers=IN_ALL_LANGUAGES)
        return Exchange(write.operation, call, read, is_idempotent=False)

    def upsert_segment(self, draft: SegmentDraft) -> Exchange[Written]:
        """Create a segment or replace it as a whole; with a version, only if it has that version.

        With a version it is not idempotent: if repeated, it would be refused because of itself.
        """
        write = SingleWrite(
            self._account.key, "segments.upsert", CREATED | DONE, WRITING, segment_fields(draft)
        )
        key = draft.key or ""

        def read(reply: Reply) -> Written:
            write.accept(reply)
            if reply.status == HTTPStatus.NO_CONTENT:
                return Written(key, is_new=False)
            return Written(write.created_id(reply), is_new=True)

        body = document.drafted(self._account, draft)
        body.pop("id", None)
        path = paths.one(self._segments_path, key)
        call = json_call("PUT", path, body, headers=IN_ALL_LANGUAGES)
        return Exchange(write.operation, call, read, is_idempotent=draft.version is None)

    def update_segment(self, current: Segment, changes: SegmentChanges) -> Exchange[None]:
        """Change parts of a segment, which this adapter read as `current`.

        Emporix compares versions only if a segment is written as a whole, so with a version it is.
        """
        operation = "segments.update"
        path = paths.one(self._segments_path, current.ref.key)
        fields = document.edited(self._account, current, changes)
        ok, reasons = DONE, CHANGING
        if changes.version is not None:
            ok, reasons = CREATED | DONE, WRITING
            body = document.rewritten(current, fields, changes.version)
            call = json_call("PUT", path, body, headers=IN_ALL_LANGUAGES)
        elif operations := document.patch(current, fields):
            call = json_call("PATCH", path, operations, headers=IN_ALL_LANGUAGES)
        else:
            # There is nothing to clear, and whether a patch may be empty is not documented: only
            # check that the segment still exists.
            ok = OK
            call = Call("GET", path)
        write = SingleWrite(self._account.key, operation, ok, reasons, segment_fields(changes))
        return Exchange(operation, call, write.accept, is_idempotent=call.method == "GET")

    def delete_segment(self, key: str, *, force: bool) -> Exchange[None]:
        """Delete a segment. If it has customers or items, `force` is required."""
        write = SingleWrite(
            self._account.key, "segments.delete", DONE, deleting("id", force=force)
        )
        call = Call("DELETE", paths.one(self._segments_path, key), _forced(force=force))
        return Exchange(write.operation, call, write.accept)

    def create_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Create segments."""
        keys = [draft.key for draft in drafts]
        bulk = BulkWrite(self._account.key, "segments.bulk_create", keys, NEW, CREATING)
        return self._of_drafts("POST", drafts, bulk, is_idempotent=False)

    def upsert_segments(self, drafts: Sequence[SegmentDraft]) -> Exchange[Sequence[RowResult]]:
        """Create or replace segments; those with a version only if they have that version."""
        keys = [draft.key for draft in drafts]
        bulk = BulkWrite(self._account.key, "segments.bulk_upsert", keys, NEW_OR_NOT, WRITING)
        is_idempotent = all(draft.version is None for draft in drafts)
        return self._of_drafts("PUT", drafts, bulk, is_idempotent=is_idempotent)

    def delete_segments(
        self, keys: Sequence[str], *, force: bool
    ) -> Exchange[Sequence[RowResult]]:
        """Delete segments. If they have customers or items, `force` is required."""
        reasons = deleting(force=force)
        bulk = BulkWrite(self._account.key, "segments.bulk_delete", keys, GONE, reasons)

        def read(reply: Reply) -> Sequence[RowResult]:
            try:
                return bulk.read(reply)
            except Refused as refused:
                # Whether 400 is the reply, or that of a row, is not documented.
                if reply.status == HTTPStatus.BAD_REQUEST and not force:
                    refused.with_refusal(Reason.SEGMENT_IN_USE.value, ONE_IN_USE)
                raise

        path = paths.many(self._segments_path)
        call = json_call("DELETE", path, keys, query=_forced(force=force))
        return Exchange(bulk.operation, call, read, keys=len(keys))

    def _of_drafts(
        self, method: str, drafts: Sequence[SegmentDraft], bulk: BulkWrite, *, is_idempotent: bool
    ) -> Exchange[Sequence[RowResult]]:
        rows = [document.drafted(self._account, draft) for draft in drafts]
        path = paths.many(self._segments_path)
        call = json_call(method, path, rows, headers=IN_ALL_LANGUAGES)
        return Exchange(
            bulk.operation, call, bulk.read, is_idempotent=is_idempotent, keys=len(rows)
        )


def _forced(*, force: bool) -> tuple[tuple[str, str], ...]:
    return (("forceDelete", "true"),) if force else ()
