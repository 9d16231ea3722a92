"""Tokens as text: a client reads the one it shows, a server reads all it knows.

Rule      a token stands alone on its line; empty lines and lines that begin with # are skipped. Tokens come
          from a file or an environment variable, never from an argument that a process list shows.
Not       the check of a token (server/gate.py), which keeps hashes of the tokens read here.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError

#: Environment variable of a client's token.
TOKEN_VARIABLE: Final = "KALSHI_PLATFORM_TOKEN"


def read_token(
    file: Path | None = None, environment: Mapping[str, str] = os.environ, variable: str = TOKEN_VARIABLE
) -> str | None:
    """The token in ``file``, else in the environment; None where neither is given.

    ContractError where the file cannot be read, or where the file or variable holds anything but one token.
    """
    place = f"environment variable {variable}" if file is None else f"token file {file}"
    tokens = token_lines(environment.get(variable, "")) if file is None else tokens_in(file)
    if file is None and not tokens:
        return None
    if len(tokens) != 1 or len(tokens[0].split()) != 1:
        raise ContractError(f"{place} holds {len(' '.join(tokens).split())} words; expected one token alone")
    return tokens[0]


def tokens_in(file: Path) -> list[str]:
    """The tokens in ``file``; ContractError where it cannot be read."""
    try:
        return token_lines(Path(file).read_text())
    except (OSError, UnicodeDecodeError) as err:
        why = getattr(err, "strerror", None) or err
        raise ContractError(f"token file {file} cannot be read ({why}): it holds a token per line") from None


def token_lines(text: str) -> list[str]:
    """The lines of ``text`` that hold a token."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def bearer(token: str | None) -> dict[str, str]:
    """Header that shows ``token``; an empty dict without a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
