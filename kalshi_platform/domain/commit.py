"""The commit and version of this program: runs, models and pages record it; a promotion asks for it."""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import Field

from kalshi_platform import __version__
from kalshi_platform.domain.config import Config

#: Names the commit where the program runs outside of a checkout: in a job, an image, an installation.
COMMIT_VARIABLE: Final = "KALSHI_PLATFORM_COMMIT"


def git_commit() -> str | None:
    """Commit of the checkout this program runs from, "-dirty" at its end if files were changed.

    Outside of a checkout the value of ``KALSHI_PLATFORM_COMMIT``; None where the variable is not set.
    """
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return os.environ.get(COMMIT_VARIABLE) or None
    return commit.stdout.strip()


@cache
def code_digest() -> str:
    """First 12 hex digits of the sha256 of this package's source files: equal where the program is.

    A commit cannot say that: an image, a job's copy and an edited checkout may tell the same one or none.
    """
    root, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


class Stamp(Config):
    """Time at which, and program by which, some result was made."""

    at: str = Field(description="ISO 8601, UTC, to the second")
    version: str = Field(description="version of this program")
    commit: str = Field("", description="commit of the program; empty where nobody knows it")

    @classmethod
    def now(cls) -> "Stamp":
        """Return the present time with this program's version and commit."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(at=at, version=__version__, commit=git_commit() or "")

    @property
    def when(self) -> str:
        """The time in words, UTC."""
        return f"{self.at[:16].replace('T', ' ')} UTC"

    @property
    def program(self) -> str:
        """The program in words: its version and commit."""
        return f"kalshi-platform {self.version}, commit {self.commit or 'unknown'}"
