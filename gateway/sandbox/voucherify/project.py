"""The state of one Voucherify project: customers by their keys, segments, who is in which."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

from gateway.sandbox.people import scramble
from gateway.sandbox.voucherify.records import Customer, Segment, milliseconds

NEWEST_FIRST = "-created_at"

TIME_KEYS: dict[str, Callable[[Customer], datetime]] = {
    "created_at": lambda customer: customer.created_at,
    # The documents do not say where the never updated stand; here their creation counts.
    "updated_at": lambda customer: customer.updated_at or customer.created_at,
}
SORT_KEYS: dict[str, Callable[[Customer], datetime | str]] = {
    **TIME_KEYS,
    "source_id": lambda customer: customer.source_id or "",
}
EXACT_FIELDS: dict[str, Callable[[Customer], str | None]] = {
    "email": lambda customer: customer.email,
    "name": lambda customer: customer.name,
    "city": lambda customer: (customer.address or {}).get("city"),
}


class Project:
    """Customers and segments. After changing a customer in place, call `changed`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._clock = now
        self._customers: dict[str, Customer] = {}
        self._by_source: dict[str, Customer] = {}
        self.segments: dict[str, Segment] = {}
        self._made = 0
        # Views are dropped when a customer changes, and each midnight: filters look at days.
        self._views: dict[tuple[str | None, str], list[Customer]] = {}
        self._indexes: dict[str, dict[str, list[Customer]]] = {}
        self._views_day: date | None = None

    def now(self) -> datetime:
        """Return the time, cut to what the API shows."""
        return milliseconds(self._clock())

    def fresh_id(self, prefix: str, length: int = 24, alphabet: str = "") -> str:
        """Return an id that looks like the vendor's and was not given before."""
        self._made += 1
        return prefix + scramble(10_000_000 + self._made, length, alphabet)

    def hex_id(self, prefix: str) -> str:
        """Return a request or action id."""
        return self.fresh_id(prefix, 18, "0123456789abcdef")

    def customer(self, key: str) -> Customer | None:
        """Return the customer with that id or source_id."""
        return self._customers.get(key) or self._by_source.get(key)

    def customer_by_id(self, key: str) -> Customer | None:
        """Return the customer with that id."""
        return self._customers.get(key)

    def customer_by_source(self, source_id: str) -> Customer | None:
        """Return the customer with that source_id."""
        return self._by_source.get(source_id)

    def add(self, customer: Customer) -> None:
        """Take a new customer in."""
        self._customers[customer.id] = customer
        if customer.source_id is not None:
            self._by_source[customer.source_id] = customer
        self.changed(customer)

    def changed(self, customer: Customer) -> None:
        """Forget what was derived from a customer's old state."""
        customer.shown = None
        self._views.clear()
        self._indexes.clear()

    def remove(self, customer: Customer) -> None:
        """Delete a customer, and with it its memberships."""
        del self._customers[customer.id]
        if customer.source_id is not None:
            del self._by_source[customer.source_id]
        for segment in self.segments.values():
            segment.members.discard(customer.id)
        self.changed(customer)

    def drop(self, segment: Segment) -> None:
        """Delete a segment."""
        del self.segments[segment.id]
        for key in [key for key in self._views if key[0] == segment.id]:
            del self._views[key]

    def known(self, ids: list[str]) -> set[str]:
        """Return those of the customer ids that exist."""
        return {key for key in ids if key in self._customers}

    def view(
        self, segment: Segment | None, order: str, exact: Mapping[str, str]
    ) -> list[Customer]:
        """Return all customers, or a segment's, whose fields have exactly these values, in order.

        Not to be changed by the caller. Customers of one moment stand in order of their ids.
        """
        now = self.now()
        if now.date() != self._views_day:
            self._views.clear()
            self._views_day = now.date()
        if exact:
            (first, value), *rest = exact.items()
            chosen = [
                customer
                for customer in self._indexed(first).get(value, ())
                if all(EXACT_FIELDS[name](customer) == text for name, text in rest)
                and (segment is None or _is_in(segment, customer, now))
            ]
            return _sorted(chosen, order)
        key = (segment.id if segment else None, order)
        if key not in self._views:
            self._views[key] = _sorted(self._members(segment, now), order)
        return self._views[key]

    def segments_of(self, customer: Customer) -> list[Segment]:
        """Return the segments a customer is in, or would be in, newest first."""
        now = self.now()
        segments = [
            segment for segment in self.segments.values() if _is_in(segment, customer, now)
        ]
        return newest_first(segments)

    def _members(self, segment: Segment | None, now: datetime) -> Iterable[Customer]:
        if segment is None:
            return self._customers.values()
        if segment.holds is None:
            return [self._customers[key] for key in segment.members]
        return [customer for customer in self._customers.values() if segment.holds(customer, now)]

    def _indexed(self, field: str) -> dict[str, list[Customer]]:
        if field not in self._indexes:
            index: dict[str, list[Customer]] = {}
            for customer in self._customers.values():
                if (text := EXACT_FIELDS[field](customer)) is not None:
                    index.setdefault(text, []).append(customer)
            self._indexes[field] = index
        return self._indexes[field]


def newest_first(segments: list[Segment]) -> list[Segment]:
    """Return segments by creation, newest first; those of one moment by id."""
    return sorted(segments, key=lambda segment: (segment.created_at, segment.id), reverse=True)


def _is_in(segment: Segment, customer: Customer, now: datetime) -> bool:
    if segment.holds is None:
        return customer.id in segment.members
    return segment.holds(customer, now)


def _sorted(customers: Iterable[Customer], order: str) -> list[Customer]:
    key = SORT_KEYS[order.removeprefix("-")]
    return sorted(
        customers,
        key=lambda customer: (key(customer), customer.id),
        reverse=order.startswith("-"),
    )
