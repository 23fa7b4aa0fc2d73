"""Write metrics in the formats of Prometheus."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import CollectorRegistry

from gateway.observability.metric_table import Family, Kind, MetricTable, Value


def exposition(table: MetricTable, accept: str) -> tuple[bytes, str]:
    """Return the text for a scraper that accepts these media types, and its type."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Collector(table))
    return encode(registry), content_type


class _Collector:
    def __init__(self, table: MetricTable) -> None:
        self._table = table

    def collect(self) -> Iterable[Metric]:
        """Return all metrics, also those without a value yet: their names are documented."""
        for name, values in self._table.values.items():
            yield _metric(self._table.families[name], sorted(values.items()))


def _metric(family: Family, values: Sequence[tuple[tuple[str, ...], Value]]) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in values:
            if isinstance(value, list):
                histogram.add_metric(labels, _buckets(family, value), value[-1])
        return histogram
    form = GaugeMetricFamily if family.is_gauge else CounterMetricFamily
    metric = form(family.name, family.help, labels=family.labels)
    for labels, value in values:
        if not isinstance(value, list):
            metric.add_metric(labels, value)
    return metric


def _buckets(family: Family, counts: Sequence[float]) -> Sequence[tuple[str, float]]:
    """Return the cumulative counts up to each bound."""
    bounds = [*(f"{float(each)}" for each in family.buckets), "+Inf"]
    total, buckets = 0.0, []
    for bound, count in zip(bounds, counts, strict=False):
        total += count
        buckets.append((bound, total))
    return buckets
