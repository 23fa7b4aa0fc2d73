"""The `[identity]` table and the `[[identity.rules]]` tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from gateway.errors import Problem, missing_extra
from gateway.identity.normalizing import Form, Normalization, is_region
from gateway.identity.rules import ATTRIBUTES, MAX_CUSTOMERS, Key, Rule, Ruleset

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

KeyName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*:[A-Za-z0-9_][^\s:]*$", max_length=200),
]
"""A provider's key, and the name of one of its customers' keys."""

FEWEST_CHARACTERS = 32
"""Of an index key: it must not be guessed."""


class RuleSettings(BaseModel):
    """An `[[identity.rules]]` table."""

    model_config = _FROZEN

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Unique; links name the rule that made them."""
    keys: tuple[KeyName, ...]
    """At least two, of one provider or of several."""
    normalize: Normalization = Normalization.EXACT
    """How values are compared."""
    region: str | None = None
    """With `phone`: the country (ISO 3166) of numbers without a country code."""
    auto: bool = True
    """False: propose links, for someone to accept or reject."""
    per_provider: Annotated[int, Field(ge=1, le=20)] = 1
    """The most customers of one provider that it links."""

    @field_validator("keys")
    @classmethod
    def _are_different(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keys)) < len(keys):
            raise ValueError("names a key twice")
        if len(keys) < 2:  # noqa: PLR2004  # a link has two ends
            raise ValueError("must have at least two keys: a rule compares them")
        return keys

    @model_validator(mode="after")
    def _has_a_valid_region(self) -> Self:
        if self.region is not None:
            if self.normalize is not Normalization.PHONE:
                raise ValueError("a region needs normalize = 'phone'")
            if find_spec("phonenumbers") is None:
                raise ValueError(missing_extra("phone"))
            if not is_region(self.region):
                raise ValueError(f"{self.region!r} is no ISO 3166 code of a country")
        return self

    @property
    def rule(self) -> Rule:
        """The rule."""
        keys = tuple(Key(*each.split(":", 1)) for each in self.keys)
        form = Form(self.normalize, self.region)
        return Rule(self.name, keys, form, self.auto, self.per_provider)


class IdentitySettings(BaseModel):
    """The `[identity]` table."""

    model_config = _FROZEN

    rules: tuple[RuleSettings, ...] = ()
    """Strongest first."""
    blocked: tuple[str, ...] = ()
    """Regular expressions of values that never link."""
    max_customers: Annotated[int, Field(ge=2, le=100)] = MAX_CUSTOMERS
    """The most customers of one person."""
    index_keys: tuple[SecretStr, ...] = ()
    """Secrets that digest the values in the index: the first for new ones, all for reading.

    Without them a random one is in the store."""
    list_max_age_s: Annotated[float, Field(ge=0, le=86_400)] = 300
    """How old the list of a provider may be that cannot look customers up."""

    @field_validator("blocked")
    @classmethod
    def _are_expressions(cls, blocked: tuple[str, ...]) -> tuple[str, ...]:
        for each in blocked:
            try:
                re.compile(each)
            except re.error as error:
                raise ValueError(f"{each!r} is no regular expression: {error}") from error
        return blocked

    @property
    def ruleset(self) -> Ruleset:
        """The rules, and what applies to all of them."""
        return Ruleset([each.rule for each in self.rules], self.blocked, self.max_customers)

    @field_validator("index_keys")
    @classmethod
    def _are_long(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(each.get_secret_value()) < FEWEST_CHARACTERS for each in keys):
            raise ValueError(f"a key has at least {FEWEST_CHARACTERS} characters")
        return keys

    @property
    def secrets(self) -> Sequence[bytes]:
        """The index keys; hand them to nothing that logs."""
        return [each.get_secret_value().encode() for each in self.index_keys]


def problems_of_rules(
    rules: Mapping[int, RuleSettings], known: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """Yield what does not fit the providers: `known` are the keys of each one's customers.

    The rules are those that can be read, by their place.
    """
    names: dict[str, int] = {}
    for index, rule in rules.items():
        path = f"identity.rules[{index}]"
        if names.setdefault(rule.name, index) != index:
            text = f"{rule.name!r} is taken by identity.rules[{names[rule.name]}]"
            yield Problem(f"{path}.name", text)
        for place, key in enumerate(rule.rule.keys):
            at = f"{path}.keys[{place}]"
            if key.provider not in known:
                yield Problem(at, f"no provider has the key {key.provider!r}")
            elif key.name not in known[key.provider] and not _is_path(key.name):
                names_there = ", ".join((*known[key.provider], f"{ATTRIBUTES}<path>"))
                yield Problem(at, f"customers there have no {key.name!r}; they have {names_there}")


def _is_path(name: str) -> bool:
    return name.startswith(ATTRIBUTES) and all(name.split("."))
