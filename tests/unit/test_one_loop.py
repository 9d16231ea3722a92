"""One loop: in the product only ``simulation/rollout`` and the Gymnasium view step environments."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kalshi_platform", "tune_experiments", "serve_deployments")
#: Arguments of ``ReplayVectorEnv.step``; optimisers take none, a live stream's ``step`` three.
N_ARGUMENTS = 6
LOOPS = {
    "kalshi_platform/simulation/rollout/stepper.py": {"env.step"},
    "kalshi_platform/simulation/envs/gym_env.py": {"env.step"},
    "kalshi_platform/simulation/envs/vector.py": {"step_kernel"},
}


def steps_in(source: str) -> set[str]:
    """The ways ``source`` steps environments: through the vector environment, or by its kernel."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = len(node.args) + len(node.keywords)
        starred = any(isinstance(a, ast.Starred) for a in node.args) or any(
            k.arg is None for k in node.keywords
        )
        if name == "step_kernel":
            found.add("step_kernel")
        elif name == "step" and isinstance(node.func, ast.Attribute) and (given >= N_ARGUMENTS or starred):
            found.add("env.step")
    return found


def test_nothing_else_in_the_product_steps_environments():
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if steps := steps_in(path.read_text()):
                found[path.relative_to(ROOT).as_posix()] = steps
    assert found == LOOPS


@pytest.mark.parametrize(
    "line",
    [
        "env.step(actions, flat, rows, reward, ended, cut)",
        "self._env.step(actions, *buffers)",
        "vector.step(actions=a, flat=f, rows=r, reward=w, terminated=e, truncated=c)",
        "vector.step(**columns)",
        "step_kernel(bank, table, used)",
    ],
)
def test_a_loop_beside_it_would_be_found(line):
    assert steps_in(f"while True:\n    {line}\n")


@pytest.mark.parametrize("line", ["optimiser.step()", "session.step(text, now_ns, decide)", "stepper.step()"])
def test_other_steps_are_not_taken_for_one(line):
    assert not steps_in(line)
