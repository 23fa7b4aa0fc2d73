"""Run operations over reads that only record their requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.context import Paging, RequestContext, Scope
from gateway.domain.entities import Segment
from gateway.domain.queries import SegmentFilter
from gateway.reads.merged_list import Connection
from resolvers.execution.executor import Executor
from resolvers.schema import SCHEMA
from tests.differential.both import in_dicts

OPERATIONS = Executor(SCHEMA._schema)  # noqa: SLF001  # Strawberry has no other way to graphql-core's schema

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@dataclass
class RecordingReads:
    """Answers every list of segments with these rows."""

    rows: Sequence[Segment] = ()
    requests: list[tuple[SegmentFilter, Paging]] = field(default_factory=list)

    async def segments(self, wanted: SegmentFilter, paging: Paging, *_: Any, **__: Any) -> Any:
        """Record the request."""
        self.requests.append((wanted, paging))
        return Connection(
            rows=self.rows,
            cursor=str,
            end_cursor=lambda: None,
            has_next=False,
            has_previous=False,
            total=len(self.rows),
            sources=list,
        )


def context(reads: RecordingReads) -> RequestContext:
    """Return the context of an operation that reads there, of a gateway without providers."""
    request_context = RequestContext({}, Scope("request-1", 0), (), NOW)
    vars(request_context)["_reads"] = reads
    return request_context


async def ask(
    text: str, reads: RecordingReads, variables: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Return the answer, the same from both executors."""
    document = OPERATIONS.document(text)
    answer = in_dicts(await OPERATIONS.run(document, variables, None, context(reads)))
    other = await OPERATIONS.run_on_graphql_core(document, variables, None, context(reads))
    assert answer == other
    return answer.body
