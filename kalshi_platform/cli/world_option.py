"""Option ``--exchange`` of the commands that simulate: which world."""

from typing import Annotated

import typer

from kalshi_platform.simulation.simexchange import Preset

ExchangeOption = Annotated[
    Preset,
    typer.Option(
        help="which simulated world, see docs/world.md: in planted_imbalance there is a signal to learn, in "
        "martingale nothing; default is the old name of planted_imbalance"
    ),
]
