"""Networks on other devices than the CPU: where one lies, and the copy that samples for it.

Not     the choice of the device (``training/machine.py``).
"""

import torch

from kalshi_platform.models.networks import PolicyNetwork


def device_of(network: torch.nn.Module) -> torch.device:
    """Where the weights of ``network`` lie; all of them lie on one device."""
    return next(network.parameters()).device


def off_cpu(network: torch.nn.Module) -> bool:
    """True where numpy cannot see what ``network`` computes."""
    return device_of(network).type != "cpu"


def cpu_copy(network: PolicyNetwork) -> PolicyNetwork:
    """The same sizes on the CPU; its weights are not yet the same: ``load_state_dict`` brings them over."""
    return PolicyNetwork(network.spec).requires_grad_(False)
