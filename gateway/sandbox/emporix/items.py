"""Products and categories in segments, the shopper's category tree, and matching products.

Our decisions: an unknown item or segment is 400 on writing; an assigned category
includes its subcategories and their products; `match` considers only segments of the given site.
"""

from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from msgspec import UNSET
from starlette.responses import Response

from gateway.sandbox.emporix import faults
from gateway.sandbox.emporix.bodies import AssignmentBody, MatchBody, read
from gateway.sandbox.emporix.bulk import bulk
from gateway.sandbox.emporix.languages import accepted, narrowed
from gateway.sandbox.emporix.listing import Row, listed, projected, query_text, selected
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
from gateway.sandbox.emporix.segments import MANAGE, ONE, PATH, READ, READ_OWN
from gateway.sandbox.emporix.tenant import Key, Tenant
from gateway.sandbox.emporix.webhooks import CREATED, DELETED, ITEM_ASSIGNMENT, UPDATED
from gateway.sandbox.replies import json_response

ITEMS = ONE + "/items"
TYPED = ITEMS + "/{type}"
TYPES = {"PRODUCT", "CATEGORY"}


class Items:
    """The operations on the items of segments."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._links = tenant.item_links

    def operations(self) -> list[Operation]:
        """Return the operations of this resource."""
        return [
            operation("GET", PATH + "/items", self.list_all, READ, READ_OWN),
            operation("GET", PATH + "/items/category-trees", self.category_trees, READ_OWN),
            operation("POST", PATH + "/match", self.match, MANAGE),
            operation("GET", ITEMS, self.list_one, READ, READ_OWN),
            operation("POST", ITEMS + "/search", self.search, READ, READ_OWN),
            operation("PUT", TYPED + "/bulk", self.upsert_bulk, MANAGE),
            operation("DELETE", TYPED + "/bulk", self.delete_bulk, MANAGE),
            operation("GET", TYPED + "/{itemId}", self.get, READ, READ_OWN),
            operation("PUT", TYPED + "/{itemId}", self.upsert, MANAGE),
            operation("DELETE", TYPED + "/{itemId}", self.delete, MANAGE),
        ]

    def list_all(self, call: ApiCall) -> Response:
        """List the items of all segments, or of a shopper's own ACTIVE ones."""
        only_active = call.flag("onlyActive")
        segments = self._visible(call)
        if only_active:
            segments = [row for row in segments if row["status"] == "ACTIVE"]
        return self._list(call, _of_site(call, segments), call.query.get("q", ""))

    def list_one(self, call: ApiCall) -> Response:
        """List the items of one segment; no segment means no items, as no 404 is documented."""
        return self._list(call, self._one(call), call.query.get("q", ""))

    def search(self, call: ApiCall) -> Response:
        """List the items of one segment, with `q` in the body."""
        return self._list(call, self._one(call), query_text(call))

    def get(self, call: ApiCall) -> Response:
        """Read one assignment; a shopper sees only those in their own ACTIVE segments."""
        key = _key(call)
        for segment in self._one(call):
            link = self._links.of(segment["id"]).get(key)
            if link is not None:
                row = self._shown(call)(self._row(segment["id"], key, link))
                return json_response(projected(row, call.query.get("fields")))
        raise faults.not_found(key[0])

    def upsert(self, call: ApiCall) -> Response:
        """Assign an item: 201 if new, 204 if it existed, both without a body."""
        key = call.path["itemId"], _type(call)
        body = read(call.json(), AssignmentBody) if call.body else AssignmentBody()
        return Response(status_code=self._upsert(call.path["segmentId"], key, body))

    def delete(self, call: ApiCall) -> Response:
        """Remove an assignment; removing a missing one is not an error (our decision)."""
        self._drop(call.path["segmentId"], _key(call))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def upsert_bulk(self, call: ApiCall) -> Response:
        """Assign up to 200 items of one type; the results carry no ids."""
        item_type = _type(call)

        def one(item: Any) -> tuple[HTTPStatus, None]:
            body = read(item, AssignmentBody)
            if body.id is UNSET:
                raise faults.invalid("is required", "id")
            return self._upsert(call.path["segmentId"], (body.id, item_type), body), None

        return bulk(call, one)

    def delete_bulk(self, call: ApiCall) -> Response:
        """Remove up to 200 items of one type, given as an array of ids."""
        item_type = _type(call)

        def one(item: Any) -> tuple[HTTPStatus, None]:
            if not isinstance(item, str):
                raise faults.invalid("must be an id")
            self._drop(call.path["segmentId"], (item, item_type))
            return HTTPStatus.NO_CONTENT, None

        return bulk(call, one)

    def category_trees(self, call: ApiCall) -> Response:
        """Return the categories of a shopper's ACTIVE segments, with their ancestors."""
        own = self._tenant.own_segments(call.shopper(), call.query.get("legalEntityId", ""))
        assigned = self._assigned("CATEGORY", _of_site(call, own))
        languages = accepted(call.headers.get("accept-language"))
        return json_response(self._tenant.catalogue.tree(assigned, languages))

    def match(self, call: ApiCall) -> Response:
        """Return which of the given products are in one of the given ACTIVE segments.

        The schema requires `site` and the example sends `siteCode`: either is accepted.
        """
        body = read(call.json(), MatchBody)
        site = body.site or body.site_code
        if not site:
            raise faults.invalid("is required", "site")
        segments = [
            row
            for row in self._tenant.segments.some(body.segment_ids)
            if row["status"] == "ACTIVE" and row["siteCode"] == site
        ]
        products = self._assigned("PRODUCT", segments)
        products |= self._tenant.catalogue.products_in(self._assigned("CATEGORY", segments))
        requested = dict.fromkeys(item.id for item in body.items)
        return json_response([{"id": item_id} for item_id in requested if item_id in products])

    def _visible(self, call: ApiCall) -> list[Row]:
        customer = call.confined_to(READ)
        if customer is None:
            return list(self._tenant.segments.find("", ""))
        return self._tenant.own_segments(customer, call.query.get("legalEntityId", ""))

    def _one(self, call: ApiCall) -> list[Row]:
        """Return the segment of the path, or none if it is not there for this caller."""
        segment = self._tenant.segments.get(call.path["segmentId"])
        if call.confined_to(READ) and segment not in self._visible(call):
            segment = None
        return [segment] if segment else []

    def _assigned(self, item_type: str, segments: Iterable[Row]) -> set[str]:
        keys = (key for segment in segments for key in self._links.of(segment["id"]))
        return {item_id for item_id, its_type in keys if its_type == item_type}

    def _list(self, call: ApiCall, segments: Iterable[Row], query: str) -> Response:
        rows = [
            self._row(segment["id"], key, link)
            for segment in segments
            for key, link in self._links.of(segment["id"]).items()
        ]
        return listed(call, selected(rows, query, call.query.get("sort", "")), self._shown(call))

    def _row(self, segment_id: str, key: Key, link: Row) -> Row:
        item = self._tenant.catalogue.item(*key)
        return {"segmentId": segment_id, "item": item, "type": key[1]} | link

    def _shown(self, call: ApiCall) -> Callable[[Row], Row]:
        return partial(_localised, accepted(call.headers.get("accept-language")))

    def _upsert(self, segment_id: str, key: Key, body: AssignmentBody) -> HTTPStatus:
        if self._tenant.segments.get(segment_id) is None:
            raise faults.invalid("no such segment", "segmentId")
        if self._tenant.catalogue.item(*key) is None:
            raise faults.invalid(f"no such {key[1]}", "itemId")
        is_new = self._links.upsert(segment_id, key, body, self._tenant.now())
        row = self._row(segment_id, key, self._links.of(segment_id)[key])
        self._tenant.emit(ITEM_ASSIGNMENT + (CREATED if is_new else UPDATED), row)
        return HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT

    def _drop(self, segment_id: str, key: Key) -> None:
        if self._links.drop(segment_id, key):
            gone = {"segmentId": segment_id, "type": key[1], "itemId": key[0]}
            self._tenant.emit(ITEM_ASSIGNMENT + DELETED, gone)


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    item = row["item"]
    return row | {"item": item | {"name": narrowed(item["name"], languages)}}


def _of_site(call: ApiCall, segments: Iterable[Row]) -> list[Row]:
    site = call.query.get("siteCode")
    return [row for row in segments if not site or row["siteCode"] == site]


def _type(call: ApiCall) -> str:
    if call.path["type"] not in TYPES:
        raise faults.invalid("must be PRODUCT or CATEGORY", "type")
    return call.path["type"]


def _key(call: ApiCall) -> Key:
    return call.path["itemId"], call.path["type"]
