"""Emporix's `q` language. Facts: the vendor's standard practices, "Query Parameter".

A query is conditions separated by spaces, all of which must hold (our reading). A condition is
`field:` and one of: a value; `null`, `exists`, `missing`; a comparison `>2`; a range
`(>=1 AND <=3)`; one of several `(a,b)`; a regular expression `~GOLD` or `~(Gold seg)`. Dates stand
in double quotes. `compoundLogicalQuery` is not available in the services built here.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from gateway.sandbox.emporix.faults import invalid

FIELD = re.compile(r"([A-Za-z_][\w-]*(?:\.[\w-]+)*):")
RANGE = re.compile(r"\(?\s*[<>]")
COMPARISON = re.compile(r'(>=|<=|>|<)(?:"([^"]*)"|(-?\d+(?:\.\d+)?))')
AND = re.compile(r"\s+AND\s+")
CLOSING = re.compile(r"\s*\)")
QUOTED = re.compile(r'"([^"]*)"')
BARE = re.compile(r'[^\s()"<>~][^\s()"]*')
ITEM = r'(?:"[^"]*"|[^\s,()"][^,()"]*)'
ONE_OF = re.compile(rf"\(\s*{ITEM}\s*(?:,\s*{ITEM}\s*)*\)")
MEMBER = re.compile(r'"([^"]*)"|([^\s,()"][^,()"]*)')
COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

Test = Callable[[Sequence[Any]], bool]
PRESENCE: Mapping[str, Test] = {"exists": bool, "null": operator.not_, "missing": operator.not_}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: `holds` is called with all values at `path`.

    `values` are set for an equality, which an index can look up.
    """

    path: tuple[str, ...]
    holds: Test
    values: tuple[str, ...] | None = None


def matches(row: Any, conditions: Sequence[Condition]) -> bool:
    """Return whether every condition holds for a document."""
    return all(condition.holds(values_at(row, condition.path)) for condition in conditions)


def values_at(value: Any, path: tuple[str, ...]) -> list[Any]:
    """Return every value at a path, looking into each element of an array; null counts as none."""
    if isinstance(value, list):
        return [inner for element in value for inner in values_at(element, path)]
    if not path:
        return [] if value is None else [value]
    return values_at(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


@lru_cache(maxsize=256)
def parse(text: str) -> tuple[Condition, ...]:
    """Read a query; RefusedError (400) when it is malformed. An empty one has no conditions."""
    conditions = []
    remainder = text.strip()
    while remainder:
        field = FIELD.match(remainder)
        if field is None or field[1] == "compoundLogicalQuery":
            raise invalid(f"expected a field and a colon: {remainder}", "q")
        test, values, length = _value(remainder[field.end() :])
        conditions.append(Condition(tuple(field[1].split(".")), test, values))
        remainder = remainder[field.end() + length :]
        if remainder and not remainder[0].isspace():
            raise invalid(f"expected a space: {remainder}", "q")
        remainder = remainder.lstrip()
    return tuple(conditions)


def _value(text: str) -> tuple[Test, tuple[str, ...] | None, int]:
    """Read what follows `field:`; return its test, its values if an equality, and its length."""
    if text.startswith("~"):
        pattern, length = _expression(text)
        return lambda values: any(pattern.search(_as_text(one)) for one in values), None, length
    if RANGE.match(text):
        test, length = _range(text)
        return test, None, length
    word = BARE.match(text)
    if word and word[0] in PRESENCE:
        return PRESENCE[word[0]], None, word.end()
    wanted, length = _values(text)
    return lambda values: any(_as_text(one) in wanted for one in values), wanted, length


def _values(text: str) -> tuple[tuple[str, ...], int]:
    """Read a value, bare or quoted, or several in brackets."""
    if several := ONE_OF.match(text):
        members = MEMBER.finditer(several[0][1:-1])
        return tuple(one[1] or (one[2] or "").strip() for one in members), several.end()
    if quoted := QUOTED.match(text):
        return (quoted[1],), quoted.end()
    if bare := BARE.match(text):
        return (bare[0],), bare.end()
    raise invalid(f"expected a value: {text}", "q")


def _as_text(value: Any) -> str:
    """Return a value as a query writes it; of objects nothing is known but that they exist."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _range(text: str) -> tuple[Test, int]:
    """Read `>2` or `(>=1 AND <3)`."""
    bracketed = text.startswith("(")
    at = len(text) - len(text.lstrip("( "))
    comparisons = []
    while one := COMPARISON.match(text, at):
        comparisons.append(_comparison(one))
        at = one.end()
        conjunction = AND.match(text, at) if bracketed else None
        if conjunction is None:
            break
        at = conjunction.end()
    else:
        raise invalid(f"expected a number or a date in quotes: {text}", "q")
    if bracketed:
        closing = CLOSING.match(text, at)
        if closing is None:
            raise invalid(f"expected AND or a closing bracket: {text}", "q")
        at = closing.end()

    def holds(values: Sequence[Any]) -> bool:
        return any(all(compare(one) for compare in comparisons) for one in values)

    return holds, at


def _comparison(read: re.Match[str]) -> Callable[[Any], bool]:
    compare, date, number = COMPARE[read[1]], read[2], read[3]
    if date is None:
        limit = float(number)
        return lambda one: (
            isinstance(one, int | float) and not isinstance(one, bool) and compare(one, limit)
        )
    moment = _moment(date)
    if moment is None:
        raise invalid(f"expected a date with its time zone: {date}", "q")

    def holds(one: Any) -> bool:
        stored = _moment(one) if isinstance(one, str) else None
        return stored is not None and compare(stored, moment)

    return holds


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _expression(text: str) -> tuple[re.Pattern[str], int]:
    """Read `~expression` up to a space, or `~(expression with spaces)` up to its bracket."""
    depth, end = 0, 1
    while end < len(text) and (depth or not text[end].isspace()):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    source = text[1:end]
    if source.startswith("(") and source.endswith(")"):
        source = source[1:-1]
    try:
        if source and not depth:
            return re.compile(source), end
    except re.error as error:
        raise invalid(f"not a regular expression: {source}", "q") from error
    raise invalid(f"expected a regular expression: {text}", "q")
