"""Small layers inside larger ones: which unit becomes which, and that the larger layer computes the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


def test_maps_of_units_are_worked_by_hand():
    assert embedding.first(5, 3).tolist() == [0, 1, 2, -1, -1]
    assert embedding.tiled(5, 2).tolist() == [0, 1, 0, 1, 0]
    # heads of 2 become heads of 4: a head carries one old head in its first two places
    assert embedding.parts(2, 8, 2, 4) == 1
    assert embedding.value_map(8, 4, 2, 2).tolist() == [0, 1, -1, -1, 2, 3, -1, -1]
    # heads of 4 become heads of 2: two heads carry one old head
    assert embedding.parts(4, 8, 2, 8) == 2
    assert embedding.value_map(8, 8, 4, 2).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


@given(st.integers(0, 2**31 - 1), st.integers(1, 4))
def test_a_norm_over_a_repeated_vector_computes_the_same(seed, times):
    generator = torch.Generator().manual_seed(seed)
    old, new = torch.nn.LayerNorm(6), torch.nn.LayerNorm(6 * times)
    x = torch.randn(3, 6, generator=generator)
    with torch.no_grad():
        old.weight.copy_(torch.randn(6, generator=generator))
        old.bias.copy_(torch.randn(6, generator=generator))
        embedding.embed_norm(new, old)
        torch.testing.assert_close(new(x.repeat(1, times)), old(x).repeat(1, times), atol=1e-5, rtol=1e-5)


def test_an_embedded_layer_reads_nothing_new_into_copied_units_and_leaves_new_ones_alone():
    old, new = torch.nn.Linear(2, 2), torch.nn.Linear(3, 3)
    kept = new.weight[2].clone(), new.bias[2].clone()
    with torch.no_grad():
        embedding.embed(new, old, rows=torch.tensor([1, 0, -1]), columns=torch.tensor([0, -1, 1]))
    torch.testing.assert_close(new.weight[:2, [0, 2]], old.weight[[1, 0]])
    assert (new.weight[:2, 1] == 0).all()
    torch.testing.assert_close(new.bias[:2], old.bias[[1, 0]])
    assert torch.equal(new.weight[2], kept[0])
    assert torch.equal(new.bias[2], kept[1])


def test_the_first_units_of_a_larger_lstm_are_the_smaller_one():
    generator = torch.Generator().manual_seed(3)
    old, new = torch.nn.LSTM(3, 4, batch_first=True), torch.nn.LSTM(3, 7, batch_first=True)
    x = torch.randn(5, 9, 3, generator=generator)
    with torch.no_grad():
        embedding.embed_lstm(new, old)
        torch.testing.assert_close(new(x)[0][..., :4], old(x)[0], atol=1e-6, rtol=1e-5)


def test_an_identity_hands_its_inputs_on():
    with torch.no_grad():
        x = torch.rand(4, 5)
        assert torch.equal(embedding.identity(5)(x), x)
