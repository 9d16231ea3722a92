"""``env.json``: the settings of the environment a policy was trained in; the policy is judged in the same."""

import json
from pathlib import Path
from typing import Final

from kalshi_platform.domain.errors import DataError
from kalshi_platform.simulation.envs.config import EnvConfig

ENVIRONMENT_FILE: Final = "env.json"


def environment_text(config: EnvConfig) -> str:
    """Text of env.json."""
    return config.model_dump_json(indent=1) + "\n"


def read_environment(checkpoint: Path) -> EnvConfig:
    """Environment settings of a run, or of one of its checkpoints; DataError where there are none."""
    folder = Path(checkpoint).resolve()
    for place in (folder, folder.parent, folder.parent.parent):
        path = place / ENVIRONMENT_FILE
        if path.is_file():
            try:
                return EnvConfig.parse(json.loads(path.read_text()))
            except ValueError:
                raise DataError(f"{path} is not JSON: restore it from the run that made it") from None
    raise DataError(
        f"{checkpoint} has no {ENVIRONMENT_FILE} in it or above it: name the folder that `train` wrote"
    )
