"""The commit this program is built from. Runs, sweeps and models record it; a promotion asks for it."""

import os
import subprocess
from pathlib import Path
from typing import Final

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
