"""Run an operation through both executors and compare all that a caller sees."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.context import RequestContext
from resolvers.execution.executor import Executor, OperationResult
from tests.differential.operations import Operation

Path = tuple[str | int, ...]


def is_valid(operations: Executor, text: str) -> bool:
    """Tell whether the schema allows a document; it is kept for the run."""
    return operations.document(text).node is not None


def in_dicts(answer: OperationResult) -> OperationResult:
    """Return an answer of dicts alone: a plan makes structs of some, which are encoded alike."""
    if answer.is_request_error:
        return answer
    data = msgspec.to_builtins(answer.body["data"])
    return msgspec.structs.replace(answer, body={**answer.body, "data": data})


async def both(
    operations: Executor, operation: Operation, planned: RequestContext, plain: RequestContext
) -> tuple[OperationResult, OperationResult]:
    """Return the answer of the plan, and that of graphql-core. There must be a plan."""
    document = operations.document(operation.text)
    assert document.node is not None, document.errors
    assert document.plan(operation.name, operation.variables) is not None, "there is no plan"
    return (
        in_dicts(await operations.run(document, operation.variables, operation.name, planned)),
        await operations.run_on_graphql_core(document, operation.variables, operation.name, plain),
    )


def assert_equal(result: OperationResult, expected: OperationResult, operation: Operation) -> bool:
    """Compare data with the order of its keys, and errors with theirs.

    Where several fields that may not be null fail below one null, each explains it, and the plan
    shows the first in the order of the answer: graphql-core shows the first in time, and may show
    errors of the objects that went with it.
    """
    message = f"\n{operation.text}\n{operation.variables}"
    assert str(result.body["data"]) == str(expected.body["data"]), message
    ours, theirs = result.body.get("errors", []), expected.body.get("errors", [])
    data = expected.body["data"]
    ours_by, theirs_by = _by_null(data, ours), _by_null(data, theirs)
    assert list(ours_by) == list(theirs_by), message
    is_whole = True
    for null, errors in ours_by.items():
        if all(tuple(each["path"]) == null for each in theirs_by[null]):
            assert errors == theirs_by[null], message
        else:
            is_whole = False
    return is_whole


def _by_null(data: Any, errors: Sequence[Mapping[str, Any]]) -> dict[Path, list[Any]]:
    """Return errors by the place that is null because of them."""
    result: dict[Path, list[Any]] = {}
    for error in errors:
        value: Any = data
        null: Path = ()
        for part in error["path"]:
            if value is None:
                break
            value = value[part]
            null = (*null, part)
        result.setdefault(null, []).append(error)
    return result
