"""Markets of earlier runs whose outcome is not known here, from the files of facts; each file is read once.

File       ``.recorder/unsettled.json``: the files of facts that were read, with their sizes, and the markets
           that were unsettled after them. A start reads only files that are not among them: it takes as long
           after months as after a day.
Doubt      where it is absent, is no such file, names a file of another size, or where a new file of facts is
           older than one that was read, all files are read again.
"""

from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_core import from_json

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError
from kalshi_platform.storage.whole_file import write_whole

#: State of a market that has its outcome.
_FINAL: Final = "finalized"


class _KnownStates(Config):
    """Content of the file."""

    files: dict[str, int] = Field(description="name of each file of facts that was read -> its bytes")
    unsettled: tuple[str, ...] = Field(description="markets without an outcome after these files")


def unsettled_markets(out: Path) -> set[str]:
    """Markets of earlier runs whose last fact says no final state; DataError for a line that is no fact."""
    files = {path.name: path.stat().st_size for path in sorted((out / "facts").glob("*.jsonl"))}
    known = _known(out, files)
    unsettled, unread = set(known.unsettled), [name for name in files if name not in known.files]
    for name in unread:
        for ticker, state in _states(out / "facts" / name):
            if state == _FINAL:
                unsettled.discard(ticker)
            else:
                unsettled.add(ticker)
    if unread:
        place = out / ".recorder" / "unsettled.json"
        place.parent.mkdir(exist_ok=True)
        known = _KnownStates(files=files, unsettled=tuple(sorted(unsettled)))
        write_whole(place, known.model_dump_json() + "\n")
    return unsettled


def _known(out: Path, files: dict[str, int]) -> _KnownStates:
    """Markets that an earlier start read out of ``files``; none where that cannot be trusted."""
    nothing = _KnownStates(files={}, unsettled=())
    try:
        known = _KnownStates.model_validate_json((out / ".recorder" / "unsettled.json").read_bytes())
    except (OSError, ValidationError):
        return nothing
    is_same = all(files.get(name) == size for name, size in known.files.items())
    new = [name for name in files if name not in known.files]
    is_later = not new or not known.files or min(new) > max(known.files)
    return known if is_same and is_later else nothing


def _states(path: Path) -> list[tuple[str, Any]]:
    """(market, its state) of every market that a file of facts tells, in order."""
    found: list[tuple[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            fact = from_json(line)
            told = [fact["market"]] if "market" in fact else fact.get("event", {}).get("markets") or []
            found += [(_text(market["ticker"]), market.get("status")) for market in told]
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise DataError(f"{path}: line {number} is no fact ({err!r}); copy the file again") from None
    return found


def _text(ticker: object) -> str:
    """Ticker as it is; TypeError where it is no text."""
    if not isinstance(ticker, str):
        raise TypeError(f"ticker {str(ticker)[:40]}")
    return ticker
