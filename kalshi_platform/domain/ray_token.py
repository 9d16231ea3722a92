"""Ray's token: who reads it may run code as this user, so only this user may read it.

Owns       the file ``~/.ray/auth_token``, or the one that RAY_AUTH_TOKEN_PATH names, before Ray looks for it:
           Ray makes it readable for everybody. Made here with mode 0600; a wider one of ours is narrowed.
Invariant  where this returns, no other user can read or replace the token, or Ray asks for none.
Not kept   RAY_AUTH_TOKEN, the token as an environment variable: it lies in no file.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.owner_only import exposures, make_secret, narrow
from kalshi_platform.domain.places import user_home


def token_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """File in which Ray looks for its token; None where it asks for none, or the environment holds it."""
    if not _is_asked_for(environment) or environment.get("RAY_AUTH_TOKEN"):
        return None
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else user_home("RAY_AUTH_TOKEN_PATH") / ".ray" / "auth_token"


def keep_to_owner(environment: Mapping[str, str] = os.environ) -> str:
    """Make Ray's token file where it is missing, narrow a wider one; a sentence about what changed, else "".

    ContractError where the file or its folder belongs to somebody else, who could put another there.
    """
    path = token_file(environment)
    if path is None:
        return ""
    if not path.exists():
        if environment.get("RAY_AUTH_TOKEN_PATH"):
            return ""  # Ray itself says that the named file is missing
        make_secret(path, secrets.token_hex(32))
    narrowed = narrow(
        path,
        "who could take Ray over: remove it, or name a file of your own with RAY_AUTH_TOKEN_PATH",
    )
    if not narrowed:
        return ""
    names = " and ".join(map(str, narrowed))
    return f"{names} could be used by other users: only you may now (who has Ray's token runs code as you)"


def token_of(environ: Mapping[str, str], home: Path) -> str:
    """The token, from where Ray takes it: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ``home/.ray/auth_token``.

    Raises ContractError: none there, unreadable, empty, or more than one word; no message holds the token.
    """
    advice = "make one with `ray get-auth-token --generate`, or copy the cluster's"
    if token := environ.get("RAY_AUTH_TOKEN", "").strip():
        return _one_word(token, "RAY_AUTH_TOKEN")
    named = environ.get("RAY_AUTH_TOKEN_PATH", "").strip()
    path = Path(named) if named else home / ".ray" / "auth_token"
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        raise ContractError(f"no token: {path} is not there and RAY_AUTH_TOKEN is empty; {advice}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"token file {path}: cannot be read ({type(error).__name__}); {advice}") from None
    if not token:
        raise ContractError(f"token file {path}: is empty; {advice}")
    return _one_word(token, str(path))


def _one_word(token: str, source: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ContractError(
            f"{source}: the token must be one word of printable ASCII, {len(token)} characters found"
        )
    return token


def faults(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return faults that let others at the token, in words; nothing is changed."""
    if not _is_asked_for(environment):
        return ["RAY_AUTH_MODE lets everybody in who reaches Ray"]
    path = token_file(environment)
    return [] if path is None else exposures(path)


def _is_asked_for(environment: Mapping[str, str]) -> bool:
    return environment.get("RAY_AUTH_MODE", "token").lower() == "token"
