"""Documents of one kind by id, with indexes, and results cached until the next write."""

from collections.abc import Sequence
from itertools import count

from gateway.sandbox.emporix import q
from gateway.sandbox.emporix.listing import Row, ordered, selected

CACHED_RESULTS = 32


class Collection:
    """Documents in the order of their creation.

    `unique` names fields beside `id` that no two documents share; equality on one of them in a
    `q` is looked up in an index. Results of other lists are cached until the next write.
    """

    def __init__(self, *unique: str) -> None:
        self._rows: dict[str, Row] = {}
        self._serials: dict[str, int] = {}
        self._next = count()
        self._ids: dict[str, dict[str, str]] = {field: {} for field in unique}
        self._results: dict[tuple[str, str], Sequence[Row]] = {}

    def get(self, row_id: str) -> Row | None:
        """Return a document, or None."""
        return self._rows.get(row_id)

    def owner(self, field: str, value: str) -> str | None:
        """Return the id of the document that has this value in a unique field, or None."""
        return self._ids[field].get(value)

    def put(self, row: Row) -> None:
        """Add a document, or replace the one with its id."""
        row_id = row["id"]
        self._unindex(row_id)
        for field, ids in self._ids.items():
            if field in row:
                ids[row[field]] = row_id
        self._rows[row_id] = row
        self._serials.setdefault(row_id, next(self._next))
        self._results.clear()

    def drop(self, row_id: str) -> None:
        """Remove a document, if it is there."""
        self._unindex(row_id)
        self._rows.pop(row_id, None)
        self._serials.pop(row_id, None)
        self._results.clear()

    def find(self, query: str, sort: str) -> Sequence[Row]:
        """Return the documents that `q` selects, in the order of `sort` or else of creation."""
        for condition in q.parse(query):
            field = condition.path[0]
            if condition.values is not None and condition.path == (field,):
                if field == "id":
                    return selected(self.some(condition.values), query, sort)
                if field in self._ids:
                    ids = [self._ids[field].get(value, "") for value in condition.values]
                    return selected(self.some(ids), query, sort)
        if (query, sort) not in self._results:
            if len(self._results) >= CACHED_RESULTS:
                self._results.pop(next(iter(self._results)))
            rows = selected(self.find("", ""), query, "") if query else list(self._rows.values())
            self._results[query, sort] = ordered(rows, sort)
        return self._results[query, sort]

    def some(self, ids: Sequence[str]) -> list[Row]:
        """Return the documents with these ids, without duplicates, in order of creation."""
        known = {row_id for row_id in ids if row_id in self._rows}
        return [self._rows[row_id] for row_id in sorted(known, key=self._serials.__getitem__)]

    def _unindex(self, row_id: str) -> None:
        row = self._rows.get(row_id, {})
        for field, ids in self._ids.items():
            if field in row:
                del ids[row[field]]
