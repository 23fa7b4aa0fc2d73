"""A person: the customers that links connect, as far as one caller sees them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.domain.entities import Origin, Ref
from gateway.errors import GatewayError
from gateway.identity.graph import Edge


class Asked(NamedTuple):
    """What came of asking one provider for customers of a person."""

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
    asked: Mapping[str, Asked] = {}
    """The providers that were asked for this answer."""
