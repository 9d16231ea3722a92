"""Who may ask: reading tokens and comparing them.

Invariant  a token is kept as its sha256 only and compared in constant time with every known one; a client
           is told apart by the first hex digits of that hash, which is all that logs may show.
Not        how often (kalshi_platform/serving/server/rate_limit.py).
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError

#: Shorter tokens can be guessed.
MIN_TOKEN_CHARS: Final = 16


class Tokens:
    """Known tokens, as hashes."""

    def __init__(self, hashes: tuple[bytes, ...]) -> None:
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes)

    def owner(self, authorization: str | None) -> str | None:
        """Short name of whoever showed ``Authorization: Bearer <token>``; None where it is none of these."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        shown = _hash(token.strip())
        known = False
        for each in self._hashes:  # every one, so that the time taken tells nothing
            known |= hmac.compare_digest(each, shown)
        return shown.hex()[:12] if known else None


def read_tokens(
    file: Path | None, variable: str | None, environment: Mapping[str, str] = os.environ
) -> Tokens:
    """Tokens of a file and of an environment variable; ContractError where a named place holds none."""
    lines: list[str] = []
    if file is not None:
        try:
            found = _lines(Path(file).read_text())
        except (OSError, UnicodeDecodeError) as err:
            raise ContractError(
                f"token file {file} cannot be read ({err}): write one token a line into it"
            ) from None
        lines += _checked(found, f"token file {file}")
    if variable is not None:
        lines += _checked(_lines(environment.get(variable, "")), f"environment variable {variable}")
    return Tokens(tuple(_hash(line) for line in dict.fromkeys(lines)))


def _lines(text: str) -> list[str]:
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def _checked(lines: list[str], where: str) -> list[str]:
    if not lines:
        raise ContractError(
            f"{where} holds no token: write one a line, at least {MIN_TOKEN_CHARS} characters"
        )
    for number, line in enumerate(lines, 1):
        if len(line) < MIN_TOKEN_CHARS or " " in line:
            raise ContractError(
                f"{where}: token {number} has {len(line)} characters or a space in it; expected at least "
                f"{MIN_TOKEN_CHARS} without spaces: openssl rand -hex 32 makes one"
            )
    return lines


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
