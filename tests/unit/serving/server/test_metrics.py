"""The table of a replica's metrics."""

from kalshi_platform.serving.server.metrics import METRICS


def test_names_and_units_are_of_one_kind_and_never_repeat():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("kalshi_serve_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert bool(metric.bounds) == (metric.kind == "histogram"), metric.name
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert metric.text.endswith(".")
