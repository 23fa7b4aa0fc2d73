"""The settings of segments whose members are compared regularly."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

EVERY_SEGMENT: Final = "*"
"""All segments of the provider."""

WatchedSegment = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,500}$")]


class WatchSettings(BaseModel):
    """A `[[watch]]` table: segments whose members are compared regularly."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    provider: str
    """The provider's key."""
    segments: Annotated[tuple[WatchedSegment, ...], Field(min_length=1)]
    """The provider's own ids, or `*` alone: all segments."""
    every_s: Annotated[float, Field(ge=1, le=86_400)] = 900
    """The time between two comparisons."""

    @field_validator("segments")
    @classmethod
    def _is_a_list_or_a_star(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        if EVERY_SEGMENT in segments and len(segments) > 1:
            raise ValueError(f'"{EVERY_SEGMENT}" must be alone: it is all segments')
        return segments
