"""`gateway import` and `gateway export` against a real server, killed and repeated."""

import csv
import io
import json
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.cli.transfer.remote import RemoteFailed, RemoteGateway
from gateway.cli.transfer.started import Started, StartedImports
from tests.e2e.writes.asking import shoppers
from tests.proxies.processes import free_port
from tests.sizes import size

pytestmark = pytest.mark.no_fast_paths

SHOPPERS = 150
"""Customers that the sandbox of Instaleap knows."""
TAGS = size("IMPORT_TAGS", 10, 100)
KILLS = size("IMPORT_KILLS", 1, 3)
START_S = 60

CONFIGURATION = """
[store]
url = "sqlite:///{folder}/gateway.db"

[limits]
requests_per_minute = 1000000
cost_per_minute = 1000000000

[[providers]]
key = "loyalty"
kind = "voucherify"
base_url = "sandbox:"

[[providers]]
key = "shop"
kind = "instaleap"
base_url = "sandbox:"

[[providers]]
key = "acme"
kind = "emporix"
base_url = "sandbox:"

[[providers]]
key = "books"
kind = "stuut"
base_url = "sandbox:"
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve four embedded sandboxes."""
    folder = tmp_path_factory.mktemp("served")
    file = folder / "gateway.toml"
    file.write_text(CONFIGURATION.format(folder=folder))
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(file)]
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + START_S
            while True:
                try:
                    httpx.get(f"{address}/livez")
                    break
                except httpx.HTTPError:
                    assert time.monotonic() < end
                    time.sleep(0.05)  # until it listens
            yield address
        finally:
            server.kill()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the state of imports in a folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def data(url: str, query: str, **variables: Any) -> Any:
    """Send a query."""
    reply = httpx.post(f"{url}/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in reply, reply
    return reply["data"]


def run(*arguments: object, stdin: str | None = None) -> tuple[int, str, str]:
    """Run a command; return its exit status and output."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def written(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def report_of(path: Path) -> Sequence[Sequence[str]]:
    """Return the rows of a report, without its header."""
    with path.open() as file:
        return list(csv.reader(file))[1:]


def customers(url: str, provider: str, count: int) -> Sequence[Mapping[str, Any]]:
    """Return customers of a provider."""
    query = (
        "query ($p: [String!], $n: Int!) { customers(first: $n, filter: {providers: $p})"
        " { nodes { id identities { key externalId } } } }"
    )
    nodes: Sequence[Mapping[str, Any]] = data(url, query, p=[provider], n=count)["customers"][
        "nodes"
    ]
    return nodes


def created_segment(url: str, name: str) -> tuple[str, str]:
    """Create an empty segment at Emporix; return our id and the provider's."""
    query = (
        "mutation ($i: SegmentCreateInput!) { segmentCreate(input: $i)"
        " { segment { id externalId } userErrors { message } } }"
    )
    inputs = {"provider": "acme", "name": name, "siteCode": "main", "status": "ACTIVE"}
    segment = data(url, query, i=inputs)["segmentCreate"]["segment"]
    return segment["id"], segment["externalId"]


def changes(url: str, segment_id: str) -> Sequence[tuple[str, str]]:
    """Return all changes of a segment's assignments: the kind and the customer."""
    query = (
        "query ($s: [ID!], $after: String) { changes(first: 250, after: $after,"
        " filter: {segmentIds: $s}) { nodes { kind ... on AssignmentChange { customerId } }"
        " pageInfo { hasNextPage endCursor } } }"
    )
    after, found = None, []
    while True:
        page = data(url, query, s=[segment_id], after=after)["changes"]
        found += [(each["kind"], each.get("customerId", "")) for each in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return [each for each in found if each[1]]
        after = page["pageInfo"]["endCursor"]


def test_assignments_by_either_id(url: str, tmp_path: Path) -> None:
    """Each row has an outcome and a reason; repeating it sends nothing."""
    segment, external = created_segment(url, "by either id")
    one, two, three = customers(url, "acme", 3)
    number = two["identities"][0]["externalId"]
    file = written(
        tmp_path / "rows.csv",
        ["who", "segment", "action"],
        [
            (one["id"], segment, ""),
            (number, external, "add"),
            (three["id"], segment, "add"),
            (three["id"], external, "remove"),
            ("nobody", segment, "add"),
            (one["id"], "no-such-segment", "add"),
            (one["id"], segment, "maybe"),
            (one["id"],),  # a short row
        ],
    )
    report = tmp_path / "report.csv"
    options = ("--provider", "acme", "--map", "who=customer", "--url", url, "--report", report)

    dry = run("import", file, *options, "--dry-run")
    assert dry[:2] == (1, "5 of 8 rows checked, 3 failed.\n")
    assert changes(url, segment) == []
    first = run("import", file, *options)
    lines = report_of(report)
    before = changes(url, segment)
    second = run("import", file, *options)

    assert first == second == (1, "4 of 8 rows done, 4 failed.\n", "")
    assert report_of(report) == lines
    assert [each[1] for each in lines] == [
        *("CREATED", "CREATED", "CREATED", "DELETED"),
        *("FAILED", "INVALID", "INVALID", "INVALID"),
    ]
    assert [each[2] for each in lines[4:]] == [
        "The provider does not accept this row.",
        "there is no segment no-such-segment",
        "action must be add or remove",
        "has 1 cells; the header has 3",
    ]
    # As a set: the sandbox's webhooks about a customer who came and left may add to them.
    assert set(before) == {
        ("ENTERED", one["id"]),
        ("ENTERED", two["id"]),
        ("ENTERED", three["id"]),
        ("LEFT", three["id"]),
    }
    assert set(changes(url, segment)) == set(before)


def test_an_import_that_is_killed(url: str, tmp_path: Path) -> None:
    """The same command goes on; every row is done once, and the report is complete."""
    tags = [(each, "tag", str(value)) for each in shoppers(SHOPPERS) for value in range(TAGS)]
    total = len(tags)
    file = written(tmp_path / "rows.csv", ["customer", "type", "value"], tags)
    report = tmp_path / "report.csv"
    command = ["import", str(file), "--provider", "shop", "--url", url, "--report", str(report)]
    segment = urlsafe_b64encode(b'["s","shop","tag:0"]').rstrip(b"=").decode()
    for kill in range(KILLS):
        with subprocess.Popen([sys.executable, "-m", "gateway", *command]) as importing:
            end = time.monotonic() + START_S
            reached = SHOPPERS * (kill + 1) // (KILLS + 2)
            while len(changes(url, segment)) <= reached:
                assert importing.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)  # until it is under way
            importing.kill()
    assert run(*command)[:2] == (0, f"{total:,} of {total:,} rows done, 0 failed.\n")
    assert [int(each[0]) for each in report_of(report)] == list(range(2, total + 2))
    entered = changes(url, segment)
    assert len(entered) == len(set(entered)) == SHOPPERS


def test_a_customer_whose_rows_do_not_stand_together(url: str, tmp_path: Path) -> None:
    """They would replace each other: the second group is refused."""
    one, two = shoppers(2)
    rows = [(one, "t", "x"), (two, "t", "x"), (one, "t", "y")]
    file = written(tmp_path / "rows.csv", ["customer", "type", "value"], rows)
    report = tmp_path / "report.csv"
    status, output, _ = run("import", file, "--provider", "shop", "--url", url, "--report", report)
    assert (status, output) == (1, "2 of 3 rows done, 1 failed.\n")
    assert report_of(report)[2] == [
        *("4", "INVALID"),
        f"rows of customer {one} must stand together: sort the file by customer",
    ]


def test_attributes_from_a_pipe(url: str) -> None:
    """NDJSON from standard input; numbers stay numbers, and other attributes stay."""
    [customer] = customers(url, "loyalty", 1)
    read = "query ($id: ID!) { customer(id: $id) { attributes } }"
    before = data(url, read, id=customer["id"])["customer"]["attributes"]
    lines = json.dumps({"customer": customer["id"], "score": 12, "last.visit": "2026-11-01"})
    status, output, errors = run(
        *("import", "-", "--kind", "attributes", "--provider", "loyalty", "--url", url),
        stdin=f"{lines}\n[1]\n",
    )
    assert (status, output.splitlines()[0], errors) == (1, "1 of 2 rows done, 1 failed.", "")
    after = data(url, read, id=customer["id"])["customer"]["attributes"]
    assert after == {**before, "score": 12, "last": {"visit": "2026-11-01"}}


@pytest.mark.parametrize(
    ("provider", "text", "message"),
    [
        ("books", "segment,customer\n", "books does not support ASSIGNMENT_CREATE"),
        ("none", "segment,customer\n", "none is not the key of a provider that you may see"),
        (
            "acme",
            "foo,bar\n1,2\n",
            (
                "{file} has no column segment and no column customer; not known: foo, bar."
                " Columns are segment, customer, legalEntity (optional), action (optional)."
                " To say what one is: --map foo=segment\n"
            ),
        ),
        (
            "shop",
            "customer,type\n",
            "{file} has no column value. Columns are customer, type, value.",
        ),
        ("acme", "segment,customer,customer\n", "rows.csv has the column customer twice\n"),
        ("acme", "segment;customer\n", "rows.csv separates cells by semicolons, not commas\n"),
        ("acme", "segment\tcustomer\n", "rows.csv separates cells by tabs, not commas\n"),
        ("acme", "", "rows.csv is empty; its first line names the columns"),
        ("acme", 'segment,customer\n"a', "line 2 is not CSV: unexpected end of data"),
    ],
)
def test_what_cannot_be_imported(
    url: str, tmp_path: Path, provider: str, text: str, message: str
) -> None:
    """Nothing is sent, and the reason is one line."""
    file = tmp_path / "rows.csv"
    file.write_text(text)
    status, output, error = run("import", file, "--provider", provider, "--url", url)
    assert (status, output) == (2, "")
    assert error.startswith(message.format(file=file))
    assert error.count("\n") == 1


def test_columns_that_are_mapped_and_missing(url: str, tmp_path: Path) -> None:
    """A misspelt column is refused, and nothing is sent."""
    file = written(tmp_path / "rows.csv", ["segment", "customer", "aktion"], [("a", "b", "add")])
    options = ("--provider", "acme", "--url", url, "--map", "Aktion=action")
    message = "rows.csv has no column Aktion, but --map names it\n"
    assert run("import", file, *options) == (2, "", message)


def test_columns_that_are_not_used(url: str, tmp_path: Path) -> None:
    """They are named: one may be a misspelt optional column."""
    file = written(tmp_path / "rows.csv", ["segment", "customer", "legalentity", "Aktion"], [])
    options = ("--provider", "acme", "--url", url, "--dry-run", "--map", "Aktion=")
    columns = "segment, customer, legalEntity (optional), action (optional)"
    assert run("import", file, *options) == (
        0,
        "0 of 0 rows checked, 0 failed.\n",
        f"Not used: legalentity. Columns are {columns}.\n",
    )


def test_export(url: str) -> None:
    """Members as CSV, customers as NDJSON, each with every page."""
    rows_of = "segments(first: 1) { nodes { id customersCount { count } } }"
    [segment] = data(url, f'{{ provider(key: "loyalty") {{ {rows_of} }} }}')["provider"][
        "segments"
    ]["nodes"]
    status, output, _ = run("export", "segment", segment["id"], "--url", url)
    rows = list(csv.DictReader(io.StringIO(output)))
    assert (status, len(rows)) == (0, segment["customersCount"]["count"])
    assert {each["provider"] for each in rows} == {"loyalty"}

    total = data(url, '{ customers(filter: {providers: ["loyalty"]}) { totalCount } }')
    status, output, _ = run(
        *("export", "customers", "--provider", "loyalty", "--format", "ndjson", "--url", url)
    )
    assert len(output.splitlines()) == total["customers"]["totalCount"]
    assert json.loads(output.splitlines()[0]).keys() == rows[0].keys()

    books = '{ provider(key: "books") { segments(first: 1) { nodes { id } } } }'
    [ranked] = data(url, books)["provider"]["segments"]["nodes"]
    for failing, message in (
        (("segment", "none"), "id is not an id of this gateway.\n"),
        (
            ("customers", "--provider", "none"),
            "--provider: no provider has the key 'none'.\n",
        ),
        (
            ("segment", "WyJzIiwiYWNtZSIsIm5vbmUiXQ"),  # ["s","acme","none"]
            "There is no segment with this ID.\n",
        ),
        (("segment", ranked["id"]), "books does not list members\n"),
    ):
        assert run("export", *failing, "--url", url) == (2, "", message)


def test_an_export_to_a_full_disk(url: str) -> None:
    """The reason is one line."""
    command = [sys.executable, "-m", "gateway", "export", "customers", "--url", url]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    message = "The rows cannot be written: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (2, message)


def test_keys_that_no_longer_hold(tmp_path: Path) -> None:
    """After 23 hours an import is only repeated when that is asked for."""
    now = datetime(2026, 11, 29, tzinfo=UTC)
    clock = [now]
    imports = StartedImports(tmp_path / "deep" / "imports.json", lambda: clock[0])
    assert imports.since("a", again=False) == Started(now)
    clock[0] = now + timedelta(hours=23)
    assert imports.since("a", again=False) == Started(now)
    clock[0] = now + timedelta(hours=24)
    assert imports.since("a", again=False) is None
    repeated = imports.since("a", again=True)
    assert repeated == Started(clock[0], is_repetition=True)
    assert imports.since("a", again=False) == repeated
    assert (Started(now).suffix, repeated.suffix) == ("", "-20261130T000000")


def test_an_address_that_is_none() -> None:
    """It is refused at once: trying again does not help."""
    gateway = RemoteGateway("localhost:8000", None, lambda _: pytest.fail("tried again"))
    message = "^localhost:8000 is not an http or https address$"
    with pytest.raises(RemoteFailed, match=message):
        gateway.send("{ __typename }", {})
    gateway.close()


def test_a_gateway_that_cannot_be_reached() -> None:
    """It is tried again, with growing pauses, and then named."""
    pauses: list[float] = []
    gateway = RemoteGateway(f"http://127.0.0.1:{free_port()}/", None, pauses.append)
    with pytest.raises(RemoteFailed, match=r"^http://127.0.0.1:\d+ cannot be reached"):
        gateway.send("{ __typename }", {})
    gateway.close()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
