"""Seconds and memory to open a dataset of a million markets, without its rows.

Input    ``made.many_markets``: manifest, tables and markets file, three markets an event. Peer: the same
         markets in a ``manifest.json`` of version 1 (one JSON object a market), opened as until issue 13:
         parsed, checked, its digest taken, entries by ticker. Version 1 takes 40 us and 10 KB a market, so it
         is measured at 20,000 markets; both forms must agree there on events, rows and digest's lineage.
Each     opening has a process of its own. Memory: growth of its resident peak from after the imports on.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

MANY, FEW = 1_000_000, 20_000
MOST_S, MOST_MIB = 2.0, 200.0
_ROUNDS = 3

_COMMON = """
import json, sys, time
import kalshi_platform.data.dataset.inspect, kalshi_platform.simulation.replay.open
from kalshi_platform.data.dataset.store import Dataset
def mib():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
before, started = mib(), time.perf_counter()
"""
_TELL = """
took = time.perf_counter() - started
print(json.dumps({"seconds": took, "mib": mib() - before, "answer": answer}))
"""
_FORMS = {
    "open": """
dataset = Dataset.open(sys.argv[1])
entries = dataset.entries("train")
answer = [len(dataset.entries()), entries.event_codes.size, int(entries.numbers("n_rows").sum())]
""",
    "info": """
from kalshi_platform.data.dataset.inspect import summarise
found = summarise(Dataset.open(sys.argv[1]))
answer = [found.markets, found.splits["train"].events, found.splits["train"].rows]
""",
    "infos": """
from kalshi_platform.simulation.replay.infos import numbered
from kalshi_platform.simulation.replay.stored_infos import StoredInfos
dataset = Dataset.open(sys.argv[1])
entries = dataset.entries("train").in_order()
infos = StoredInfos(dataset, entries)
names, place = numbered(infos, "event")
assert infos[len(infos) // 2].event == names[place[len(infos) // 2]]
answer = [len(dataset.entries()), len(names), int(entries.numbers("n_rows").sum())]
""",
    "version_1": """
from pathlib import Path
from kalshi_platform.data.dataset.manifest_v1 import ManifestV1
text = ManifestV1.model_validate(json.loads(Path(sys.argv[1], "manifest.json").read_bytes()))
digest, by_ticker = text.digest, {m.ticker: m for m in text.markets}
train = [m for m in text.markets if m.split == "train"]
answer = [len(by_ticker), len({m.event for m in train}), sum(m.n_rows for m in train)]
""",
}


def main() -> Iterator[dict[str, object]]:
    """Yield one line for the peer's size, and one for each way of opening a million markets."""
    from made.many_markets import write_many
    from made.stored import v1_text

    with tempfile.TemporaryDirectory() as folder:
        few = write_many(Path(folder, "few"), FEW)
        Path(folder, "v1").mkdir()
        Path(folder, "v1", "manifest.json").write_text(v1_text(few))
        write_many(Path(folder, "many"), MANY)
        old, new = _measured("version_1", Path(folder, "v1")), _measured("open", Path(folder, "few"))
        if old["answer"] != new["answer"]:
            raise AssertionError(f"version 1 holds {old['answer']}, version 2 {new['answer']}")
        yield _line("open_manifest_few", new, FEW) | {
            "peer": "manifest.json of version 1", "peer_value": round(old["seconds"], 3),
            "ratio": round(old["seconds"] / new["seconds"], 1), "peer_mib": round(old["mib"], 1),
        }  # fmt: skip
        slope_s, slope_mib = old["seconds"] / FEW * MANY, old["mib"] / FEW * MANY
        for form, name in (("open", ""), ("info", "_info"), ("infos", "_infos")):
            found = _measured(form, Path(folder, "many"))
            yield _line(f"open_manifest{name}", found, MANY) | {
                "peer": f"version 1, its slope from {FEW:,} markets", "peer_value": round(slope_s, 1),
                "ratio": round(slope_s / found["seconds"], 1), "peer_mib": round(slope_mib),
                "within_limits": found["seconds"] < MOST_S and found["mib"] < MOST_MIB,
            }  # fmt: skip


def _line(name: str, found: dict, n_markets: int) -> dict[str, object]:
    return {
        "bench": name, "value": round(found["seconds"], 3), "unit": f"s, best of {_ROUNDS}",
        "mib": round(found["mib"], 1), "markets": n_markets,
    }  # fmt: skip


def _measured(form: str, place: Path) -> dict:
    """Least seconds of some openings, each in a process of its own, and the largest growth of memory."""
    runs = []
    for _ in range(_ROUNDS):
        program = [sys.executable, "-c", _COMMON + _FORMS[form] + _TELL, str(place)]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["seconds"]) | {"mib": max(run["mib"] for run in runs)}


if __name__ == "__main__":
    for line in main():
        print(json.dumps(line), flush=True)
