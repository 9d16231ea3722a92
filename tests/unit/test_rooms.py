"""A room's ``__init__`` names its public modules; others stay out of the rest, and of any ``_name``."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("kalshi_platform", "serve_deployments", "tune_experiments", "examples")
#: Wings without rooms: all of their modules are public.
FLAT = (
    "kalshi_platform.domain",
    "kalshi_platform.storage",
    "kalshi_platform.workflows",
    "kalshi_platform.cli",
)
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def room_of(module: str) -> str:
    """The innermost package that holds ``module``, or ``module`` itself where it is a package."""
    return module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of every ``from module import name`` in ``source``; ``import module`` has no name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def public(room: str) -> set[str]:
    """Names in ``__all__`` of ``room``."""
    for node in ast.parse(FILES[room].read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def intrusions(importer: str, source: str) -> list[str]:
    """Imports in ``source``, the text of module ``importer``, that reach what a room keeps to itself."""
    found = []
    for module, name in imports(source):
        whole = f"{module}.{name}" if f"{module}.{name}" in FILES else module
        if whole not in FILES or room_of(whole) == room_of(importer) or whole.count(".") < 1:
            continue
        room = room_of(whole)
        wanted = name if whole == room else whole.rpartition(".")[2]
        hidden = room not in FLAT and room.count(".") > 1 and wanted not in public(room)
        if hidden or (name.startswith("_") and not name.startswith("__")):
            found.append(f"{importer}: {whole} ({name})")
    return found


def test_no_room_reaches_into_another():
    found = [line for module, path in FILES.items() for line in intrusions(module, path.read_text())]
    assert found == []


def test_the_rule_bites():
    kept = "from kalshi_platform.data.dataset.journal import Journal"
    assert intrusions("kalshi_platform.learning.training.run", kept)
    assert not intrusions("kalshi_platform.data.dataset.build", kept)
    assert intrusions(
        "kalshi_platform.learning.training.run", "from kalshi_platform.domain.units import _parse"
    )
    assert not intrusions(
        "kalshi_platform.cli.main", "from kalshi_platform.data.dataset.store import Dataset"
    )


def test_every_public_name_exists():
    for room in (module for module, path in FILES.items() if path.name == "__init__.py"):
        for name in public(room):
            defined = f"import {name}" in FILES[room].read_text() or f", {name}" in FILES[room].read_text()
            assert f"{room}.{name}" in FILES or defined, f"{room}.{name}"


def test_every_room_says_what_it_is_what_it_is_not_and_where_to_begin():
    for module, path in FILES.items():
        wing = module.count(".") == 1 and module not in FLAT
        if path.name == "__init__.py" and module.startswith("kalshi_platform.") and not wing:
            text = path.read_text()
            assert "Not here   " in text, module
            assert "Begin reading at " in text, module
