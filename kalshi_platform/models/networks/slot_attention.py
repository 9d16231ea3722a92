"""Attention of a few slots over each other, forward and backward, in one compiled pass each.

Why        torch's kernels are made for long sequences: for five slots they cost several times the arithmetic
           and copy the projections into another order first (measured in benchmarks/RESULTS.md).
Shapes     projections (B, S, 3, h, D/h) f4 as the linear layer leaves them: queries, keys, values;
           present (B, S) f4, 0 = empty: never looked at; weights (B, h, S, S) f4; mixed (B, S, h, D/h) f4.
"""

from typing import Any

import numpy as np
import torch

from kalshi_platform.domain.compiled import summing_kernel


@summing_kernel
def attend(projections: np.ndarray, present: np.ndarray, weights: np.ndarray, mixed: np.ndarray) -> None:
    """Write softmax(q k' / sqrt(D/h)) over the present slots, and the values it mixes.

    Zeros without a slot.
    """
    n_batch, n_slots, _, n_heads, width = projections.shape
    scale = np.float32(1.0 / np.sqrt(width))
    score = np.empty(n_slots, np.float32)
    for b in range(n_batch):
        for h in range(n_heads):
            for i in range(n_slots):
                for d in range(width):
                    mixed[b, i, h, d] = 0.0
                top = np.float32(-3e38)
                for j in range(n_slots):
                    dot = np.float32(0.0)
                    for d in range(width):
                        dot += projections[b, i, 0, h, d] * projections[b, j, 1, h, d]
                    score[j] = dot * scale
                    if present[b, j] > 0.5 and score[j] > top:
                        top = score[j]
                total = np.float32(0.0)
                for j in range(n_slots):
                    if present[b, j] > 0.5:
                        score[j] = np.exp(score[j] - top)
                        total += score[j]
                    else:
                        score[j] = 0.0
                for j in range(n_slots):
                    share = score[j] / total if total > 0.0 else np.float32(0.0)
                    weights[b, h, i, j] = share
                    if share > 0.0:
                        for d in range(width):
                            mixed[b, i, h, d] += share * projections[b, j, 2, h, d]


@summing_kernel
def attend_backward(
    projections: np.ndarray, weights: np.ndarray, grad_mixed: np.ndarray, grad: np.ndarray
) -> None:
    """Write the gradient of the projections, (B, S, 3, h, D/h), from that of ``mixed``.

    dv_j = sum_i w_ij g_i;  dw_ij = g_i . v_j;  ds_ij = w_ij (dw_ij - sum_k w_ik dw_ik);
    dq_i = sum_j ds_ij k_j / sqrt(D/h);  dk_j = sum_i ds_ij q_i / sqrt(D/h)
    """
    n_batch, n_slots, _, n_heads, width = projections.shape
    scale = np.float32(1.0 / np.sqrt(width))
    pull = np.empty(n_slots, np.float32)
    for b in range(n_batch):
        grad[b] = 0.0
        for h in range(n_heads):
            for i in range(n_slots):
                mean = np.float32(0.0)
                for j in range(n_slots):
                    dot = np.float32(0.0)
                    for d in range(width):
                        dot += grad_mixed[b, i, h, d] * projections[b, j, 2, h, d]
                    pull[j] = dot
                    mean += weights[b, h, i, j] * dot
                for j in range(n_slots):
                    share = weights[b, h, i, j]
                    if share > 0.0:
                        force = share * (pull[j] - mean) * scale
                        for d in range(width):
                            grad[b, i, 0, h, d] += force * projections[b, j, 1, h, d]
                        for d in range(width):
                            grad[b, j, 1, h, d] += force * projections[b, i, 0, h, d]
                        for d in range(width):
                            grad[b, j, 2, h, d] += share * grad_mixed[b, i, h, d]


class _SlotAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projections: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        b, s, _, h, d = projections.shape
        weights = torch.empty((b, h, s, s))
        mixed = torch.empty((b, s, h, d))
        attend(projections.detach().numpy(), present.numpy(), weights.numpy(), mixed.numpy())
        ctx.save_for_backward(projections, weights)
        return mixed

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        projections, weights = ctx.saved_tensors
        grad = torch.empty_like(projections)
        attend_backward(projections.numpy(), weights.numpy(), grads[0].contiguous().numpy(), grad.numpy())
        return grad, None


def _exporting() -> bool:
    return bool(torch._C._get_tracing_state()) or torch.compiler.is_compiling()


def slot_attention(projections: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Mixed values (B, S, h, D/h) of ``projections`` (B, S, 3, h, D/h) over the ``present`` (B, S) slots.

    On other devices, and while torch traces a graph for export, the same formula runs in torch's own
    operations.
    """
    if projections.device.type == "cpu" and not _exporting():
        compiled: torch.Tensor = _SlotAttention.apply(  # type: ignore[no-untyped-call]
            projections.contiguous(), present.contiguous()
        )
        return compiled
    return slot_attention_in_torch(projections, present)


def slot_attention_in_torch(projections: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """The formula of :func:`slot_attention` in torch's own operations."""
    scale = int(projections.shape[-1]) ** -0.5  # a number: in an exported graph it is a constant
    q, k, v = projections.permute(2, 0, 3, 1, 4).unbind(0)  # 3 x (B, h, S, D/h)
    scores = q @ k.transpose(2, 3) * scale  # (B, h, S, S)
    seen = (present > 0.5)[:, None, None, :]  # (B, S) -> (B, 1, 1, S)
    weights = torch.where(seen, scores, -1e9).softmax(-1) * seen
    return (weights @ v).transpose(1, 2)  # (B, h, S, D/h) -> (B, S, h, D/h)
