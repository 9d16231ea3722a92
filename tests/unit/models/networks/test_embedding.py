"""Small layers inside larger ones: which unit becomes which, and that the larger layer computes the same."""

import pytest
import torch

from kalshi_platform.models.networks import embedding


def test_scores_of_a_rank_that_fits_are_kept_whole():
    # Two heads of 8 whose queries and keys use 4 dimensions each fit into four heads of 4.
    generator = torch.Generator().manual_seed(0)
    old, new = torch.nn.Linear(16, 48), torch.nn.Linear(16, 48)
    with torch.no_grad():
        for start in range(0, 32, 8):
            low = torch.randn(8, 4, generator=generator) @ torch.randn(4, 17, generator=generator)
            old.weight[start : start + 8], old.bias[start : start + 8] = low[:, :16], low[:, 16]
        assert embedding.embed_qkv(new, old, new_heads=4, old_heads=2) == pytest.approx(1.0, abs=1e-6)
        x = torch.randn(5, 16, generator=generator)
        wide, narrow = new(x), old(x)
    for head in range(4):
        q, k = (wide[:, p * 16 + head * 4 :][:, :4] for p in (0, 1))
        old_q, old_k = (narrow[:, p * 16 + head // 2 * 8 :][:, :8] for p in (0, 1))
        scores, old_scores = q @ k.T / 2.0, old_q @ old_k.T / 8**0.5
        torch.testing.assert_close(scores.softmax(-1), old_scores.softmax(-1), atol=1e-4, rtol=1e-3)
