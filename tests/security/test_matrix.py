"""Every field and mutation, by callers with every scope alone and with exactly what is needed.

What is to be expected stands in `tests.security.table`, written by hand. Each operation is asked
for the caller's own things, for somebody else's, and for such as there are not.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import pytest

from gateway.auth.permissions import UNDECLARED
from resolvers.execution.document import Document
from resolvers.field_permissions import requirement_of
from tests.e2e.serving import Front, assignment_id, customer_id, segment_id
from tests.security.callers import EVERY_SCOPE, ask, guarded, refusal, signed
from tests.security.routes import CORE, Kind, Route, coordinates, routes
from tests.security.table import TABLE

GROUPS = 8

OWN, OTHER, NOBODY = "90000555", "90000000", "90999999"
"""Customers of Emporix: one whose segments are all active, another, and one that there is not."""

SUBJECTS: Mapping[str, Mapping[str, str]] = {
    whose: {
        "customer": customer_id("emporix", customer),
        "segment": segment_id("emporix", segment),
        "assignment": assignment_id("emporix", segment, customer),
    }
    for whose, customer, segment in (
        ("own", OWN, "dffd98cfedb0231443b923cd"),
        ("other's", OTHER, "golden"),
        ("missing", NOBODY, "none"),
    )
}
OWN_IDS = {"stuut": "me", "voucherify": "me", "instaleap": "me", "emporix": OWN}
CUSTOMER = signed("own:read", **OWN_IDS)

VARIES = {
    "Source.fetchedAt",
    "SegmentsComparison.asOf",
    "ComparedSegment.asOf",
    "ProviderHealth.latencyMsP50",
    "ProviderHealth.latencyMsP95",
    "ProviderHealth.lastSuccessAt",
    "Segment.sizeHistory",
    *(each for each in TABLE if each.startswith("SegmentSizePoint.")),
}
"""Fields whose values change while others are read: times, and the totals that reads record."""

ROUTES = routes()
OWN_ROUTES = routes(lambda coordinate: TABLE[coordinate].own)
ASKED_HERE = [each for each, route in ROUTES.items() if not route.is_of_changes]
"""Changes need what they need each: `test_change_rights` asks for their fields."""


@pytest.fixture(params=["plan", "graphql-core"])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose who runs the operations."""
    if request.param == "graphql-core":
        monkeypatch.setattr(Document, "plan", lambda *_: None)
    return str(request.param)


def test_every_field_says_what_it_needs() -> None:
    """No field is left undeclared, and each needs what the table says; the table has no others."""
    declared = {}
    for coordinate in coordinates():
        name, field = coordinate.split(".")
        kind = CORE.type_map[name]
        assert isinstance(kind, Kind)
        declared[coordinate] = requirement_of(kind, kind.fields[field])
    assert [each for each, needs in declared.items() if needs is UNDECLARED] == []
    assert {each: (set(needs.permissions), needs.own) for each, needs in declared.items()} == {
        each: (set(rule.scopes), rule.own) for each, rule in TABLE.items()
    }


def test_every_field_is_asked() -> None:
    """There is an operation for each field, and an own one for each that the own view has."""
    # See `test_change_rights` and `test_subscription_rights`.
    of_changes = ("AssignmentChange.", "SegmentChange.", "Subscription.")
    assert set(ROUTES) == {each for each in TABLE if not each.startswith(of_changes)}
    led_to = {route.coordinates[0] for route in ROUTES.values()}
    assert led_to >= {each for each in TABLE if each.startswith("Mutation.")}
    assert len(OWN_ROUTES) > 60


def needed(route: Route) -> frozenset[str]:
    """Return the scopes that all fields of a route need."""
    return frozenset[str]().union(*(TABLE[each].scopes for each in route.coordinates))


def denial(route: Route, lacking: frozenset[str]) -> Any:
    """Return the refusal of an operation: each scope with the field that it is wanted for."""
    messages = []
    for scope in lacking:
        places = [n for n, each in enumerate(route.coordinates) if scope in TABLE[each].scopes]
        strict = [n for n in places if not TABLE[route.coordinates[n]].own]
        path = ".".join(route.path[: (strict or places)[0] + 1])
        messages.append(f"{path} needs the scope {scope}.")
    return {"errors": [{"message": each, "code": "FORBIDDEN"} for each in sorted(messages)]}


def in_order(body: Any) -> Any:
    """Return a refusal with its errors in the order of `denial`."""
    shown = refusal(body)
    if "data" not in shown:
        shown["errors"].sort(key=lambda each: each["message"])
    return shown


def scopes_to_try(needs: frozenset[str], executor: str) -> Iterable[frozenset[str]]:
    """Return sets of scopes: what is needed, that without each one, none, and each alone.

    The last for one executor alone: who is refused is so before either is chosen.
    """
    around = [needs, *(needs - {scope} for scope in needs)]
    if executor == "plan":
        around.append(frozenset())
        around += [frozenset({each}) for each in EVERY_SCOPE if each not in {"admin", "own:read"}]
    return dict.fromkeys(around)


def is_by_any_id(route: Route) -> bool:
    """Tell whether a route starts at what any id may name: see `test_rights`."""
    return route.coordinates[0] in {"Query.node", "Query.nodes"}


class Administrator:
    """Asks with every right, each thing once."""

    def __init__(self, front: Front) -> None:
        """Ask here."""
        self._front = front
        self._known: dict[str, tuple[str, list[str]]] = {}

    async def sees(self, query: str) -> tuple[str, list[str]]:
        """Return the answer to a query, and the calls that it took."""
        if query not in self._known:
            self._known[query] = await seen(self._front, signed("admin"), query)
        return self._known[query]


async def seen(front: Front, caller: str, query: str) -> tuple[str, list[str]]:
    """Return the answer that a caller gets, and the calls that it took."""
    front.forget()
    body = await ask(front, caller, query)
    return json.dumps(body), sorted(front.calls)


@pytest.mark.parametrize("group", range(GROUPS))
async def test_scopes(group: int, executor: str) -> None:
    """Who holds what is needed gets what an administrator gets; who does not, nothing at all."""
    async with guarded() as front:
        administrator = Administrator(front)
        for coordinate in ASKED_HERE[group::GROUPS]:
            route = ROUTES[coordinate]
            needs = needed(route)
            for scopes, subject in product(scopes_to_try(needs, executor), SUBJECTS.values()):
                query, caller = route.text % subject, signed(*sorted(scopes))
                response, calls = await seen(front, caller, query)
                if not needs <= scopes:
                    body = in_order(json.loads(response))
                    assert (body, calls) == (denial(route, needs - scopes), []), (caller, query)
                elif not scopes - {"federation:read", "metrics:read"} or is_by_any_id(route):
                    assert "errors" not in json.loads(response), (caller, query)
                else:
                    expected = await administrator.sees(query)
                    assert calls == expected[1], (caller, query)
                    if coordinate not in VARIES:
                        assert response == expected[0], (caller, query)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("group", range(GROUPS))
async def test_own(group: int) -> None:
    """A customer gets of their own what an administrator gets, of all else the same nothing."""
    async with guarded() as front:
        administrator = Administrator(front)
        for coordinate in ASKED_HERE[group::GROUPS]:
            route = OWN_ROUTES.get(coordinate, ROUTES[coordinate])
            results = {}
            for whose, subject in SUBJECTS.items():
                results[whose] = response, calls = await seen(
                    front, CUSTOMER, route.text % subject
                )
                if coordinate not in OWN_ROUTES:
                    body = in_order(json.loads(response))
                    assert (body, calls) == (denial(route, needed(route)), []), route.text
                elif coordinate not in VARIES:
                    as_if = SUBJECTS["own" if whose == "own" else "missing"]
                    assert response == (await administrator.sees(route.text % as_if))[0], (
                        route.text
                    )
            if coordinate in OWN_ROUTES:
                assert results["other's"] == results["missing"], route.text
