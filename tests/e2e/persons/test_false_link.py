"""The story of a false link, as an operator lives it: on the command line, and in the API."""

import asyncio
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.asgi import build
from gateway.domain.entities import Ref
from gateway.identity.graph import pair_of
from gateway.observability import audit
from gateway.observability.confidential import Personal
from gateway.observability.settings import LogSettings
from gateway.sandbox.people import Person, person
from gateway.settings.loading import load
from resolvers import global_ids
from tests.e2e.persons.asking import IDS, do, read_everyone
from tests.e2e.serving import Front, Providers, customer_id
from tests.four_kinds import CREDENTIALS
from tests.proxies.processes import sandbox_running
from tests.security.logged import logged

ADDRESS: Final = "info@shop.example"
NORA, OLAF = (replace(person(n), email=ADDRESS) for n in (2, 4))
"""Two people with one address: she is at Voucherify alone, he at Emporix."""
HERS, HIS = Ref("voucherify", str(NORA.voucherify_id)), Ref("emporix", str(OLAF.emporix_id))
LINK: Final = f"{HIS.provider}:{HIS.key} - {HERS.provider}:{HERS.key}"
PEOPLE: Final = f"{{ people(first: 250) {{ totalCount nodes {IDS} }} }}"


def example_people(count: int) -> Iterable[Person]:
    """Return the cast with these two in it."""
    return ({NORA.n: NORA, OLAF.n: OLAF}.get(n, person(n)) for n in range(count))


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Return the port of the providers."""
    monkeypatch.setattr("gateway.sandbox.app.people", example_people)
    with sandbox_running() as (_, port):
        yield port


def configuration(folder: Path, sandbox: int, store: Path, *blocked: str) -> Path:
    """Write the configuration of an operator whose rule links by address."""
    text = f'[server]\ncache_ttl_s = 0\n[store]\nurl = "sqlite:///{store}"\n[identity]\n'
    text += f"blocked = {json.dumps(blocked)}\n"
    text += '[[identity.rules]]\nname = "mail"\nnormalize = "email"\n'
    text += 'keys = ["voucherify:email", "emporix:email"]\n'
    for kind in ("voucherify", "emporix"):
        text += f'[[providers]]\nkey = "{kind}"\nkind = "{kind}"\n'
        text += f'base_url = "http://127.0.0.1:{sandbox}/{kind}"\n'
        text += "".join(f"{name} = {json.dumps(e)}\n" for name, e in CREDENTIALS[kind].items())
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def preview(file: Path) -> list[str]:
    """Return what `gateway identity preview` prints."""
    with logged():  # the command sets up the log of its process
        result = CliRunner().invoke(cli, ["identity", "preview", "--config", str(file)])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def number(lines: Iterable[str], start: str) -> int:
    """Return the number in the line that starts so."""
    (line,) = (each for each in lines if each.startswith(start))
    return int(line.removeprefix(start).split()[0])


async def persons(front: Front) -> set[frozenset[str]]:
    """Return all persons of several customers, after everyone was read."""
    await read_everyone(front)
    shown = (await front.data(PEOPLE))["people"]
    assert shown["totalCount"] == len(shown["nodes"])
    return {frozenset(each["id"] for each in node["customers"]) for node in shown["nodes"]}


async def unlinked(file: Path) -> None:
    """Take the link back, which harms nobody else."""
    app = build(load(file, {}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        front = Front(client, Providers())
        ends = {customer_id(HERS.provider, HERS.key), customer_id(HIS.provider, HIS.key)}
        before = await persons(front)
        assert ends in before

        link = global_ids.of_pair(pair_of(HERS, HIS))
        given = {"linkId": link, "note": "Two people."}
        payload = await do(front, "customersUnlink", given, f"people {IDS}")
        alone = [[{"id": customer_id(each.provider, each.key)}] for each in (HIS, HERS)]
        assert payload == {"people": [{"customers": each} for each in alone], "userErrors": []}

        assert await persons(front) == before - {frozenset(ends)}
        text = '{ node(id: "%s") { ... on IdentityLink { state origin rule note createdBy } } }'
        assert (await front.data(text % link))["node"] == {
            "state": "BLOCKED",
            "origin": "RULE",
            "rule": "mail",
            "note": "Two people.",
            "createdBy": "anonymous",
        }


@pytest.mark.no_fast_paths
def test_a_false_link(sandbox: int, tmp_path: Path, store_file: Path) -> None:
    """The preview shows it, `blocked` stops it, an unlink undoes it, the audit log tells it."""
    store = tmp_path / "own.db"
    file = configuration(tmp_path, sandbox, store)
    shown = preview(file)
    assert not store.exists()
    links = number(shown, "Rule mail:")
    assert f"  active    {LINK}  by '{ADDRESS}'" in shown
    assert number(shown, "Persons of several customers:") == links
    assert shown[-1] == "Kept apart, though a rule would link them: 0"

    stopped = preview(configuration(tmp_path, sandbox, store, "info@.*"))
    assert number(stopped, "Rule mail:") == links - 1
    assert not any(ADDRESS in line for line in stopped)

    shutil.copy(store_file, store)
    configuration(tmp_path, sandbox, store)
    settings = LogSettings(digest_key=SecretStr("0123456789abcdef"))
    with logged(settings) as log:
        asyncio.run(unlinked(file))
        audit.log.info("x", logger="x", who=[Personal(each.key) for each in (HERS, HIS)])
    (line,) = log.of("audit")
    digests = log.of("x")[0]["who"]
    assert sorted(line["customers"]) == sorted(digests)
    assert {name: line[name] for name in ("operation", "caller", "outcome", "providers")} == {
        "operation": "customersUnlink",
        "caller": "anonymous",
        "outcome": "done",
        "providers": ["emporix", "voucherify"],
    }
    assert ADDRESS not in log.text

    apart = preview(file)
    assert number(apart, "Rule mail:") == links - 1
    assert apart[-2:] == ["Kept apart, though a rule would link them: 1", f"  {LINK}"]
