"""A session in a process of its own: ``python -m made.session_child PLAN``; exit code 3 is a refusal.

Full      ``full_after``: so many orders later no file of this process may grow any more (RLIMIT_FSIZE).
Names     while the file ``names`` of the plan exists, the exchange's name does not resolve.
"""

import json
import resource
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.trading.execution.journal.journal import FILE
from kalshi_platform.trading.session.live_session import trade
from made.session_drills import asked_of


def fill_disk(plan: dict[str, Any]) -> None:
    """Let no file grow beyond the journal's present size, once its orders are enough."""
    path = Path(plan["out"]) / "execution" / FILE
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as database:
        orders = database.execute("SELECT count(*) FROM orders").fetchone()[0]
    if orders >= plan["full_after"]:
        most = path.with_name(f"{FILE}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        del plan["full_after"]
        print("the disk is full", flush=True)


def forget_names(path: Path) -> None:
    """Let the exchange's name be unknown while ``path`` exists."""
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        if host not in ("localhost", b"localhost"):
            return real(host, *args, **options)
        if path.exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *args, **options)

    socket.getaddrinfo = look_up  # type: ignore[assignment]


def main() -> int:
    """Trade; returns the exit code."""
    plan = json.loads(Path(sys.argv[1]).read_text())

    def tell(line: str) -> None:
        print(line, flush=True)
        if "full_after" in plan:
            fill_disk(plan)

    if "names" in plan:
        forget_names(Path(plan["names"]))
    try:
        print("ended:", trade(asked_of(plan), tell), flush=True)
    except PlatformError as err:
        print(f"refused: {type(err).__name__}: {err}", flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
