"""Products and categories in segments, the shopper's category tree, and matching products.

Our decisions: an unknown item or segment is 400 on writing; what a category is assigned to, its
subcategories are too, with their products; `match` looks only at segments of the site asked for.
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
from gateway.sandbox.emporix.operations import Ask, Operation, operation
from gateway.sandbox.emporix.segments import MANAGE, ONE, PATH, READ, READ_OWN
from gateway.sandbox.emporix.tenant import Key, Tenant
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
        """Return the operations."""
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

    def list_all(self, ask: Ask) -> Response:
        """List the items of all segments, or of a shopper's own ACTIVE ones."""
        only_active = ask.flag("onlyActive")
        segments = self._visible(ask)
        if only_active:
            segments = [row for row in segments if row["status"] == "ACTIVE"]
        return self._list(ask, _of_site(ask, segments), ask.query.get("q", ""))

    def list_one(self, ask: Ask) -> Response:
        """List the items of one segment; no segment means no items, for a 404 is not listed."""
        return self._list(ask, self._one(ask), ask.query.get("q", ""))

    def search(self, ask: Ask) -> Response:
        """List the items of one segment, with `q` in the body."""
        return self._list(ask, self._one(ask), query_text(ask))

    def get(self, ask: Ask) -> Response:
        """Read one assignment; a shopper finds only those of his own ACTIVE segments."""
        key = _key(ask)
        for segment in self._one(ask):
            link = self._links.of(segment["id"]).get(key)
            if link is not None:
                row = self._shown(ask)(self._row(segment["id"], key, link))
                return json_response(projected(row, ask.query.get("fields")))
        raise faults.not_found(key[0])

    def upsert(self, ask: Ask) -> Response:
        """Assign an item: 201 when new, 204 when it was there, both without a body."""
        key = ask.path["itemId"], _type(ask)
        body = read(ask.json(), AssignmentBody) if ask.body else AssignmentBody()
        return Response(status_code=self._upsert(ask.path["segmentId"], key, body))

    def delete(self, ask: Ask) -> Response:
        """Remove an assignment; one that is not there is no error (our decision)."""
        self._links.drop(ask.path["segmentId"], _key(ask))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def upsert_bulk(self, ask: Ask) -> Response:
        """Assign up to 200 items of one type; the results carry no ids."""
        item_type = _type(ask)

        def one(item: Any) -> tuple[HTTPStatus, None]:
            body = read(item, AssignmentBody)
            if body.id is UNSET:
                raise faults.invalid("is required", "id")
            return self._upsert(ask.path["segmentId"], (body.id, item_type), body), None

        return bulk(ask, one)

    def delete_bulk(self, ask: Ask) -> Response:
        """Remove up to 200 items of one type, given as an array of ids."""
        item_type = _type(ask)

        def one(item: Any) -> tuple[HTTPStatus, None]:
            if not isinstance(item, str):
                raise faults.invalid("must be an id")
            self._links.drop(ask.path["segmentId"], (item, item_type))
            return HTTPStatus.NO_CONTENT, None

        return bulk(ask, one)

    def category_trees(self, ask: Ask) -> Response:
        """Show a shopper the categories of his ACTIVE segments, with the ones above them."""
        own = self._tenant.own_segments(ask.shopper(), ask.query.get("legalEntityId", ""))
        assigned = self._assigned("CATEGORY", _of_site(ask, own))
        languages = accepted(ask.headers.get("accept-language"))
        return json_response(self._tenant.catalogue.tree(assigned, languages))

    def match(self, ask: Ask) -> Response:
        """Tell which of the given products are in one of the given segments that are ACTIVE.

        The schema requires `site` and the example sends `siteCode`: either will do.
        """
        body = read(ask.json(), MatchBody)
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
        asked = dict.fromkeys(item.id for item in body.items)
        return json_response([{"id": item_id} for item_id in asked if item_id in products])

    def _visible(self, ask: Ask) -> list[Row]:
        customer = ask.confined_to(READ)
        if customer is None:
            return list(self._tenant.segments.find("", ""))
        return self._tenant.own_segments(customer, ask.query.get("legalEntityId", ""))

    def _one(self, ask: Ask) -> list[Row]:
        """Return the segment of the path, or none if it is not there for this caller."""
        segment = self._tenant.segments.get(ask.path["segmentId"])
        if ask.confined_to(READ) and segment not in self._visible(ask):
            segment = None
        return [segment] if segment else []

    def _assigned(self, item_type: str, segments: Iterable[Row]) -> set[str]:
        keys = (key for segment in segments for key in self._links.of(segment["id"]))
        return {item_id for item_id, its_type in keys if its_type == item_type}

    def _list(self, ask: Ask, segments: Iterable[Row], query: str) -> Response:
        rows = [
            self._row(segment["id"], key, link)
            for segment in segments
            for key, link in self._links.of(segment["id"]).items()
        ]
        return listed(ask, selected(rows, query, ask.query.get("sort", "")), self._shown(ask))

    def _row(self, segment_id: str, key: Key, link: Row) -> Row:
        item = self._tenant.catalogue.item(*key)
        return {"segmentId": segment_id, "item": item, "type": key[1]} | link

    def _shown(self, ask: Ask) -> Callable[[Row], Row]:
        return partial(_localised, accepted(ask.headers.get("accept-language")))

    def _upsert(self, segment_id: str, key: Key, body: AssignmentBody) -> HTTPStatus:
        if self._tenant.segments.get(segment_id) is None:
            raise faults.invalid("no such segment", "segmentId")
        if self._tenant.catalogue.item(*key) is None:
            raise faults.invalid(f"no such {key[1]}", "itemId")
        is_new = self._links.upsert(segment_id, key, body, self._tenant.now())
        return HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    item = row["item"]
    return row | {"item": item | {"name": narrowed(item["name"], languages)}}


def _of_site(ask: Ask, segments: Iterable[Row]) -> list[Row]:
    site = ask.query.get("siteCode")
    return [row for row in segments if not site or row["siteCode"] == site]


def _type(ask: Ask) -> str:
    if ask.path["type"] not in TYPES:
        raise faults.invalid("must be PRODUCT or CATEGORY", "type")
    return ask.path["type"]


def _key(ask: Ask) -> Key:
    return ask.path["itemId"], ask.path["type"]
