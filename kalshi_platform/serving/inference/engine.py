"""The interface of a tier's network that is ready to run: two calls, whatever library runs it.

Shapes     U windows of W rows x H features; N groups of S slots; E width of a window's code; A actions.
Invariant  an engine answers for any N and U, keeps no state between calls, and serves one thread.
Not        masking, calibration and exits: ``tiered.py``.
"""

from typing import Protocol

import numpy as np

from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.models.registry.tiers import FormName


class Engine(Protocol):
    """A network in one of its forms."""

    @property
    def form(self) -> FormName:
        """Name of the form: the library that runs the network, and its precision."""
        ...

    @property
    def spec(self) -> PolicySpec:
        """Spec of the network, which says what it reads."""
        ...

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """Codes (U, E) f4 of windows (U, W, H) f4; only for levels that read history."""
        ...

    def logits(self, flat: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
        """Logits (N, S, A) f4, unmasked, of ``flat`` (N, width) f4 and ``codes`` (N, S, E) f4."""
        ...
