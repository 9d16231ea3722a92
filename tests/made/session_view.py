"""A screen that shows snapshots made by hand, without a terminal."""

import asyncio
import html
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from kalshi_platform.trading.session.screen.screen_app import SessionApp
from kalshi_platform.trading.session.screen.wishes import Wish
from kalshi_platform.trading.session.snapshot import SessionSnapshot
from made.session_snapshot import NOW_NS, made_snapshot

#: Width of one cell in a picture.
_CELL = 12.2
Work = Callable[[SessionApp, Pilot], Awaitable[None]]


def on_screen(
    work: Work,
    snapshot: SessionSnapshot | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    behind_ns: int = 0,
) -> list[Wish]:
    """Do ``work`` on a screen that shows a snapshot, ``behind_ns`` old; returns its wishes."""
    wishes: list[Wish] = []

    async def run() -> None:
        app = SessionApp(wishes.append, wall_ns=lambda: NOW_NS + behind_ns)
        async with app.run_test(size=size, notifications=True) as pilot:
            app.take(snapshot or made_snapshot())
            await pilot.pause()
            await work(app, pilot)

    asyncio.run(run())
    return wishes


def drawn(app: SessionApp) -> list[str]:
    """Lines of the screen as text, from its picture."""
    lines: defaultdict[float, str] = defaultdict(str)
    picture = app.export_screenshot(simplify=True)
    for x, y, text in re.findall(
        r'<text [^>]*x="([\d.]+)" y="([\d.]+)" textLength[^>]*>(.*?)</text>', picture
    ):
        shown = html.unescape(text).replace("\xa0", " ")
        lines[float(y)] = lines[float(y)].ljust(round(float(x) / _CELL)) + shown
    return [line for _, line in sorted(lines.items())]


async def until_drawn(app: SessionApp, pilot: Pilot, *words: str) -> list[str]:
    """Wait until all ``words`` are drawn; returns the lines."""
    for _ in range(500):
        await pilot.pause(0.02)
        lines = drawn(app)
        if all(each in "\n".join(lines) for each in words):
            return lines
    raise AssertionError(f"{words} were not drawn: {lines}")
