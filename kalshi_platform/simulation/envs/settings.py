"""``env.json``: the settings of the environment a policy was trained in; the policy is judged in the same.

Beside it lies the run's record, run.json, which tells the same settings: where the two differ, one of them
was changed, and nobody knows in which environment the policy learned.
"""

from pathlib import Path
from typing import Any, Final

from kalshi_platform.domain.errors import ContractError, DataError
from kalshi_platform.domain.json_text import json_value
from kalshi_platform.simulation.envs.config import EnvConfig

ENVIRONMENT_FILE: Final = "env.json"
#: Record of a run (``learning/training/session.py``).
RUN_FILE: Final = "run.json"
_REMEDY: Final = "restore it from the run that made it, or train anew"


def environment_text(config: EnvConfig) -> str:
    """Text of env.json."""
    return config.model_dump_json(indent=1) + "\n"


def read_environment(checkpoint: Path) -> EnvConfig:
    """Environment settings of a run, or of one of its checkpoints.

    DataError where there are none, or where the run's record beside them tells others.
    """
    folder = Path(checkpoint).resolve()
    for place in (folder, folder.parent, folder.parent.parent):
        path = place / ENVIRONMENT_FILE
        if path.is_file():
            found = _parsed(path, _object(path))
            _require_recorded(found, path, place / RUN_FILE)
            return found
    raise DataError(
        f"{checkpoint} has no {ENVIRONMENT_FILE} in it or above it: name the folder that `train` wrote"
    )


def _require_recorded(found: EnvConfig, path: Path, record: Path) -> None:
    if not record.is_file():
        return
    settings = _object(record).get("settings")
    if not isinstance(settings, dict) or "env" not in settings:
        return  # no record of this program: whoever needs one refuses it
    recorded = _parsed(record, settings["env"])
    changed = [
        f"{name} {getattr(found, name)!r} and {getattr(recorded, name)!r}"
        for name in EnvConfig.model_fields
        if getattr(found, name) != getattr(recorded, name)
    ]
    if changed:
        raise DataError(
            f"{path} and {record} tell different environments ({', '.join(changed)}): one of them was "
            f"changed after the run wrote it; {_REMEDY}"
        )


def _object(path: Path) -> Any:
    try:
        found = json_value(path.read_bytes())
    except ValueError:  # also bytes that are no text
        raise DataError(f"{path} is not JSON: {_REMEDY}") from None
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object: {_REMEDY}")
    return found


def _parsed(path: Path, values: Any) -> EnvConfig:
    try:
        return EnvConfig.parse(values)
    except ContractError as err:
        raise DataError(f"{path}: {err}; {_REMEDY}") from None
