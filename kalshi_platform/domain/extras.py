"""The extras of pyproject.toml that commands need, each known by the packages that it brings."""

from importlib.util import find_spec
from typing import Final

from kalshi_platform.domain.errors import ContractError

#: extra -> packages under the names they are imported by.
EXTRAS: Final = {
    "train": ("lz4", "ormsgpack", "tensorboard", "tensorboardX", "tree"),
    "serve": ("aiohttp", "fastapi", "onnx", "onnxruntime", "uvicorn", "websockets"),
    "track": ("mlflow",),
    "trade": ("aiohttp", "apprise", "cryptography", "stamina", "textual", "websockets"),
}


def missing_packages(extra: str) -> list[str]:
    """Packages of ``extra``, one of EXTRAS, that are not installed."""
    return [package for package in EXTRAS[extra] if find_spec(package) is None]


def require_extras(command: str, *extras: str) -> None:
    """Raise ContractError where ``command`` cannot run because packages of ``extras`` are not installed."""
    missing = {extra: packages for extra in extras if (packages := missing_packages(extra))}
    if missing:
        names = ", ".join(dict.fromkeys(package for packages in missing.values() for package in packages))
        for extra in list(missing):  # an extra is not asked for where the others bring all that it lacks
            brought = {package for other in missing if other != extra for package in EXTRAS[other]}
            if brought.issuperset(missing[extra]):
                del missing[extra]
        raise ContractError(
            f"{command} needs packages that are not installed ({names}): "
            f"run pip install 'kalshi-platform[{','.join(missing)}]'"
        )
