"""IAM groups in segments, a later addition that the stored OpenAPI file does not have yet.

`/customer-segment/{tenant}/segments/{segmentId}/groups`; a group's members are in the segment.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from starlette.responses import Response

from gateway.sandbox.emporix import faults
from gateway.sandbox.emporix.bodies import AssignmentBody, read
from gateway.sandbox.emporix.languages import accepted, narrowed
from gateway.sandbox.emporix.listing import Row, listed, projected, query_text, selected
from gateway.sandbox.emporix.operations import Ask, Operation, operation
from gateway.sandbox.emporix.segments import MANAGE, ONE, READ
from gateway.sandbox.emporix.tenant import Tenant
from gateway.sandbox.replies import json_response

GROUPS = ONE + "/groups"


class GroupAssignments:
    """The operations on the groups of a segment."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._links = tenant.group_links

    def operations(self) -> list[Operation]:
        """Return the operations."""
        return [
            operation("GET", GROUPS, self.list_all, READ),
            operation("POST", GROUPS + "/search", self.search, READ),
            operation("GET", GROUPS + "/{groupId}", self.get, READ),
            operation("PUT", GROUPS + "/{groupId}", self.upsert, MANAGE),
            operation("DELETE", GROUPS + "/{groupId}", self.delete, MANAGE),
        ]

    def list_all(self, ask: Ask) -> Response:
        """List a segment's groups."""
        return self._list(ask, ask.query.get("q", ""))

    def search(self, ask: Ask) -> Response:
        """List a segment's groups, with `q` in the body."""
        return self._list(ask, query_text(ask))

    def get(self, ask: Ask) -> Response:
        """Read one assignment."""
        for row in self._rows(ask.path["segmentId"]):
            if row["group"]["id"] == ask.path["groupId"]:
                return json_response(projected(self._shown(ask)(row), ask.query.get("fields")))
        raise faults.not_found(ask.path["groupId"])

    def upsert(self, ask: Ask) -> Response:
        """Assign a group of user type CUSTOMER; any other, or an unknown segment, is 400."""
        segment_id, group_id = ask.path["segmentId"], ask.path["groupId"]
        group = self._tenant.groups.get(group_id)
        if self._tenant.segments.get(segment_id) is None:
            raise faults.invalid("no such segment", "segmentId")
        if group is None or group.user_type != "CUSTOMER":
            raise faults.invalid("not a group of customers", "groupId")
        body = read(ask.json(), AssignmentBody) if ask.body else AssignmentBody()
        is_new = self._links.upsert(segment_id, (group_id, ""), body, self._tenant.now())
        return Response(status_code=HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT)

    def delete(self, ask: Ask) -> Response:
        """Remove an assignment, even one that is not there."""
        self._links.drop(ask.path["segmentId"], (ask.path["groupId"], ""))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _list(self, ask: Ask, query: str) -> Response:
        rows = selected(self._rows(ask.path["segmentId"]), query, ask.query.get("sort", ""))
        return listed(ask, rows, self._shown(ask))

    def _rows(self, segment_id: str) -> list[Row]:
        rows = []
        for (group_id, _), link in self._links.of(segment_id).items():
            group = {"id": group_id, "name": self._tenant.groups[group_id].name}
            rows.append({"segmentId": segment_id, "group": group} | link)
        return rows

    def _shown(self, ask: Ask) -> Callable[[Row], Row]:
        return partial(_localised, accepted(ask.headers.get("accept-language")))


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    group = row["group"]
    return row | {"group": group | {"name": narrowed(group["name"], languages)}}
