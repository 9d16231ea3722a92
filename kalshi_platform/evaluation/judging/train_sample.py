"""The policy on what it was trained on: the blocks of the training split on which the rules were chosen.

Owns   when such a sample can be played. Its bounds and its draw are those of rivals.py. The result only
       feeds the checkup's generalisation gap; it decides nothing.
Not    the training itself: what a learner earned while it explored is no return of the policy it became.
"""

from kalshi_platform.data.dataset.store import Dataset
from kalshi_platform.domain.saying import Say, detail
from kalshi_platform.evaluation.judging.checkup_facts import TrainSample
from kalshi_platform.evaluation.judging.evaluate import PlayStage, PolicyMaker
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.evaluation.judging.rivals import RivalsConfig, draw_blocks
from kalshi_platform.evaluation.judging.summary import summarise
from kalshi_platform.simulation.envs.config import EnvConfig
from kalshi_platform.simulation.replay.bank import Bank
from kalshi_platform.simulation.replay.open import open_bank


def sample_training(
    maker: PolicyMaker, dataset_uri: str, env: EnvConfig, config: EvalConfig, trained_on: str, say: Say
) -> TrainSample | None:
    """Play the policy on drawn training blocks as ``config`` plays the judged ones.

    ``trained_on`` is the digest of the state of the dataset that taught the policy, "" where nobody knows
    it. None, and a line that says so, where the training split of ``dataset_uri`` is not what taught it, or
    is the split that is judged.
    """
    if config.split == "train":
        return None
    dataset = Dataset.open(dataset_uri)
    if not trained_on or not dataset.manifest.descends_from(trained_on):
        detail(say)(
            "generalisation gap not measured: the dataset is not known to be what the policy was trained on"
        )
        return None
    state = trained_on if trained_on != dataset.digest else None
    return play_sample(maker, open_bank(dataset_uri, "train", env.groups, state=state), env, config, say)


def play_sample(maker: PolicyMaker, bank: Bank, env: EnvConfig, config: EvalConfig, say: Say) -> TrainSample:
    """Play the policy on the drawn blocks of ``bank``, the training split."""
    rivals = RivalsConfig()
    blocks, of_blocks = draw_blocks(bank, rivals)
    detail(say)(f"playing {len(blocks)} of {of_blocks} training blocks for the generalisation gap")
    sample = PlayStage(bank, config, say, frozenset(blocks)).play(maker, env, "training blocks")
    found = summarise(sample, "policy", "the trained policy", config.bootstrap)
    return TrainSample(
        mean_return=found.mean_return,
        n_blocks=len(blocks),
        of_blocks=of_blocks,
        n_events=found.n_events,
        seed=rivals.seed,
    )
