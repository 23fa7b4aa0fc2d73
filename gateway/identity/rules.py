"""Rules: which values of customers at different providers link them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from gateway.domain.entities import Customer
from gateway.identity.normalizing import EMAIL, Form, normalized

EMAIL_KEY: Final = "email"
PHONE_KEY: Final = "phone"
ATTRIBUTES: Final = "attributes."
"""The prefix of a path into a customer's attributes: `attributes.loyalty.crmId`."""

MAX_CUSTOMERS: Final = 10
"""The default of `identity.max_customers`."""


class Key(NamedTuple):
    """A key of the customers of one provider.

    Its name is `id`, `email`, `phone`, another kind of `CustomerKey`, or `attributes.<path>`.
    """

    provider: str
    name: str

    def __str__(self) -> str:
        """Return it as the configuration has it."""
        return f"{self.provider}:{self.name}"


class Rule(NamedTuple):
    """Customers with an equal value of these keys belong together."""

    name: str
    keys: tuple[Key, ...]
    form: Form
    is_auto: bool = True
    """False: the rule proposes links, and makes none."""
    per_provider: int = 1
    """The most customers of one provider that the rule links."""


class Value(NamedTuple):
    """A value of a customer, as it is compared."""

    key: str
    """The name of the `Key`."""
    form: Form
    text: str


class Ruleset:
    """The configured rules, strongest first, and what applies to all of them."""

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        blocked: Sequence[str] = (),
        max_customers: int = MAX_CUSTOMERS,
    ) -> None:
        """`blocked` are expressions that match whole values that never link, ignoring case."""
        self.rules = tuple(rules)
        self.max_customers = max_customers
        self._blocked = [re.compile(each, re.IGNORECASE) for each in blocked]

    def rules_of(self, provider: str) -> Sequence[Rule]:
        """Return the rules that name a key of this provider, strongest first."""
        return self._rules_of.get(provider, ())

    @cached_property
    def _rules_of(self) -> Mapping[str, Sequence[Rule]]:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            for provider in dict.fromkeys(key.provider for key in rule.keys):
                found.setdefault(provider, []).append(rule)
        return found

    @cached_property
    def _indexed(self) -> Mapping[str, Sequence[tuple[str, Form]]]:
        """The keys that are indexed, by provider."""
        found: dict[str, dict[tuple[str, Form], None]] = {}
        for rule in self.rules:
            for key in rule.keys:
                found.setdefault(key.provider, {})[key.name, rule.form] = None
        return {provider: tuple(keys) for provider, keys in found.items()}

    def indexed(self, provider: str) -> Sequence[tuple[str, Form]]:
        """Return the keys of a provider that rules compare; its email addresses are among them."""
        keys = self._indexed.get(provider, ())
        return keys if (EMAIL_KEY, EMAIL) in keys else (*keys, (EMAIL_KEY, EMAIL))

    def is_blocked(self, text: str) -> bool:
        """Return whether a normalized value never links."""
        return any(each.fullmatch(text) for each in self._blocked)

    def values(self, customer: Customer) -> Iterator[Value]:
        """Yield the values of a customer that are indexed; blank and blocked ones are not."""
        for name, form in self.indexed(customer.ref.provider):
            for raw in raw_values(customer, name):
                text = normalized(form, raw)
                if text is not None and not self.is_blocked(text):
                    yield Value(name, form, text)


NO_RULES: Final = Ruleset()


def raw_values(customer: Customer, name: str) -> Sequence[str]:
    """Return the values of a key as the provider has them: none, one or several."""
    if name == EMAIL_KEY:
        return [customer.email] if customer.email else []
    if name == PHONE_KEY:
        return [customer.phone] if customer.phone else []
    if name.startswith(ATTRIBUTES):
        return _texts(_at(customer.attributes, name.removeprefix(ATTRIBUTES)))
    if name == "id":
        return [customer.ref.key]
    return [key.value for key in customer.keys if key.kind == name]


def _at(attributes: Mapping[str, Any] | None, path: str) -> Any:
    part: Any = attributes
    for name in path.split("."):
        if not isinstance(part, Mapping):
            return None
        part = part.get(name)
    return part


def _texts(value: Any) -> Sequence[str]:
    """Return the texts of an attribute; numbers compare like texts, and true is no value."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return []
    return [str(value)]
