"""Which registry a command uses where the user names none, and what it says about it.

Order      ``--registry``, ``$KALSHI_PLATFORM_REGISTRY``, the home registry if it holds a model, and for
           commands that only read: that of `make run` (QUICKSTART) if it holds one. Said on stderr then.
Invariant  a command that changes a registry never takes QUICKSTART by itself: its refusal names it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.evaluation.pages.terminal import tell
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE, Registry

#: Registry that `make run` fills, seen from the checkout's folder.
QUICKSTART: Final = Path("runs/quickstart/registry")
#: Run that `make run` leaves, a link to that of its newest call.
QUICKSTART_RUN: Final = Path("runs/quickstart/run")


def registry_to_read(given: str | None) -> Registry:
    """Registry of a command that only reads; a line on stderr tells which one where nobody named it."""
    own = Registry(given)
    if _is_named(given) or not own.is_empty:
        return own
    other = Registry(QUICKSTART)
    if other.is_empty:
        return own
    tell.note(f"registry: {QUICKSTART} ({own.uri} holds no model; --registry names another)")
    return other


@contextmanager
def registry_to_change(given: str | None, model: str) -> Iterator[Registry]:
    """Registry of a command that changes one, for the block; ``model`` is the id or alias it is about.

    Where nobody named a registry, a refusal of the block tells that QUICKSTART has ``model`` and the home
    registry has not.
    """
    registry = Registry(given)
    try:
        yield registry
    except (ContractError, LimitError) as err:
        if _is_named(given) or registry.knows(model) or not Registry(QUICKSTART).knows(model):
            raise
        advice = f"{QUICKSTART} has {model}: add --registry {QUICKSTART}"
        raise type(err)(f"{err}; {advice}") from None


def registry_words(given: str | None) -> tuple[str, ...]:
    """Words that name the same registry in a next command; none where the user named none."""
    return ("--registry", given) if given else ()


def _is_named(given: str | None) -> bool:
    return bool(given or os.environ.get(REGISTRY_VARIABLE))
