"""What a machine can do for a training run."""

import torch

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.training.config import Device


def learner_device(wanted: Device) -> str:
    """``cpu`` or ``cuda``: where the network learns. ContractError where a wanted GPU is not there."""
    present = torch.cuda.is_available()
    if wanted == "cuda" and not present:
        raise ContractError(
            "learner_device=cuda, and torch sees no CUDA device here (torch.cuda.is_available() is False): "
            "install torch with CUDA and the driver, or use learner_device=auto or cpu"
        )
    return "cuda" if present and wanted != "cpu" else "cpu"
