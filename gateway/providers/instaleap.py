"""Instaleap: grocery commerce, where a segment is a (type, value) tag on a customer. Write-only.

Facts: dev-center.instaleap.io/reference (customer-segments, customer-segments-gateway), read
2026-11-21. No page reads a customer, their segments or a segment's customers.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from gateway.adapter import AccountSettings
from gateway.domain import Limit, Membership, Status

WRITE_ONLY = "Instaleap cannot be read: what is shown of it is what this gateway recorded."
READS = (
    "SEGMENT_LIST",
    "SEGMENT_GET",
    "SEGMENT_MEMBERS",
    "CUSTOMER_LIST",
    "CUSTOMER_SEARCH_EMAIL",
    "CUSTOMER_GET",
    "CUSTOMER_SEGMENTS",
)


class InstaleapSettings(AccountSettings):
    """An account at Instaleap. `reverse_token` is what Instaleap shows when it asks us."""

    kind: Literal["instaleap"]
    token: Annotated[SecretStr, Field(min_length=1)]
    reverse_token: Annotated[SecretStr, Field(min_length=1)] | None = None
    # No largest batch is documented; this one is a guess.
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100


class Instaleap:
    """One shop at Instaleap."""

    kind: ClassVar[str] = "instaleap"
    label: ClassVar[str] = "Instaleap"
    Settings: ClassVar[type[AccountSettings]] = InstaleapSettings
    notes: ClassVar[Mapping[str, str]] = dict.fromkeys(READS, WRITE_ONLY)
    limits: ClassVar[Sequence[Limit]] = ()
    memberships: ClassVar[frozenset[Membership]] = frozenset({Membership.TAG})
    statuses: ClassVar[frozenset[Status]] = frozenset({Status.ACTIVE})
    has_sites: ClassVar[bool] = False

    def __init__(self, settings: InstaleapSettings) -> None:
        self.key = settings.key
        self._token = settings.token

    @property
    def secret_headers(self) -> Mapping[str, str]:
        """The token, as a bearer's."""
        return {"authorization": f"Bearer {self._token.get_secret_value()}"}
