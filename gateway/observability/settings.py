"""The `[log]` table."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogSettings(BaseModel):
    """The `[log]` table."""

    model_config = _FROZEN

    personal_data: bool = False
    """Log ids of people, providers' texts and exception messages unchanged."""
    digest_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """With a key, equal ids have equal digests in all processes; None: within one process."""
