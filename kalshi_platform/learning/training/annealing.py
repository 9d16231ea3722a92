"""Sentences about steps that would learn nothing, or otherwise than a run that had its length from the start.

Learning rate and entropy bonus fall to zero over ``TrainConfig.annealed_over`` environment steps. Pure
functions of settings; the run says the sentence before it trains.
"""

from kalshi_platform.learning.training.config import TrainConfig


def annealing_note(now: TrainConfig, began: TrainConfig | None = None, done_steps: int = 0) -> str | None:
    """Sentence about the schedule of a run, or of a resumed one that ``began`` otherwise; None: all is well.

    ``done_steps`` are the environment steps that the run has made.
    """
    over = now.annealed_over
    if over and over < now.total_env_steps:
        remedy = (
            "give train.anneal_steps=run" if began is None else "start a run of that length in another --out"
        )
        return (
            f"the learning rate falls to zero at {over:,} environment steps (train.anneal_steps): the "
            f"{now.total_env_steps - over:,} steps after that learn nothing; {remedy}"
        )
    if began is None or not over or began.annealed_over == over:
        return None
    was = max(0.0, 1 - done_steps / began.annealed_over)
    return (
        f"the run was to end at {began.total_env_steps:,} steps and now ends at {now.total_env_steps:,}: its "
        f"learning rate goes from {100 * was:.0f} % to {100 * (1 - done_steps / over):.0f} % of "
        f"{now.learning_rate:g} and falls to zero over the new length; a run that was as long from its start "
        "would have learned otherwise"
    )
