"""The script ``.ci/readme``, which has no suffix, as a module."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType

from made.scripts import ROOT


def ci_readme() -> ModuleType:
    """Return the module; no compiled copy of it is left in ``.ci``."""
    loader = SourceFileLoader("script_ci_readme", str(ROOT / ".ci" / "readme"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module
