"""Everything by which a running session is seen and stopped from outside: its page, metrics, log, alarms."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.trading.pages.page_server import PageServer
from kalshi_platform.trading.session.running import RunningSession
from kalshi_platform.trading.session.watching.event_log import LoggingToEvents
from kalshi_platform.trading.session.watching.session_metrics import metrics_text
from kalshi_platform.trading.session.watching.session_page import SESSION_PAGE, page_controls, page_figures
from kalshi_platform.trading.session.watching.session_watch import SessionWatch

#: Files in the session's place: the page's address, and the token for whoever scrapes metrics.
PAGE_FILE: Final = "page.url"
SCRAPE_FILE: Final = "scrape.token"


@asynccontextmanager
async def showing(
    session: RunningSession, place: Path, port: int, fallbacks: Callable[[], int]
) -> AsyncIterator[tuple[SessionWatch, PageServer]]:
    """Serve the page and keep the log while the block runs; ContractError where the port is taken."""
    log, controls, wall_ns = session.log, session.controls, session.recorder.clock.wall_ns
    watch = SessionWatch(log, session.recorder.alarms, fallbacks)
    page = PageServer(
        SESSION_PAGE, lambda: page_figures(watch, controls, log, wall_ns()), port,
        controls=page_controls(controls, session.fail),
        metrics=lambda: metrics_text(watch, controls.state, log, wall_ns()),
    )  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)  # snapshot and log tell other users of this machine no more than the page does
    await page.start(place / PAGE_FILE, place / SCRAPE_FILE)
    handler, logger = LoggingToEvents(log), logging.getLogger("kalshi_platform")
    logger.addHandler(handler)
    session.recorder.sink.note_hooks.append(lambda row: watch.noted(row.kind, row.detail))
    log.say("start", f"mode {session.mode}, run {session.recorder.run_name}", model=session.core.model)
    try:
        yield watch, page
    finally:
        log.say("stop", session.recorder.why_stopped or "ended")
        logger.removeHandler(handler)
        await page.close()
        (place / PAGE_FILE).unlink(missing_ok=True)
        (place / SCRAPE_FILE).unlink(missing_ok=True)
