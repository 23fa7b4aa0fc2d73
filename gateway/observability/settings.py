"""The `[log]` table."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

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
