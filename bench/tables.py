"""The results as Markdown: medians over rounds, ratios of the same round, half the range."""

import statistics
from collections.abc import Mapping, Sequence

from bench.load import Point
from bench.workloads import Workload

OURS = "this gateway"
FLOOR, CALLING_FLOOR = "uvicorn, bare", "uvicorn and our HTTP client"
"""The lower bounds, without and with the upstream calls."""

Rounds = Mapping[str, Sequence[Point]]
"""The points of each contestant, round by round."""


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def spread(values: Sequence[float]) -> float:
    """Return half the range, in percent of the median."""
    median = statistics.median(values)
    return (max(values) - min(values)) / 2 / median * 100 if median else 0.0


def short(value: float) -> str:
    """Format with three significant digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"  # noqa: PLR2004  # four digits


def measured(workload: Workload, rounds: Rounds, at_rest: Mapping[str, float]) -> str:
    """Return one workload's table, the cheapest first.

    `at_rest` are the calls of one query alone; under load some contestants share calls.
    """
    headings = ("", "CPU ms/request", "±", "of ours", "req/s", "p50 ms", "p99 ms", "RSS MB")
    rows = []
    for name in sorted(rounds, key=lambda each: _median(rounds[each], "cpu_ms")):
        points = rounds[name]
        ratios = [
            point.cpu_ms / ours.cpu_ms
            for point, ours in zip(points, rounds.get(OURS, ()), strict=False)
            if ours.cpu_ms
        ]
        ratio = f"{statistics.median(ratios):.2f}x" if ratios else "-"
        if len(ratios) > 1:
            ratio += f" ±{spread(ratios):.0f} %"
        errors = sum(point.errors for point in points)
        rows.append(
            (
                f"**{name}**" if name == OURS else name,
                short(_median(points, "cpu_ms")),
                f"{spread([point.cpu_ms for point in points]):.0f} %",
                ratio,
                *(short(_median(points, part)) for part in ("per_s", "p50_ms", "p99_ms")),
                f"{_median(points, 'rss_mb'):.0f}",
                _calls(name, points, at_rest),
                str(errors),
            )
        )
    return f"### {workload.name}: {workload.what}\n\n" + table(
        (*headings, "calls at rest / loaded", "errors"), rows
    )


def summary(workloads: Sequence[Workload], results: Mapping[str, Rounds]) -> str:
    """Return CPU per request of all servers and workloads, and ratios to the best of others.

    Ratios are of the same round: to the peer that was best in it, and to the lower bounds.
    """
    names = _names(results)
    rows = [
        [
            f"**{name}**" if name == OURS else name,
            *(
                short(_median(results[each.name][name], "cpu_ms"))
                if name in results[each.name]
                else "-"
                for each in workloads
            ),
        ]
        for name in names
    ]
    peers = [name for name in names if name not in {OURS, FLOOR, CALLING_FLOOR}]
    for title, others in (
        ("ours / best peer", peers),
        (f"ours / {CALLING_FLOOR}", [CALLING_FLOOR]),
        (f"ours / {FLOOR}", [FLOOR]),
    ):
        line = [title, *(_ratio(results[each.name], others) for each in workloads)]
        if any(cell != "-" for cell in line[1:]):
            rows.append(line)
    return table(("CPU ms/request", *(each.name for each in workloads)), rows)


def _ratio(rounds: Rounds, others: Sequence[str]) -> str:
    """Return the median ratio of ours to the best of others, by round."""
    of_others = [rounds[name] for name in others if name in rounds]
    if not of_others or OURS not in rounds:
        return "-"
    best = [min(point.cpu_ms for point in points) for points in zip(*of_others, strict=True)]
    ratios = [ours.cpu_ms / other for ours, other in zip(rounds[OURS], best, strict=True) if other]
    if not ratios:
        return "-"
    ratio = f"{statistics.median(ratios):.2f}"
    return f"{ratio} ±{spread(ratios):.0f} %" if len(ratios) > 1 else ratio


def calls(
    workloads: Sequence[Workload],
    results: Mapping[str, Rounds],
    at_rest: Mapping[str, Mapping[str, float]],
) -> str:
    """Return the upstream calls per request, of one alone and under load."""
    rows = [
        [
            f"**{name}**" if name == OURS else name,
            *(
                _calls(name, results[each.name][name], at_rest[each.name])
                if name in results[each.name]
                else "-"
                for each in workloads
            ),
        ]
        for name in _names(results)
        if name != FLOOR
    ]
    return table(("calls/request, at rest / loaded", *(each.name for each in workloads)), rows)


def _calls(name: str, points: Sequence[Point], at_rest: Mapping[str, float]) -> str:
    if name == FLOOR:
        return "-"
    return f"{at_rest.get(name, 0):g} / {_median(points, 'calls'):.3g}"


def _names(results: Mapping[str, Rounds]) -> Sequence[str]:
    """Return this gateway, the peers by name, and the lower bounds."""
    names = {name for rounds in results.values() for name in rounds}
    return sorted(names, key=lambda name: (name in {FLOOR, CALLING_FLOOR}, name != OURS, name))


def _median(points: Sequence[Point], part: str) -> float:
    median: float = statistics.median(getattr(point, part) for point in points)
    return median
