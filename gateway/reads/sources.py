"""What all reads share: whom they ask, and pages of one provider's list."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from gateway.domain import (
    Page,
    PageRequest,
)
from gateway.errors import BadInput
from gateway.lists import (
    Connection,
    Identity,
    Listing,
    alone,
)
from gateway.loaders import Loaders
from gateway.provider import Provider

T = TypeVar("T")

LARGEST_FIRST = 250
"""Rows of one page of any connection."""


class Paging(NamedTuple):
    """What a caller asks of a connection."""

    first: int
    after: str | None = None
    with_total: bool = False


class Sources:
    """The providers and loaders that the reads of one request ask."""

    def __init__(
        self, providers: Mapping[str, Provider], loaders: Loaders, languages: Sequence[str]
    ) -> None:
        """Read from these providers, in their order, through the request's loaders."""
        self._providers = providers
        self._loaders = loaders
        self._languages = languages

    def _known(self, key: str) -> str:
        if key not in self._providers:
            raise BadInput(f"No provider has the key {key!r}.")
        return key

    def _scope(self, *wanted: Sequence[str] | None) -> Sequence[Provider]:
        """Return the providers that stand in all given lists of keys, in configuration order."""
        given = [set(keys) for keys in wanted if keys is not None]
        for key in wanted[0] or ():
            self._known(key)
        return [
            provider
            for key, provider in self._providers.items()
            if all(key in keys for keys in given)
        ]

    async def _alone(
        self,
        provider: Provider,
        page: Callable[[PageRequest], Awaitable[Page[T]]],
        paging: Paging,
        of: Identity,
    ) -> Connection[T]:
        """Page through one provider's list; what it fails with is raised."""
        listing = Listing(provider.key, page)
        return await alone(
            listing, paging.first, paging.after, of=of, with_total=paging.with_total
        )


def checked(paging: Paging) -> None:
    """Raise `BadInput` when `first` is out of range."""
    if not 1 <= paging.first <= LARGEST_FIRST:
        raise BadInput(f"first is {paging.first}; it must be from 1 to {LARGEST_FIRST}.")
