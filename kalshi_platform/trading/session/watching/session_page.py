"""Page of a running session: its figures, and its controls as a browser calls them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.trading.pages.page_server import Control, PageKind
from kalshi_platform.trading.session.controls import SessionControls
from kalshi_platform.trading.session.watching.event_log import EventLog
from kalshi_platform.trading.session.watching.session_watch import SessionWatch

SESSION_PAGE: Final = PageKind("kalshi_platform.trading.session.watching", "session_token", "session")
_MOST_WHY: Final = 200


def page_figures(
    watch: SessionWatch, controls: SessionControls, log: EventLog, asked_ns: int
) -> dict[str, Any]:
    """Everything the page shows: the latest snapshot, with state and log of this moment, ``asked_ns``."""
    shown = {} if watch.latest is None else watch.latest.as_json()
    now = {"state": controls.state, "state_why": controls.why, "log": list(log.lines), "asked_ns": asked_ns}
    return shown | now | {"points": list(watch.points)}


def page_controls(controls: SessionControls, fail: Callable[[BaseException], None]) -> dict[str, Control]:
    """Controls by the names under which the page asks for them.

    An error that nobody foresaw goes to ``fail``, as one of the screen does: half a halt is no halt.
    """

    def guarded(act: Callable[[Mapping[str, str]], str]) -> Control:
        """Return ``act`` with its unforeseen errors told to the session and to the person."""

        def do(values: Mapping[str, str]) -> str:
            """Act."""
            try:
                return act(values)
            except PlatformError:
                raise
            except Exception as err:
                fail(err)
                raise PlatformError(
                    f"it may be half done ({type(err).__name__}: {str(err)[:200]}): the session ends and "
                    "cancels its orders"
                ) from err

        return do

    return {
        "halt": guarded(lambda values: controls.halt(_why(values))),
        "reduce": guarded(lambda values: controls.reduce(_why(values))),
        "resume": guarded(lambda values: controls.resume(_why(values))),
        "cancel-all": guarded(lambda values: controls.cancel_all(_why(values))),
        "cancel": guarded(lambda values: controls.cancel_order(values.get("order", ""), _why(values))),
    }


def _why(values: Mapping[str, str]) -> str:
    """Reason that the browser sent, in one short line."""
    words = " ".join(values.get("why", "").split())[:_MOST_WHY]
    return f"page: {words}" if words else "a person at the page"
