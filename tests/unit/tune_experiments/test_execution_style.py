"""Take or make: three styles of order at two latencies."""

from made.experiments import check_smoke, values_of

from tune_experiments import execution_style


def test_every_style_meets_every_latency():
    found = values_of(execution_style.EXPERIMENT)
    styles = [
        (v["style"]["env.order_style"], v["style"].get("env.improve_ticks"), v["env.latency_ms"])
        for v in found
    ]
    expected = {(*style, ms) for style in (("taker", None), ("maker", 0), ("maker", 1)) for ms in (50, 500)}
    assert set(styles) == expected
    assert len(styles) == 6


def test_its_small_form_sets_a_taker_beside_a_maker():
    assert [v["env.order_style"] for v in check_smoke(execution_style)] == ["taker", "maker"]
