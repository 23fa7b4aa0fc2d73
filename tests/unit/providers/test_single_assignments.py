"""Adapters whose provider assigns customers one by one."""

from http import HTTPStatus

import pytest

from gateway.domain.mutations import Assignee, Outcome, RowResult
from gateway.errors import Refused
from gateway.providers.base.decoding import check
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.single_assignments import AssignsOneByOne
from gateway.providers.base.write_protocols import AssignsCustomers

OK = frozenset({HTTPStatus.CREATED, HTTPStatus.NO_CONTENT})


class Single(AssignsOneByOne):
    """An adapter with the two methods that it needs."""

    def assign(self, segment: str, assignee: Assignee) -> Exchange[bool]:
        """Assign a customer; 201 is new."""

        def read(reply: Reply) -> bool:
            check("p", "assign", reply, OK)
            return reply.status == HTTPStatus.CREATED

        path = f"/{segment}/{assignee.customer}"
        return Exchange("assign", Call("PUT", path), read, is_idempotent=False)

    def unassign(self, segment: str, assignee: Assignee) -> Exchange[None]:
        """Remove a customer."""
        path = f"/{segment}/{assignee.customer}"
        return Exchange(
            "unassign", Call("DELETE", path), lambda reply: check("p", "unassign", reply, OK)
        )


@pytest.mark.parametrize(("status", "outcome"), [(201, Outcome.CREATED), (204, Outcome.UPDATED)])
def test_one_customer_is_assigned(status: int, outcome: Outcome) -> None:
    """The call is that of `assign`, and its answer becomes the row's outcome."""
    adapter = Single()
    assert isinstance(adapter, AssignsCustomers)
    exchange = adapter.assign_many("s", [Assignee("c")])
    assert exchange.call == Call("PUT", "/s/c")
    assert (exchange.operation, exchange.is_idempotent, exchange.keys) == ("assign", False, 1)
    assert exchange.read(Reply(status, {}, b"")) == [RowResult(outcome)]


def test_one_customer_is_removed() -> None:
    """The call is that of `unassign`."""
    exchange = Single().unassign_many("s", [Assignee("c")])
    assert exchange.call == Call("DELETE", "/s/c")
    assert (exchange.operation, exchange.is_idempotent, exchange.keys) == ("unassign", True, 1)
    assert exchange.read(Reply(204, {}, b"")) == [RowResult(Outcome.DELETED)]


@pytest.mark.parametrize("method", ["assign_many", "unassign_many"])
def test_a_refusal_is_that_of_the_call(method: str) -> None:
    """The gateway makes it the row's error."""
    with pytest.raises(Refused):
        getattr(Single(), method)("s", [Assignee("c")]).read(Reply(404, {}, b""))


def test_more_than_one_row_is_a_bug() -> None:
    """`rows_per_call` is one."""
    adapter = Single()
    assert adapter.rows_per_call == 1
    with pytest.raises(ValueError, match="too many values"):
        adapter.assign_many("s", [Assignee("c"), Assignee("d")])
