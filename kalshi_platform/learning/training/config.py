"""Settings of one training run."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kalshi_platform.domain.config import Config
from kalshi_platform.simulation.rollout.discount import Discount

Device = Literal["auto", "cpu", "cuda"]


class TrainConfig(Config):
    """Settings of PPO, its sampler, validation and stopping; the defaults are those of the preset standard.

    ``train.anneal_steps`` follows the length of the run unless it is set: a short run ends as calmly as a
    long one.
    """

    seed: int = Field(0, ge=0, description="root of all randomness of the run")
    level: str = Field("tiny", description="complexity of the network: what it sees and how large it is")
    teacher: str = Field(
        "", description="folder of a policy whose weights the network starts from; empty = none"
    )
    sampler: Literal["columnar"] = Field(
        "columnar", description="there is one; named because stored settings name it"
    )

    n_envs: int = Field(
        64,
        gt=0,
        description="environments stepped together in each process",
        json_schema_extra={"unit": "environments"},
    )
    fragment_length: int = Field(
        64,
        gt=0,
        description="steps of each environment in an iteration",
        json_schema_extra={"unit": "steps"},
    )
    num_env_runners: int = Field(
        0,
        ge=0,
        description="processes that sample; 0 = sample in the trainer's own",
        json_schema_extra={"unit": "processes"},
    )
    worker_events: Literal["all", "own"] = Field(
        "all", description="own = each of the num_env_runners opens only its share of the training events"
    )
    overlap: bool = Field(
        False,
        description="sample the next iteration while the present one is learned from; one iteration stale",
    )
    learner_device: Device = Field(
        "auto", description="where the network learns; auto = a GPU if there is one"
    )
    total_env_steps: int = Field(
        1_000_000,
        gt=0,
        description="environment steps after which the run ends",
        json_schema_extra={"unit": "environment steps"},
    )

    minibatch: int = Field(
        512,
        gt=0,
        description="samples of one gradient step",
        json_schema_extra={"unit": "samples"},
    )
    epochs: int = Field(
        4,
        gt=0,
        description="passes over an iteration's samples",
        json_schema_extra={"unit": "passes"},
    )
    learning_rate: float = Field(1e-3, gt=0, description="size of a gradient step (Adam), at the start")
    gamma: float = Field(0.98, gt=0, le=1, description="discount a step")
    gamma_per_s: float = Field(
        0.0,
        ge=0,
        le=1,
        description="discount a second of market time, in place of gamma; 0 = discount by the step",
        json_schema_extra={"unit": ""},
    )
    gae_lambda: float = Field(
        0.95, ge=0, le=1, description="GAE's lambda: how far rewards, not the critic, judge an action"
    )
    clip: float = Field(0.2, gt=0, description="PPO's clip of the probability ratio")
    value_clip: float = Field(
        1.0,
        gt=0,
        description="largest move of a value in one iteration, reward units",
        json_schema_extra={"unit": "reward"},
    )
    value_coeff: float = Field(0.5, ge=0, description="weight of the critic's loss beside the policy's")
    entropy_coeff: float = Field(
        0.006, ge=0, description="bonus for the mean entropy of a slot's actions: larger explores longer"
    )
    auxiliary_coeff: float = Field(
        0.1, ge=0, description="weight of the losses beside PPO's; only levels with regimes have any"
    )
    anneal_steps: Annotated[int, Field(ge=0)] | Literal["run"] = Field(
        "run",
        description="environment steps over which learning rate and entropy bonus fall to zero; run = over "
        "the whole run, 0 = they stay",
        json_schema_extra={"unit": "environment steps"},
    )
    grad_clip: float = Field(0.5, gt=0, description="largest global norm of the gradient")

    validate_every: int = Field(
        16,
        gt=0,
        description="iterations between two validations; the first and the last are always validated",
        json_schema_extra={"unit": "iterations"},
    )
    patience: int = Field(
        0,
        ge=0,
        description="validations without a gain before stopping; 0 = never",
        json_schema_extra={"unit": "validations"},
    )
    min_gain: float = Field(
        0.0,
        ge=0,
        description="gain of the score over the best one that patience counts as one",
        json_schema_extra={"unit": "share of the capital"},
    )
    checkpoint_every: int = Field(
        1,
        gt=0,
        description="iterations between two checkpoints: what a crash can cost",
        json_schema_extra={"unit": "iterations"},
    )
    keep_checkpoints: int = Field(
        2,
        ge=1,
        description="newest checkpoints kept beside the best",
        json_schema_extra={"unit": "checkpoints"},
    )
    max_restarts: int = Field(
        3,
        ge=0,
        description="times the run continues from its last checkpoint after a sampling worker died",
        json_schema_extra={"unit": "restarts"},
    )
    torch_threads: int = Field(
        1,
        gt=0,
        description="threads of the trainer's process; more are many times slower where cores are shared",
        json_schema_extra={"unit": "threads"},
    )

    @model_validator(mode="after")
    def _minibatches_fill_the_batch(self) -> "TrainConfig":
        if self.batch_size % self.minibatch:
            raise ValueError(
                f"minibatch={self.minibatch} does not divide the {self.batch_size} samples of an iteration "
                f"(n_envs={self.n_envs} x fragment_length={self.fragment_length} x "
                f"{max(1, self.num_env_runners)} runners): the rest would never be learned from"
            )
        return self

    @model_validator(mode="after")
    def _workers_are_there(self) -> "TrainConfig":
        for name, wanted in (("overlap", self.overlap), ("worker_events=own", self.worker_events == "own")):
            if wanted and not self.num_env_runners:
                raise ValueError(
                    f"{name} needs processes that sample: set num_env_runners to 1 or more, not 0"
                )
        return self

    @property
    def batch_size(self) -> int:
        """Number of samples of one iteration."""
        return self.n_envs * self.fragment_length * max(1, self.num_env_runners)

    @property
    def iterations(self) -> int:
        """Number of iterations until ``total_env_steps`` are reached."""
        return -(-self.total_env_steps // self.batch_size)

    @property
    def discount(self) -> Discount:
        """Discount of a step: by the step, or by its market time where ``gamma_per_s`` is set."""
        return Discount(self.gamma, self.gamma_per_s)

    @property
    def annealed_over(self) -> int:
        """Environment steps after which learning rate and entropy bonus are zero; 0 = they stay as they are.

        Where they fall over the whole run they reach zero one iteration after the last: it still learns.
        """
        if self.anneal_steps != "run":
            return self.anneal_steps
        return (self.iterations + 1) * self.batch_size
