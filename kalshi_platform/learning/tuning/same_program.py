"""Every machine of a sweep runs one program: a trial compares its own with the driver's before it trains.

Owns   the facts that decide what a run computes beside its settings and data.
Not    Ray's and Python's versions: Ray itself refuses a machine that differs in them.
"""

import importlib.metadata
import socket
from collections.abc import Mapping
from typing import Final

from kalshi_platform import __version__
from kalshi_platform.data.features.spec import FEATURE_DIGEST
from kalshi_platform.domain.commit import code_digest
from kalshi_platform.domain.errors import ContractError

#: Packages whose version changes the last bits of a number, if not more.
_PACKAGES: Final = ("numpy", "numba", "torch", "pyarrow")
#: Words of the refusal, by which the driver knows it among the errors of trials.
OTHER_PROGRAM: Final = "runs another program than the driver of this sweep"


def program_facts() -> dict[str, str]:
    """Version of this program and digest of its code, its features and the packages it computes with."""
    # "+cpu" and "+cu128" are builds of one version: machines with and without a GPU may share a sweep.
    packages = {name: importlib.metadata.version(name).partition("+")[0] for name in _PACKAGES}
    return {
        "kalshi-platform": __version__,
        "code": code_digest(),
        "features": FEATURE_DIGEST,
        **packages,
    }


def require_same_program(of_driver: Mapping[str, str]) -> None:
    """Refuse to train on a machine whose program differs from the driver's; ContractError names the machine.

    A driver that tells no facts is not compared.
    """
    own = program_facts()
    differs = [f"{name} {told} there, {own.get(name)} here" for name, told in of_driver.items()
               if own.get(name) != told]  # fmt: skip
    if differs:
        raise ContractError(
            f"machine {socket.gethostname()} {OTHER_PROGRAM} ({', '.join(differs)}): give every machine the "
            "same image or installation, or submit the sweep as a job, which carries its code along"
        )
