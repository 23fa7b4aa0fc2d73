"""The `[log]` and `[traces]` tables."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogSettings(BaseModel):
    """The `[log]` table."""

    model_config = _FROZEN

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged; the audit log and the request log are always complete."""
    requests: bool = False
    """One line for each operation."""
    personal_data: bool = False
    """Log ids of people, providers' texts and exception messages unchanged."""
    digest_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """With a key, equal ids have equal digests in all processes; None: within one process."""


HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
"""A token (RFC 9110, 5.1)."""

CollectorUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$")]


class TraceSettings(BaseModel):
    """The `[traces]` table. The sampler's settings are named as in Apollo Router."""

    model_config = _FROZEN

    endpoint: CollectorUrl | None = None
    """Where spans are sent: OTLP over HTTP. A URL without a path gets `/v1/traces`. None: traces
    are off, nothing is recorded, and no `traceparent` is sent to providers."""
    headers: Mapping[HeaderName, SecretStr] = {}
    """Sent along, for example an API key of the collector."""
    sampler: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of operations that are recorded."""
    parent_based_sampler: bool = True
    """A request with a `traceparent` is recorded if its sender records it, whatever the share."""
    service_name: Annotated[str, StringConstraints(min_length=1)] = "segment-gateway"
    """`service.name` in each span."""
