"""A person: the customers that links connect, as far as one caller sees them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.domain.entities import Origin, Ref
from gateway.errors import GatewayError
from gateway.identity.graph import Edge


class LookupStatus(NamedTuple):
    """How looking up customers of a person at one provider ended."""

    origin: Origin | None
    fetched_at: datetime | None = None
    error: GatewayError | None = None


class Person(NamedTuple):
    """The customers that links connect; without links a person of one."""

    ref: Ref
    """The oldest of its customers, which its id is made from."""
    customers: Sequence[Ref]
    """In configuration order, then oldest first."""
    edges: Sequence[Edge] = ()
    """Those between its customers, oldest first."""
    statuses: Mapping[str, LookupStatus] = {}
    """Those of the providers that were queried for this response."""
