"""docs/observability.md lists every metric, with its labels and its meaning."""

import re
from pathlib import Path

from gateway.observability.metric_families import FAMILIES

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)


def test_the_table_of_metrics_is_complete() -> None:
    """In the same order, in the same words."""
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    expected = [
        (
            each.name,
            "gauge" if each.is_gauge else each.kind.value,
            ", ".join(f"`{label}`" for label in each.labels) or "–",
            each.help,
        )
        for each in FAMILIES
    ]

    assert ROW.findall(text) == expected
