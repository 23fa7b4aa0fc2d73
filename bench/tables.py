"""The results as Markdown: medians over rounds, ratios of the same round, half the range."""

import statistics
from collections.abc import Mapping, Sequence

from bench.load import Point
from bench.workloads import Workload

OURS, FLOOR = "this gateway", "uvicorn, bare"
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
        calls = f"{at_rest.get(name, 0):g} / {_median(points, 'calls'):.3g}"
        errors = sum(point.errors for point in points)
        rows.append(
            (
                f"**{name}**" if name == OURS else name,
                short(_median(points, "cpu_ms")),
                f"{spread([point.cpu_ms for point in points]):.0f} %",
                ratio,
                *(short(_median(points, part)) for part in ("per_s", "p50_ms", "p99_ms")),
                f"{_median(points, 'rss_mb'):.0f}",
                "-" if name == FLOOR else calls,
                str(errors),
            )
        )
    return f"### {workload.name}: {workload.what}\n\n" + table(
        (*headings, "calls at rest / loaded", "errors"), rows
    )


def summary(workloads: Sequence[Workload], results: Mapping[str, Rounds]) -> str:
    """Return CPU per request of all servers and workloads, and ours relative to the best peer."""
    names = sorted({name for rounds in results.values() for name in rounds})
    names.sort(key=lambda name: (name == FLOOR, name != OURS))
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
    for title, floor in (("ours / best peer", False), ("ours / bare uvicorn", True)):
        line = [title]
        for each in workloads:
            rounds = results[each.name]
            others = [name for name in rounds if name != OURS and (name == FLOOR) == floor]
            if not others or OURS not in rounds:
                line.append("-")
                continue
            best = min(others, key=lambda name: _median(rounds[name], "cpu_ms"))
            pairs = zip(rounds[OURS], rounds[best], strict=False)
            line.append(f"{statistics.median(a.cpu_ms / b.cpu_ms for a, b in pairs):.2f}")
        rows.append(line)
    return table(("CPU ms/request", *(each.name for each in workloads)), rows)


def _median(points: Sequence[Point], part: str) -> float:
    return statistics.median(getattr(point, part) for point in points)
