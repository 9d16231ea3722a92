"""Alarms of a running recorder: raised, repeated, cleared; each is told once through apprise.

Secret     the addresses of apprise hold keys: they come from a file or the environment, never from an
           argument, and stand in no message of this program.
Told       when an alarm is raised, again every hour while it stands, and when it is over.
"""

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError, ExchangeError

ALERTS_VARIABLE: Final = "KALSHI_PLATFORM_ALERTS"
_REPEAT_S: Final = 3_600.0
_SEND_S: Final = 30.0
_CLOSE_S: Final = 1.5
_LOG: Final = logging.getLogger(__name__)

#: Sends (title, body); a failure is an exception.
Send = Callable[[str, str], Awaitable[None]]


@dataclass
class Alarm:
    """One alarm that stands."""

    name: str
    text: str
    since_s: float  # monotonic
    told_s: float


class Alarms:
    """Alarms that stand, by name."""

    def __init__(self, send: Send | None, monotonic: Callable[[], float], who: str = "recorder") -> None:
        """``send``: None where nobody is to be told; alarms then show on the page and in the log."""
        self._who = who
        self.standing: dict[str, Alarm] = {}
        self.failures = 0  # alerts that could not be sent
        self.told = 0
        self._send, self._monotonic = send, monotonic
        self._tasks: set[asyncio.Task[None]] = set()

    def set(self, name: str, text: str | None) -> None:
        """Raise or keep up the alarm ``name``, or end it where ``text`` is None; needs a running loop."""
        now, alarm = self._monotonic(), self.standing.get(name)
        if text is None:
            if alarm is not None:
                del self.standing[name]
                self._tell(f"{self._who}: {name} is over", alarm.text)
        elif alarm is None:
            self.standing[name] = Alarm(name, text, now, now)
            self._tell(f"{self._who}: {name}", text)
        else:
            alarm.text = text
            if now - alarm.told_s >= _REPEAT_S:
                alarm.told_s = now
                self._tell(f"{self._who}: {name} goes on", text)

    def tell_once(self, title: str, text: str) -> None:
        """Tell of something that has no end."""
        self._tell(f"{self._who}: {title}", text)

    async def close(self) -> None:
        """Wait for alerts on their way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)

    def _tell(self, title: str, text: str) -> None:
        _LOG.warning("%s: %s", title, text)
        if self._send is not None:
            task = asyncio.get_running_loop().create_task(self._deliver(title, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, title: str, text: str) -> None:
        """Send one alert; a failure is counted and logged without the address."""
        assert self._send is not None
        try:
            await asyncio.wait_for(self._send(title, text), _SEND_S)
            self.told += 1
        except Exception as err:
            self.failures += 1
            _LOG.warning("an alert could not be sent (%s); it stands on the page", type(err).__name__)


def alert_addresses(file: Path | None, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Addresses of apprise, one a line of ``file``, else of the variable; ContractError for a bad file."""
    if file is None:
        text = environment.get(ALERTS_VARIABLE, "")
    elif re.match(r"\w+:/", str(file)):
        raise ContractError(
            "--alerts holds an address, which holds a key: write it into a file, and give that"
        )
    else:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as err:
            raise ContractError(
                f"--alerts {file}: cannot be read ({err}); give a file of addresses"
            ) from None
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


async def send_once(file: Path | None, text: str) -> int:
    """Send one alert to all addresses of ``file``, else of the variable; returns how many there are.

    ContractError where there is none or one cannot be; ExchangeError where one was not reached.
    """
    addresses = alert_addresses(file)
    send = apprise_sender(addresses)
    if send is None:
        where = f"{file} holds no address" if file else f"neither --alerts nor {ALERTS_VARIABLE} is given"
        raise ContractError(f"nobody to tell: {where}; write apprise addresses into a file, one a line")
    try:
        await asyncio.wait_for(send("recorder", text), _SEND_S)
    except Exception as err:  # apprise and its services raise what they like
        raise ExchangeError(
            f"not every one of {len(addresses)} addresses was reached ({type(err).__name__}): try each alone "
            "in the file"
        ) from None
    return len(addresses)


def apprise_sender(addresses: list[str]) -> Send | None:
    """Sender to all addresses; None without any. ContractError where apprise does not know one of them."""
    if not addresses:
        return None
    import apprise  # noqa: PLC0415 - 0.3 s, for those alone who want alerts

    logging.getLogger("apprise").disabled = True  # it logs whole addresses
    service = apprise.Apprise()
    for number, address in enumerate(addresses, start=1):
        if not service.add(address):
            scheme = address.partition("://")[0][:20]
            raise ContractError(
                f"address {number} of the alerts (scheme {scheme!r}): apprise does not know it; "
                "see https://github.com/caronc/apprise/wiki"
            )

    async def send(title: str, body: str) -> None:
        """Send one alert."""
        if not await service.async_notify(title=title, body=body):
            raise RuntimeError("apprise: not delivered")

    return send
