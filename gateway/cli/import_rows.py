"""`gateway import`."""

import csv
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.console import err, out
from gateway.cli.transfer.plans import (
    Attributes,
    EmporixAssignments,
    InstaleapTags,
    Outcome,
    Plan,
    chunks,
    is_segment_id,
)
from gateway.cli.transfer.remote import RemoteFailed, RemoteGateway
from gateway.cli.transfer.rows import RowFile, UnreadableFile, open_rows, temporary_folder
from gateway.cli.transfer.started import StartedImports, state_file

NOTHING_DONE = 2
SOME_FAILED = 1
PROVIDER = (
    "query ($key: String!) { provider(key: $key) { kind capabilities { operation supported } } }"
)
SEGMENT = (
    "query ($filter: SegmentFilter!) { segments(first: 2, filter: $filter)"
    " { nodes { id } sources { error { message } } } }"
)


class FileKind(StrEnum):
    """What the rows of a file are."""

    ASSIGNMENTS = "assignments"
    ATTRIBUTES = "attributes"


Url = Annotated[str, typer.Option(help="The gateway's address.", envvar="GATEWAY_URL")]
Key = Annotated[
    str | None,
    typer.Option(help="An API key or token; better in GATEWAY_KEY.", envvar="GATEWAY_KEY"),
]


def import_rows(  # noqa: PLR0913  # each is an option of the command
    file: Annotated[str, typer.Argument(help="A CSV or NDJSON file; - for standard input.")],
    provider: Annotated[str, typer.Option(help="The provider's key.")],
    *,
    kind: Annotated[FileKind, typer.Option(help="What the rows are.")] = FileKind.ASSIGNMENTS,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="COLUMN=NAME: what a column is; COLUMN= leaves it out; repeatable."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Check every row, and send nothing.")] = False,
    again: Annotated[bool, typer.Option(help="Send it although it was sent before.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the outcome of each row to this file.")
    ] = None,
    url: Url = "http://127.0.0.1:8000",
    key: Key = None,
) -> None:
    """Import assignments or attributes through a gateway. Repeating it sends nothing twice."""
    gateway = RemoteGateway(url, key)
    try:
        with temporary_folder() as folder:
            rows = open_rows(file, _renamed(column or ()), Path(folder))
            plan = _plan_or_fail(gateway, provider, kind)
            _check_columns_or_fail(file, rows.header(), plan)
            run = None if dry_run else _run_key(rows, gateway.url, provider, kind, again=again)
            failed, total = _import(gateway, rows, plan, run, report)
    except (UnreadableFile, RemoteFailed) as error:
        _stop(str(error))
    finally:
        gateway.close()
    verb = "checked" if dry_run else "done"
    out.print(f"{total - failed:,} of {total:,} rows {verb}, {failed:,} failed.", markup=False)
    if failed and report is None:
        out.print("For the reasons repeat the command with --report FILE.", markup=False)
    raise typer.Exit(SOME_FAILED if failed else 0)


def _renamed(options: Iterator[str] | Any) -> Mapping[str, str]:
    columns = {}
    for each in options:
        name, equals, target = each.partition("=")
        if not (name and equals):
            _stop(f"--map {each} must be COLUMN=NAME")
        columns[name] = target
    return columns


def _plan_or_fail(gateway: RemoteGateway, provider: str, kind: FileKind) -> Plan:
    """Return how rows become mutations; stop if the provider cannot do it."""
    reply = gateway.send(PROVIDER, {"key": provider})
    known = reply.data.get("provider")
    if known is None:
        _stop(f"{provider} is not the key of a provider that you may see")
    plan: Plan
    if kind is FileKind.ATTRIBUTES:
        plan = Attributes(provider)
    elif known["kind"] == "instaleap":
        plan = InstaleapTags(provider)
    else:
        plan = EmporixAssignments(provider, _segments_of(gateway, provider))
    supported = {each["operation"]: each["supported"] for each in known["capabilities"]}
    if not supported.get(plan.capability):
        _stop(f"{provider} does not support {plan.capability}: nothing was sent")
    return plan


def _check_columns_or_fail(file: str, header: Sequence[str] | None, plan: Plan) -> None:
    """Stop if a column is missing in a CSV file; name those that are not used."""
    if header is None or plan.optional is None:
        unused = []
    else:
        unused = [name for name in header if name not in {*plan.required, *plan.optional}]
    missing = [name for name in plan.required if name not in (header or plan.required)]
    known = ", ".join((*plan.required, *(f"{name} (optional)" for name in plan.optional or ())))
    if missing:
        others = f"; not known: {', '.join(unused)}" if unused else ""
        _stop(
            f"{file} has no column {' and no column '.join(missing)}{others}. Columns are {known}."
            f" To say what one is: --map {(unused or ['COLUMN'])[0]}={missing[0]}"
        )
    if unused:
        err.print(f"Not used: {', '.join(unused)}. Columns are {known}.", markup=False)


def _segments_of(gateway: RemoteGateway, provider: str) -> Callable[[str], str | None]:
    @lru_cache(maxsize=10_000)
    def segment_id(text: str) -> str | None:
        if is_segment_id(text):
            return text
        reply = gateway.send(SEGMENT, {"filter": {"providers": [provider], "externalId": text}})
        if "segments" not in reply.data:
            raise RemoteFailed(str(reply.errors[0]["message"] if reply.errors else "no answer"))
        connection = reply.data["segments"]
        for source in connection["sources"]:
            if source["error"]:
                raise RemoteFailed(str(source["error"]["message"]))
        return connection["nodes"][0]["id"] if connection["nodes"] else None

    return segment_id


def _run_key(rows: RowFile, url: str, provider: str, kind: FileKind, *, again: bool) -> str:
    """Return what the keys of this import begin with: the same if it is repeated.

    It is also the same on the page Import (`web/src/pages/import/runKey.ts`).
    """
    digest = hashlib.sha256(f"{rows.digest()} {provider} {kind}".encode()).hexdigest()[:32]
    started = StartedImports(state_file(os.environ)).since(f"{url} {digest}", again=again)
    if started is None:
        _stop(
            "This file was imported more than 23 hours ago, and the gateway no longer knows which"
            " rows were sent. To send all of them again: --again"
        )
    return digest + started.suffix


def _import(
    gateway: RemoteGateway, rows: RowFile, plan: Plan, run: str | None, report: Path | None
) -> tuple[int, int]:
    """Send everything, or nothing with `run` None; return how many rows failed, of how many."""
    total = sum(1 for _ in rows)
    failed = 0
    with _reporting(report) as write, _progress(total) as advance:
        for number, chunk in enumerate(chunks(rows, plan)):
            problems = {row.number: row.problem or plan.problem(row) for row in chunk}
            good = [row for row in chunk if problems[row.number] is None]
            outcomes = {
                row.number: Outcome(row, "INVALID", f"{problems[row.number]}")
                for row in chunk
                if problems[row.number]
            }
            if run is None:
                outcomes |= {row.number: Outcome(row, "VALID") for row in good}
            else:
                for operation in plan.operations(good, f"{run}-{number}"):
                    reply = gateway.send(operation.query, operation.variables)
                    outcomes |= {
                        each.row.number: each
                        for each in operation.outcomes(reply.data, reply.errors)
                    }
            ordered = [outcomes[row.number] for row in chunk]
            failed += sum(not (each.is_done or each.outcome == "VALID") for each in ordered)
            write(ordered)
            advance(len(chunk))
    return failed, total


@contextmanager
def _reporting(path: Path | None) -> Iterator[Callable[[list[Outcome]], None]]:
    if path is None:
        yield lambda _: None
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "outcome", "reason"])
            yield lambda outcomes: writer.writerows(
                (each.row.number, each.outcome, each.reason) for each in outcomes
            )
    except OSError as error:
        _stop(f"{path} cannot be written: {error.strerror}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show rows, rate and time left on a terminal; a line every ten seconds elsewhere."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    started = shown = time.monotonic()
    with Progress(
        *columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal
    ) as bar:
        task = bar.add_task("rows", total=total, rate="")

        def advance(count: int) -> None:
            nonlocal shown
            bar.advance(task, count)
            done, now = bar.tasks[0].completed, time.monotonic()
            rate = f"{done / max(now - started, 0.001):,.0f} rows/s"
            bar.update(task, rate=rate)
            if not err.is_terminal and now - shown > PROGRESS_EVERY_S:
                shown = now
                err.print(f"{done:,.0f} of {total:,} rows, {rate}", markup=False)

        yield advance


PROGRESS_EVERY_S = 10.0


def _stop(message: str) -> NoReturn:
    """Print why nothing more is done, and exit."""
    err.print(message, style="red", markup=False)
    raise typer.Exit(NOTHING_DONE)
