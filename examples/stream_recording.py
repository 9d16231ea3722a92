"""Send the frames of a recording to a running server and print what its model decides.

    .venv/bin/kalshi-platform serve                                # in another shell
    .venv/bin/python examples/stream_recording.py RECORDING        # a file of frames, or a folder with one

A recording without frames (quotes, trades, tables) cannot be streamed; ``kalshi-platform evaluate`` judges a
policy on it. The client allows a model that was judged on simulated data alone: nothing is traded here.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from kalshi_platform.cli.refusal import refusals
from kalshi_platform.data.market_data.frame_files import read_frames
from kalshi_platform.data.market_data.importers.recognise import FileKind, recognise
from kalshi_platform.domain.errors import DataError
from kalshi_platform.domain.json_text import json_text
from kalshi_platform.serving.api.messages import OpenMessage
from kalshi_platform.serving.api.stream_client import StreamClient, StreamClientConfig

SHOWN = 10


def frames_file(place: Path) -> Path:
    """Return ``place``, or the first file of frames in that folder; DataError where there is none."""
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    found = next((path for path in files if holds_frames(path)), None)
    if found is None:
        raise DataError(f"{place} holds no frames: name a recording of WebSocket frames (docs/formats.md)")
    return found


def holds_frames(path: Path) -> bool:
    """Return True for a recording of frames, in any envelope."""
    try:
        return recognise(path) is FileKind.CAPTURE
    except DataError:
        return False


async def decisions(recording: Path, url: str, most_frames: int) -> list[dict[str, Any]]:
    """Send the first ``most_frames`` frames of ``recording`` and return every decision and refusal."""
    frames = sorted(read_frames(recording), key=lambda frame: frame.recv_ns)[:most_frames]
    config, opening = StreamClientConfig(url=url), OpenMessage(type="open", allow_simulated=True)
    answers: list[dict[str, Any]] = []
    async with StreamClient(config, opening) as stream:

        async def listen() -> None:
            async for message in stream:
                answers.append(message)

        listening = asyncio.create_task(listen())
        for frame in frames:
            stream.send_frame(json_text({"recv_ns": frame.recv_ns, "conn": frame.conn, "raw": frame.raw}))
        await stream.flush()
    await listening
    return answers


def show(answers: list[dict[str, Any]]) -> None:
    """Print the first decisions, then how often each action was decided, by which tier."""
    decided = [answer for answer in answers if answer["type"] == "decision"]
    for answer in decided[:SHOWN]:
        at = datetime.fromtimestamp(answer["recv_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        actions = ", ".join(f"{ticker} {action}" for ticker, action in answer["actions"].items())
        print(f"{at}  {answer['tier']:7} {actions or 'no market can be decided'}")
    counted = Counter(action for answer in decided for action in answer["actions"].values())
    tiers = Counter(answer["tier"] for answer in decided)
    print(f"{len(decided)} decisions, {len(answers) - len(decided)} frames refused")
    print("actions:", ", ".join(f"{name} {n}" for name, n in counted.most_common()) or "none")
    print("decided by:", ", ".join(f"{name} {n}" for name, n in tiers.most_common()) or "none")


def main(
    recording: Annotated[Path, typer.Argument(help="a file of frames, or a folder with one")],
    url: Annotated[str, typer.Option(help="the server's stream")] = "ws://127.0.0.1:8000/v1/stream",
    frames: Annotated[int, typer.Option(min=1, help="send so many frames at most")] = 2_000,
) -> None:
    """Send the frames of a recording to a running server and print what its model decides."""
    with refusals():
        found = frames_file(recording)
        print(f"{found}: its first {frames:,} frames at most, to {url}")
        show(asyncio.run(decisions(found, url, frames)))


if __name__ == "__main__":
    typer.run(main)
