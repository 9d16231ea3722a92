"""Where a network lies and how many threads compute it; the copy that samples for one off the CPU.

Not     the choice of the device (``learning/training/machine.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kalshi_platform.models.networks.networks import PolicyNetwork


def device_of(network: torch.nn.Module) -> torch.device:
    """Where the weights of ``network`` lie; all of them lie on one device."""
    return next(network.parameters()).device


def off_cpu(network: torch.nn.Module) -> bool:
    """True where numpy cannot see what ``network`` computes."""
    return device_of(network).type != "cpu"


def cpu_copy(network: PolicyNetwork) -> PolicyNetwork:
    """The same sizes on the CPU; its weights are not yet the same: ``load_state_dict`` brings them over."""
    return PolicyNetwork(network.spec).requires_grad_(False)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """``n`` torch threads inside, as many as before after it (0.2 us)."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
