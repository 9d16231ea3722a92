"""HTTP connections of a load test: as many as the requests need, or a number that is open all the time.

Counted    connections that the server, or something before it, ended and that were opened anew.
Not        the requests (``run.py``) nor their times (``open_loop.py``).
"""

import asyncio
import resource
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.loadtest.result import LoadConfig

#: Connections that are being opened at a time: a server's queue of new ones is short.
_AT_ONCE: Final = 32
#: Seconds after which this side would end an idle connection: longer than any test waits.
_KEEP_S: Final = 3_600
#: Files that the generator opens beside its connections.
_OTHER_FILES: Final = 64


class Connections:
    """Client sessions of one test; with ``config.connections`` each of them is one connection."""

    def __init__(self, config: LoadConfig) -> None:
        """Begin without a session; :func:`connected` adds them."""
        self._fixed = config.connections > 0
        self.sessions: list[aiohttp.ClientSession] = []
        self.created = 0  # connections opened so far

    def of(self, k: int) -> aiohttp.ClientSession:
        """Session of request ``k``: the sessions take turns."""
        return self.sessions[k % len(self.sessions)]

    @property
    def reopened(self) -> int:
        """Number of connections that had to be opened a second time; 0 where their number is not fixed."""
        return max(0, self.created - len(self.sessions)) if self._fixed else 0

    def counting(self) -> aiohttp.TraceConfig:
        """Make what lets a session count the connections that it opens."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._opened)
        return tracing

    async def _opened(self, *_: object) -> None:
        self.created += 1

    async def open_all(self, place: str) -> None:
        """Open every connection by ``GET place``, whatever its answer; ContractError where none comes."""
        if not self._fixed:
            return
        room = asyncio.Semaphore(_AT_ONCE)

        async def ask(session: aiohttp.ClientSession) -> None:
            async with room, session.get(place) as answer:
                await answer.read()

        try:
            await asyncio.gather(*(ask(session) for session in self.sessions))
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise ContractError(
                f"{place}: only {self.created} of {len(self.sessions)} connections could be opened "
                f"({err or type(err).__name__}): ask for fewer (--connections)"
            ) from None


@asynccontextmanager
async def connected(config: LoadConfig, headers: Mapping[str, str]) -> AsyncIterator[Connections]:
    """Make the sessions that ``config`` asks for; they end with the block."""
    if config.connections:
        _allow_files(config.connections)
    found = Connections(config)
    async with AsyncExitStack() as stack:
        for _ in range(config.connections or 1):
            connector = aiohttp.TCPConnector(limit=1 if config.connections else 0, keepalive_timeout=_KEEP_S)
            session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=config.timeout_s),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[found.counting()],
            )
            found.sessions.append(await stack.enter_async_context(session))
        yield found


def _allow_files(connections: int) -> None:
    """Raise this process's limit of open files to what the connections need; ContractError if it may not."""
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(hard, needed)))
    except (OSError, ValueError):
        raise ContractError(
            f"{connections} connections need {needed} open files, and this process may have {hard}: raise "
            f"the limit (as root `ulimit -Hn {needed}`), or ask for fewer connections"
        ) from None
