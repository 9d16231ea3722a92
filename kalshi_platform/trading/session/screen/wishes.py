"""Messages between session and screen, one JSON object a line over a pair of sockets.

To the session   {"number": 3, "what": "halt", "text": "key h on the terminal"}
To the screen    {"snapshot": {...}}, {"answer": 3, "refusal": "", "said": "trading is halted"},
                 {"end": "why the session ended"}
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from kalshi_platform.domain.errors import DataError, PlatformError
from kalshi_platform.domain.json_text import json_text, json_value
from kalshi_platform.trading.session.snapshot import MarketStand, SessionSnapshot


class SessionActs(Protocol):
    """Everything that a screen may do to a session, each act with a sentence of what it did.

    ``SessionControls`` is one.
    """

    def halt(self, why: str) -> str:
        """Let nothing out and cancel everything."""

    def reduce(self, why: str) -> str:
        """Let only smaller positions through."""

    def resume(self, why: str) -> str:
        """Trade again."""

    def cancel_order(self, name: str, why: str) -> str:
        """Cancel one working order."""

    def cancel_all(self, why: str) -> str:
        """Cancel every working order."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that the person at the terminal asked for."""

    number: int
    what: str  # one of ACTS
    text: str  # reason; of a cancel the order's name


#: Acts by name.
ACTS: Final[Mapping[str, Callable[[SessionActs, str], str]]] = {
    "halt": lambda acts, text: acts.halt(text),
    "reduce": lambda acts, text: acts.reduce(text),
    "resume": lambda acts, text: acts.resume(text),
    "cancel": lambda acts, text: acts.cancel_order(text, "key c on the terminal"),
    "cancel all": lambda acts, text: acts.cancel_all(text),
}
#: Wish that the session's own end answers.
QUIT: Final = "quit"
#: Longest reason that is taken.
MOST_CHARACTERS: Final = 300


def grant(acts: SessionActs, wish: Wish) -> tuple[str, str]:
    """Do what is wished for; returns (why it was refused, what was done), one of them empty."""
    try:
        return "", ACTS[wish.what](acts, wish.text)
    except PlatformError as err:
        return str(err), ""


def wish_line(wish: Wish) -> bytes:
    """Line that carries a wish."""
    return _line(asdict(wish))


def wish_in(line: bytes) -> Wish:
    """Wish of a line; DataError where it is none."""
    told = _object(line)
    number, what, text = told.get("number"), told.get("what"), told.get("text")
    if not isinstance(number, int) or what not in (*ACTS, QUIT) or not isinstance(text, str):
        raise DataError(f"the screen asked for {what!r}: known are {', '.join(ACTS)} and {QUIT}")
    return Wish(number, what, text[:MOST_CHARACTERS])


def snapshot_line(text: str) -> bytes:
    """Line that carries a snapshot, which is JSON text already."""
    return b'{"snapshot": %s}\n' % text.encode()


def answer_line(number: int, refusal: str, said: str) -> bytes:
    """Line that answers a wish."""
    return _line({"answer": number, "refusal": refusal, "said": said})


def end_line(why: str) -> bytes:
    """Line that ends the screen."""
    return _line({"end": why})


def told_in(line: bytes) -> dict[str, Any]:
    """Message of a line to the screen, its snapshot as an object; DataError where it is none."""
    told = _object(line)
    if (plain := told.get("snapshot")) is not None:
        try:
            told["snapshot"] = SessionSnapshot(**{
                **plain, "markets": tuple(MarketStand(**market) for market in plain["markets"]),
                "cautions": tuple(plain["cautions"]), "log": tuple(plain["log"]),
                "standstill": tuple(plain["standstill"]),
            })  # fmt: skip
        except (KeyError, TypeError) as err:
            raise DataError(
                f"the session sent no snapshot of this version ({err}): start both anew"
            ) from None
    return told


def _line(value: dict[str, Any]) -> bytes:
    return json_text(value, tight=True).encode() + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    """JSON object of a line; DataError where it is none."""
    try:
        value = json_value(line)
    except ValueError as err:
        raise DataError(f"a message between session and screen is no JSON ({err}): {line[:80]!r}") from None
    if not isinstance(value, dict):
        raise DataError(f"a message between session and screen is no object: {line[:80]!r}")
    return value
