"""Generalised advantage estimation over a whole fragment in one compiled pass.

Each slot is credited with its own reward against its own value: rewards are additive over slots, and a
decision in one market does not move another. One advantage for all slots would carry the noise of all
markets.
"""

import numpy as np

from kalshi_platform.domain.compiled import kernel


@kernel
def gae(
    reward: np.ndarray,
    value: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    final_value: np.ndarray,
    last_value: np.ndarray,
    discount: np.ndarray,
    lam: float,
    advantage: np.ndarray,
    target: np.ndarray,
) -> None:
    """Write advantages and value targets of N environments, T steps, S slots (Schulman et al. 2016, eq. 16).

    delta_t = r_t + g_t * v_next - v_t;  A_t = delta_t + g_t * lam * A_{t+1};  target_t = A_t + v_t
    g_t is the step's own discount (simulation/rollout/discount.py); lambda counts steps.
    v_next is 0 where the episode terminated (a settled market is worth what was paid), the value of the
    episode's own final observation where it was truncated, and v_{t+1} otherwise (``last_value`` after the
    fragment). A_{t+1} is 0 at both kinds of end.

    reward, value, final_value, advantage, target (N, T, S) f4; terminated, truncated (N, T) bool; discount
    (N, T) f8; last_value (N, S) f4. final_value is read only where truncated. Terminated wins where both
    are set.
    """
    n_envs, n_steps, n_slots = reward.shape
    for n in range(n_envs):
        for s in range(n_slots):
            carried = 0.0
            following = float(last_value[n, s])
            for t in range(n_steps - 1, -1, -1):
                if terminated[n, t]:
                    following = 0.0
                    carried = 0.0
                elif truncated[n, t]:
                    following = float(final_value[n, t, s])
                    carried = 0.0
                gamma = discount[n, t]
                delta = reward[n, t, s] + gamma * following - value[n, t, s]
                carried = delta + gamma * lam * carried
                advantage[n, t, s] = carried
                target[n, t, s] = carried + value[n, t, s]
                following = float(value[n, t, s])
