"""Calibration of a tier's confidence: its temperature, expected calibration error and reliability.

Shapes     K states, S slots, A actions; ``counted`` (K, S) marks the slots with more than one legal action,
           the only ones at which anything can be right or wrong.
Right      means: the tier's best action is the champion's best action.
Formulas   Guo, Pleiss, Sun and Weinberger 2017: temperature scaling (section 4.2), expected calibration error
           and reliability diagram (section 2), confidence the highest probability.
"""

from typing import Final

import numpy as np

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import DataError

#: Sharpest and flattest temperature; a tier that is always right has its best likelihood at 0.
MIN_TEMPERATURE: Final = 0.05
MAX_TEMPERATURE: Final = 20.0
_HALVINGS: Final = 60


class Bin(Config):
    """Slots whose confidence lies in one of the equally wide bins."""

    low: float
    high: float
    n: int
    confidence: float  # mean; 0 where empty
    accuracy: float  # share with the champion's action; 0 where empty


class Reliability(Config):
    """Confidence against accuracy in bins, and their expected calibration error."""

    ece: float
    n: int
    accuracy: float
    bins: tuple[Bin, ...]


def best_of(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Most probable legal action (K, S), the first of equals; logits (K, S, A), mask (K, S, A) bool."""
    found: np.ndarray = np.where(mask, logits, -np.inf).argmax(axis=-1)
    return found


def confidence_of(logits: np.ndarray, mask: np.ndarray, temperature: float) -> np.ndarray:
    """Highest probability (..., ) of softmax(legal logits / temperature), f8; logits, mask (..., A)."""
    z = np.where(mask, logits.astype(np.float64), -np.inf)
    z = (z - z.max(axis=-1, keepdims=True)) / temperature
    found: np.ndarray = 1.0 / np.exp(z).sum(axis=-1)
    return found


def group_confidence(confidence: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Confidence (K,) of each group: the lowest of its slots with a choice, 1 where it has none.

    confidence, counted (K, S). A group is as sure as its least sure slot, as in serving.
    """
    found: np.ndarray = np.where(counted, confidence, 1.0).min(axis=1)
    return found


def fit_temperature(logits: np.ndarray, mask: np.ndarray, right: np.ndarray) -> float:
    """The temperature with the least mean -log p(right action); logits, mask (M, A), right (M,) int.

    The loss is convex in b = 1/T: d/db = mean(E_p[z] - z_right), p = softmax(b z). Halving finds the zero of
    that slope; a loss that falls all the way ends at MIN_TEMPERATURE or MAX_TEMPERATURE. DataError where M =
    0.
    """
    if right.size == 0:
        raise DataError("no state to calibrate on has a choice: use a dataset with more validation events")
    z = np.where(mask, logits.astype(np.float64), -np.inf)
    z -= z.max(axis=1, keepdims=True)
    z_right = np.take_along_axis(z, right[:, None].astype(np.int64), axis=1)[:, 0]
    finite = np.where(mask, z, 0.0)

    def slope(b: float) -> float:
        p = np.exp(b * z)
        return float(((p * finite).sum(axis=1) / p.sum(axis=1) - z_right).mean())

    low, high = 1.0 / MAX_TEMPERATURE, 1.0 / MIN_TEMPERATURE
    if slope(high) <= 0:
        return MIN_TEMPERATURE
    if slope(low) >= 0:
        return MAX_TEMPERATURE
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2.0 / (low + high)


def reliability(confidence: np.ndarray, right: np.ndarray, n_bins: int) -> Reliability:
    """Bins and ECE = sum n_b / n |accuracy_b - confidence_b|, means over bin b.

    confidence (M,) f8 in (0, 1], right (M,) bool; DataError where there is nothing to judge by.
    """
    n = right.size
    if n == 0:
        raise DataError("no state to judge confidence by has a choice: use a dataset with more events")
    place = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    count = np.bincount(place, minlength=n_bins)
    safe = np.maximum(count, 1)
    mean = np.bincount(place, confidence, minlength=n_bins) / safe
    share = np.bincount(place, right, minlength=n_bins) / safe
    return Reliability(
        ece=float((count / n * np.abs(share - mean)).sum()),
        n=n,
        accuracy=float(right.mean()),
        bins=tuple(
            Bin(low=k / n_bins, high=(k + 1) / n_bins, n=int(count[k]), confidence=mean[k], accuracy=share[k])
            for k in range(n_bins)
        ),
    )
