"""POST /v1/decide at 50 requests a second, open loop, against an empty Serve application.

serve_http      p50 of a request about one group of five markets, from when it was meant to be sent; Poisson
                arrivals, client and server on the same cores, every body new to the caches, its numbers
                packed; ``stages_ms``: the server's own p50 by stage
serve_http_plain  the same, of the same bodies in JSON numbers, which the empty application is sent too
serve_http_p99  as serve_http, at p99; with the share within 50 ms of all rounds
Checked: actions over HTTP are those of the same tiers in this process; every request was answered and named
its tier; the replica's exported counter of decisions ends at the number of requests sent.
"""

import json
import re
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serving_app as app

from kalshi_platform.domain.actions import ACTIONS
from kalshi_platform.serving.loadtest.open_loop import arrivals_ns
from kalshi_platform.serving.loadtest.result import LoadConfig

RATE, DURATION_S, WARM_UP_S, ROUNDS, PLAIN_ROUNDS, CHECKED = 50, 9, 1, 3, 1, 20
PEER = "empty Serve app, same switches"
#: Ray gathers what its processes count every ten seconds.
EXPORT_S = 30


def decided(url: str, body: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    request = urllib.request.Request(
        f"{url}/v1/decide", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return text, json.loads(text)


def check_actions(url: str, model: app.Model, asked: app.Asked) -> bytes:
    """Compare answers over HTTP with decisions in this process; returns one answer."""
    expected = model.policy.decide(asked.batch, 0)
    text = b""
    for n in range(CHECKED):
        text, answer = decided(url, asked.bodies[n])
        (group,) = answer["groups"]
        actions = [ACTIONS[group["actions"][f"M{s}"]] for s in range(app.N_SLOTS)]
        assert actions == expected.actions[n].tolist(), (n, group, expected.actions[n])
    return text


def exported_decisions() -> float:
    """Sum of the exported counter over tiers, as Prometheus would read it now."""
    import ray

    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r"^ray_kalshi_serve_decisions_total\{.*\} ([\d.e+]+)$", text, re.MULTILINE)
    return sum(map(float, found))


def check_exported(sent: int) -> None:
    end_s, found = time.monotonic() + EXPORT_S, -1.0
    while found != sent and time.monotonic() < end_s:
        time.sleep(1)
        found = exported_decisions()
    assert found == sent, f"{sent} requests were sent, the metrics say {found}"


def main() -> Iterator[dict[str, object]]:
    asked = app.asked()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = app.made_model(place / "registry", asked.batch)
        config = LoadConfig(
            url="http://127.0.0.1", rate_per_s=RATE, duration_s=DURATION_S, warm_up_s=WARM_UP_S,
            bodies_file=app.write_bodies(place, asked.bodies),
        )  # fmt: skip
        with app.both_running(model) as url:
            answer = check_actions(url, model, asked)
            assert 0.8 < len(answer) / len(app.CONSTANT) < 1.3, f"an answer has {len(answer)} bytes"
            ours, empty = app.in_turn(config.replace(url=url), ROUNDS)
            written = app.write_bodies(place, asked.plain, "plain")
            plain, plain_empty = app.in_turn(config.replace(url=url, bodies_file=written), PLAIN_ROUNDS)
            sent = CHECKED + sum(len(arrivals_ns(result.config)) for result in (*ours, *plain))
            check_exported(sent)
    tiers = app.tier_shares(ours)
    assert set(tiers) == {"tier_1", "tier_2", "tier_3"}, tiers
    meant = sum(result.intended for result in ours)
    within = sum(result.within_target * result.intended for result in ours) / meant
    yield {
        **app.line("serve_http", ours, empty, "p50_ms", PEER),
        "tiers": tiers,
        "stages_ms": app.stages_ms(ours),
    }
    yield app.line("serve_http_plain", plain, plain_empty, "p50_ms", PEER)
    yield {
        **app.line("serve_http_p99", ours, empty, "p99_ms", PEER),
        "within_50ms": round(within, 5),
        "meets_targets": within >= 0.999,
    }


if __name__ == "__main__":
    for result in main():
        print(result)
