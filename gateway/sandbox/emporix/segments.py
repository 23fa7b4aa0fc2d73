"""The segments themselves: `/customer-segment/{tenant}/segments`."""

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2s
from http import HTTPStatus
from itertools import count
from typing import Any

from msgspec import UNSET
from starlette.responses import Response

from gateway.sandbox.emporix import faults
from gateway.sandbox.emporix.bodies import (
    PatchOperation,
    SegmentBody,
    has_version,
    is_stale,
    next_metadata,
    read,
    read_segment,
    segment_row,
)
from gateway.sandbox.emporix.bulk import bulk
from gateway.sandbox.emporix.languages import accepted, check_content_language, narrowed
from gateway.sandbox.emporix.listing import Row, listed, projected, query_text, selected
from gateway.sandbox.emporix.operations import Ask, Operation, operation
from gateway.sandbox.emporix.patching import patched
from gateway.sandbox.emporix.tenant import Tenant
from gateway.sandbox.replies import json_response

READ = "customersegment.segment_read"
READ_OWN = "customersegment.segment_read_own"
MANAGE = "customersegment.segment_manage"
PATH = "/customer-segment/{tenant}/segments"
ONE = PATH + "/{segmentId}"
PATCHABLE = ("name", "description", "validity", "status", "siteCode", "mixins")


class Segments:
    """The operations on segments."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._created = count()

    def operations(self) -> list[Operation]:
        """Return the operations."""
        return [
            operation("GET", PATH, self.list_all, READ, READ_OWN),
            operation("POST", PATH, self.create, MANAGE),
            operation("POST", PATH + "/search", self.search, READ, READ_OWN),
            operation("POST", PATH + "/bulk", self.create_bulk, MANAGE),
            operation("PUT", PATH + "/bulk", self.upsert_bulk, MANAGE),
            operation("DELETE", PATH + "/bulk", self.delete_bulk, MANAGE),
            operation("GET", PATH + "/me", self.me, READ_OWN),
            operation("GET", ONE, self.get, READ, READ_OWN),
            operation("PUT", ONE, self.upsert, MANAGE),
            operation("PATCH", ONE, self.patch, MANAGE),
            operation("DELETE", ONE, self.delete, MANAGE),
        ]

    def list_all(self, ask: Ask) -> Response:
        """List segments, of one customer if `customerId` says so."""
        return self._list(ask, ask.query.get("q", ""))

    def search(self, ask: Ask) -> Response:
        """List segments, with `q` in the body."""
        return self._list(ask, query_text(ask))

    def me(self, ask: Ask) -> Response:
        """List the ACTIVE segments of the shopper whose token it is."""
        rows = self._tenant.own_segments(ask.shopper(), ask.query.get("legalEntityId", ""))
        return listed(ask, rows, self._shown(ask))

    def get(self, ask: Ask) -> Response:
        """Read one segment; a shopper finds only his own ACTIVE ones (otherwise 404)."""
        row = self._existing(ask)
        customer = ask.confined_to(READ)
        legal_entity = ask.query.get("legalEntityId", "")
        if customer and row not in self._tenant.own_segments(customer, legal_entity):
            raise faults.not_found(row["id"])
        return json_response(projected(self._shown(ask)(row), ask.query.get("fields")))

    def create(self, ask: Ask) -> Response:
        """Create a segment; the id is the caller's, if given, and the answer is only the id."""
        check_content_language(ask.headers.get("content-language"))
        return json_response({"id": self._create(ask.json())}, HTTPStatus.CREATED)

    def upsert(self, ask: Ask) -> Response:
        """Replace a segment, or create it under this id."""
        check_content_language(ask.headers.get("content-language"))
        segment_id = ask.path["segmentId"]
        if self._upsert(segment_id, read_segment(ask.json())):
            return json_response({"id": segment_id}, HTTPStatus.CREATED)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def patch(self, ask: Ask) -> Response:
        """Apply a JSON Patch, all of it or nothing; no version is checked."""
        check_content_language(ask.headers.get("content-language"))
        row = self._existing(ask)
        body = ask.json()
        if not isinstance(body, list):
            raise faults.invalid("must be an array of operations")
        changes = [read(one, PatchOperation) for one in body]
        document = {name: row[name] for name in PATCHABLE if name in row}
        old = row["metadata"]
        document["metadata"] = {name: old[name] for name in ("mixins",) if name in old}
        segment = read_segment(patched(document, changes))
        if segment.id is not UNSET or has_version(segment.metadata):
            raise faults.invalid("only the service changes this", "id or metadata.version")
        self._put(row["id"], segment)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def delete(self, ask: Ask) -> Response:
        """Remove a segment; one that is not there is no error (our decision)."""
        self._delete(ask.path["segmentId"], force=ask.flag("forceDelete"))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def create_bulk(self, ask: Ask) -> Response:
        """Create up to 200 segments."""
        check_content_language(ask.headers.get("content-language"))
        return bulk(ask, lambda item: (HTTPStatus.CREATED, self._create(item)))

    def upsert_bulk(self, ask: Ask) -> Response:
        """Replace or create up to 200 segments; each needs its id."""
        check_content_language(ask.headers.get("content-language"))

        def one(item: Any) -> tuple[HTTPStatus, str]:
            segment = read_segment(item)
            if segment.id is UNSET:
                raise faults.invalid("is required", "id")
            is_new = self._upsert(segment.id, segment)
            return (HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT), segment.id

        return bulk(ask, one)

    def delete_bulk(self, ask: Ask) -> Response:
        """Remove up to 200 segments, given as an array of ids."""
        force = ask.flag("forceDelete")

        def one(item: Any) -> tuple[HTTPStatus, str]:
            if not isinstance(item, str) or not item:
                raise faults.invalid("must be an id")
            self._delete(item, force=force)
            return HTTPStatus.NO_CONTENT, item

        return bulk(ask, one)

    def _list(self, ask: Ask, query: str) -> Response:
        sort = ask.query.get("sort", "")
        legal_entity = ask.query.get("legalEntityId", "")
        of_customer = ask.query.get("customerId", "")
        confined_to = ask.confined_to(READ)
        rows: Sequence[Row]
        if confined_to and of_customer:
            raise faults.forbidden()
        if confined_to:
            rows = selected(self._tenant.own_segments(confined_to, legal_entity), query, sort)
        elif of_customer:
            rows = selected(self._tenant.segments_of(of_customer, legal_entity), query, sort)
        else:
            rows = self._tenant.segments.find(query, sort)
        return listed(ask, rows, self._shown(ask))

    def _shown(self, ask: Ask) -> Callable[[Row], Row]:
        return partial(_localised, accepted(ask.headers.get("accept-language")))

    def _existing(self, ask: Ask) -> Row:
        row = self._tenant.segments.get(ask.path["segmentId"])
        if row is None:
            raise faults.not_found(ask.path["segmentId"])
        return row

    def _create(self, body: Any) -> str:
        segment = read_segment(body)
        segment_id = self._new_id() if segment.id is UNSET else segment.id
        if self._tenant.segments.get(segment_id):
            raise faults.already_exists()
        self._put(segment_id, segment)
        return segment_id

    def _new_id(self) -> str:
        """Return an id as the service makes them: 24 hex digits, lower case."""
        return blake2s(f"segment {next(self._created)}".encode(), digest_size=12).hexdigest()

    def _upsert(self, segment_id: str, segment: SegmentBody) -> bool:
        """Write a segment; say whether it is new."""
        old = self._tenant.segments.get(segment_id)
        if old and is_stale(segment.metadata, old["metadata"]["version"]):
            raise faults.has_changed()
        self._put(segment_id, segment)
        return old is None

    def _put(self, segment_id: str, segment: SegmentBody) -> None:
        old = self._tenant.segments.get(segment_id)
        metadata = next_metadata(
            old["metadata"] if old else None, segment.metadata, self._tenant.now()
        )
        self._tenant.segments.put(segment_row(segment, segment_id, metadata))

    def _delete(self, segment_id: str, *, force: bool) -> None:
        if not force and self._tenant.is_assigned(segment_id):
            raise faults.RefusedError(
                HTTPStatus.BAD_REQUEST, "The segment has items or customers assigned to it."
            )
        self._tenant.drop_segment(segment_id)


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    if languages[:1] == ("*",):
        return row
    texts = [name for name in ("name", "description") if name in row]
    return row | {name: narrowed(row[name], languages) for name in texts}
