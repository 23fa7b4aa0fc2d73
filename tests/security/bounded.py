"""A gateway with bounds of one's own, and what it says when one is broken."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx

from gateway.limits.settings import LimitSettings
from tests.e2e.serving import Front, serving, settings_with

EVERYWHERE = {"accept": "application/graphql-response+json"}


@contextlib.asynccontextmanager
async def bounded(**limits: int) -> AsyncIterator[Front]:
    """Serve with these bounds, and the defaults for the rest."""
    settings = settings_with().model_copy(update={"limits": LimitSettings(**limits)})
    async with serving(settings=settings) as front:
        await front.data("{ segments(first: 1) { totalCount } }")
        front.forget()
        yield front


async def ask(front: Front, query: str, variables: Any = None) -> httpx.Response:
    """Ask, and return the answer as it came."""
    body = {"query": query, "variables": variables}
    return await front.client.post("/graphql", json=body, headers=EVERYWHERE)


def errors_of(reply: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """Return the status, and each error's message and code."""
    errors = reply.json().get("errors", [])
    return reply.status_code, [(e["message"], e["extensions"]["code"]) for e in errors]


def codes(reply: httpx.Response) -> set[str]:
    """Return the codes of an answer's errors."""
    return {code for _, code in errors_of(reply)[1]}
