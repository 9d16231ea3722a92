"""Questions to a tiered policy and its answers: arrays over N groups of S market slots.

Units      time ns, confidence and probabilities fractions.
Invariant  HOLD is always allowed; no action outside the mask is answered; a slot without a market holds.
Not        names of markets: the caller keeps them; a group's slots are answered in the order they were given.
"""

from enum import IntEnum, IntFlag
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from kalshi_platform.domain.actions import HOLD, N_ACTIONS
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.replay.layout import Layout


class Tier(IntEnum):
    """The tier that decided a group. Files and metrics hold these values; :attr:`order` is the cascade's."""

    NONE = 0  # nobody could: HOLD everywhere
    RULES = 4  # every slot that may trade was forced
    TIER_1 = 1  # a small MLP
    TIER_2 = 2  # a small LSTM
    TIER_3 = 3  # the model itself

    @property
    def order(self) -> int:
        """Place in the cascade: nobody, rules, tier 1, tier 2, tier 3."""
        return int(TIER_ORDER[self])


#: ``Tier.order`` by value, to look up arrays of tiers.
TIER_ORDER: Final = np.argsort([Tier.NONE, Tier.RULES, Tier.TIER_1, Tier.TIER_2, Tier.TIER_3])


class Note(IntFlag):
    """Circumstances under which a group was decided, as bits."""

    CACHED = 1  # the answer of an equal quantised state, at most the cache's bound old
    DEADLINE = 2  # a higher tier would have been asked, there was no time for it
    FALLBACK = 4  # a tier that would have been asked failed; the best tier below it answers


#: Names of tiers and notes on the wire and in metrics; the members' in lower case.
TierName = Literal["rules", "tier_1", "tier_2", "tier_3", "none"]
NoteName = Literal["cached", "deadline", "fallback"]
TIER_NAMES: Final[dict[int, TierName]] = {0: "none", 4: "rules", 1: "tier_1", 2: "tier_2", 3: "tier_3"}
#: Tiers in text, by name: on pages, in tables, in messages.
TIER_WORDS: Final[dict[str, str]] = {
    "none": "nobody",
    "rules": "rules",
    "tier_1": "tier 1 (MLP)",
    "tier_2": "tier 2 (LSTM)",
    "tier_3": "tier 3 (the model itself)",
}
#: Names that answers and files of older releases gave to tiers, and the tiers' names today.
_OLDER_NAMES: Final = {
    "mlp": "tier_1", "lstm": "tier_2", "full": "tier_3", "tier1": "tier_1", "tier2": "tier_2",
}  # fmt: skip
NOTE_NAMES: Final = {int(note): str(note.name).lower() for note in Note}
#: The names of the notes that a sum of bits holds.
NOTES_OF: Final = [[NOTE_NAMES[note] for note in Note if bits & note] for bits in range(1 << len(Note))]


def present_name(name: Any) -> Any:
    """Name of today of a tier that an answer or a file of an older release calls ``name``; else ``name``."""
    return _OLDER_NAMES.get(name, name) if isinstance(name, str) else name


def tier_words(name: str) -> str:
    """Text for the tier called ``name``, such as "tier 1 (MLP)"; a name that nobody knows stays as it is."""
    return TIER_WORDS.get(name, name)


class Batch(NamedTuple):
    """N groups as the networks see them."""

    flat: np.ndarray  # (N, width) f4, laid out as PolicySpec says
    windows: np.ndarray | None  # (N, S, W, H) f4, W the longest any tier reads, the newest row last
    forced: np.ndarray  # (N, S) i1: an action the rules demand, or FREE

    @property
    def n(self) -> int:
        """Number of groups, N."""
        return len(self.flat)

    def take(self, which: np.ndarray) -> "Batch":
        """The groups at ``which`` (indices)."""
        windows = None if self.windows is None else self.windows[which]
        return Batch(self.flat[which], windows, self.forced[which])


class Decisions(NamedTuple):
    """Decisions about N groups."""

    actions: np.ndarray  # (N, S) i1
    probabilities: np.ndarray  # (N, S, A) f4, calibrated, of the tier that answered; illegal actions 0
    confidence: np.ndarray  # (N,) f4: lowest of the slots' highest probabilities
    tier: np.ndarray  # (N,) i1, a Tier
    notes: np.ndarray  # (N,) u1, Note bits

    def take(self, which: np.ndarray) -> "Decisions":
        """The decisions at ``which`` (indices)."""
        return Decisions(*(column[which] for column in self))

    def put(self, which: np.ndarray, others: "Decisions") -> None:
        """Overwrite the decisions at ``which`` (indices) by ``others``."""
        for column, other in zip(self, others, strict=True):
            column[which] = other


def holding(n: int, n_slots: int) -> Decisions:
    """Decisions of nobody: HOLD in every slot of ``n`` groups."""
    probabilities = np.zeros((n, n_slots, N_ACTIONS), np.float32)
    probabilities[..., HOLD] = 1.0
    # HOLD and Tier.NONE are 0
    return Decisions(
        actions=np.zeros((n, n_slots), np.int8),
        probabilities=probabilities,
        confidence=np.zeros(n, np.float32),
        tier=np.zeros(n, np.int8),
        notes=np.zeros(n, np.uint8),
    )


def require_batch(batch: Batch, layout: Layout, window: int, n_history: int) -> None:
    """Raise ContractError unless the arrays of ``batch`` fit ``layout`` and the longest ``window``."""
    n, s = batch.n, layout.n_slots
    _require_array("flat", batch.flat, (n, layout.width), np.float32)
    _require_array("forced", batch.forced, (n, s), np.int8)
    if not window:
        return
    if batch.windows is None:
        raise ContractError(f"windows is missing: a tier of this model reads {window} rows of history")
    _require_array("windows", batch.windows, (n, s, window, n_history), np.float32)


def _require_array(name: str, array: np.ndarray, shape: tuple[int, ...], kind: type) -> None:
    if array.shape != shape or array.dtype != kind:
        raise ContractError(
            f"{name} is {array.dtype} {array.shape}, the model reads {np.dtype(kind)} {shape}"
        )
