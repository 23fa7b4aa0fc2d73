"""IAM groups in segments, a later addition that is not in the published OpenAPI file yet.

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
from gateway.sandbox.emporix.operations import ApiCall, Operation, operation
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
        """Return the operations of this resource."""
        return [
            operation("GET", GROUPS, self.list_all, READ),
            operation("POST", GROUPS + "/search", self.search, READ),
            operation("GET", GROUPS + "/{groupId}", self.get, READ),
            operation("PUT", GROUPS + "/{groupId}", self.upsert, MANAGE),
            operation("DELETE", GROUPS + "/{groupId}", self.delete, MANAGE),
        ]

    def list_all(self, call: ApiCall) -> Response:
        """List a segment's groups."""
        return self._list(call, call.query.get("q", ""))

    def search(self, call: ApiCall) -> Response:
        """List a segment's groups, with `q` in the body."""
        return self._list(call, query_text(call))

    def get(self, call: ApiCall) -> Response:
        """Read one assignment."""
        for row in self._rows(call.path["segmentId"]):
            if row["group"]["id"] == call.path["groupId"]:
                return json_response(projected(self._shown(call)(row), call.query.get("fields")))
        raise faults.not_found(call.path["groupId"])

    def upsert(self, call: ApiCall) -> Response:
        """Assign a group of user type CUSTOMER; any other, or an unknown segment, is 400."""
        segment_id, group_id = call.path["segmentId"], call.path["groupId"]
        group = self._tenant.groups.get(group_id)
        if self._tenant.segments.get(segment_id) is None:
            raise faults.invalid("no such segment", "segmentId")
        if group is None or group.user_type != "CUSTOMER":
            raise faults.invalid("not a group of customers", "groupId")
        body = read(call.json(), AssignmentBody) if call.body else AssignmentBody()
        is_new = self._links.upsert(segment_id, (group_id, ""), body, self._tenant.now())
        return Response(status_code=HTTPStatus.CREATED if is_new else HTTPStatus.NO_CONTENT)

    def delete(self, call: ApiCall) -> Response:
        """Remove an assignment; removing a missing one is not an error."""
        self._links.drop(call.path["segmentId"], (call.path["groupId"], ""))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _list(self, call: ApiCall, query: str) -> Response:
        rows = selected(self._rows(call.path["segmentId"]), query, call.query.get("sort", ""))
        return listed(call, rows, self._shown(call))

    def _rows(self, segment_id: str) -> list[Row]:
        rows = []
        for (group_id, _), link in self._links.of(segment_id).items():
            group = {"id": group_id, "name": self._tenant.groups[group_id].name}
            rows.append({"segmentId": segment_id, "group": group} | link)
        return rows

    def _shown(self, call: ApiCall) -> Callable[[Row], Row]:
        return partial(_localised, accepted(call.headers.get("accept-language")))


def _localised(languages: tuple[str, ...], row: Row) -> Row:
    group = row["group"]
    return row | {"group": group | {"name": narrowed(group["name"], languages)}}
