"""The race's formula against a lattice solved exactly, and against the matching core on a fixed seed."""

import numpy as np
import pytest
from scipy.sparse import diags, eye, kron
from scipy.sparse.linalg import spsolve

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.simulation.simexchange.oracles.queue_race import ask_empties_first, new_race, race

FIGURES = {  # ../shared/audits/evidence.md 2.4, to 1e-5
    (1, 1): 0.5,
    (1, 2): 0.302347,
    (2, 1): 0.697653,
    (3, 1): 0.790611,
    (5, 2): 0.756022,
    (10, 3): 0.814007,
}


def test_the_formula_matches_the_audits_figures():
    for (n, p), chance in FIGURES.items():
        assert ask_empties_first(n, p) == pytest.approx(chance, abs=1e-5)


def test_the_formula_solves_the_balance_of_every_state():
    # u(n, p) is the mean of its four neighbours; u = 1 on an empty ask, 0 on an empty bid
    u = {(n, p): ask_empties_first(n, p) for n in range(1, 8) for p in range(1, 8)}
    u |= {(n, 0): 1.0 for n in range(1, 8)} | {(0, p): 0.0 for p in range(1, 8)}
    for n in range(1, 7):
        for p in range(1, 7):
            around = u[n - 1, p] + u[n + 1, p] + u[n, p - 1] + u[n, p + 1]
            assert u[n, p] == pytest.approx(around / 4, abs=1e-12)


def test_the_formula_matches_a_lattice_that_ends_far_away():
    n = 120  # beyond it the chance is taken as that of the angle between the queues
    line = diags([1.0, 1.0], [-1, 1], (n, n))
    laplace = eye(n * n) - (kron(line, eye(n)) + kron(eye(n), line)) / 4
    edge = np.zeros((n, n))  # [bid, ask]
    edge[:, 0] += 0.25
    far = 2 / np.pi * np.arctan((np.arange(n) + 1) / (n + 1))
    edge[-1, :] += (1 - far) / 4
    edge[:, -1] += far / 4
    u = spsolve(laplace.tocsc(), edge.ravel()).reshape(n, n)
    for (bid, ask), chance in FIGURES.items():
        assert u[bid - 1, ask - 1] == pytest.approx(ask_empties_first(bid, ask), abs=1e-5)
        assert u[bid - 1, ask - 1] == pytest.approx(chance, abs=2e-5)


@pytest.mark.parametrize(("n", "p"), [(1, 2), (3, 1), (5, 2)])
def test_the_core_runs_the_race_within_four_standard_errors(n, p):
    n_races = 200_000
    won, undecided = race(np.random.default_rng(n), new_race(), n, p, n_races, 100_000)
    chance = ask_empties_first(n, p)
    error = 4 * (chance * (1 - chance) / n_races) ** 0.5
    assert undecided < 100
    assert won > (chance - error) * n_races - undecided  # either side may win an undecided race
    assert won < (chance + error) * n_races


def test_the_plain_form_runs_the_same_races():
    runs = [k(np.random.default_rng(5), new_race(64), 2, 1, 30, 500) for k in (race, race.py_func)]
    assert runs[0] == runs[1]


def test_a_race_without_a_queue_is_refused():
    with pytest.raises(ContractError, match="not 0 at the bid, 2 at the ask"):
        ask_empties_first(0, 2)
