"""What rules would do, before they are switched on."""

from datetime import UTC, datetime

from gateway.domain.entities import Customer, CustomerKey, Ref
from gateway.identity.graph import Decision, LinkOrigin, LinkState, pair_of
from gateway.identity.normalizing import EMAIL
from gateway.identity.preview import SharedValue, preview
from gateway.identity.rules import Key, Rule, Ruleset

MAIL = Rule("mail", tuple(Key(each, "email") for each in "abc"), EMAIL)
RULES = Ruleset([MAIL], max_customers=2)


def customer(text: str, email: str) -> Customer:
    """Return the customer `a1` of the provider `a`."""
    return Customer(ref=Ref(text[0], text), keys=(CustomerKey("id", text),), email=email)


TWO_PEOPLE = [customer("a1", "info@shop"), customer("b1", "Info@shop")]


def test_a_false_link_is_shown_with_its_value() -> None:
    """Two people who share an address would be linked; `blocked` stops it."""
    found = preview(RULES, TWO_PEOPLE, ())
    assert found.customers == 2
    (link,) = found.links["mail"][LinkState.ACTIVE]
    assert (link.edge.pair, link.value) == (pair_of(Ref("a", "a1"), Ref("b", "b1")), "info@shop")
    assert found.persons == [[Ref("a", "a1"), Ref("b", "b1")]]
    stopped = preview(Ruleset([MAIL], blocked=["info@.*"]), TWO_PEOPLE, ())
    assert stopped.links == {"mail": {LinkState.ACTIVE: [], LinkState.PROPOSED: []}}
    assert stopped.persons == []


def test_shared_values_and_conflicts() -> None:
    """Values that too many customers share, and pairs that are kept apart."""
    shared = [
        *TWO_PEOPLE,
        customer("a2", "info@shop"),
        customer("c1", "x@y"),
        customer("b2", "x@y"),
    ]
    apart = Decision(
        pair_of(Ref("b", "b2"), Ref("c", "c1")),
        is_link=False,
        origin=LinkOrigin.EXPLICIT,
        rule=None,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    found = preview(RULES, shared, [apart])
    assert found.shared == [SharedValue("mail", "info@shop", 3)]
    assert len(found.links["mail"][LinkState.PROPOSED]) == 3
    assert [each.pair for each in found.conflicts] == [apart.pair]
    assert found.persons == []
