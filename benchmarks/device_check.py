"""One iteration of every level on each device of this machine: samples a second, the GPU's beside the CPU's.

Run        make device-check
Exit       0 measured on both; 77 where this machine has no GPU (nothing was measured then); 1 where a level
           failed on a device, which is named
Checked    the weights of every level move, and stay finite, on every device.
Not        part of any other check: nothing depends on a GPU.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Final

import torch
import training_input as made

from kalshi_platform.learning.training.ppo import build_algorithm
from kalshi_platform.learning.training.source import TrainingSource
from kalshi_platform.models.networks.levels import LEVELS

#: As automake's tests say that they were skipped: no success, and no failure of ours.
NO_GPU: Final = 77
#: Samples a second of one level on one device.
Measure = Callable[[str, str], float]


def devices() -> list[str]:
    """Devices on which a network can learn here: the CPU, and the GPU where there is one."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def measured_on(source: TrainingSource) -> Measure:
    """Return a measure of one iteration after one that warms up; it raises where the weights went wrong."""

    def measure(level: str, device: str) -> float:
        algorithm = build_algorithm(source, made.config(level).replace(learner_device=device))
        try:
            network = algorithm.get_policy().model.network  # type: ignore[attr-defined]
            placed = next(network.parameters()).device.type
            if placed != device:
                raise RuntimeError(f"its network lies on {placed}")
            before = [weights.detach().clone() for weights in network.parameters()]
            rate = made.samples_per_s(algorithm.train, runs=1)
            after = list(network.parameters())
            if not all(bool(torch.isfinite(weights).all()) for weights in after):
                raise RuntimeError("its weights are not finite after two iterations")
            if all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
                raise RuntimeError("its weights did not move")
            return rate
        finally:
            algorithm.stop()  # type: ignore[no-untyped-call]

    return measure


def check(
    levels: Sequence[str], found: Sequence[str], measure: Measure, say: Callable[[str], None] = print
) -> int:
    """Measure every level on every device of ``found``, say each line, and return the exit code."""
    gpus = [device for device in found if device != "cpu"]
    if not gpus:
        say(
            "no GPU here: nothing was measured. Run this on a machine with one, with a torch built for it "
            "(`kalshi-platform doctor` shows what torch sees)"
        )
        return NO_GPU
    failed = 0
    for level in levels:
        rates: dict[str, float] = {}
        for device in found:
            try:
                rates[device] = measure(level, device)
            except Exception as err:  # every level is tried: one that fails must not hide the others
                failed += 1
                say(f"{level}: FAILED on {device}: {type(err).__name__}: {str(err).splitlines()[0]}")
        shown = ", ".join(f"{device} {rate:,.0f} samples/s" for device, rate in rates.items())
        if "cpu" in rates:
            shown += "".join(
                f", {device} / cpu {rates[device] / rates['cpu']:.2f}" for device in rates if device != "cpu"
            )
        if rates:
            say(f"{level}: {shown}")
    return 1 if failed else 0


def main() -> int:
    """Check this machine."""
    found = devices()
    if found == ["cpu"]:
        return check(list(LEVELS), found, lambda level, device: 0.0)
    gpu = torch.cuda.get_device_name(0)
    print(f"GPU: {gpu}; torch {torch.__version__}; {made.N_SAMPLES:,} samples an iteration")
    with made.runtime():
        return check(list(LEVELS), found, measured_on(made.source()))


if __name__ == "__main__":
    sys.exit(main())
