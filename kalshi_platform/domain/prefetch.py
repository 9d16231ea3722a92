"""Hints that ask the processor for memory before a kernel needs it; a hint changes no result.

A kernel that walks many environments waits for main memory at the rows of each one. If the kernel requests
those rows a few environments ahead, they arrive while it works on the others. Plain Python ignores the hint.
"""

from typing import Any, Final

import numba.core.cgutils
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, overload

_cgutils: Final[Any] = numba.core.cgutils  # has no types
_LINE_BYTES: Final = 64
#: Arguments of ``llvm.prefetch``: to read, to keep in every cache, data rather than instructions.
_READ, _KEEP, _DATA = 0, 3, 1


def _items(typing_context: Any, array: Any, first: Any, count: Any) -> Any:
    """Return what numba's ``intrinsic`` asks: the call's signature and the function that builds its code.

    The code sends one hint per cache line that items ``first`` to ``first + count`` of ``array`` lie in.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct = context.make_array(array)(context, builder, arguments[0])
        item_bytes = _cgutils.unpack_tuple(builder, struct.strides)[0]
        byte, i32 = _cgutils.voidptr_t, ir.IntType(32)
        start = builder.gep(builder.bitcast(struct.data, byte), [builder.mul(item_bytes, arguments[1])])
        end = builder.mul(item_bytes, arguments[2])
        hint = _cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32]), "llvm.prefetch.p0i8"
        )
        how = [ir.Constant(i32, value) for value in (_READ, _KEEP, _DATA)]
        with _cgutils.for_range_slice(builder, end.type(0), end, end.type(_LINE_BYTES)) as (offset, _):
            builder.call(hint, [builder.gep(start, [offset]), *how])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), build


_prefetch_items: Final[Any] = intrinsic(_items)


def prefetch(array: np.ndarray, first: int, count: int) -> None:
    """Request ``array[first : first + count]`` (C order) from memory.

    Nothing is read, so any index will do.
    """


@overload(prefetch)
def _prefetch(array: Any, first: Any, count: Any) -> Any:
    def request(array: Any, first: Any, count: Any) -> Any:
        return _prefetch_items(array, first, count)

    return request
