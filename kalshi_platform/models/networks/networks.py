"""The policy network: slot encoder, temporal LSTM, fusion, attention over slots, action and value heads;
in the larger levels also regimes and foresight of the market (``heads.py``).

Owns       everything that has weights. Plain torch, no RLlib.
Shapes     B observations, S slots, F market and P portfolio features a slot, U distinct history windows of
           W rows x H temporal features, D = level.width, E = level.lstm_hidden.
Invariant  permuting the slots permutes the logits and leaves the value; an empty slot influences nothing.
           Training may make a head foresee the market; a decision still depends on the observation alone.
Not        action masking: ``actions.py``.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  (the field's own name)
from torch import nn

from kalshi_platform.domain.actions import N_ACTIONS
from kalshi_platform.models.networks.heads import MicrostructureHead, RegimeHead
from kalshi_platform.models.networks.levels import Level
from kalshi_platform.models.networks.slot_attention import slot_attention
from kalshi_platform.models.networks.spec import PolicySpec


class Answer(NamedTuple):
    """Answer of the network to B observations."""

    logits: torch.Tensor  # (B, S, N_ACTIONS), unmasked
    value: torch.Tensor  # (B, S), 0 where a slot is empty
    action_mask: torch.Tensor  # (B, S, N_ACTIONS), 1 = legal


class Slots(NamedTuple):
    """Results of the network for every slot; None where the level has no such head."""

    seen: torch.Tensor  # (B, S, D), what the action and value heads read
    regimes: torch.Tensor | None = None  # (B, S, R) probabilities
    regime_input: torch.Tensor | None = None  # (B, S, D), what the regimes were assigned by
    foreseen: torch.Tensor | None = None  # (B, S, 2): move in cents, logit of a burst


class HistoryEncoder(nn.Module):
    """LSTM over a window of temporal rows; its last state is the window's code."""

    def __init__(self, n_history: int, level: Level) -> None:
        super().__init__()
        self.width = level.lstm_hidden
        self.lstm = nn.LSTM(n_history, level.lstm_hidden, batch_first=True)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Code every window: (U, W, H) -> (U, E)."""
        if windows.shape[0] == 0:
            return windows.new_zeros((0, self.width))
        states, _ = self.lstm(windows)  # (U, W, H) -> (U, W, E)
        last: torch.Tensor = states[:, -1]  # (U, W, E) -> (U, E)
        return last


class SlotAttention(nn.Module):
    """One residual layer of multi-head attention over the slots of an observation."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, slots: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Let the slots look at each other: (B, S, D) -> (B, S, D); ``present`` (B, S)."""
        b, s = slots.shape[:2]
        d = self.out.in_features  # not of the tensor: an exported graph has it as a constant
        qkv = self.qkv(self.norm(slots))  # (B, S, D) -> (B, S, 3D)
        seen = slot_attention(qkv.view(b, s, 3, self.heads, d // self.heads), present)  # (B, S, h, D/h)
        mixed: torch.Tensor = self.out(seen.reshape(b, s, d))  # (B, S, h, D/h) -> (B, S, D)
        return slots + mixed


class PolicyNetwork(nn.Module):
    """A network that gives every slot logits of its actions and a value.

    The values of an observation's slots add up to the value of the observation.
    """

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        self.spec, self.layout = spec, spec.layout  # made once: a step of sampling asks for it
        level, d = spec.level, spec.level.width
        sizes = (len(spec.market) + len(spec.portfolio), *level.hidden_sizes)
        self.encoder = nn.Sequential(
            *(layer for wide, narrow in pairwise(sizes) for layer in (nn.Linear(wide, narrow), nn.ReLU()))
        )
        self.history = HistoryEncoder(spec.n_history, level) if spec.reads_history else None
        self.fusion = nn.Sequential(nn.Linear(d + level.lstm_hidden, d), nn.ReLU()) if self.history else None
        self.attention = nn.ModuleList(
            SlotAttention(d, level.attention_heads) for _ in range(level.attention_layers)
        )
        self.microstructure = MicrostructureHead(d) if level.microstructure else None
        self.regimes = RegimeHead(d, level.n_regimes) if level.n_regimes else None
        self.action_head = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, N_ACTIONS))
        self.norm = nn.LayerNorm(d)
        self.value_head = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))
        self._initialise()

    def _initialise(self) -> None:
        # Near-uniform first policy and near-zero first value: what PPO's clipped objective starts best from.
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(module.bias)
        for head, gain in ((self.action_head, 0.01), (self.value_head, 0.1)):
            last = head[-1]
            assert isinstance(last, nn.Linear)
            nn.init.orthogonal_(last.weight, gain)
        if self.microstructure is not None:
            nn.init.zeros_(self.microstructure.back.weight)  # the code is added once it has learned something
            nn.init.orthogonal_(self.microstructure.predict.weight, 0.1)

    def encode_history(self, windows: torch.Tensor) -> torch.Tensor:
        """Code distinct windows once: (U, W, H) -> (U, E). Only for levels that read history."""
        assert self.history is not None, f"level {self.spec.level.name} reads no history"
        codes: torch.Tensor = self.history(windows)
        return codes

    def answer(self, flat: torch.Tensor, history_codes: torch.Tensor | None) -> Answer:
        """Logits, values and action mask of ``flat`` (B, width); ``history_codes`` as in :meth:`decide`."""
        seen = self.layout.split(flat)
        logits, value = self.decide(seen.market, history_codes, seen.portfolio, seen.slot_mask)
        return Answer(logits, value, seen.action_mask)

    def decide(
        self,
        market: torch.Tensor,
        history_codes: torch.Tensor | None,
        portfolio: torch.Tensor,
        slot_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, S, N_ACTIONS) and values (B, S), 0 where a slot is empty.

        ``history_codes`` (B, S, E) are zero where a slot is empty; None for levels without history.
        """
        return self.judge(self.represent(market, history_codes, portfolio, slot_mask), slot_mask)

    def represent(
        self,
        market: torch.Tensor,
        history_codes: torch.Tensor | None,
        portfolio: torch.Tensor,
        slot_mask: torch.Tensor,
    ) -> Slots:
        """Representation of every slot, with regimes and foresight where the level has them.

        Arguments as in decide.
        """
        x = self.encoder(torch.cat((market, portfolio), dim=-1))  # (B, S, F + P) -> (B, S, D)
        if self.fusion is not None:
            assert history_codes is not None, "a level that reads history needs its codes"
            x = self.fusion(torch.cat((x, history_codes), dim=-1))  # (B, S, D + E) -> (B, S, D)
        for layer in self.attention:
            x = layer(x, slot_mask)
        foreseen = regimes = regime_input = None
        if self.microstructure is not None:
            x, foreseen = self.microstructure(x)
        if self.regimes is not None:
            x, regimes, regime_input = self.regimes(x)
        return Slots(self.norm(x), regimes, regime_input, foreseen)

    def judge(self, slots: Slots, slot_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, S, N_ACTIONS) and values (B, S) of represented slots."""
        logits: torch.Tensor = self.action_head(slots.seen)  # (B, S, D) -> (B, S, N_ACTIONS)
        value: torch.Tensor = self.value_head(slots.seen)[..., 0] * slot_mask  # (B, S, D) -> (B, S)
        return logits, value

    def forward(
        self,
        market: torch.Tensor,
        history: torch.Tensor | None,
        history_index: torch.Tensor | None,
        portfolio: torch.Tensor,
        slot_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, S, N_ACTIONS) and values (B, S).

        ``history`` (U, W, H) holds each distinct window once. ``history_index`` (B, S) int64 names the window
        of each slot, counted from 1; 0 is an empty slot. Both are None for levels without history.
        """
        codes = self.slot_codes(history, history_index)
        return self.decide(market, codes, portfolio, slot_mask)

    def slot_codes(
        self, history: torch.Tensor | None, history_index: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Codes (B, S, E) of the slots' windows; None for levels without history."""
        if self.history is None:
            return None
        assert history is not None, "a level that reads history needs windows"
        assert history_index is not None, "windows need the index that says whose they are"
        table = F.pad(self.encode_history(history), (0, 0, 1, 0))  # (U, E) -> (U + 1, E), row 0 is zero
        codes = table.index_select(0, history_index.reshape(-1))  # (U + 1, E) -> (B * S, E)
        return codes.view(*history_index.shape, -1)  # (B * S, E) -> (B, S, E)


def build_network(spec: PolicySpec, seed: int) -> PolicyNetwork:
    """A network whose first weights depend on ``seed`` alone; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PolicyNetwork(spec)
