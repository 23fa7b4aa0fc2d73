"""The `[mcp]` table."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

ShippedTool = Literal[
    "find_person",
    "person_segments",
    "segment_members",
    "find_segments",
    "compare_segments",
    "test_membership",
    "recent_changes",
    "provider_health",
]

SHIPPED: tuple[ShippedTool, ...] = get_args(ShippedTool)
"""The tools that are part of the gateway."""


class McpSettings(BaseModel):
    """The `[mcp]` table: tools for agents, at `POST /mcp` (the Model Context Protocol)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    enabled: bool = False
    """Serve `/mcp`."""
    shipped: tuple[ShippedTool, ...] = SHIPPED
    """Which of the gateway's own tools are offered."""
    folder: Path | None = None
    """More tools: each `*.graphql` file in this folder is one."""
    result_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024
    """The largest result of a tool; a larger one is an error that says what to do."""
