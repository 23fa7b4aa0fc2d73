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
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
from gateway.sandbox.emporix.patching import patched
from gateway.sandbox.emporix.tenant import Tenant
from gateway.sandbox.emporix.webhooks import CREATED, DELETED, SEGMENT, UPDATED
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
        """Return the operations of this resource."""
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

    def list_all(self, call: ApiCall) -> Response:
        """List segments; with `customerId`, those of one customer."""
        return self._list(call, call.query.get("q", ""))

    def search(self, call: ApiCall) -> Response:
        """List segments, with `q` in the body."""
        return self._list(call, query_text(call))

    def me(self, call: ApiCall) -> Response:
        """List the ACTIVE segments of the token's owner."""
        rows = self._tenant.own_segments(call.shopper(), call.query.get("legalEntityId", ""))
        return listed(call, rows, self._shown(call))

    def get(self, call: ApiCall) -> Response:
        """Read one segment; a shopper sees only their own ACTIVE ones (otherwise 404)."""
        row = self._existing(call)
        customer = call.confined_to(READ)
        legal_entity = call.query.get("legalEntityId", "")
        if customer and row not in self._tenant.own_segments(customer, legal_entity):
            raise faults.not_found(row["id"])
        return json_response(projected(self._shown(call)(row), call.query.get("fields")))

    def create(self, call: ApiCall) -> Response:
        """Create a segment; the id is the caller's, if given; the response is only the id."""
        check_content_language(call.headers.get("content-language"))
        return json_response({"id": self._create(call.json())}, HTTPStatus.CREATED)

    def upsert(self, call: ApiCall) -> Response:
        """Replace a segment, or create it under this id."""
        check_content_language(call.headers.get("content-language"))
        segment_id = call.path["segmentId"]
        if self._upsert(segment_id, read_segment(call.json())):
            return json_response({"id": segment_id}, HTTPStatus.CREATED)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def patch(self, call: ApiCall) -> Response:
        """Apply a JSON Patch completely or not at all; no version is checked."""
        check_content_language(call.headers.get("content-language"))
        row = self._existing(call)
        body = call.json()
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

    def delete(self, call: ApiCall) -> Response:
        """Remove a segment; removing a missing one is not an error (our decision)."""
        self._delete(call.path["segmentId"], force=call.flag("forceDelete"))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def create_bulk(self, call: ApiCall) -> Response:
        """Create up to 200 segments."""
        check_content_language(call.headers.get("content-language"))
        return bulk(call, lambda item: (HTTPStatus.CREATED, self._create(item)))

    def upsert_bulk(self, call: ApiCall) -> Response:
        """Replace or create up to 200 segments; each needs its id."""
        check_content_language(call.headers.get("content-language"))

        def one(item: Any) -> tuple[HTTPStatus, str]:
            segment = read_segment(item)
            if segment.id is UNSET:
                raise faults.invalid("is required", "id")
            is_new = self._upsert(segment.id, segment)
            return (HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT), segment.id

        return bulk(call, one)

    def delete_bulk(self, call: ApiCall) -> Response:
        """Remove up to 200 segments, given as an array of ids."""
        force = call.flag("forceDelete")

        def one(item: Any) -> tuple[HTTPStatus, str]:
            if not isinstance(item, str) or not item:
                raise faults.invalid("must be an id")
            self._delete(item, force=force)
            return HTTPStatus.NO_CONTENT, item

        return bulk(call, one)

    def _list(self, call: ApiCall, query: str) -> Response:
        sort = call.query.get("sort", "")
        legal_entity = call.query.get("legalEntityId", "")
        of_customer = call.query.get("customerId", "")
        confined_to = call.confined_to(READ)
        rows: Sequence[Row]
        if confined_to and of_customer:
            raise faults.forbidden()
        if confined_to:
            rows = selected(self._tenant.own_segments(confined_to, legal_entity), query, sort)
        elif of_customer:
            rows = selected(self._tenant.segments_of(of_customer, legal_entity), query, sort)
        else:
            rows = self._tenant.segments.find(query, sort)
        return listed(call, rows, self._shown(call))

    def _shown(self, call: ApiCall) -> Callable[[Row], Row]:
        return partial(_localised, accepted(call.headers.get("accept-language")))

    def _existing(self, call: ApiCall) -> Row:
        row = self._tenant.segments.get(call.path["segmentId"])
        if row is None:
            raise faults.not_found(call.path["segmentId"])
        return row

    def _create(self, body: Any) -> str:
        segment = read_segment(body)
        segment_id = self._new_id() if segment.id is UNSET else segment.id
        if self._tenant.segments.get(segment_id):
            raise faults.already_exists()
        self._put(segment_id, segment)
        return segment_id

    def _new_id(self) -> str:
        """Return an id like the service's own: 24 hex digits, lower case."""
        return blake2s(f"segment {next(self._created)}".encode(), digest_size=12).hexdigest()

    def _upsert(self, segment_id: str, segment: SegmentBody) -> bool:
        """Write a segment; return whether it is new."""
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
        row = segment_row(segment, segment_id, metadata)
        self._tenant.segments.put(row)
        if old is None:
            # The event's schema has no mixins.
            created = {name: part for name, part in row.items() if name != "mixins"}
            self._tenant.emit(SEGMENT + CREATED, created)
        else:
            self._tenant.emit(SEGMENT + UPDATED, {**row, "previousStatus": old["status"]})

    def _delete(self, segment_id: str, *, force: bool) -> None:
        if not force and self._tenant.is_assigned(segment_id):
            raise faults.RefusedError(
                HTTPStatus.BAD_REQUEST, "The segment has items or customers assigned to it."
            )
        existed = self._tenant.segments.get(segment_id) is not None
        self._tenant.drop_segment(segment_id)
        if existed:
            self._tenant.emit(SEGMENT + DELETED, {"id": segment_id})


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    if languages[:1] == ("*",):
        return row
    texts = [name for name in ("name", "description") if name in row]
    return row | {name: narrowed(row[name], languages) for name in texts}
