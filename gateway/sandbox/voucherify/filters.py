"""Voucherify's filter grammar, evaluated.

A filter is `{"junction": "and", field: {"conditions": {operator: value}}}`. The vendor publishes
no operator list for segments; this is the one its exports and product collections share. Where it
leaves the meaning open we decided: text is compared exactly, a missing value satisfies only
operators that exclude, several operators of one field must all hold, and several values of one
operator are alternatives.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

T = TypeVar("T")
Getter = Callable[[T], Any]
Predicate = Callable[[T, datetime], bool]
"""Whether a subject satisfies the filter at a given time."""

Test = Callable[[Any, datetime], bool]
Operator = Callable[[list[Any]], Test]

DECEMBER = 12


class BadFilterError(ValueError):
    """A filter that the grammar does not allow; the message names the property."""


def compile_filter(
    filter_: object, field: Callable[[str], Getter[T] | None], path: str = ".filter"
) -> Predicate[T]:
    """Return a predicate: whether a subject satisfies the filter.

    `field` returns the reader of a field by its name, or None if there is no such field.
    Raises BadFilterError.
    """
    if not isinstance(filter_, Mapping):
        raise BadFilterError(f"Property {path} should be object")
    junction = filter_.get("junction", "and")
    if junction not in {"and", "or"}:
        raise BadFilterError(f"Property {path}.junction should be one of and, or")
    parts: list[tuple[Getter[T], list[Test]]] = []
    for name, condition in filter_.items():
        if name == "junction":
            continue
        getter = field(name)
        if getter is None:
            raise BadFilterError(f"Property {path}.{name} is not a field that can be filtered by")
        parts.append((getter, _tests(condition, f"{path}.{name}")))
    if not parts:
        raise BadFilterError(f"Property {path} should have at least one condition")
    combine = all if junction == "and" else any

    def holds(subject: T, now: datetime) -> bool:
        return combine(_satisfies(getter(subject), tests, now) for getter, tests in parts)

    return holds


def _satisfies(value: object, tests: list[Test], now: datetime) -> bool:
    return all(test(value, now) for test in tests)


def _tests(condition: object, path: str) -> list[Test]:
    conditions = condition.get("conditions") if isinstance(condition, Mapping) else None
    if not isinstance(conditions, Mapping) or not conditions:
        raise BadFilterError(f"Property {path}.conditions should have at least one operator")
    tests = []
    for name, value in conditions.items():
        if name not in OPERATORS:
            raise BadFilterError(f"Property {path}.conditions has an unknown operator {name}")
        try:
            tests.append(OPERATORS[name](value if isinstance(value, list) else [value]))
        except ValueError as error:
            raise BadFilterError(f"Property {path}.conditions.{name} {error}") from error
    return tests


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 date or date-time; without an offset it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def _each(value: object) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _number(value: object) -> float:
    try:
        return float(_text(value))
    except ValueError:
        raise ValueError("should be number") from None


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        return parse_moment(_text(value))
    except ValueError:
        raise ValueError("should be date-time") from None


def _read(value: object, reader: Callable[[object], T]) -> T | None:
    """Read a stored value; None when there is none or it is of another kind."""
    try:
        return None if value is None else reader(value)
    except ValueError:
        return None


def _any_text(matches: Callable[[str, str], bool]) -> Operator:
    def operator(values: list[Any]) -> Test:
        wanted = [_text(value) for value in values]
        return lambda stored, _now: any(
            matches(text, want) for text in map(_text, _each(stored)) for want in wanted
        )

    return operator


def _not(operator: Operator) -> Operator:
    def negated(values: list[Any]) -> Test:
        test = operator(values)
        return lambda stored, now: not test(stored, now)

    return negated


def _days_since(stored: object, now: datetime) -> int | None:
    moment = _read(stored, _moment)
    return None if moment is None else (now.date() - moment.astimezone(UTC).date()).days


def _compare(holds: Callable[[float, float], bool]) -> Operator:
    """Compare numbers; a date counts as the number of days ago (list filter of segments)."""

    def operator(values: list[Any]) -> Test:
        bounds = [_number(value) for value in values]

        def test(stored: object, now: datetime) -> bool:
            is_date = isinstance(stored, date)
            number = _days_since(stored, now) if is_date else _read(stored, _number)
            return number is not None and any(holds(number, bound) for bound in bounds)

        return test

    return operator


def _days(holds: Callable[[int, float], bool]) -> Operator:
    """Compare how many whole days ago a date is (negative: in the future)."""

    def operator(values: list[Any]) -> Test:
        bounds = [_number(value) for value in values]

        def test(stored: object, now: datetime) -> bool:
            ago = _days_since(stored, now)
            return ago is not None and any(holds(ago, bound) for bound in bounds)

        return test

    return operator


def _instant(holds: Callable[[datetime, datetime], bool]) -> Operator:
    def operator(values: list[Any]) -> Test:
        bounds = [_moment(value) for value in values]

        def test(stored: object, _now: datetime) -> bool:
            moment = _read(stored, _moment)
            return moment is not None and any(holds(moment, bound) for bound in bounds)

        return test

    return operator


def _next_month(values: list[Any]) -> Test:
    """Hold in the month before. A plain date is a birthday: its month counts in any year."""
    wanted = {_text(value) for value in values}
    if not wanted <= {"true", "false"}:
        raise ValueError("should be boolean")

    def test(stored: object, now: datetime) -> bool:
        year, month = (now.year + 1, 1) if now.month == DECEMBER else (now.year, now.month + 1)
        moment = _read(stored, _moment)
        is_next = (
            moment is not None
            and moment.month == month
            and (moment.year == year or not isinstance(stored, datetime))
        )
        return _text(is_next) in wanted

    return test


def _count(holds: Callable[[int, float], bool]) -> Operator:
    """Compare how many values there are; none counts 0, a single one counts 1."""

    def operator(values: list[Any]) -> Test:
        bounds = [_number(value) for value in values]

        def test(stored: object, _now: datetime) -> bool:
            size = len(stored) if isinstance(stored, list | dict) else int(stored is not None)
            return any(holds(size, bound) for bound in bounds)

        return test

    return operator


_IS = _any_text(lambda text, want: text == want)
_CONTAINS = _any_text(lambda text, want: want in text)

OPERATORS: Mapping[str, Operator] = {
    "$is": _IS,
    "$in": _IS,
    "$is_not": _not(_IS),
    "$not_in": _not(_IS),
    "$has_value": lambda _: lambda stored, _now: stored is not None,
    "$is_unknown": lambda _: lambda stored, _now: stored is None,
    "$contains": _CONTAINS,
    "$not_contain": _not(_CONTAINS),
    "$starts_with": _any_text(str.startswith),
    "$ends_with": _any_text(str.endswith),
    "$more_than": _compare(lambda number, bound: number > bound),
    "$less_than": _compare(lambda number, bound: number < bound),
    "$more_than_equal": _compare(lambda number, bound: number >= bound),
    "$less_than_equal": _compare(lambda number, bound: number <= bound),
    "$after": _instant(lambda moment, bound: moment > bound),
    "$before": _instant(lambda moment, bound: moment < bound),
    "$is_days_ago": _days(lambda ago, days: ago == days),
    "$more_than_ago": _days(lambda ago, days: ago > days),
    "$less_than_ago": _days(lambda ago, days: 0 <= ago < days),
    "$is_days_in_future": _days(lambda ago, days: -ago == days),
    "$more_than_future": _days(lambda ago, days: -ago > days),
    "$less_than_future": _days(lambda ago, days: 0 <= -ago < days),
    "$next_month": _next_month,
    "$count": _count(lambda size, wanted: size == wanted),
    "$count_less": _count(lambda size, wanted: size < wanted),
    "$count_more": _count(lambda size, wanted: size > wanted),
}
