"""The feature table and its kernels: one incremental kernel for replay and for live trading.

Not here   the policy's own state (simulation/replay/observation.py). Begin reading at spec.py.
"""

__all__ = ["book_signals", "bursts", "history", "kernel", "needs", "resolution", "rows", "spec", "stream"]
