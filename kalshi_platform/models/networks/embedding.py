"""Parts of ``transfer.py``: they place a small layer inside a larger one so that both compute the same.

Terms      a *map* is a (n_new,) i8 tensor. For each unit of the larger layer it names the unit of the smaller
           one that is copied into it, -1 = a new unit. Copied units read nothing from new ones; new units
           keep their first weights.
Why tiled  a layer that is normalised over its width is widened by repeating its units (Net2WiderNet, Chen,
           Goodfellow and Shlens 2016): a vector repeated whole has the mean and variance of the vector, so a
           LayerNorm computes the same. Zeros beside it would change both.
"""

import math

import torch
from torch import nn


def first(n_new: int, n_old: int) -> torch.Tensor:
    """Return (n_new,) i8: for each unit of the new layer the old unit it copies, -1 for a new unit.

    The old units come first: 0 .. n_old - 1, then -1.
    """
    units = torch.arange(n_new)
    return torch.where(units < n_old, units, -1)


def tiled(n_new: int, n_old: int) -> torch.Tensor:
    """Map that repeats the old units until the new layer is full."""
    return torch.arange(n_new) % n_old


def embed(new: nn.Linear, old: nn.Linear, rows: torch.Tensor, columns: torch.Tensor) -> None:
    """Place ``old`` in ``new``: ``rows`` maps the units, ``columns`` maps their inputs."""
    copied, known = rows >= 0, columns >= 0
    block = torch.zeros((int(copied.sum()), new.in_features))
    block[:, known] = old.weight[rows[copied]][:, columns[known]]
    new.weight[copied] = block
    new.bias[copied] = old.bias[rows[copied]]


def identity(n: int) -> nn.Linear:
    """A layer that hands its ``n`` inputs on.

    Before a ReLU this is exact for inputs that are not negative.
    """
    layer = nn.Linear(n, n)
    layer.weight.copy_(torch.eye(n))
    layer.bias.zero_()
    return layer


def embed_norm(new: nn.LayerNorm, old: nn.LayerNorm) -> None:
    """Repeat the scale and shift of ``old`` over the width of ``new``."""
    at = tiled(new.weight.numel(), old.weight.numel())
    new.weight.copy_(old.weight[at])
    new.bias.copy_(old.bias[at])


def embed_lstm(new: nn.LSTM, old: nn.LSTM) -> None:
    """Copy the LSTM ``old`` into the first units of ``new``; both read the same features."""
    units = first(new.hidden_size, old.hidden_size)
    gates = torch.cat([torch.where(units >= 0, units + g * old.hidden_size, -1) for g in range(4)])
    for kind, columns in (("ih", torch.arange(old.input_size)), ("hh", units)):
        wide, narrow = _gate(new, kind), _gate(old, kind)
        embed(wide, narrow, gates, columns)
        getattr(new, f"weight_{kind}_l0").copy_(wide.weight)
        getattr(new, f"bias_{kind}_l0").copy_(wide.bias)


def _gate(lstm: nn.LSTM, kind: str) -> nn.Linear:
    """Input (ih) or recurrent (hh) weights of the LSTM as one layer of all four gates."""
    weight = getattr(lstm, f"weight_{kind}_l0")
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.copy_(weight)
    layer.bias.copy_(getattr(lstm, f"bias_{kind}_l0"))
    return layer


def embed_qkv(new: nn.Linear, old: nn.Linear, new_heads: int, old_heads: int) -> float:
    """Place queries, keys and values of ``old`` in the heads of ``new``.

    Returns the share of the scores kept.

    A share of 1 is exact. A head as wide or wider takes an old one whole: its further queries are zero, so
    scores stay the same. A narrower head cannot hold an old head's scores. Several narrower ones then share
    its values, and all have the same scores: the best of their rank (Eckart and Young 1936), in the sense of
    squared weights. The share is that of the squared singular values, the worst of all heads.
    """
    width, narrow = new.in_features, old.in_features
    d_new, d_old = width // new_heads, narrow // old_heads
    columns = first(width, narrow)
    scale = math.sqrt(d_new / d_old)  # scores are divided by the root of the head's width
    values = value_map(width, narrow, new_heads, old_heads)
    rows = torch.cat((torch.full((2 * width,), -1), torch.where(values >= 0, values + 2 * narrow, -1)))
    embed(new, old, rows, columns)
    n_parts, kept = parts(new_heads, width, old_heads, narrow), 1.0
    for head in range(old_heads):
        q, k = (_head(old, p * narrow + head * d_old, d_old) for p in (0, 1))  # (d, D + 1) each
        if d_new < d_old:
            q, k, share = _of_rank(q, k, d_new)
            kept = min(kept, share)
        for part in range(n_parts):
            at = (head * n_parts + part) * d_new
            _place(new, at, d_new, q * scale, columns)
            _place(new, width + at, d_new if d_new < d_old else d_old, k, columns)
    return kept


def value_map(new_width: int, old_width: int, new_heads: int, old_heads: int) -> torch.Tensor:
    """Map of the values that the heads mix: the old value that each value of the new heads copies."""
    d_new, d_old = new_width // new_heads, old_width // old_heads
    n_parts = parts(new_heads, new_width, old_heads, old_width)
    units = torch.arange(new_width)
    head, within = units // d_new, units % d_new
    place = (head % n_parts) * d_new + within
    used = (head < old_heads * n_parts) & (place < d_old)
    return torch.where(used, (head // n_parts) * d_old + place, -1)


def parts(new_heads: int, new_width: int, old_heads: int, old_width: int) -> int:
    """Number of heads of the larger network that carry one head of the smaller network."""
    return -(-(old_width // old_heads) // (new_width // new_heads))


def _head(layer: nn.Linear, start: int, n: int) -> torch.Tensor:
    """Weights and bias of ``n`` units as one matrix (n, D + 1)."""
    return torch.cat((layer.weight[start : start + n], layer.bias[start : start + n, None]), dim=1)


def _place(new: nn.Linear, start: int, n: int, block: torch.Tensor, columns: torch.Tensor) -> None:
    """Write ``block`` (m, D + 1) into the units start .. start + n of ``new``; those after m become zero."""
    weight, bias = torch.zeros((n, new.in_features)), torch.zeros(n)
    weight[: len(block), columns >= 0] = block[:, :-1]
    bias[: len(block)] = block[:, -1]
    new.weight[start : start + n] = weight
    new.bias[start : start + n] = bias


def _of_rank(q: torch.Tensor, k: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Queries and keys of ``rank`` whose scores are closest to those of ``q`` and ``k`` (d, D + 1).

    Third: the share of the squared scores that they keep.
    """
    # A key's bias adds the same to a query's every score, which the softmax does not see.
    k = torch.cat((k[:, :-1], torch.zeros_like(k[:, -1:])), dim=1)
    left, strength, right = torch.linalg.svd(q.T.double() @ k.double())
    root = strength[:rank].sqrt()
    total = float((strength**2).sum())
    share = float((strength[:rank] ** 2).sum()) / total if total > 0 else 1.0
    new_q = (left[:, :rank] * root).T.float()
    new_k = (right[:rank] * root[:, None]).float()
    return new_q, new_k, share
