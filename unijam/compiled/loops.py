"""Decorators of functions that are compiled at their first call: the rest of the package takes them from here.

`UNIJAM_COMPILED=0` in the environment, or numba's own `NUMBA_DISABLE_JIT=1`, leaves all of them as written: slow, and
with the same results to rounding. It serves to find faults, and processors for which numba does not compile.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar
from typing import overload as cases

import numba.extending
import numpy as np
from numba import config, njit

from ..support.validation import require
from .cache import SourceCache, note_source, note_stand_in
from .noalias import DistinctArrays

F = TypeVar("F", bound=Callable[..., Any])
_settings: Any = config  # its attributes are made when it is read


def _switched_on() -> bool:
    wanted = os.environ.get("UNIJAM_COMPILED") or "1"
    require(wanted in ("0", "1"), "UNIJAM_COMPILED", wanted, "0 or 1")
    return wanted == "1" and not _settings.DISABLE_JIT


COMPILED = _switched_on()  # whether functions are compiled, once for the whole process


@cases
def loop(function: F) -> F: ...
@cases
def loop(function: None = None, *, distinct: bool = False, **options: Any) -> Callable[[F], F]: ...
def loop(function: Any = None, *, distinct: bool = False, **options: Any) -> Any:
    """Compile a function of arrays and numbers at its first call, and keep the result on disk where that is possible.

    It runs without the interpreter's lock, so that threads run side by side, and divides as NumPy does: by zero to
    infinity or NaN, without an error.

    Parameters
    ----------
    function : function
        Given when used without arguments, as `@loop`.
    distinct : bool
        Whether no two arrays among the arguments overlap. Compiled loops over them are faster, and wrong where they
        do overlap.
    **options
        Of `numba.njit`, as `fastmath` and `forceinline`.

    Returns
    -------
    function
        Compiled, or, where `COMPILED` is False, as written.

    Examples
    --------
    >>> @loop
    ... def doubled(values):
    ...     for k in range(len(values)):
    ...         values[k] *= 2.0
    >>> values = np.ones(2)
    >>> doubled(values)
    >>> values
    array([2., 2.])
    """

    def decorate(function: F) -> F:
        if not COMPILED:
            interpreted: F = _interpreted(function)
            return interpreted
        note_source(function)
        if distinct:
            options["pipeline_class"] = DistinctArrays
        flags: dict[str, Any] = {"nogil": True, "error_model": "numpy"} | options
        compiled: Any = njit(**flags)(function)
        with suppress(
            RuntimeError, OSError
        ):  # no folder can be written, or no file: compiled in each process
            compiled._cache = SourceCache(function)
        typed: F = compiled
        return typed

    return decorate if function is None else decorate(function)


def _interpreted(function: Callable[..., Any]) -> Any:
    @wraps(function)
    def quiet(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):  # compiled code gives no warnings either
            return function(*arguments)

    return quiet


@cases
def inline(function: F) -> F: ...
@cases
def inline(function: None = None, **options: Any) -> Callable[[F], F]: ...
def inline(function: Any = None, **options: Any) -> Any:
    """Let compiled functions call this one; Python calls it as it is written.

    Parameters
    ----------
    function : function
        Given when used without arguments, as `@inline`.
    **options
        Of `numba.njit`, as `forceinline`.
    """

    def decorate(function: F) -> F:
        note_source(function)
        register: Any = numba.extending.register_jitable
        registered: F = register(**options)(function) if options else register(function)
        return registered

    return decorate if function is None else decorate(function)


def overload(function: Callable[..., Any], **options: Any) -> Callable[[F], F]:
    """Decorate a function of argument types which returns what compiled code runs in place of `function`.

    Parameters
    ----------
    function : function
        What compiled code names.
    **options
        Of `numba.extending.overload`.
    """

    def decorate(choose: F) -> F:
        note_stand_in(function, choose)
        numba.extending.overload(function, **options)(choose)
        return choose

    return decorate
