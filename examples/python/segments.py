"""Read segments and change them, through the client that is generated from operations.graphql."""

import asyncio
import os
import sys
import uuid
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import httpx
from gateway_client import (
    AssignAssignmentCreate,
    AssignmentChangesAssignmentChanged,
    AssignmentCreateInput,
    CustomerIdentityInput,
    GatewayClient,
    GraphQLClientError,
    GraphQLClientGraphQLMultiError,
    MembersSegmentCustomersNodes,
    PersonSegmentsPerson,
)
from websockets.exceptions import ConnectionClosed

ATTEMPTS = 3
RESUMABLE = {"LAGGED", "SHUTTING_DOWN"}
"""The codes of errors that end a subscription which may continue."""


def connect(address: str, key: str | None) -> GatewayClient:
    """Return a client of the gateway at this address; `key` is an API key or a token."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"{address.rstrip('/')}/graphql"
    ws_url = url.replace("http", "ws", 1)
    return GatewayClient(url, headers=headers, ws_url=ws_url, ws_headers=headers)


async def person(client: GatewayClient, provider: str, key: str) -> PersonSegmentsPerson | None:
    """Return the person of a customer, with their segments at all providers."""
    return (await client.person_segments(provider, key)).person


async def members(
    client: GatewayClient, segment_id: str
) -> AsyncIterator[MembersSegmentCustomersNodes]:
    """Yield the members of a segment, page by page. Raises `LookupError`."""
    after: str | None = None
    while True:
        segment = (await client.members(segment_id, after)).segment
        if segment is None:
            raise LookupError("There is no such segment.")
        if segment.customers is None:
            raise LookupError("Its provider cannot list members.")
        for customer in segment.customers.nodes:
            yield customer
        if not segment.customers.page_info.has_next_page:
            return
        after = segment.customers.page_info.end_cursor


async def changes(client: GatewayClient) -> AsyncIterator[AssignmentChangesAssignmentChanged]:
    """Yield who enters and leaves segments from now on; a lost connection leaves no gap."""
    after = (await client.changes_cursor()).changes_cursor
    while True:
        try:
            async for event in client.assignment_changes(after):
                after = event.assignment_changed.cursor
                yield event.assignment_changed
        except GraphQLClientGraphQLMultiError as failure:
            if any(
                (each.extensions or {}).get("code") not in RESUMABLE for each in failure.errors
            ):
                raise
        except (OSError, ConnectionClosed):
            pass
        await asyncio.sleep(0.5)


async def assign(
    client: GatewayClient, segment_id: str, provider: str, customer: str, idempotency_key: str
) -> AssignAssignmentCreate:
    """Assign a customer to a segment. With the same idempotency key, it is safe to try again."""
    given = AssignmentCreateInput(
        idempotency_key=idempotency_key,
        segment_id=segment_id,
        identity=CustomerIdentityInput(provider=provider, external_id=customer),
    )
    for attempt in range(1, ATTEMPTS):
        try:
            return (await client.assign(given)).assignment_create
        except GraphQLClientGraphQLMultiError as failure:
            if not all((each.extensions or {}).get("retryable") for each in failure.errors):
                raise
        await asyncio.sleep(attempt)
    return (await client.assign(given)).assignment_create


async def show_person(client: GatewayClient, given: Namespace) -> None:
    """Print the segments of a person, and the providers that failed."""
    found = await person(client, given.provider, given.key)
    if found is None:
        raise LookupError("There is no such customer.")
    for segment in found.segments.nodes:
        print(f"{segment.id}  {segment.provider.key}: {segment.name}")
    for source in found.sources:
        if source.error:
            print(f"{source.provider.key} failed: {source.error.code.value}")


async def show_members(client: GatewayClient, given: Namespace) -> None:
    """Print the members of a segment."""
    async for customer in members(client, given.segment_id):
        print(customer.name or customer.id)


async def show_changes(client: GatewayClient, _: Namespace) -> None:
    """Print changes until Ctrl-C."""
    async for change in changes(client):
        print(change.kind.value, change.customer_id, change.segment_id, flush=True)


async def show_assignment(client: GatewayClient, given: Namespace) -> None:
    """Assign a customer; print the assignment's state, or the mistakes."""
    key = str(uuid.uuid4())  # a program that may crash stores it before
    result = await assign(client, given.segment_id, given.provider, given.key, key)
    for mistake in result.user_errors:
        print(f"{'.'.join(mistake.field or ())}: {mistake.message}")
    if result.assignment:
        print(result.assignment.state.value)


def parsed(arguments: Sequence[str] | None = None) -> Namespace:
    """Return the command and its arguments, by default those of the command line."""
    parser = ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, show, words, help_text in (
        ("person", show_person, ("provider", "key"), "the segments of a person, everywhere"),
        ("members", show_members, ("segment_id",), "the members of a segment"),
        ("changes", show_changes, (), "who enters and leaves segments, until Ctrl-C"),
        ("assign", show_assignment, ("segment_id", "provider", "key"), "assign a customer"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.set_defaults(show=show)
        for word in words:
            command.add_argument(word)
    return parser.parse_args(arguments)


async def main(given: Namespace) -> None:
    """Run a command."""
    address = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8000")
    async with connect(address, os.environ.get("GATEWAY_KEY")) as client:
        try:
            await given.show(client, given)
        except (GraphQLClientError, LookupError) as failure:
            sys.exit(str(failure))
        except httpx.TransportError as failure:
            sys.exit(f"The gateway at {address} cannot be reached: {failure}")


if __name__ == "__main__":
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main(parsed()))
        sys.stdout.flush()
    except BrokenPipeError:  # for example of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
