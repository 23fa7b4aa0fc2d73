"""From rows to mutations: what is sent for a chunk of rows, and what came of each row.

Every mutation has an `idempotencyKey` made of the file's digest and its place in the file, so that
sending a file again sends nothing twice. `web/src/pages/import/plans.ts` sends the same.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from gateway.cli.transfer.rows import Row, parse_json

CHUNK = 500
"""Rows that are planned together."""
ALIASES = 20
"""Mutations of one operation: the default of `limits.root_fields`."""
DONE = frozenset({"CREATED", "UPDATED", "DELETED", "DISCARDED_DUPLICATE"})


class Outcome(NamedTuple):
    """What came of a row."""

    row: Row
    outcome: str
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the provider has done it."""
        return self.outcome in DONE


class Operation(NamedTuple):
    """An operation to send, and how to read its response."""

    query: str
    variables: Mapping[str, Any]
    rows: Sequence[Row]
    outcomes: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Sequence[Outcome]]


class Plan(Protocol):
    """A kind of file."""

    capability: str
    """What the provider must support."""
    required: Sequence[str]
    """The columns that every row has."""
    optional: Sequence[str] | None
    """The other columns that are used; None: all."""

    def problem(self, row: Row) -> str | None:
        """Return why a row cannot be sent; None if it can."""

    def operations(self, rows: Sequence[Row], key: str) -> Iterator[Operation]:
        """Yield what to send for a chunk of rows, in order; `key` is unique to the chunk."""


def chunks(rows: Iterable[Row], plan: Plan) -> Iterator[Sequence[Row]]:
    """Yield the rows in chunks; a plan that keeps rows of one customer together is asked."""
    belongs = getattr(plan, "belongs_together", None)
    chunk: list[Row] = []
    for row in rows:
        if len(chunk) >= CHUNK and not (belongs and belongs(chunk[-1], row)):
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


class EmporixAssignments:
    """Columns `segment`, `customer`, `legalEntity` (optional), `action` (add or remove)."""

    capability = "ASSIGNMENT_CREATE"
    required: Sequence[str] = ("segment", "customer")
    optional: Sequence[str] | None = ("legalEntity", "action")

    def __init__(self, provider: str, segment_id: Callable[[str], str | None]) -> None:
        """`segment_id` returns the global id of a segment by either id; None: there is none."""
        self._provider = provider
        self._segment_id = segment_id

    def problem(self, row: Row) -> str | None:
        """Return why a row cannot be sent."""
        for name in self.required:
            if name not in row.values:
                return f"has no {name}"
        if row.values.get("action", "add") not in {"add", "remove"}:
            return "action must be add or remove"
        if self._segment_id(str(row.values["segment"])) is None:
            return f"there is no segment {row.values['segment']}"
        return None

    def operations(self, rows: Sequence[Row], key: str) -> Iterator[Operation]:
        """Yield a bulk mutation for each segment and action; opposite actions keep their order."""
        groups: dict[tuple[str, str], list[Row]] = {}
        number = 0
        for row in rows:
            segment = self._segment_id(str(row.values["segment"])) or ""
            action = str(row.values.get("action", "add"))
            other = (segment, "remove" if action == "add" else "add")
            if other in groups:
                yield self._operation(other, groups.pop(other), f"{key}.{number}")
                number += 1
            groups.setdefault((segment, action), []).append(row)
        for group, members in groups.items():
            yield self._operation(group, members, f"{key}.{number}")
            number += 1

    def _operation(self, group: tuple[str, str], rows: Sequence[Row], key: str) -> Operation:
        segment, action = group
        word = "Create" if action == "add" else "Delete"
        query = (
            f"mutation ($input: AssignmentBulk{word}Input!) {{ rows: assignmentBulk{word}"
            "(input: $input) { userErrors { code message field }"
            " results { index outcome userErrors { message } } } }"
        )
        entries = []
        for row in rows:
            entry = customer_of(self._provider, str(row.values["customer"]))
            if "legalEntity" in row.values:
                entry["legalEntityId"] = str(row.values["legalEntity"])
            entries.append(entry)
        inputs = {"idempotencyKey": key, "segmentId": segment, "assignments": entries}
        return Operation(query, {"input": inputs}, rows, _of_results(rows))


class InstaleapTags:
    """Columns `customer`, `type`, `value`: a customer's rows replace what was there."""

    capability = "ASSIGNMENT_REPLACE"
    required: Sequence[str] = ("customer", "type", "value")
    optional: Sequence[str] | None = ()

    def __init__(self, provider: str) -> None:
        """Replace segments at this provider."""
        self._provider = provider
        self._seen: set[int] = set()
        self._last: str | None = None

    def problem(self, row: Row) -> str | None:
        """Return why a row cannot be sent; rows of one customer must stand together."""
        for name in self.required:
            if name not in row.values:
                return f"has no {name}"
        customer = str(row.values["customer"])
        if customer != self._last and hash(customer) in self._seen:
            return f"rows of customer {customer} must stand together: sort the file by customer"
        self._last = customer
        self._seen.add(hash(customer))
        return None

    @staticmethod
    def belongs_together(one: Row, other: Row) -> bool:
        """Return whether two rows are of one customer."""
        return bool(one.values.get("customer") == other.values.get("customer"))

    def operations(self, rows: Sequence[Row], key: str) -> Iterator[Operation]:
        """Yield one replacement for all customers of the chunk."""
        customers: dict[str, list[Row]] = {}
        for row in rows:
            customers.setdefault(str(row.values["customer"]), []).append(row)
        entries = [
            {
                "externalId": customer,
                "segments": [
                    {"type": str(row.values["type"]), "value": str(row.values["value"])}
                    for row in members
                ],
            }
            for customer, members in customers.items()
        ]
        query = (
            "mutation ($input: CustomerSegmentsReplaceInput!) { rows: customerSegmentsReplace"
            "(input: $input) { userErrors { code message field }"
            " results { index outcome userErrors { message } } } }"
        )
        inputs = {"idempotencyKey": key, "provider": self._provider, "customers": entries}

        def outcomes(
            data: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
        ) -> Sequence[Outcome]:
            heads = [members[0] for members in customers.values()]
            of_customers = _of_results(heads)(data, errors)
            return [
                Outcome(row, each.outcome, each.reason)
                for each, members in zip(of_customers, customers.values(), strict=True)
                for row in members
            ]

        yield Operation(query, {"input": inputs}, rows, outcomes)


class Attributes:
    """Column `customer`, and one for each path of an attribute; an empty cell changes nothing."""

    capability = "CUSTOMER_ATTRIBUTES_UPDATE"
    required: Sequence[str] = ("customer",)
    optional: Sequence[str] | None = None

    def __init__(self, provider: str) -> None:
        """Update customers of this provider."""
        self._provider = provider

    def problem(self, row: Row) -> str | None:
        """Return why a row cannot be sent."""
        if "customer" not in row.values:
            return "has no customer"
        for name in row.values:
            outer = name
            while "." in outer:
                outer = outer.rpartition(".")[0]
                if outer in row.values:
                    return f"{outer} and {name} cannot both be set"
        return None if len(row.values) > 1 else "has no attribute"

    def operations(self, rows: Sequence[Row], key: str) -> Iterator[Operation]:
        """Yield operations of up to 20 mutations, one for each row."""
        for start in range(0, len(rows), ALIASES):
            part = rows[start : start + ALIASES]
            declared = ", ".join(
                f"$i{n}: CustomerAttributesUpdateInput!" for n in range(len(part))
            )
            fields = " ".join(
                f"r{n}: customerAttributesUpdate(input: $i{n}) {{ userErrors {{ message }} }}"
                for n in range(len(part))
            )
            variables = {
                f"i{n}": {
                    "idempotencyKey": f"{key}.{start + n}",
                    **customer_of(self._provider, str(row.values["customer"])),
                    "attributes": nested(
                        {name: each for name, each in row.values.items() if name != "customer"}
                    ),
                }
                for n, row in enumerate(part)
            }
            yield Operation(f"mutation ({declared}) {{ {fields} }}", variables, part, _each(part))


def customer_of(provider: str, text: str) -> dict[str, Any]:
    """Return the input that names a customer, by the provider's own id or by ours."""
    if _is_global_id(text, "c"):
        return {"customerId": text}
    return {"identity": {"provider": provider, "externalId": text}}


def is_segment_id(text: str) -> bool:
    """Return whether a text is a segment's global id."""
    return _is_global_id(text, "s")


def _is_global_id(text: str, letter: str) -> bool:
    try:
        parts = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return False
    return isinstance(parts, list) and parts[:1] == [letter]


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes by their dotted paths as nested objects.

    A cell of a CSV file that is JSON (a number, true, null, a list …) is that; any other is text.
    """
    result: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        inner = result
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = _parsed(value) if isinstance(value, str) else value
    return result


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _of_results(
    rows: Sequence[Row],
) -> Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Sequence[Outcome]]:
    def outcomes(
        data: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
    ) -> Sequence[Outcome]:
        payload = data.get("rows")
        if payload is None or not payload["results"]:
            problems = errors or (payload or {}).get("userErrors") or [{"message": "no answer"}]
            return [Outcome(row, "FAILED", str(problems[0]["message"])) for row in rows]
        by_index = {each["index"]: each for each in payload["results"]}
        return [
            _outcome(row, by_index.get(index, {"outcome": "UNKNOWN", "userErrors": []}))
            for index, row in enumerate(rows)
        ]

    return outcomes


def _each(
    rows: Sequence[Row],
) -> Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Sequence[Outcome]]:
    def outcomes(
        data: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
    ) -> Sequence[Outcome]:
        failed = {each["path"][0]: each["message"] for each in errors if each.get("path")}
        general = next((each["message"] for each in errors if not each.get("path")), "no answer")
        result = []
        for index, row in enumerate(rows):
            payload = data.get(f"r{index}")
            if payload is None:
                reason = str(failed.get(f"r{index}", general))
                result.append(Outcome(row, "FAILED", reason))
            else:
                outcome = "FAILED" if payload["userErrors"] else "UPDATED"
                result.append(_outcome(row, {**payload, "outcome": outcome}))
        return result

    return outcomes


def _outcome(row: Row, result: Mapping[str, Any]) -> Outcome:
    reasons = "; ".join(str(each["message"]) for each in result["userErrors"])
    return Outcome(row, str(result["outcome"]), reasons)
