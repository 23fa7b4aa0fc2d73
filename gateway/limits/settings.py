"""The `[limits]` table: limits of requests, all enabled by default."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.domain.pages import COUNTED_SEGMENTS

Count = Annotated[int, Field(ge=1)]


class LimitSettings(BaseModel):
    """The `[limits]` table. Errors name a limit as it is named here, and the figure."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # The request, while it is read.
    body_bytes: Count = 4 * 1024 * 1024
    """The body of a POST; compressed bodies are refused.

    The global ids of 20,000 customers for a new segment fit, whatever the provider's key is.
    """
    header_bytes: Count = 32 * 1024
    """The request line and the headers."""
    header_timeout_s: Annotated[float, Field(gt=0)] = 10
    """Until the headers are complete."""
    body_timeout_s: Annotated[float, Field(gt=0)] = 10
    """From then until the body is complete."""
    send_timeout_s: Annotated[float, Field(gt=0)] = 30
    """For a client that does not read its response."""
    concurrent_requests: Count = 1000
    """Per process; further requests get 503. Requests with an incomplete body do not count."""
    connections: Count = 10_000
    """Per process, and never more than the limit of open files allows."""
    connections_per_address: Count = 1000
    """Behind a trusted proxy: incomplete bodies and WebSockets per client address."""

    # The variables.
    variable_values: Count = 100_000
    """Values at any depth."""
    variable_depth: Count = 32
    """Nested lists and objects."""
    list_items: Count = 25_000
    """Items of one list in the variables or in the document."""

    # The document, before it is validated.
    characters: Count = 50_000
    """The length of the text."""
    tokens: Count = 2000
    """Names, values and punctuation, without comments."""
    nesting: Annotated[int, Field(ge=1, le=100)] = 50
    """Nested brackets of any kind. The parser recurses for each."""
    depth: Count = 12
    """Nested fields."""
    introspection_depth: Count = 16
    """Nested fields below `__schema` or `__type`."""
    aliases: Count = 50
    """Fields with an alias."""
    root_fields: Count = 20
    """Fields at the top level of each operation."""
    directives: Count = 50
    """Directives, anywhere."""
    fragments: Count = 50
    """Fragment definitions."""
    operations: Count = 10
    """Operation definitions."""
    fields: Count = 1000
    """With all fragments expanded."""
    repeated_fields: Count = 30
    """Occurrences of one response name in one selection."""

    # The cost of operations: see docs/limits.md.
    cost: Count = 100_000
    """One operation."""
    cost_per_minute: Count = 2_000_000
    """Per caller, over all processes of one store."""
    requests_per_minute: Count = 60_000
    """Per caller, over all processes of one store."""

    # Sets of members.
    compare_members: Count = 50_000
    """Members of one segment that is read whole, to compare it with others."""
    counted_segments: Count = COUNTED_SEGMENTS
    """Segments that are counted, each with a call, to sort a list by `MEMBERS_COUNT`."""

    # A WebSocket connection.
    message_bytes: Count = 256 * 1024
    """One message."""
    operations_per_connection: Count = 50
    """Operations in progress."""
    init_timeout_s: Annotated[float, Field(gt=0, le=10)] = 5
    """Until `connection_init`."""

    # Subscriptions, which count in none of the limits on requests and operations.
    subscriptions_per_connection: Count = 100
    """Of one WebSocket."""
    subscriptions_per_caller: Count = 1000
    """Per process."""
    subscriptions: Count = 20_000
    """Of all callers, per process."""
