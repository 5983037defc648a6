"""Functions that compiled loops may call without knowing whose they are: open to every system and method.

A stub declares such a function, `implements` says what it is where its first argument is of a given class, a
NamedTuple. A method of minimisation can so run inside one compiled call on any system whose evaluator is
compiled, and neither imports the other.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic, overload

from .arrays import Array

_sources = {__file__}


def implements(stub: Callable, kind: type) -> Callable[[Callable], Callable]:
    """Decorate the function that is `stub` in compiled code where the first argument is a `kind`."""

    def register(function: Callable) -> Callable:
        def choose(first, *rest):
            return function if isinstance(first, types.NamedTuple) and first.instance_class is kind else None

        overload(stub, strict=False)(choose)
        _sources.update((function.__code__.co_filename, stub.__code__.co_filename))
        return function

    return register


def fingerprint() -> int:
    """A number that changes with the sources of what is registered (of itself numba sees one file only)."""
    return zlib.crc32(b"".join(Path(name).read_bytes() for name in sorted(_sources)))


def _unnamed_type(kind: Any) -> Any:
    members: Any = types.BaseTuple  # its kinds have `types`, which it does not declare
    return members.from_types([_unnamed_type(t) for t in kind.types]) if isinstance(kind, members) else kind


def _unnamed(typingctx, value):
    """A NamedTuple, and those in it, as plain tuples, for compiled code to return.

    NamedTuples are made by Python code, in which a signal may raise where numba does not look for errors: the
    process would crash. `named` gives the names back.
    """

    def codegen(context, builder, signature, arguments):
        return impl_ret_borrowed(context, builder, signature.return_type, arguments[0])  # laid out alike

    return _unnamed_type(value)(value), codegen


unnamed: Any = intrinsic(_unnamed)


def named(plain: tuple, like: tuple) -> tuple:
    """What was `unnamed`, with the names of another such value."""
    members = list(plain)
    for k, of in enumerate(like):
        if isinstance(of, tuple):
            members[k] = named(members[k], of)
    return tuple.__new__(type(like), members)


def listed_forces(kernel: tuple, y: Array, gradient: Array, scale: float) -> tuple:
    """U, Σ u'², N_Δ and Σ u' c at y in the kernel's own numbering, ∇U filled in; U < 0: the list no longer serves."""
    raise NotImplementedError("a stub: what compiled evaluators implement")
