"""The bounds of what one request may ask, each with a default that is on: the `[limits]` table."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]


class LimitSettings(BaseModel):
    """The `[limits]` table. An error names the bound by its name here, and the figure."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Of the request, while it is read.
    body_bytes: Count = 4 * 1024 * 1024
    """Of a POST, as it stands after no decompression: compressed bodies are refused.

    20,000 customers of a new segment by their global ids fit, whatever the provider's key is.
    """
    header_bytes: Count = 32 * 1024
    header_timeout_s: Annotated[float, Field(gt=0)] = 10
    body_timeout_s: Annotated[float, Field(gt=0)] = 10
    send_timeout_s: Annotated[float, Field(gt=0)] = 30
    """For a client that does not read its answer."""
    concurrent_requests: Count = 1000
    """Of one process; beyond it the answer is 503. Not those whose body has not come whole."""
    connections: Count = 10_000
    """Of one process, as far as it may open so many files."""
    connections_per_address: Count = 1000
    """Of them; behind a trusted proxy of each client: its unfinished bodies and WebSockets."""

    # Of the variables.
    variable_values: Count = 100_000
    """Values in them, however deep."""
    variable_depth: Count = 32
    list_items: Count = 25_000
    """Of one list in the variables or in the document."""

    # Of the document, before it is validated.
    characters: Count = 50_000
    tokens: Count = 2000
    nesting: Annotated[int, Field(ge=1, le=100)] = 50
    """Brackets within brackets, of any kind. The parser calls itself for each."""
    depth: Count = 12
    introspection_depth: Count = 16
    aliases: Count = 50
    root_fields: Count = 20
    directives: Count = 50
    fragments: Count = 50
    operations: Count = 10
    fields: Count = 1000
    """With every fragment spread out."""
    repeated_fields: Count = 30
    """Mentions of one response name within one selection."""

    # Of what it would cost: see docs/limits.md.
    cost: Count = 100_000
    cost_per_minute: Count = 2_000_000
    """Of one caller, in one process."""
    requests_per_minute: Count = 60_000
    """Of one caller, in one process."""

    # Of a WebSocket connection.
    message_bytes: Count = 256 * 1024
    operations_per_connection: Count = 50
    init_timeout_s: Annotated[float, Field(gt=0, le=10)] = 5
