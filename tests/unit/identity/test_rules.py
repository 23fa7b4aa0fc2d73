"""Which values of a customer rules compare."""

from gateway.domain.entities import Customer, CustomerKey, Ref
from gateway.identity.normalizing import EMAIL, EXACT
from gateway.identity.rules import Key, Rule, Ruleset, Value

RULES = Ruleset(
    [
        Rule("crm", (Key("a", "source_id"), Key("b", "attributes.crm.ids")), EXACT),
        Rule("ids", (Key("a", "id"), Key("b", "id"), Key("b", "attributes.flag")), EXACT),
    ],
    blocked=["^[0-]*$", "NULL"],
)


def customer(provider: str, **parts: object) -> Customer:
    """Return a customer with the key c."""
    return Customer(ref=Ref(provider, "c"), keys=(CustomerKey("id", "c"),), **parts)  # type: ignore[arg-type]  # parts of a customer


def test_values() -> None:
    """Keys of rules and email addresses; blank and blocked values are none, nor are objects."""
    of_a = customer("a", email=" A@b.C ")
    assert list(RULES.values(of_a)) == [Value("id", EXACT, "c"), Value("email", EMAIL, "a@b.c")]
    attributes = {"crm": {"ids": ["x", 7, True, None, "0-0", "null", " ", {"y": 1}]}, "flag": True}
    assert list(RULES.values(customer("b", attributes=attributes))) == [
        Value("attributes.crm.ids", EXACT, "x"),
        Value("attributes.crm.ids", EXACT, "7"),
        Value("id", EXACT, "c"),
    ]
    assert list(RULES.values(customer("elsewhere", attributes={"crm": 1}))) == []


def test_blocked_expressions_match_whole_values() -> None:
    """A part that matches is no match, and case does not matter."""
    assert [RULES.is_blocked(each) for each in ("null", "nullable", "000", "0001", "")] == [
        True,
        False,
        True,
        False,
        True,
    ]
