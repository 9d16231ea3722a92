"""Kernels of the compiled form: layers of a network over the slots of a group, an LSTM over windows.

Why        a group is five rows: a library's way from Python to its matrix kernels costs more than the
           arithmetic, and several times more where it last ran 20 ms ago and its code has left the caches.
Layout     ``weights`` (K,) f4 holds every layer one after the other; a linear layer of I inputs and O outputs
           is (I, O) by rows, then its O biases, so that the innermost loop runs over outputs side by side.
Scratch    rows (S, D) f4 of one group, the caller's; nothing is allocated here.
Invariant  the numbers of a group or window depend on it alone: sums run over inputs in order, whatever the
           number of groups.
"""

import numpy as np

from kalshi_platform.domain.compiled import fusing_kernel

#: Added to a variance before its root, as torch's LayerNorm does.
EPSILON = 1e-5
#: Windows that go through the LSTM side by side, so that its weights are read once for all of them.
SIDE_BY_SIDE = 8
#: Beyond it the formula of :func:`tanh` is no better than its last value, 1 - 2**-24.
_FLAT = np.float32(9.0)


@fusing_kernel
def _add(
    x: np.ndarray, n_rows: int, n_in: int, weights: np.ndarray, at: int, n_out: int, y: np.ndarray
) -> None:
    """Add x W of ``n_rows`` rows to ``y``; W (n_in, n_out) lies at ``at``.

    Eight inputs at a time: the outputs are read and written an eighth as often. The rows of W are named
    before the innermost loop: an index that may be negative for all that the compiler knows keeps it from
    vector lanes.
    """
    k = 0
    while k + 8 <= n_in:
        b = at + k * n_out
        w0, w1 = weights[b : b + n_out], weights[b + n_out : b + 2 * n_out]
        w2, w3 = weights[b + 2 * n_out : b + 3 * n_out], weights[b + 3 * n_out : b + 4 * n_out]
        w4, w5 = weights[b + 4 * n_out : b + 5 * n_out], weights[b + 5 * n_out : b + 6 * n_out]
        w6, w7 = weights[b + 6 * n_out : b + 7 * n_out], weights[b + 7 * n_out : b + 8 * n_out]
        for r in range(n_rows):
            a0, a1, a2, a3 = x[r, k], x[r, k + 1], x[r, k + 2], x[r, k + 3]
            a4, a5, a6, a7 = x[r, k + 4], x[r, k + 5], x[r, k + 6], x[r, k + 7]
            row = y[r]
            for j in range(n_out):
                half = row[j] + a0 * w0[j] + a1 * w1[j] + a2 * w2[j] + a3 * w3[j]
                row[j] = half + a4 * w4[j] + a5 * w5[j] + a6 * w6[j] + a7 * w7[j]
        k += 8
    while k < n_in:
        w0 = weights[at + k * n_out : at + (k + 1) * n_out]
        for r in range(n_rows):
            a0, row = x[r, k], y[r]
            for j in range(n_out):
                row[j] = row[j] + a0 * w0[j]
        k += 1


@fusing_kernel
def linear(
    x: np.ndarray, n_rows: int, n_in: int, weights: np.ndarray, at: int, n_out: int, relu: bool, y: np.ndarray
) -> int:
    """Write x W + b of ``n_rows`` rows into ``y``; returns the place behind the layer in ``weights``.

    x (R, >= n_in) f4, y (R, >= n_out) f4; W lies at ``at``; ``relu``: negative outputs become 0.
    """
    bias = at + n_in * n_out
    biases = weights[bias : bias + n_out]
    for r in range(n_rows):
        for j in range(n_out):
            y[r, j] = biases[j]
    _add(x, n_rows, n_in, weights, at, n_out, y)
    if relu:
        for r in range(n_rows):
            for j in range(n_out):
                y[r, j] = max(y[r, j], np.float32(0.0))
    return bias + n_out


@fusing_kernel
def normalise(x: np.ndarray, n_rows: int, width: int, weights: np.ndarray, at: int, y: np.ndarray) -> int:
    """Write the layer norm of ``n_rows`` rows into ``y``; its scale lies at ``at``, its shift behind it."""
    scales, shifts = weights[at : at + width], weights[at + width : at + 2 * width]
    for r in range(n_rows):
        total = 0.0
        for j in range(width):
            total += x[r, j]
        mean = total / width
        squares = 0.0
        for j in range(width):
            squares += (x[r, j] - mean) ** 2
        shrink = np.float32(1.0 / np.sqrt(squares / width + EPSILON))
        middle = np.float32(mean)
        for j in range(width):
            y[r, j] = (x[r, j] - middle) * shrink * scales[j] + shifts[j]
    return at + 2 * width


@fusing_kernel
def attend(
    qkv: np.ndarray,
    present: np.ndarray,
    n_slots: int,
    heads: int,
    width: int,
    score: np.ndarray,
    y: np.ndarray,
) -> None:
    """Write what each slot sees of the present ones: softmax(q k' / sqrt(width / heads)) v, by heads.

    qkv (S, 3 width) f4; present (S,) f4; score (S,) f4 is scratch; y (S, width) f4.
    """
    d = width // heads
    scale = np.float32(1.0 / np.sqrt(d))
    for h in range(heads):
        for i in range(n_slots):
            q, top = h * d, np.float32(-3e38)
            for s in range(n_slots):
                k = width + h * d
                dot = np.float32(0.0)
                for c in range(d):
                    dot += qkv[i, q + c] * qkv[s, k + c]
                score[s] = dot * scale
                if present[s] > 0.5:
                    top = max(top, score[s])
            total = np.float32(0.0)
            for s in range(n_slots):
                score[s] = np.exp(score[s] - top) if present[s] > 0.5 else np.float32(0.0)
                total += score[s]
            for c in range(d):
                y[i, q + c] = 0.0
            for s in range(n_slots):
                if score[s] > 0.0:
                    share, v = score[s] / total, 2 * width + h * d
                    for c in range(d):
                        y[i, q + c] += share * qkv[s, v + c]


@fusing_kernel
def decide(
    flat: np.ndarray,
    codes: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
    n_market: int,
    n_portfolio: int,
    portfolio_at: int,
    slot_mask_at: int,
    n_codes: int,
    heads: int,
    n_attention: int,
    scratch: np.ndarray,
    logits: np.ndarray,
) -> None:
    """Write the logits (N, S, A) f4 of ``flat`` (N, width) f4 and ``codes`` (N, S, E) f4.

    sizes (L,) i8: widths of the encoder's layers; n_codes E, 0 for a network without history; scratch
    (3, S, D) f4, D the widest of all rows; ``heads`` and ``n_attention`` of the attention over slots.
    """
    n_slots, n_actions = logits.shape[1], logits.shape[2]
    a, b, c = scratch[0], scratch[1], scratch[2]
    width = sizes[-1]
    for n in range(flat.shape[0]):
        for s in range(n_slots):
            for k in range(n_market):
                a[s, k] = flat[n, s * n_market + k]
            for k in range(n_portfolio):
                a[s, n_market + k] = flat[n, portfolio_at + s * n_portfolio + k]
        at, n_in = 0, n_market + n_portfolio
        for layer in range(sizes.size):
            at = linear(a, n_slots, n_in, weights, at, sizes[layer], True, b)
            a, b = b, a
            n_in = sizes[layer]
        if n_codes > 0:
            for s in range(n_slots):
                for k in range(n_codes):
                    a[s, width + k] = codes[n, s, k]
            at = linear(a, n_slots, width + n_codes, weights, at, width, True, b)
            a, b = b, a
        for _ in range(n_attention):
            at = normalise(a, n_slots, width, weights, at, b)
            at = linear(b, n_slots, width, weights, at, 3 * width, False, c)
            attend(c, flat[n, slot_mask_at:], n_slots, heads, width, c[0, 3 * width :], b)
            at = linear(b, n_slots, width, weights, at, width, False, c)
            for s in range(n_slots):
                for k in range(width):
                    a[s, k] += c[s, k]
        at = normalise(a, n_slots, width, weights, at, b)
        at = linear(b, n_slots, width, weights, at, width, True, c)
        at = linear(c, n_slots, width, weights, at, n_actions, False, logits[n])


@fusing_kernel
def tanh(x: np.float32) -> np.float32:
    """Tanh by a quotient of two polynomials, off by less than 4e-7; it runs in vector lanes.

    The coefficients are those of Eigen's and onnxruntime's float kernels.
    """
    x = min(max(x, -_FLAT), _FLAT)
    q = x * x
    p = np.float32(-2.76076847742355e-16)
    p = p * q + np.float32(2.00018790482477e-13)
    p = p * q + np.float32(-8.60467152213735e-11)
    p = p * q + np.float32(5.12229709037114e-08)
    p = p * q + np.float32(1.48572235717979e-05)
    p = p * q + np.float32(6.37261928875436e-04)
    p = p * q + np.float32(4.89352455891786e-03)
    d = np.float32(1.19825839466702e-06)
    d = d * q + np.float32(1.18534705686654e-04)
    d = d * q + np.float32(2.26843463243900e-03)
    d = d * q + np.float32(4.89352518554385e-03)
    return x * p / d


@fusing_kernel
def encode(
    windows: np.ndarray,
    weights: np.ndarray,
    gates: np.ndarray,
    hidden: np.ndarray,
    cell: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write the last state (U, E) f4 of an LSTM over ``windows`` (U, W, H) f4.

    weights: the input's (H, 4E), the state's (E, 4E), biases (4E); gates in torch's order: input, forget,
    cell, output. gates (R, 4E), hidden and cell (R, E) f4 are scratch, R = SIDE_BY_SIDE.
    """
    n_windows, n_steps, n_in = windows.shape
    width = codes.shape[1]
    wide, half = 4 * width, np.float32(0.5)
    state_at = n_in * wide
    bias = state_at + width * wide
    biases = weights[bias : bias + wide]
    for first in range(0, n_windows, SIDE_BY_SIDE):
        n = min(SIDE_BY_SIDE, n_windows - first)
        for r in range(n):
            for j in range(width):
                hidden[r, j] = 0.0
                cell[r, j] = 0.0
        for t in range(n_steps):
            for r in range(n):
                for j in range(wide):
                    gates[r, j] = biases[j]
            _add(windows[first:, t], n, n_in, weights, 0, wide, gates)
            _add(hidden, n, width, weights, state_at, wide, gates)
            for r in range(n):
                let_in, keep = gates[r, :width], gates[r, width : 2 * width]
                fresh, show = gates[r, 2 * width : 3 * width], gates[r, 3 * width :]
                kept, shown = cell[r], hidden[r]
                for j in range(width):
                    into = half * tanh(half * let_in[j]) + half
                    stays = half * tanh(half * keep[j]) + half
                    kept[j] = stays * kept[j] + into * tanh(fresh[j])
                    shown[j] = (half * tanh(half * show[j]) + half) * tanh(kept[j])
        for r in range(n):
            for j in range(width):
                codes[first + r, j] = hidden[r, j]
