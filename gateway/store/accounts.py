"""Bind each provider key to one account, so that rows of two accounts never mix."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2s
from typing import NamedTuple

from sqlalchemy import select

from gateway.errors import Problem, SettingsError
from gateway.store.database import Database
from gateway.store.tables import ACCOUNTS


class Account(NamedTuple):
    """A provider's account, as it is stored."""

    provider: str
    """The key in the configuration."""
    kind: str
    base_url: str
    account: str
    """A digest of what names the account at its provider; empty where nothing does."""

    @classmethod
    def of(cls, provider: str, kind: str, base_url: str, account: str) -> "Account":
        """Create an account from a provider's settings; `account` may be empty."""
        digest = blake2s(account.encode(), digest_size=16).hexdigest() if account else ""
        return cls(provider, kind, base_url.rstrip("/"), digest)


async def bind(database: Database, accounts: Sequence[Account], now: datetime) -> None:
    """Bind new keys. Raises `SettingsError` for keys that are bound to another account."""
    if not accounts:
        return
    bound = await _bound(database, accounts)
    new = [each for each in accounts if each.provider not in bound]
    if new:
        rows = [{**each._asdict(), "created_at": now} for each in new]
        async with database.writing() as connection:
            insert = database.insert(ACCOUNTS).on_conflict_do_nothing()
            await connection.execute(insert, rows)
        bound = await _bound(database, accounts)  # another process may have been first
    problems = [
        Problem(f"providers[{index}].key", _problem(bound[each.provider], each))
        for index, each in enumerate(accounts)
        if bound[each.provider] != each
    ]
    if problems:
        raise SettingsError(problems)


async def _bound(database: Database, accounts: Sequence[Account]) -> dict[str, Account]:
    columns = (ACCOUNTS.c.provider, ACCOUNTS.c.kind, ACCOUNTS.c.base_url, ACCOUNTS.c.account)
    keys = [each.provider for each in accounts]
    async with database.reading() as connection:
        rows = await connection.execute(select(*columns).where(ACCOUNTS.c.provider.in_(keys)))
        return {row.provider: Account(*row) for row in rows}


def _problem(bound: Account, configured: Account) -> str:
    if bound.kind != configured.kind:
        other = f"kind {bound.kind}"
    elif bound.base_url != configured.base_url:
        other = bound.base_url
    else:
        other = f"another account at {bound.base_url}"
    return (
        f"{configured.provider!r} belongs to another account in the store ({other}): choose "
        "another key for this account, set another store.url, or see "
        "docs/decisions/0018-accounts-of-the-store.md"
    )
