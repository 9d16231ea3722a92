"""Learning curves of a run, read as TensorBoard reads them."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kalshi_platform.learning.training.curves import FOLDER


def curve_points(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of every curve of a run, apart from those of the clock."""
    events = EventAccumulator(str(run / FOLDER)).Reload()
    names = [name for name in events.Tags()["scalars"] if not name.startswith("pace/")]
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in names}
