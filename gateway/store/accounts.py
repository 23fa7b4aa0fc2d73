"""Which account a provider key means: what is recorded under a key is of one account alone."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2s
from typing import NamedTuple

from sqlalchemy import select

from gateway.errors import Problem, SettingsError
from gateway.store.database import Database
from gateway.store.tables import ACCOUNTS


class Account(NamedTuple):
    """An account as the record knows it."""

    provider: str
    """The key in the configuration."""
    kind: str
    base_url: str
    account: str
    """A digest of what else names the account at its provider."""

    @classmethod
    def of(cls, provider: str, kind: str, base_url: str, account: str) -> "Account":
        """Return the account of some settings; `account` may be empty."""
        digest = blake2s(account.encode(), digest_size=16).hexdigest() if account else ""
        return cls(provider, kind, base_url.rstrip("/"), digest)


async def bind(database: Database, accounts: Sequence[Account], now: datetime) -> None:
    """Note what keys mean that are new. Raises `SettingsError` for those that mean another now."""
    if not accounts:
        return
    known = await _known(database, accounts)
    new = [each for each in accounts if each.provider not in known]
    if new:
        rows = [{**each._asdict(), "created_at": now} for each in new]
        async with database.writing() as connection:
            insert = database.insert(ACCOUNTS).on_conflict_do_nothing()
            await connection.execute(insert, rows)
        known = await _known(database, accounts)  # another process may have been first
    problems = [
        Problem(f"providers[{place}].key", _told(known[each.provider], each))
        for place, each in enumerate(accounts)
        if known[each.provider] != each
    ]
    if problems:
        raise SettingsError(problems)


async def _known(database: Database, accounts: Sequence[Account]) -> dict[str, Account]:
    columns = (ACCOUNTS.c.provider, ACCOUNTS.c.kind, ACCOUNTS.c.base_url, ACCOUNTS.c.account)
    keys = [each.provider for each in accounts]
    async with database.reading() as connection:
        found = await connection.execute(select(*columns).where(ACCOUNTS.c.provider.in_(keys)))
        return {row.provider: Account(*row) for row in found}


def _told(known: Account, now: Account) -> str:
    if known.kind != now.kind:
        other = f"kind {known.kind}"
    elif known.base_url != now.base_url:
        other = known.base_url
    else:
        other = f"another account at {known.base_url}"
    return (
        f"{now.provider!r} means another account than the record has rows of ({other}): choose "
        "another key for this account, name another store.url, or see "
        "docs/decisions/0018-accounts-of-the-record.md"
    )
