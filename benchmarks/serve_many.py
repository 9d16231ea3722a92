"""512 open connections, 200 requests a second in all, open loop, against an empty Serve application.

serve_many      p50 of a request about one group of five markets, from when it was meant to be sent; Poisson
                arrivals, every body new to the caches, its numbers packed; the connections are open before
                the first request and take turns, each is asked every 2.6 s
serve_many_p99  the same at p99
Why             clients that each keep a connection and seldom ask are what a service meets; with many open
                connections a Serve application was seen to take 230 ms where it takes 5 (ray#55473).
Checked: every request was answered; no connection was ended by the server in between.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import serving_app as app

from kalshi_platform.serving.loadtest.result import LoadConfig

CONNECTIONS, RATE, DURATION_S, WARM_UP_S, ROUNDS = 512, 200, 12, 3, 3
PEER = "empty Serve app, same switches, as many connections"
#: All connections come from this machine without a token: to the service they are one client.
LIMITS = {"rates": {"rate_per_s": 10_000, "burst": 10_000}}


def main() -> Iterator[dict[str, object]]:
    asked = app.asked()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = app.made_model(place / "registry", asked.batch)
        config = LoadConfig(
            url="http://127.0.0.1", rate_per_s=RATE, duration_s=DURATION_S, warm_up_s=WARM_UP_S,
            bodies_file=app.write_bodies(place, asked.bodies), connections=CONNECTIONS,
        )  # fmt: skip
        with app.both_running(model, LIMITS) as url:
            ours, empty = app.in_turn(config.replace(url=url), ROUNDS)
    reopened = [result.reopened for result in (*ours, *empty)]
    assert not any(reopened), f"connections ended by the server, by round: {reopened}"
    shared = {"connections": CONNECTIONS, "tiers": app.tier_shares(ours)}
    yield {**app.line("serve_many", ours, empty, "p50_ms", PEER), **shared}
    yield app.line("serve_many_p99", ours, empty, "p99_ms", PEER)


if __name__ == "__main__":
    for result in main():
        print(result)
