"""Format times as the scalar `DateTime` shows them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.domain.lazy_columns import LazyTimes
from resolvers.typed_columns import typed

_encode = msgspec.json.Encoder().encode


def show_time(moment: datetime) -> str:
    """Format a moment: ISO 8601 in UTC with milliseconds."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # msgspec writes "2026-01-31T09:30:00Z", with microseconds if there are any, in a tenth of the
    # time of `isoformat`; ours always has milliseconds.
    text = _encode(moment).decode()[1:-2]
    return f"{text}.000Z" if len(text) == len(_WHOLE) else f"{text[:23]}Z"


_WHOLE = "2026-01-31T09:30:00"
_LENGTH = len(f'"{_WHOLE}.000Z",')
"""The length of a time in a list, as it is shown."""
_REPLACEMENTS: Mapping[int, tuple[bytes, bytes]] = {
    len(f'"{_WHOLE}Z",'): (b"Z", b".000Z"),
    len(f'"{_WHOLE}.000000Z",'): (b"000Z", b"Z"),
}
"""By the length of each time as msgspec writes it: what makes it one with milliseconds."""
_times = typed(datetime)


def show_times(moments: Sequence[Any]) -> Sequence[str | None]:
    """Format many moments, in half the time that `show_time` takes for each; None stays None."""
    if type(moments) is LazyTimes:  # decoding has checked their type
        return _replaced(_encode(moments.decoded), len(moments)) or show_times([*moments])
    try:
        encoded = _encode(_times(moments))
    except msgspec.ValidationError:
        if None not in moments:
            return [*map(show_time, moments)]
        shown = iter(show_times([moment for moment in moments if moment is not None]))
        return [None if moment is None else next(shown) for moment in moments]
    count = len(moments)
    replaced = _replaced(encoded, count)
    if replaced is not None:
        return replaced
    text, length = encoded.decode(), len(_WHOLE)
    if not count or text.count("Z") != count:  # not all are in UTC
        return [*map(show_time, moments)]
    texts = text[2:-3].split('Z","')
    return [f"{text}.000Z" if len(text) == length else f"{text[:23]}Z" for text in texts]


def _replaced(encoded: bytes, count: int) -> Sequence[str] | None:
    """Return the texts if all times are in UTC, and all or none have milliseconds, as mostly."""
    replacement = _REPLACEMENTS.get((len(encoded) - 1) // (count or 1))
    if replacement is None:
        return None
    replaced = encoded.replace(*replacement)
    is_each = len(replaced) == count * _LENGTH + 1
    return replaced.decode()[2:-2].split('","') if is_each else None
