"""Format times as the scalar `DateTime` shows them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

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
_times = typed(datetime)


def show_times(moments: Sequence[Any]) -> Sequence[str | None]:
    """Format many moments, in half the time that `show_time` takes for each; None stays None."""
    try:
        encoded = _encode(_times(moments)).decode()
    except msgspec.ValidationError:
        if None not in moments:
            return [*map(show_time, moments)]
        shown = iter(show_times([moment for moment in moments if moment is not None]))
        return [None if moment is None else next(shown) for moment in moments]
    count = len(moments)
    if len(encoded) == count * len(f'"{_WHOLE}Z",') + 1:
        whole = encoded.replace("Z", ".000Z")
        if len(whole) == count * len(f'"{_WHOLE}.000Z",') + 1:  # all are in UTC
            return whole[2:-2].split('","')
    if not count or encoded.count("Z") != count:  # not all are in UTC
        return [*map(show_time, moments)]
    if encoded.count('000Z"') == count:  # all have milliseconds
        return encoded.replace('000Z"', 'Z"')[2:-2].split('","')
    texts, length = encoded[2:-3].split('Z","'), len(_WHOLE)
    return [f"{text}.000Z" if len(text) == length else f"{text[:23]}Z" for text in texts]
