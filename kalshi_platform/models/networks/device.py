"""The device of a network, its number of threads, and the CPU copy that samples for a network on a GPU.

Not     the choice of the device (``learning/training/machine.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kalshi_platform.models.networks.networks import PolicyNetwork


def device_of(network: torch.nn.Module) -> torch.device:
    """Device of the weights of ``network``, which lie on one device all together."""
    return next(network.parameters()).device


def off_cpu(network: torch.nn.Module) -> bool:
    """True where ``network`` computes off the CPU, so that numpy cannot see its results."""
    return device_of(network).type != "cpu"


def cpu_copy(network: PolicyNetwork) -> PolicyNetwork:
    """A network of the same sizes on the CPU; the caller copies the weights with ``load_state_dict``."""
    return PolicyNetwork(network.spec).requires_grad_(False)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Use ``n`` torch threads inside the block, and as many as before after it (0.2 us)."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
