"""The one way every kernel is compiled: machine code cached on disk, no exception from arithmetic.

A kernel is a module-level function of scalars and arrays. It changes its arrays in place and returns a
status.

``kernel``             numba's reference counting is off (``_nrt=False``). numba then refuses to compile a
                       kernel that allocates, which is what a hot loop wants, and arrays handed from
                       kernel to kernel cost nothing: with counting on, the book's kernel ran at 6 instead
                       of 42 million rows/s.
``inner_kernel``       the same for a kernel that only kernels call: without the way in from Python, which
                       takes longer to compile than a small kernel of many arrays (the matching core: 20
                       instead of 33 s). Its ``py_func`` is as ever.
``inline_kernel``      the same; numba pastes it into its callers. For small parts of a hot loop.
``allocating_kernel``  with reference counting, for a kernel that makes scratch arrays before its loop.
``fusing_kernel``      as ``kernel``, and a product may be added without being rounded first. The order of
                       sums stays: what is computed for a row does not depend on how many rows there are.
``summing_kernel``     allocates too, and numba may reorder its sums into vector lanes: for networks, which
                       round anyway. NaN and infinity keep their meaning.

A division by zero gives inf or nan as in numpy, without a branch that can raise (``error_model``).
domain/kernel_cache.py keeps the machine code, and makes it again when a source that it came from changes.
"""

from typing import Any, Final

from numba import njit

from kalshi_platform.domain.kernel_cache import KernelCache


def _compiled(**options: Any) -> Any:
    """Decorator that compiles a function with numba's ``options`` and keeps the machine code on disk."""

    def decorate(function: Any) -> Any:
        # Without the way in from C, which nobody takes: an eighth of the time that a kernel compiles.
        # numba's own types do not know that option.
        dispatcher: Any = njit(error_model="numpy", no_cfunc_wrapper=True, **options)(function)  # type: ignore[call-overload]
        if dispatcher is not function:  # NUMBA_DISABLE_JIT gives the function back
            dispatcher._cache = KernelCache(function)
        return dispatcher

    return decorate


kernel: Final = _compiled(_nrt=False)
inner_kernel: Final = _compiled(_nrt=False, no_cpython_wrapper=True)
inline_kernel: Final = _compiled(_nrt=False, inline="always")
allocating_kernel: Final = _compiled()
fusing_kernel: Final = _compiled(_nrt=False, fastmath={"contract"})
summing_kernel: Final = _compiled(fastmath={"reassoc", "contract", "arcp", "nsz"})
