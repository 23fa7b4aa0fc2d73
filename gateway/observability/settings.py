"""Settings of the log."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

_FROZEN = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogSettings(BaseModel):
    """The `[log]` table."""

    model_config = _FROZEN

    personal_data: bool = False
    """Write ids of people, providers' words and messages of exceptions as they are."""
    digest_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """With it equal ids have equal digests in all processes, always. None: in one process."""
