"""Both executors answer the same over a schema in which everything goes wrong."""

import gc
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any

import pytest
from graphql import GraphQLNamedType
from structlog.testing import capture_logs

from gateway.context import RequestContext, Scope
from resolvers.execution import plan_compiler
from resolvers.execution.executor import Executor
from tests.differential.both import assert_equal, both, is_valid
from tests.differential.made_up import SCHEMA
from tests.differential.operations import Maker
from tests.sizes import size

RUNS = size("DIFFERENTIAL_RUNS", 300, 11_000)
GROUPS = 6
CORE = SCHEMA._schema  # noqa: SLF001  # as gateway.asgi
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def choose(random: Random, name: str, kind: GraphQLNamedType) -> Any:
    """Choose an argument: no trouble, some, much."""
    if name == "trouble":
        return random.choice([0, 3, 3, 10, 40])
    if kind.name == "Int":
        return random.randint(0, 5000)
    return random.choice(["", "x"])


def context() -> RequestContext:
    """Return a context without providers."""
    return RequestContext({}, Scope("request", 0.0), (), NOW)


# graphql-core leaves coroutines behind where a null takes an object with it.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("group", range(GROUPS))
async def test_generated_operations(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, errors, paths and order are those of graphql-core."""
    if group % 2:
        monkeypatch.setattr(plan_compiler, "MIN_STRUCTS", 0)  # all rows that may be are structs
    operations = Executor(CORE)
    maker = Maker(CORE, choose, partial(is_valid, operations), depth=4, width=4)
    with capture_logs():  # of the bugs that it is full of
        for seed in range(group, RUNS, GROUPS):
            operation = maker.make(seed)
            result, expected = await both(operations, operation, context(), context())
            assert_equal(result, expected, operation)
    gc.collect()  # what graphql-core left behind is this test's
