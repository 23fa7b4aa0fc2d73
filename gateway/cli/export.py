"""`gateway export`."""

import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any, NoReturn, TextIO

import typer

from gateway.cli.console import err
from gateway.cli.import_rows import NOTHING_DONE, SOME_FAILED, Key, Url
from gateway.cli.transfer.remote import RemoteFailed, RemoteGateway

PAGE = 250
CUSTOMER = (
    "id name email phone attributes provider: identities { provider { key } key externalId }"
)
CONNECTION = (
    f"nodes {{ {CUSTOMER} }} pageInfo {{ hasNextPage endCursor }}"
    " sources { provider { key } error { message } }"
)
MEMBERS = (
    "query ($id: ID!, $first: Int!, $after: String) { of: segment(id: $id)"
    " { provider { key } rows: customers(first: $first, after: $after)"
    f" {{ {CONNECTION} }} }} }}"
)
CUSTOMERS = (
    "query ($filter: CustomerFilter, $first: Int!, $after: String)"
    f" {{ rows: customers(first: $first, after: $after, filter: $filter) {{ {CONNECTION} }} }}"
)
NUMBER = re.compile(r"[+-][\d .()-]*")
COLUMNS = ("id", "provider", "externalId", "name", "email", "phone", "attributes")

commands = typer.Typer(help="Write rows to standard output.", no_args_is_help=True)


class Format(StrEnum):
    """The form of the rows."""

    CSV = "csv"
    NDJSON = "ndjson"


Form = Annotated[Format, typer.Option("--format", help="The form of the rows.")]


@commands.command()
def segment(
    segment_id: Annotated[str, typer.Argument(metavar="ID", help="The segment's global id.")],
    *,
    form: Form = Format.CSV,
    url: Url = "http://127.0.0.1:8000",
    key: Key = None,
) -> None:
    """Write the members of a segment."""
    _export(MEMBERS, {"id": segment_id}, form, url, key)


@commands.command()
def customers(
    *,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    form: Form = Format.CSV,
    url: Url = "http://127.0.0.1:8000",
    key: Key = None,
) -> None:
    """Write customers."""
    _export(CUSTOMERS, {"filter": {"providers": [provider]} if provider else {}}, form, url, key)


def _export(
    query: str, variables: Mapping[str, Any], form: Format, url: str, key: str | None
) -> None:
    gateway = RemoteGateway(url, key)
    missing: set[str] = set()
    try:
        pages = _pages(gateway, query, variables)
        first = next(pages)  # the output of an export that fails at once is empty
        write = _writer(sys.stdout, form)
        for page in chain([first], pages):
            missing |= {
                f"{source['provider']['key']}: {source['error']['message']}"
                for source in page["sources"]
                if source["error"]
            }
            write(page["nodes"])
    except RemoteFailed as error:
        _stop(str(error))
    except BrokenPipeError:  # `gateway export … | head`
        sys.stderr.close()
    except OSError as error:
        _stop(f"The rows cannot be written: {error.strerror}")
    finally:
        gateway.close()
    for each in sorted(missing):
        err.print(f"Without {each}", style="red", markup=False)
    raise typer.Exit(SOME_FAILED if missing else 0)


def _pages(
    gateway: RemoteGateway, query: str, variables: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    after = None
    while True:
        reply = gateway.send(query, {**variables, "first": PAGE, "after": after})
        parent = reply.data.get("of", reply.data) or {}
        page = parent.get("rows")
        if page is None:
            if reply.errors:
                message = str(reply.errors[0]["message"])
                raise RemoteFailed(message.replace("filter.providers", "--provider", 1))
            if "provider" in parent:
                raise RemoteFailed(f"{parent['provider']['key']} does not list members")
            raise RemoteFailed("There is no segment with this ID.")
        yield page
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def _writer(file: TextIO, form: Format) -> Any:
    if form is Format.NDJSON:

        def write_json(rows: Sequence[Mapping[str, Any]]) -> None:
            lines = (json.dumps(_flat(row), ensure_ascii=False) + "\n" for row in rows)
            file.writelines(lines)
            file.flush()

        return write_json
    writer = csv.writer(file)
    writer.writerow(COLUMNS)

    def write_csv(rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            flat = _flat(row)
            if flat["attributes"] is not None:
                flat["attributes"] = json.dumps(flat["attributes"], ensure_ascii=False)
            writer.writerow([_cell(flat[name]) for name in COLUMNS])
        file.flush()

    return write_csv


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the key that the provider itself reports first."""
    identity = (row["provider"] or [{"provider": {"key": None}, "externalId": None}])[0]
    values = {name: row.get(name) for name in COLUMNS}
    return {
        **values,
        "provider": identity["provider"]["key"],
        "externalId": identity["externalId"],
    }


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; phone numbers are none."""
    if (
        isinstance(value, str)
        and value[:1] in {"=", "+", "-", "@"}
        and not NUMBER.fullmatch(value)
    ):
        return f"'{value}"
    return value


def _stop(message: str) -> NoReturn:
    err.print(message, style="red", markup=False)
    raise typer.Exit(NOTHING_DONE)
