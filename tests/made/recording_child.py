"""A recorder in a process of its own that a test kills: numbered frames in, acknowledged counts out.

Run    python -m made.recording_child FOLDER RUN COMMIT_S
Tells  on stdout a line for every commit: how many frames of this run are acknowledged.
"""

import asyncio
import sys
from pathlib import Path

from kalshi_platform.trading.exchange.clock import SystemClock
from kalshi_platform.trading.recorder.alarms import Alarms
from kalshi_platform.trading.recorder.record import Recorder
from kalshi_platform.trading.recorder.settings import RecordConfig
from made.recorder import ScriptedReads, ScriptedStream


async def main(out: Path, run: int, commit_s: float) -> None:
    """Send frames for ever."""
    config = RecordConfig.parse({
        "wanted": {"series": ["KXDEMO"]},
        "journal": {"commit_s": commit_s, "segment_bytes": 20_000, "commit_bytes": 200_000},
    })  # fmt: skip
    alarms = Alarms(None, asyncio.get_running_loop().time)
    recorder = Recorder(
        out, config, ScriptedStream, ScriptedReads(), SystemClock(), alarms, simulated=True
    )  # fmt: skip
    asyncio.get_running_loop().create_task(recorder.run())
    stream, counts = recorder.stream, recorder.journal.counts
    assert isinstance(stream, ScriptedStream)
    told = number = 0
    while not stream.conn:
        await asyncio.sleep(0.001)
    while True:
        for _ in range(20):
            stream.send("numbered", {"run": run, "n": number, "pad": "x" * 200}, sid=9)
            number += 1
        await asyncio.sleep(0.002)
        # Other frames (books) count too: a frame is acknowledged with all before it.
        if counts.frames_acknowledged != told:
            told = counts.frames_acknowledged
            others = counts.frames - number
            sys.stdout.write(f"{max(told - others, 0)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
