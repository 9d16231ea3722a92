"""Messages a second on one core: the world of agents on the matching core, with all agents on.

simulator        orders and cancels that agents send, in the compiled loop alone: the exchange answers, books
                 cash, collateral and fees, and the feed is recorded
simulator_files  rows a second of ``simulate``, with events planned and files written

Figures of others, as issue 14 states them (not measured here): JaxMARL-HFT 2.2 million messages/s on an L40S
GPU, ABIDES 22 to 3,000 steps/s.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kalshi_platform.simulation.simexchange import preset_of, simulate
from kalshi_platform.simulation.simexchange.world import WorldConfig
from kalshi_platform.simulation.simexchange.world.generate import open_world
from kalshi_platform.simulation.simexchange.world.kernel import trade

N_EVENTS = 12
ROWS = 1_000_000
REPEATS = 3
PEERS = "JaxMARL-HFT 2,200,000/s on an L40S, ABIDES 22 to 3,000 steps/s (issue 14, not measured here)"


def loop_rate(config: WorldConfig) -> tuple[float, int, int]:
    """(messages/s, messages, rows recorded) of the loop over the first events."""
    spent, messages, rows = 0.0, 0, 0
    for index in range(N_EVENTS):
        world, rng, end_ns = open_world(config, index, ROWS)
        before = int(world.state["commands"][0])
        begin = time.process_time()
        ended = trade(world, rng, end_ns, 2 * world.core.orders.size)
        spent += time.process_time() - begin
        assert ended, f"event {index} has more than {ROWS:,} rows"
        messages += int(world.state["commands"][0]) - before
        rows += int(world.tape.n[0])
    return messages / spent, messages, rows


def files_rate(config: WorldConfig) -> tuple[float, int]:
    """(rows/s, rows) of writing the first events as level-2 Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        files = simulate(config.replace(n_events=N_EVENTS), Path(folder) / "out")
        return files.n_messages / (time.process_time() - begin), files.n_messages


def main() -> Iterator[dict[str, object]]:
    """Yield two result lines."""
    config = preset_of("calibrated")
    assert isinstance(config, WorldConfig)
    loop_rate(config)  # compiles
    rate, messages, rows = max(loop_rate(config) for _ in range(REPEATS))
    yield {
        "bench": "simulator", "value": round(rate), "unit": "messages/s", "goal": 1_000_000, "peers": PEERS,
        "messages": messages, "rows": rows, "events": N_EVENTS, "clock": "cpu",
    }  # fmt: skip
    files_rate(config)
    written, rows = max(files_rate(config) for _ in range(REPEATS))
    yield {
        "bench": "simulator_files", "value": round(written), "unit": "rows/s", "rows": rows, "clock": "cpu",
    }  # fmt: skip


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line))
