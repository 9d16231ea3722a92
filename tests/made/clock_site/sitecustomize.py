"""Wall clock of the children of a test, shifted as ``made/away_from_pause.py`` says (on PYTHONPATH there)."""

import os
import time

if _shift := int(os.environ.get("TESTS_CLOCK_SHIFT_NS", "0")):
    _seconds, _nanoseconds = time.time, time.time_ns
    time.time = lambda: _seconds() + _shift / 1e9
    time.time_ns = lambda: _nanoseconds() + _shift
