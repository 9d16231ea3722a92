"""History windows for the network: each distinct row's window is gathered and encoded once.

Owns       deduplication of the rows of a batch, and a cache of codes for stepping.
Why        at each step only one slot of an environment has a new row: of B x S windows about B are new.
Invariant  the network sees exactly the window that ends at the row; row -1 is an empty slot with code 0.
"""

import numpy as np
import torch

from kalshi_platform.data.features.history import gather_windows
from kalshi_platform.domain.compiled import kernel
from kalshi_platform.models.networks.device import device_of
from kalshi_platform.models.networks.networks import PolicyNetwork
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.pages import reading


@kernel
def distinct_rows(
    rows: np.ndarray, seen: np.ndarray, number: np.ndarray, distinct: np.ndarray, index: np.ndarray
) -> int:
    """Number the distinct rows of a batch in order of first appearance.

    rows (M,) i8, -1 = empty; seen (K,) i8, all -1 before and after, and number (K,) i8: a hash table, K a
    power of two above M, so that its size is that of a batch and not of the bank; distinct (M,) i8 out, the
    first U written; index (M,) i8 out: 0 for an empty slot, else 1 + place in ``distinct``. Returns U.
    """
    u = 0
    last = seen.size - 1
    for m in range(rows.size):
        row = rows[m]
        if row < 0:
            index[m] = 0
            continue
        at = row & last  # neighbouring rows take neighbouring places
        while seen[at] >= 0 and seen[at] != row:
            at = (at + 1) & last
        if seen[at] < 0:
            seen[at] = row
            distinct[u] = row
            u += 1
            number[at] = u
        index[m] = number[at]
    seen[:] = -1
    return u


class WindowGatherer:
    """A gatherer of distinct windows with scratch memory of its own; each thread needs one."""

    def __init__(self, arrays: BankArrays, window: int) -> None:
        self._arrays = arrays
        self._window = window
        self._seen, self._number = np.full(2, -1, np.int64), np.zeros(2, np.int64)

    def windows(self, rows: np.ndarray) -> torch.Tensor:
        """Windows (U, W, H) that end at ``rows`` (U,) i8."""
        out = np.empty((rows.size, self._window, self._arrays.temporal.shape[1]), np.float32)
        with reading(self._arrays, rows) as arrays:
            gather_windows(arrays.temporal, arrays.age, rows, out)
        return torch.from_numpy(out)

    def distinct(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Distinct windows (U, W, H) of ``rows`` (B, S) i8 and the 1-based index (B, S) into them."""
        distinct = np.empty(rows.size, np.int64)
        index = np.empty(rows.size, np.int64)
        if self._seen.size <= 2 * rows.size:
            size = 1 << (2 * rows.size).bit_length()
            self._seen, self._number = np.full(size, -1, np.int64), np.zeros(size, np.int64)
        flat = np.ascontiguousarray(rows, np.int64).reshape(-1)
        n = distinct_rows(flat, self._seen, self._number, distinct, index)
        return self.windows(distinct[:n]), torch.from_numpy(index.reshape(rows.shape))


class HistoryCodes:
    """Codes of the windows that N environments stand at; only slots whose row changed are encoded again."""

    def __init__(self, network: PolicyNetwork, arrays: BankArrays, n_envs: int) -> None:
        spec = network.spec
        self.n_envs = n_envs
        self._network = network
        self._gather = WindowGatherer(arrays, spec.level.window)
        self._rows = np.full((n_envs, spec.n_slots), -1, np.int64)
        shape = (n_envs, spec.n_slots, spec.level.lstm_hidden)
        self._codes = torch.zeros(shape, device=device_of(network))

    def forget(self) -> None:
        """Forget all codes, because the weights have changed; the next call encodes everything again."""
        self._rows.fill(-1)
        self._codes.zero_()

    def at(self, rows: np.ndarray) -> torch.Tensor:
        """Codes (N, S, E) at ``rows`` (N, S) i8; a view that the next call overwrites."""
        changed = np.flatnonzero(rows != self._rows)
        if changed.size:
            self._codes.view(-1, self._codes.shape[2])[torch.from_numpy(changed)] = self._encode(
                rows.reshape(-1)[changed].astype(np.int64)
            )
            np.copyto(self._rows, rows)
        return self._codes

    def fresh(self, rows: np.ndarray) -> torch.Tensor:
        """Codes (M, S, E) at any ``rows`` (M, S) i8; the kept codes stay as they are."""
        return self._encode(rows.reshape(-1).astype(np.int64)).view(*rows.shape, -1)

    def _encode(self, rows: np.ndarray) -> torch.Tensor:
        with torch.no_grad():
            windows = self._gather.windows(rows).to(self._codes.device)
            codes = self._network.encode_history(windows)  # (U, W, H) -> (U, E)
            codes[torch.from_numpy(rows < 0)] = 0.0
        return codes
