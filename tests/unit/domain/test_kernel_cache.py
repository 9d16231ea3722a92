"""A kernel's machine code is found by a copy of the package, and made again when a source of it changes."""

import ast
import copy
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from numba import int64, njit
from numba.core import ir
from numba.core.compiler import run_frontend

import kalshi_platform
from kalshi_platform.domain import kernel_cache
from kalshi_platform.domain.errors import StorageError
from kalshi_platform.domain.fees import model_fee_e6

PACKAGE = Path(kalshi_platform.__file__).resolve().parent

#: One kernel that takes nothing from other files, one that calls another's kernel, one with its constant.
PROGRAM = """
import numpy as np
from kalshi_platform.data.features.history import segment_age
from kalshi_platform.evaluation.judging.oracle import hindsight_e6
from kalshi_platform.evaluation.judging.watch import close_bin

age = np.zeros(3, np.int32)
segment_age(np.array([1, 1, 0], np.uint8), age)
bid, ask = np.array([4_000, 6_000], np.int32), np.array([4_100, 6_100], np.int32)
cash_e6 = hindsight_e6(bid, ask, -1, 100, np.full(2, 1_000_000))
first_bin = close_bin(15_000_000_000, 0)
for kernel, answer in ((segment_age, age.tolist()), (hindsight_e6, cash_e6), (close_bin, first_bin)):
    print(answer, "found" if kernel.stats.cache_hits else "compiled")
"""


def run_copy(folder: Path, *changes: tuple[str, str, str]) -> list[str]:
    """PROGRAM's lines, run from a copy of the package with ``changes`` (file, old text, new text)."""
    return lines_of(start_copy(folder, *changes))


def lines_of(process: subprocess.Popen) -> list[str]:
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    return said.splitlines()


def start_copy(folder: Path, *changes: tuple[str, str, str]) -> subprocess.Popen:
    """PROGRAM in a copy of the package with ``changes``, started."""
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in changes:
        file = folder / PACKAGE.name / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CACHE")}
    env["KALSHI_PLATFORM_CACHE"] = str(folder.parent / "cache")
    command = [sys.executable, "-c", PROGRAM]  # imports from the folder it runs in
    return subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_copy_finds_the_kernels_of_the_original_and_compiles_those_whose_sources_changed(tmp_path):
    # One contract bought at .41 and sold at .60 would gain .19; at a rate of 1 the fees take .2419 + .24.
    age, cash, edge = "[0, 1, 0]", "0", "1"
    original = run_copy(tmp_path / "original")
    assert original == [f"{age} compiled", f"{cash} compiled", f"{edge} compiled"]
    copy = run_copy(tmp_path / "copy", ("learning/training/ppo.py", '"""', '"""Edited. '))
    assert copy == [f"{age} found", f"{cash} found", f"{edge} found"]
    kernel = ("data/features/history.py", "run = run + 1 if", "run = run + 2 if")
    assert run_copy(tmp_path / "kernel", kernel) == ["[0, 2, 0] compiled", f"{cash} found", f"{edge} found"]
    called = ("domain/fees.py", "return rate_e6 * whole + (", "return rate_e6 * whole + 0 * (")
    constant = ("domain/units.py", "SECOND: Final = 1_000_000_000", "SECOND: Final = 2_000_000_000")
    assert run_copy(tmp_path / "others", called, constant)[1:] == ["190000 compiled", "0 compiled"]


def test_of_processes_that_need_a_kernel_at_once_one_compiles_it_and_the_other_waits(tmp_path):
    started = [start_copy(tmp_path / name) for name in ("a", "b")]
    found = [lines_of(process) for process in started]
    for lines in zip(*found, strict=True):  # the same kernel in each process
        answers = Counter(line.rpartition(" ")[2] for line in lines)
        assert answers == {"compiled": 1, "found": 1}
    assert list((tmp_path / "cache").rglob("*.lock")) == []


def test_a_process_waits_for_anothers_machine_code_only_so_long_and_for_its_own_not_at_all(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel_cache, "_PATIENCE_S", 0.2)
    sig, target = (int64, int64, int64), model_fee_e6.targetctx
    mine = kernel_cache.KernelCache(model_fee_e6.py_func)
    assert mine.load_overload(sig, target) is None  # it is to compile, and holds the lock
    other = kernel_cache.KernelCache(model_fee_e6.py_func)
    begun_s = time.monotonic()
    assert other.load_overload(sig, target) is None
    assert time.monotonic() - begun_s >= 0.2
    monkeypatch.setattr(kernel_cache, "_PATIENCE_S", 1_000.0)
    assert mine.load_overload(sig, target) is None


def test_imports_found_by_text_are_those_of_the_syntax_tree():
    def modules(node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "kernel_cache.imported reads no relative imports"
            return [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        return []

    for file in PACKAGE.rglob("*.py"):
        source = file.read_text()
        names = {name for node in ast.walk(ast.parse(source)) for name in modules(node)}
        places = [
            PACKAGE.parent.joinpath(*name.split(".")) for name in names if name.startswith(PACKAGE.name)
        ]
        forms = [form for place in places for form in (place.with_suffix(".py"), place / "__init__.py")]
        assert kernel_cache.imported(source) == {form for form in forms if form.is_file()}, file


def test_the_sources_of_a_kernel_are_its_file_and_what_that_imports_at_any_hand():
    names = {str(f.relative_to(PACKAGE)) for f in kernel_cache.sources_of(PACKAGE / "domain/fees.py")}
    assert {"domain/fees.py", "domain/market.py", "domain/units.py", "domain/compiled.py"} <= names
    assert not any(name.startswith(("learning", "serving", "data")) for name in names)


def test_every_kernel_is_compiled_by_the_decorators_of_compiled():
    users = [str(f.relative_to(PACKAGE)) for f in PACKAGE.rglob("*.py") if "njit(" in f.read_text()]
    assert users == ["domain/compiled.py"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(
        StorageError, match=f"{kernel_cache.root()}: name a writable folder in NUMBA_CACHE_DIR"
    ):
        kernel_cache.KernelCache(model_fee_e6.py_func)


def test_importing_the_package_does_nothing():
    code = """
import os, sys
before = dict(os.environ)
import kalshi_platform
assert dict(os.environ) == before
assert not {"hashlib", "numba", "numpy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_with_bounds_checks_have_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel_cache.config, "BOUNDSCHECK", None)
    assert kernel_cache.root() == tmp_path
    monkeypatch.setattr(kernel_cache.config, "BOUNDSCHECK", 1)
    assert kernel_cache.root() == tmp_path / "checked"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "checked"))  # told by a process that has checks on
    assert kernel_cache.root() == tmp_path / "checked"


def _pasted(values, last):
    total = 0
    for value in values:
        total += value if value > last else 2 * value
    return total


def _block_that_uses_little():
    """Block of IR that uses fewer variables than the function has, and that function's scope."""
    blocks = run_frontend(_pasted).blocks.values()
    found = min(blocks, key=lambda block: len(block.body))
    assert len({var.name for var in variables_of(found)}) < len(found.scope.localvars)
    return found, found.scope


def variables_of(block: ir.Block) -> list[ir.Var]:
    return [var for statement in block.body for var in statement.list_vars()]


def test_a_copied_block_copies_the_variables_that_it_uses_and_no_others():
    block, scope = _block_that_uses_little()
    made = copy.deepcopy(block)
    used = variables_of(block)
    assert [var.name for var in variables_of(made)] == [var.name for var in used]
    assert {id(var) for var in used}.isdisjoint(id(var) for var in variables_of(made))
    assert {id(var.scope) for var in variables_of(made)} <= {id(made.scope)}
    for name, var in scope.localvars._con.items():
        assert made.scope.localvars.get(name) is var


def test_a_copied_scope_has_names_of_its_own():
    block, scope = _block_that_uses_little()
    made = copy.deepcopy(block).scope
    assert made is not scope
    assert made == scope  # for numba: the scopes of all blocks of a function are equal
    made.redefine("total", block.loc)
    assert made.get("total").name == "total.1"
    assert scope.get("total").name == "total"
    assert scope.get_versions_of("total") == set()


def machine_code(monkeypatch, *, copying: bool) -> str:
    """LLVM's code of a function that ``_pasted`` is pasted into twice, without numba's running numbers."""
    with monkeypatch.context() as patch:
        if not copying:
            patch.delattr(ir.Scope, "__deepcopy__")
        pasted = njit(inline="always", error_model="numpy")(_pasted)

        @njit(error_model="numpy", _nrt=False)
        def around(values, last):
            return pasted(values, last) + pasted(values, last + 1)

        around.compile((int64[::1], int64))
    (code,) = around.inspect_llvm().values()
    return " ".join(re.sub(r"B\d+|v\d+|\[\d+ x i8\]", "", code).split())  # names, and the lengths of names


def test_what_is_pasted_in_is_compiled_to_the_same_machine_code_as_by_numbas_own_copies(monkeypatch):
    assert machine_code(monkeypatch, copying=True) == machine_code(monkeypatch, copying=False)
