"""Functions that compiled loops call by name, and that each system or method implements for its own data.

A stub declares such a function. `implements` gives its body for one class of its first argument, a NamedTuple. Thus a
method of minimisation runs inside one compiled call on any system that has a compiled evaluator, and neither imports
the other.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed, impl_ret_untracked
from numba.extending import intrinsic, overload

from ..support.arrays import Array
from .cache import note_stand_in

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound=tuple[Any, ...])
_Typed = tuple[Any, Callable[..., Any]]  # the signature of an intrinsic, and what writes its code
_tuples: Any = types.BaseTuple  # its kinds have `types`, which it does not declare


def implements(stub: Callable[..., Any], kind: type) -> Callable[[F], F]:
    """Decorate the function that compiled code runs in place of `stub` where the first argument is a `kind`.

    Parameters
    ----------
    stub : function
        What compiled code names, as `listed_forces`.
    kind : type
        A NamedTuple, the class of the first argument.
    """

    def register(function: F) -> F:
        def choose(first: Any, *rest: Any) -> F | None:
            return function if isinstance(first, types.NamedTuple) and first.instance_class is kind else None

        # inlined: a call would count the references to each array that it hands on, up and down
        overload(stub, strict=False, jit_options={"forceinline": True})(choose)
        note_stand_in(stub, function)
        return function

    return register


def _unnamed_type(kind: Any) -> Any:
    return _tuples.from_types([_unnamed_type(t) for t in kind.types]) if isinstance(kind, _tuples) else kind


def _unnamed(typingctx: Any, value: Any) -> _Typed:
    """A NamedTuple, and those in it, as plain tuples, for compiled code to return.

    NamedTuples are made by Python code, in which a signal may raise where numba does not look for errors: the
    process would crash. `named` gives the names back.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])  # laid out alike

    return _unnamed_type(value)(value), codegen


unnamed: Any = intrinsic(_unnamed)


def named(plain: tuple[Any, ...], like: T) -> T:
    """What was `unnamed`, with the names of another such value."""
    members = list(plain)
    for k, of in enumerate(like):
        if isinstance(of, tuple):
            members[k] = named(members[k], of)
    return tuple.__new__(type(like), members)


def _entries(v: np.ndarray, order: np.ndarray) -> np.ndarray:
    taken = np.empty(len(order), v.dtype)
    for k in range(len(order)):
        taken[k] = v[order[k]]
    return taken


def _rearranged(context: Any, builder: Any, kind: Any, value: Any, kind_of_order: Any, order: Any) -> Any:
    if isinstance(kind, types.Array):
        return context.compile_internal(builder, _entries, kind(kind, kind_of_order), (value, order))
    if isinstance(kind, _tuples):
        members = [
            _rearranged(context, builder, member, builder.extract_value(value, k), kind_of_order, order)
            for k, member in enumerate(kind.types)
        ]
        return context.make_tuple(builder, kind, members)
    context.nrt.incref(builder, kind, value)  # nothing for numbers
    return value


def _reordered(typingctx: Any, value: Any, order: Any) -> _Typed:
    """A NamedTuple, for compiled code, with the entries of its arrays, and of those in it, in another order."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (kind, kind_of_order), (value, order) = signature.args, arguments
        return _rearranged(context, builder, kind, value, kind_of_order, order)

    return value(value, order), codegen


reordered: Any = intrinsic(_reordered)


def _uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, _tuples):
        members = [
            _uncounted(context, builder, member, builder.extract_value(value, k))
            for k, member in enumerate(kind.types)
        ]
        return context.make_tuple(builder, kind, members)
    if context.data_model_manager[kind].contains_nrt_meminfo():  # the count would fall to zero
        raise TypeError(f"{kind} cannot be borrowed: only arrays, numbers, and tuples of them.")
    return value


def _lent(typingctx: Any, value: Any) -> _Typed:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lent = _uncounted(context, builder, signature.args[0], arguments[0])
        return impl_ret_untracked(context, builder, signature.return_type, lent)

    return value(value), codegen


_lend: Any = intrinsic(_lent)


def borrowed(value: Any) -> Any:
    """An array, or a NamedTuple with all arrays in it, of which compiled code counts no references.

    For reading, while somebody else keeps the arrays. Each use of a member would count one and count it back, by
    locked additions: a quarter of the time of an iteration on 256 discs.
    """
    return value


overload(borrowed, jit_options={"forceinline": True})(lambda value: lambda value: _lend(value))


def listed_forces(
    kernel: tuple[Any, ...], y: Array, gradient: Array, scale: float
) -> tuple[float, float, int, float]:
    """U, Σ u'², N_Δ and Σ u' c at y in the kernel's own numbering, ∇U filled in; U < 0: the list no longer serves."""
    raise NotImplementedError("a stub: what compiled evaluators implement")


def renewed_list(
    kernel: tuple[Any, ...], origin: tuple[Any, ...], y: Array, scale: float, served: int
) -> tuple[Any, Any, np.ndarray]:
    """A kernel with a list made at y after so many evaluations by the last, its origin, the last's numbers in order.

    The origin is what only the making of lists needs, so that evaluations need not hand it on; at least `places`, the
    user's number of each entry of y, and `back`, the inverse. No numbers: lists of this kind, or at this scale, are not
    made in compiled code.
    """
    raise NotImplementedError("a stub: what compiled evaluators implement")
