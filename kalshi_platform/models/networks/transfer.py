"""Growing: a larger network starts from a smaller one that has learned (``grow``).

Owns       which part of a network becomes which part of a larger one, and a report of where the two differ.
How        Net2Net (Chen, Goodfellow and Shlens 2016): blocks are copied, copied units read nothing from new
           ones, added layers start as the identity. See ``models.embedding`` for the parts.
Exact      everywhere but in two cases, which the report names: attention heads that are narrower than the
           smaller network's (their scores are approximated), and widths or windows that do not fit.
           Exact means: the same logits and values up to the rounding of float32 sums in another order.
Features   go by name. Columns the smaller network does not know start at weight zero.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from kalshi_platform.domain.config import Config
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.models.networks import embedding
from kalshi_platform.models.networks.acting import NetworkPolicy
from kalshi_platform.models.networks.embedding import embed, first, tiled
from kalshi_platform.models.networks.networks import PolicyNetwork, SlotAttention, build_network
from kalshi_platform.models.networks.policy import FrozenPolicy
from kalshi_platform.models.networks.spec import PolicySpec
from kalshi_platform.simulation.replay.bank import BankArrays
from kalshi_platform.simulation.replay.layout import join


class TransferReport(Config):
    """Report of a growing: the part that the larger network took over, and where it decides otherwise."""

    teacher: str  # level of the smaller network; the name on disk
    student: str  # level of the larger network; the name on disk
    exact: bool  # the same decisions up to rounding
    differences: tuple[str, ...]  # why not, in words
    new_features: tuple[str, ...]  # columns the smaller network does not know; their first weights are zero
    teacher_parameters: int
    student_parameters: int


class _Widths(NamedTuple):
    new: int
    old: int

    @property
    def trunk(self) -> torch.Tensor:
        """Map of the slot's representation, which is normalised over its width."""
        return tiled(self.new, self.old)

    @property
    def first(self) -> torch.Tensor:
        """Map of the layers that read the representation.

        They read its first copy, which leaves the other copies free to become new units.
        """
        return first(self.new, self.old)


def grown_network(teacher: FrozenPolicy, spec: PolicySpec, seed: int) -> tuple[PolicyNetwork, TransferReport]:
    """Return a network of ``spec`` that starts as the smaller ``teacher``, and the report.

    The new parts depend on ``seed`` alone.

    ContractError where ``spec`` cannot hold the smaller network.
    """
    grown = build_network(spec, seed)
    return grown, grow(teacher.network, grown)


def grow(teacher: PolicyNetwork, grown: PolicyNetwork) -> TransferReport:
    """Overwrite the weights of ``grown`` so that it decides as ``teacher`` where its layers allow it.

    ContractError names the part of ``grown`` that is smaller than the part of ``teacher``.
    """
    _require_room(teacher.spec, grown.spec)
    differences = _differences_of(teacher.spec, grown.spec)
    width = _Widths(grown.spec.level.width, teacher.spec.level.width)
    with torch.no_grad():
        _grow_encoder(teacher, grown, width)
        _grow_history(teacher, grown, width)
        differences += _grow_attention(teacher, grown, width)
        _grow_heads(teacher, grown, width)
    known = {*teacher.spec.market, *teacher.spec.portfolio}
    return TransferReport(
        teacher=teacher.spec.level.name,
        student=grown.spec.level.name,
        exact=not differences,
        differences=tuple(differences),
        new_features=tuple(n for n in (*grown.spec.market, *grown.spec.portfolio) if n not in known),
        teacher_parameters=sum(p.numel() for p in teacher.parameters()),
        student_parameters=sum(p.numel() for p in grown.parameters()),
    )


def divergence(
    teacher: FrozenPolicy, grown: FrozenPolicy, flat: np.ndarray, rows: np.ndarray, arrays: BankArrays
) -> float:
    """Mean KL(teacher || grown) of a slot's action probabilities in nats, over slots that hold a market.

    ``flat`` (N, width) in the layout of ``grown``, ``rows`` (N, S) i8 of ``arrays``. 0: both decide alike.
    """
    seen = _as_teacher_sees(teacher.spec, grown.spec, flat)
    old = NetworkPolicy(teacher.network, arrays).probabilities(seen, rows)
    new = NetworkPolicy(grown.network, arrays).probabilities(flat, rows)
    present = grown.spec.split(torch.from_numpy(flat)).slot_mask.numpy() > 0.5
    possible = old > 0
    ratio = np.log(np.where(possible, old, 1.0)) - np.log(np.where(possible, np.maximum(new, 1e-30), 1.0))
    return float((old * ratio).sum(-1, dtype=np.float64)[present].mean()) if present.any() else 0.0


def _require_room(old: PolicySpec, new: PolicySpec) -> None:
    """Refuse a larger network ``new`` that lacks a part of the smaller one, ``old``."""
    small, large = old.level, new.level
    wrong = []
    missing = [n for n in (*old.market, *old.portfolio) if n not in {*new.market, *new.portfolio}]
    if missing:
        wrong.append(f"it does not see {', '.join(missing)}")
    if old.reads_history and (not new.reads_history or new.n_history != old.n_history):
        wrong.append(
            f"it reads {new.n_history if new.reads_history else 0} history features, not {old.n_history}"
        )
    if len(large.hidden_sizes) < len(small.hidden_sizes) or any(
        wide < narrow for wide, narrow in zip(large.hidden_sizes, _sizes_beside(old, new), strict=True)
    ):
        wrong.append(f"its encoder {large.hidden_sizes} is smaller than {small.hidden_sizes}")
    if large.lstm_hidden < small.lstm_hidden:
        wrong.append(f"its LSTM has {large.lstm_hidden} units, not {small.lstm_hidden}")
    if large.attention_layers < small.attention_layers:
        wrong.append(f"it has {large.attention_layers} attention layers, not {small.attention_layers}")
    n_parts = embedding.parts(large.attention_heads, large.width, small.attention_heads, small.width)
    if large.attention_heads < small.attention_heads * n_parts:
        wrong.append(
            f"its {large.attention_heads} heads of {large.width // large.attention_heads} cannot hold "
            f"{small.attention_heads} of {small.width // small.attention_heads}"
        )
    if small.n_regimes and large.n_regimes != small.n_regimes:
        wrong.append(f"it tells {large.n_regimes} regimes apart, not {small.n_regimes}")
    if small.microstructure and not large.microstructure:
        wrong.append("it has no microstructure head")
    if wrong:
        raise ContractError(
            f"a policy of level {large.name!r} cannot start from one of level {small.name!r}: "
            f"{'; '.join(wrong)}. Start from a smaller policy, or from none"
        )


def _sizes_beside(old: PolicySpec, new: PolicySpec) -> list[int]:
    """Width of the layer of ``old`` that each encoder layer of ``new`` must carry."""
    sizes = old.level.hidden_sizes
    return [sizes[min(k, len(sizes) - 1)] for k in range(len(new.level.hidden_sizes))]


def _differences_of(old: PolicySpec, new: PolicySpec) -> list[str]:
    """Reasons why ``new`` decides otherwise than ``old``, whatever the weights."""
    small, large = old.level, new.level
    found = []
    if large.width % small.width:
        found.append(
            f"width {large.width} is no multiple of {small.width}: layers are normalised differently"
        )
    if old.reads_history and large.window != small.window:
        found.append(f"history windows of {large.window} rows, not {small.window}")
    if old.feature_digest != new.feature_digest:
        found.append(
            f"feature table {new.feature_digest}, not {old.feature_digest}: names may mean other numbers"
        )
    return found


def _grow_encoder(teacher: PolicyNetwork, grown: PolicyNetwork, width: _Widths) -> None:
    columns = _feature_map(teacher.spec, grown.spec)
    old, new = _linears(teacher.encoder), _linears(grown.encoder)
    for k, layer in enumerate(new):
        source = old[k] if k < len(old) else embedding.identity(old[-1].out_features)
        rows = width.trunk if k == len(new) - 1 else first(layer.out_features, source.out_features)
        embed(layer, source, rows, columns)
        columns = first(layer.out_features, source.out_features)


def _feature_map(old: PolicySpec, new: PolicySpec) -> torch.Tensor:
    """Map of the encoder inputs of ``new`` to the inputs of ``old`` with the same name.

    -1 = ``old`` has no such input.
    """
    place = {name: k for k, name in enumerate((*old.market, *old.portfolio))}
    return torch.tensor([place.get(name, -1) for name in (*new.market, *new.portfolio)])


def _grow_history(teacher: PolicyNetwork, grown: PolicyNetwork, width: _Widths) -> None:
    if grown.history is None:
        return
    assert grown.fusion is not None
    fusion = _linears(grown.fusion)[0]
    n_codes = grown.history.width
    if teacher.history is None:
        # The encoder's outputs are not negative, so the identity passes the ReLU; codes count for nothing.
        columns = torch.cat((width.first, torch.full((n_codes,), -1)))
        embed(fusion, embedding.identity(width.old), width.trunk, columns)
        return
    assert teacher.fusion is not None
    embedding.embed_lstm(grown.history.lstm, teacher.history.lstm)
    codes = first(n_codes, teacher.history.width)
    columns = torch.cat((width.first, torch.where(codes >= 0, codes + width.old, -1)))
    embed(fusion, _linears(teacher.fusion)[0], width.trunk, columns)


def _grow_attention(teacher: PolicyNetwork, grown: PolicyNetwork, width: _Widths) -> list[str]:
    differences = []
    for k, new in enumerate(grown.attention):
        assert isinstance(new, SlotAttention)
        if k >= len(teacher.attention):
            new.out.weight.zero_()  # a residual layer that adds nothing yet
            new.out.bias.zero_()
            continue
        old = teacher.attention[k]
        assert isinstance(old, SlotAttention)
        embedding.embed_norm(new.norm, old.norm)
        kept = embedding.embed_qkv(new.qkv, old.qkv, new.heads, old.heads)
        embed(new.out, old.out, width.trunk, embedding.value_map(*width, new.heads, old.heads))
        if width.new // new.heads < width.old // old.heads:
            differences.append(
                f"attention layer {k + 1}: {old.heads} heads of {width.old // old.heads} on {new.heads} of "
                f"{width.new // new.heads}, scores keep {kept:.1%} of their squared weight"
            )
    return differences


def _grow_heads(teacher: PolicyNetwork, grown: PolicyNetwork, width: _Widths) -> None:
    embedding.embed_norm(grown.norm, teacher.norm)
    for new_head, old_head in (
        (grown.action_head, teacher.action_head),
        (grown.value_head, teacher.value_head),
    ):
        new, old = _linears(new_head), _linears(old_head)
        embed(new[0], old[0], width.first, width.first)
        embed(new[1], old[1], torch.arange(old[1].out_features), width.first)
    if grown.regimes is not None:
        grown.regimes.embedding.zero_()
        if teacher.regimes is not None:
            regimes = torch.arange(teacher.regimes.assign.out_features)
            embed(grown.regimes.assign, teacher.regimes.assign, regimes, width.first)
            grown.regimes.embedding.copy_(teacher.regimes.embedding[:, width.trunk])
    new_micro, old_micro = grown.microstructure, teacher.microstructure
    if new_micro is not None:
        new_micro.back.weight.zero_()
        new_micro.back.bias.zero_()
        if old_micro is not None:
            embed(_linears(new_micro.code)[0], _linears(old_micro.code)[0], width.first, width.first)
            embed(new_micro.back, old_micro.back, width.trunk, width.first)
            foreseen = torch.arange(old_micro.predict.out_features)
            embed(new_micro.predict, old_micro.predict, foreseen, width.first)


def _linears(layers: nn.Sequential) -> list[nn.Linear]:
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _as_teacher_sees(old: PolicySpec, new: PolicySpec, flat: np.ndarray) -> np.ndarray:
    """Observations (N, width) in the layout of ``old``, features taken by name from the layout of ``new``."""
    if (old.market, old.portfolio) == (new.market, new.portfolio):
        return flat
    seen = new.layout.split(flat)
    market = seen.market[..., [new.market.index(n) for n in old.market]]
    portfolio = seen.portfolio[..., [new.portfolio.index(n) for n in old.portfolio]]
    return join(seen._replace(market=market, portfolio=portfolio))
