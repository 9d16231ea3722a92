"""The command line's frame: instant help, one message an error, exit codes a script can rely on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kalshi_platform import __version__
from kalshi_platform.cli import main
from kalshi_platform.domain import extras, kernel_cache


@pytest.mark.parametrize("arguments", [["nonsense"], ["doctor", "--nonsense"], ["--nonsense"]])
def test_wrong_usage_exits_with_two(arguments):
    assert CliRunner().invoke(main.app, arguments).exit_code == 2


def test_help_lists_every_command_and_version_is_the_packages():
    text = CliRunner().invoke(main.app, ["--help"]).output
    assert [name for name in main.COMMANDS if name not in text] == []
    assert CliRunner().invoke(main.app, ["--version"]).output == f"kalshi-platform {__version__}\n"


def test_help_imports_no_framework():
    code = (
        "import sys; sys.argv = ['kalshi-platform', '--help']\n"
        "from kalshi_platform.cli.main import app\n"
        "try: app()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'ray', 'torch', 'numba', 'numpy', 'polars', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_help_of_its_own(name):
    outcome = CliRunner().invoke(main.app, [name, "--help"])
    assert outcome.exit_code == 0, outcome.output
    assert f"Usage: root {name} " in outcome.output
    assert "--install-completion" not in outcome.output


@pytest.mark.parametrize("name", main.NEEDS)
def test_a_command_whose_extra_is_missing_says_which_to_install(monkeypatch, name):
    needed = main.NEEDS[name]
    monkeypatch.setattr(extras, "find_spec", lambda package: None)
    outcome = CliRunner().invoke(main.app, [name, "--help"])
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"kalshi-platform: {name} needs packages that are not installed")
    assert f"pip install 'kalshi-platform[{','.join(needed)}]'" in outcome.stderr
    only_the_last = extras.EXTRAS[needed[-1]]
    monkeypatch.setattr(extras, "find_spec", lambda package: None if package in only_the_last else object())
    assert f"'kalshi-platform[{needed[-1]}]'" in CliRunner().invoke(main.app, [name, "--help"]).stderr


#: Packages that a base installation lacks, as imported, and the extras any of which brings them.
BROUGHT_BY = {
    name: {extra for extra, names in extras.EXTRAS.items() if name in names}
    for name in sorted({name for names in extras.EXTRAS.values() for name in names})
} | {
    "ray.air": {"train"}, "ray.rllib": {"train"}, "ray.tune": {"train"}, "ray.serve": {"serve"},
    "starlette": {"serve"},
}  # fmt: skip


def packages_imported(module: Path) -> list[str]:
    """Packages of extras that ``module`` and what it imports of ours import, at the top or when they run."""
    text = "\n".join(file.read_text() for file in kernel_cache.sources_of(module))
    names = re.findall(r"^\s*(?:from|import) ([\w.]+)", text, re.MULTILINE)
    for line in re.findall(r"^\s*from ray import (.+)", text, re.MULTILINE):
        names += [f"ray.{name}" for name in line.split(", ")]
    parts = {f"{name}." for name in names}
    return [package for package in BROUGHT_BY if any(p.startswith(f"{package}.") for p in parts)]


@pytest.mark.parametrize("name", [name for name in main.COMMANDS if name != "dashboard"])  # asks by itself
def test_a_command_imports_no_extra_but_those_it_says_it_needs(name):
    folder = Path(main.__file__).parent
    needed = set(main.NEEDS.get(name, ()))
    assert [p for p in packages_imported(folder / f"{name}.py") if not BROUGHT_BY[p] & needed] == []


#: Makes the packages of all extras as absent as if they had never been installed.
WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder

class BasePackages(PathFinder):
    @classmethod
    def find_spec(cls, name, *where):
        absent = any(f"{name}.".startswith(f"{package}.") for package in PACKAGES)
        return None if absent else PathFinder.find_spec(name, *where)

sys.meta_path[sys.meta_path.index(PathFinder)] = BasePackages
from kalshi_platform.cli.main import app
"""


def test_a_dataset_is_built_and_verified_where_no_extra_is_installed(tmp_path):
    recordings, dataset = str(tmp_path / "recordings"), str(tmp_path / "dataset")
    program = WITHOUT_EXTRAS.replace("PACKAGES", repr(sorted(BROUGHT_BY))) + (
        f"app(['simulate', '--out', {recordings!r}, '--events', '3'], standalone_mode=False)\n"
        f"app(['dataset', 'build', '--input', {recordings!r}, '--out', {dataset!r}], standalone_mode=False)\n"
        f"app(['dataset', 'verify', {dataset!r}], standalone_mode=False)\n"
        "app(['train', '--dataset', 'x', '--out', 'y'])\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stderr.strip().endswith("run pip install 'kalshi-platform[train]'")
    assert (tmp_path / "dataset" / "manifest.json").is_file()
