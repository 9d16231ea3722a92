"""Every command ended by SIGTERM at random moments: how long its end takes, its words, and what it leaves.

    python tests/drills/signals.py FOLDER [--times 3] [--seed 1] [--only NAME] [--log FILE]

FOLDER keeps what the commands need; it is made in some minutes the first time. Prints a line for each end and
one JSON object. Ends with 1 where one end is not clean: a stack trace, no word, a status but 143 (0 and
130 are ends of their own), a process or port left, a file half written, or more than 10 s (on a machine that
does nothing else).
"""

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from made.ending_scenes import Place  # noqa: E402 - the path comes first
from made.recording_key import key_environment  # noqa: E402
from made.signalled import Ended, Signalled  # noqa: E402

LIMIT_S = 10.0


def wrong(ended: Ended, delay_s: float) -> list[str]:
    """What is not clean about an end."""
    found = []
    if ended.traceback:
        found.append(f"stack trace: {ended.traceback}")
    if ended.status not in (143, 0, 130) and not (ended.status == -15 and delay_s < 0.5 and not ended.said):
        found.append(f"status {ended.status}")
    if ended.status == 143 and not any("ended by SIGTERM" in line for line in ended.said):
        found.append("no word of its end")
    if ended.left:
        found.append(f"left: {'; '.join(ended.left)} on {', '.join(ended.listening) or 'no port'}")
    if ended.took_s > LIMIT_S:
        found.append(f"{ended.took_s:.1f} s")
    if long := [line for line in ended.said if len(line) > 560]:
        found.append(f"a line of {len(long[0])} characters")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(key_environment(given.folder))
    place = Place(given.folder)
    place.make()
    rows, bad = {}, 0
    for name, make in place.scenes().items():
        if given.only and name not in given.only:
            continue
        took, faults = [], []
        for time_n in range(given.times):
            rng = random.Random(f"{given.seed}:{name}:{time_n}")
            scene = make()
            delay_s = rng.uniform(0.2, scene.usual_s)
            command = Signalled(scene.command)
            due_s = command.began_s + delay_s
            while time.monotonic() < due_s and command.child.poll() is None:
                time.sleep(0.02)
            was_over = command.child.poll() is not None
            ended = command.end()
            found = [] if was_over and ended.status != 0 else wrong(ended, delay_s)
            found += (
                [f"over by itself with status {ended.status}"]
                if was_over and ended.status not in (0, 1, 3)
                else []
            )
            try:
                scene.check()
            except Exception as error:
                found.append(f"{type(error).__name__}: {str(error)[:300]}")
            took.append(round(ended.took_s, 1))
            faults += [f"seed {given.seed}, time {time_n}, after {delay_s:.1f} s: {each}" for each in found]
            last = ended.said[-1][:110] if ended.said else ""
            print(
                f"{name:24} after {delay_s:5.1f} s: {ended.took_s:4.1f} s, status {ended.status}, {last}",
                flush=True,
            )
            for each in found:
                print(f"    NOT CLEAN {each}", flush=True)
            if ended.traceback:
                print("\n".join(f"      | {line}" for line in ended.said[-40:]), flush=True)
        rows[name] = {"ends": len(took), "seconds": took, "faults": faults}
        bad += bool(faults)
    ends = sum(row["ends"] for row in rows.values())
    slowest = max((max(row["seconds"], default=0) for row in rows.values()), default=0)
    print(
        json.dumps(
            {"commands": len(rows), "ends": ends, "slowest_s": slowest, "not_clean": bad, "by_command": rows}
        )
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
