"""What is recorded under a provider's key is of one account alone."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from gateway.errors import Problem, SettingsError
from gateway.settings.loading import accounts
from gateway.store.accounts import Account
from gateway.store.database import Database
from gateway.store.database_url import DatabaseUrl
from gateway.store.store import Store
from tests.four_kinds import four_settings
from tests.unit.store.conftest import Clock
from tests.unit.store.shop_writes import LOG_TABLES

SHOP = Account.of("shop", "instaleap", "https://deadpool.instaleap.io", "")
ACME = Account.of("acme", "emporix", "https://api.emporix.io", "acme")
HINT = (
    ": choose another key for this account, set another store.url, or see "
    "docs/decisions/0018-accounts-of-the-store.md"
)


async def opened(place: DatabaseUrl, clock: Clock, *bound: Account) -> None:
    """Open a record for these accounts, and close it."""
    record = await Store.open(place, clock, accounts=bound)
    await record.close()


async def test_the_same_accounts_are_welcome(place: DatabaseUrl, clock: Clock) -> None:
    """In any order, beside new ones, and with a slash behind the base URL; so are fewer."""
    await opened(place, clock, SHOP)
    await opened(place, clock, ACME, SHOP)
    await opened(
        place, clock, Account.of("shop", "instaleap", "https://deadpool.instaleap.io/", "")
    )
    await opened(place, clock)


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        (ACME._replace(kind="stuut"), "kind emporix"),
        (ACME._replace(base_url="sandbox:"), "https://api.emporix.io"),
        (
            Account.of("acme", "emporix", "https://api.emporix.io", "beta"),
            "another account at https://api.emporix.io",
        ),
    ],
    ids=["kind", "base URL", "account"],
)
async def test_another_account_under_a_key_is_refused(
    place: DatabaseUrl, clock: Clock, changed: Account, other: str
) -> None:
    """With the path of the key and how to go on; nothing is changed by the attempt."""
    await opened(place, clock, ACME)

    with pytest.raises(SettingsError) as error:
        await opened(place, clock, SHOP, changed)
    await opened(place, clock, ACME, SHOP)

    text_ = f"'acme' belongs to another account in the store ({other}){HINT}"
    assert error.value.problems == (Problem("providers[1].key", text_),)


async def test_every_changed_key_is_named(place: DatabaseUrl, clock: Clock) -> None:
    """All problems at once."""
    await opened(place, clock, ACME, SHOP)
    changed = [each._replace(base_url="sandbox:") for each in (ACME, SHOP)]

    with pytest.raises(SettingsError) as error:
        await opened(place, clock, *changed)

    assert [each.path for each in error.value.problems] == [
        "providers[0].key",
        "providers[1].key",
    ]


async def test_several_processes_start_at_once(place: DatabaseUrl, clock: Clock) -> None:
    """One binds the key; others with the same account start, one with another is refused."""
    await opened(place, clock)  # so that all of them find the tables
    other = SHOP._replace(base_url="sandbox:")
    results = await asyncio.gather(
        *(opened(place, clock, each) for each in (SHOP, SHOP, SHOP, other, other)),
        return_exceptions=True,
    )

    refused = [isinstance(each, SettingsError) for each in results]
    assert refused in ([False] * 3 + [True] * 2, [True] * 3 + [False] * 2)


async def test_a_record_from_before_takes_the_accounts_of_the_next_start(
    place: DatabaseUrl, clock: Clock
) -> None:
    """The step that adds accounts knows none; what is configured then is bound."""
    await opened(place, clock, SHOP)
    database = Database(place)
    async with database.writing() as connection:
        for name in ("position", "position_before"):
            await connection.execute(text(f"ALTER TABLE taggings DROP COLUMN {name}"))
        for table in ("accounts", *LOG_TABLES):
            await connection.execute(text(f"DROP TABLE {table}"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    await database.close()

    other = SHOP._replace(base_url="sandbox:")
    await opened(place, clock, other)
    with pytest.raises(SettingsError):
        await opened(place, clock, SHOP)


def test_accounts_of_settings() -> None:
    """Kind, base URL and Emporix's tenant name an account; secrets may be exchanged."""
    bound: Sequence[Account] = accounts(four_settings())

    assert [(each.provider, each.kind, each.base_url) for each in bound] == [
        (kind, kind, "sandbox:") for kind in ("stuut", "voucherify", "instaleap", "emporix")
    ]
    assert [bool(each.account) for each in bound] == [False, False, False, True]
