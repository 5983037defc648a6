"""Functions that compiled loops call by name, and that each system or method implements for its own data.

A stub declares such a function. `implements` gives its body for one class of the first argument, a NamedTuple. In this
way a method of minimisation runs inside one compiled call on any system that has a compiled evaluator, and neither
imports the other.
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
_tuples: Any = types.BaseTuple  # `Any`: its subclasses have an attribute `types`, which it does not declare


def implements(stub: Callable[..., Any], kind: type) -> Callable[[F], F]:
    """Decorate the function that compiled code runs in place of `stub` if the first argument is a `kind`.

    Parameters
    ----------
    stub : function
        The function that compiled code calls, such as `listed_forces`.
    kind : type
        The class of the first argument, a NamedTuple.
    """

    def register(function: F) -> F:
        def choose(first: Any, *rest: Any) -> F | None:
            return function if isinstance(first, types.NamedTuple) and first.instance_class is kind else None

        # inlined: numba would count the references to each array that a call passes on, up and down again
        overload(stub, strict=False, jit_options={"forceinline": True})(choose)
        note_stand_in(stub, function)
        return function

    return register


def _unnamed_type(kind: Any) -> Any:
    return _tuples.from_types([_unnamed_type(t) for t in kind.types]) if isinstance(kind, _tuples) else kind


def _unnamed(typingctx: Any, value: Any) -> _Typed:
    """A NamedTuple, and the NamedTuples in it, as plain tuples that compiled code can return; `named` undoes it.

    numba returns a NamedTuple by calling Python code. If a signal raises there, numba does not notice the error, and
    the process crashes (docs/decisions/026).
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])  # same memory layout

    return _unnamed_type(value)(value), codegen


unnamed: Any = intrinsic(_unnamed)


def named(plain: tuple[Any, ...], like: T) -> T:
    """Plain tuples as NamedTuples again, with the classes of `like`, a value of the same structure."""
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
    context.nrt.incref(builder, kind, value)  # has no effect for numbers
    return value


def _reordered(typingctx: Any, value: Any, order: Any) -> _Typed:
    """A NamedTuple, in compiled code, with each array a in it, at any depth, replaced by a[order]."""

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
    if context.data_model_manager[kind].contains_nrt_meminfo():  # its count could fall to zero
        raise TypeError(f"{kind} cannot be borrowed: only arrays, numbers, and tuples of them.")
    return value


def _lent(typingctx: Any, value: Any) -> _Typed:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lent = _uncounted(context, builder, signature.args[0], arguments[0])
        return impl_ret_untracked(context, builder, signature.return_type, lent)

    return value(value), codegen


_lend: Any = intrinsic(_lent)


def borrowed(value: Any) -> Any:
    """The same array, or NamedTuple with arrays, whose references compiled code does not count.

    Use it only while another variable keeps the arrays alive. Otherwise numba counts each use of an array up and down
    with locked additions, which took a quarter of the time of an iteration on 256 discs (docs/decisions/035).
    """
    return value


overload(borrowed, jit_options={"forceinline": True})(lambda value: lambda value: _lend(value))


def listed_forces(
    kernel: tuple[Any, ...], y: Array, gradient: Array, scale: float
) -> tuple[float, float, int, float]:
    """(U, Σ u'², N_Δ, Σ u' c) at y, and ∇U written into `gradient`. U < 0 means that the list is out of date.

    A stub for compiled loops. y and `gradient` are in the numbering of the kernel, with one entry more at the end.

    Parameters
    ----------
    kernel : NamedTuple
        The list of pairs and the parameters of the system.
    y, gradient : (n_dof + 1,) arrays
        The last entry of y is not used, and that of `gradient` has no meaning afterwards.
    scale : float
        λ.
    """
    raise NotImplementedError("a stub: what compiled evaluators implement")


def renewed_list(
    kernel: tuple[Any, ...], origin: tuple[Any, ...], y: Array, scale: float, served: int
) -> tuple[Any, Any, np.ndarray]:
    """(kernel, origin, order): a new list, made at y in the numbering of the last list.

    A stub for compiled loops. The origin holds the data that only the making of lists needs, so that evaluations need
    not pass it on; it has at least `places`, the user's number of each entry of y, and `back`, the inverse. `order` has
    the old number of each entry of y; it is empty if lists of this kind, or at this scale, cannot be made in
    compiled code.

    Parameters
    ----------
    kernel, origin : NamedTuple
        The last list and its origin.
    y : (n_dof + 1,) array
    scale : float
        λ.
    served : int
        The number of evaluations that used the last list.
    """
    raise NotImplementedError("a stub: what compiled evaluators implement")


def due(kernel: tuple[Any, ...], origin: tuple[Any, ...]) -> int:
    """After how many evaluations a thinner list would cost less than this one, renewals included.

    A stub for compiled loops; parameters as in `renewed_list`.
    """
    raise NotImplementedError("a stub: what compiled evaluators implement")
