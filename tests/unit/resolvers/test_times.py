"""Moments as they go in and come out."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.entities import Membership, Ref, Segment
from gateway.domain.texts import plain
from gateway.providers.base.decoding import times as decoded_times
from resolvers.times import show_times
from tests.unit.resolvers.executing import RecordingReads, ask


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 1, 31, 9, 30, tzinfo=UTC), "2026-01-31T09:30:00.000Z"),
        (datetime(2026, 1, 31, 9, 30, 1, 234_567, tzinfo=UTC), "2026-01-31T09:30:01.234Z"),
        (
            datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-31T07:30:00.000Z",
        ),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
        (None, None),
    ],
    ids=["whole second", "parts of a second", "an offset", "the first", "the last", "none"],
)
async def test_a_moment_comes_out_in_utc_with_milliseconds(
    moment: datetime | None, shown: str | None
) -> None:
    """One form for all providers."""
    row = Segment(
        ref=Ref("a", "1"), names=plain("A"), membership=Membership.RULE, created_at=moment
    )
    assert await ask("{ segments { nodes { createdAt } } }", RecordingReads([row])) == {
        "data": {"segments": {"nodes": [{"createdAt": shown}]}}
    }


moments = st.datetimes(timezones=st.timezones() | st.just(UTC))
alike = moments.map(lambda moment: moment.replace(microsecond=0))
in_milliseconds = st.builds(
    lambda moment, part: moment.replace(microsecond=part * 1000), moments, st.integers(1, 999)
)


@given(
    times=st.sampled_from((moments, alike, in_milliseconds)).flatmap(
        lambda each: st.lists(st.none() | each) | st.lists(each)
    )
)
async def test_moments_of_a_list_come_out_as_each_would(times: list[datetime | None]) -> None:
    """However alike they are: rows are completed together."""
    rows = [
        Segment(ref=Ref("a", "1"), names=plain("A"), membership=Membership.RULE, created_at=moment)
        for moment in times
    ]
    response = await ask("{ segments { nodes { createdAt } } }", RecordingReads(rows))
    shown = [row["createdAt"] for row in response["data"]["segments"]["nodes"]]
    assert shown == [moment and written(moment) for moment in times]


@given(times=st.lists(st.none() | moments) | st.lists(alike) | st.lists(in_milliseconds))
def test_decoded_moments_come_out_as_each_would(times: list[datetime | None]) -> None:
    """In UTC, though columns have them as the provider wrote them."""
    shown = [moment and written(moment) for moment in times]
    assert [*show_times(decoded_times(times))] == shown


def test_decoded_moments_without_an_offset_are_in_utc() -> None:
    """As those of entities are; and one that UTC's calendar ends before is its end."""
    end = datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))
    assert [*show_times(decoded_times([datetime(2026, 1, 31), end, None]))] == [  # noqa: DTZ001  # no offset
        "2026-01-31T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
        None,
    ]


def written(moment: datetime) -> str:
    """Return a moment as ISO 8601 has it in UTC, cut to milliseconds."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{text}Z"


IN = "query ($at: DateTime) { segments(filter: {createdAfter: $at}) { nodes { id } } }"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T09:30:00.000Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00+02:00", datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (None, None),
    ],
)
async def test_a_moment_is_read_with_any_offset(text: str | None, moment: datetime | None) -> None:
    """Without an offset it is UTC; as a variable and in the query alike."""
    reads = RecordingReads()
    await ask(IN, reads, {"at": text})
    literal = "null" if text is None else f'"{text}"'
    await ask(f"{{ segments(filter: {{createdAfter: {literal}}}) {{ nodes {{ id }} }} }}", reads)
    assert [wanted.query.created_after for wanted, _ in reads.requests] == [moment] * 4


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+10:00",
        1_770_000_000,
        True,
        [],
    ],
    ids=repr,
)
async def test_what_is_no_moment_is_the_callers_mistake(value: object) -> None:
    """Nothing is read, and the message says what a moment looks like."""
    reads = RecordingReads()
    body = await ask(IN, reads, {"at": value})
    (error,) = body["errors"]
    assert (list(body), error["extensions"], reads.requests) == (
        ["errors"],
        {"code": "BAD_USER_INPUT"},
        [],
    )
    assert error["message"].endswith("A DateTime is a string like 2026-01-31T09:30:00Z.")
