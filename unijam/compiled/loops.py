"""Decorators of functions that are compiled at their first call.

`UNIJAM_COMPILED=0` in the environment, or numba's own `NUMBA_DISABLE_JIT=1`, turns compilation off: the functions run
as Python code, slowly, with the same results to rounding. Use it to find faults, or if numba does not support the
processor.
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
    """Compile a function of arrays and numbers at its first call, and keep the result on disk if possible.

    The compiled function runs without the interpreter's lock, so that several threads can run at once. A division by
    zero gives infinity or NaN, as in NumPy, and no error.

    Parameters
    ----------
    function : function
        Given when used without arguments, as `@loop`.
    distinct : bool
        A promise that no two arrays among the arguments share memory. The loops are then faster; if the promise is
        not kept, the results are wrong.
    **options
        Options of `numba.njit`, such as `fastmath` and `forceinline`.

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
        # If no folder or no file can be written, the function is compiled in each process.
        with suppress(RuntimeError, OSError):
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
    """Let compiled functions call this function; called from Python, it runs as Python code.

    Parameters
    ----------
    function : function
        Given when used without arguments, as `@inline`.
    **options
        Options of `numba.njit`, such as `forceinline`.
    """

    def decorate(function: F) -> F:
        note_source(function)
        register: Any = numba.extending.register_jitable
        registered: F = register(**options)(function) if options else register(function)
        return registered

    return decorate if function is None else decorate(function)


def overload(function: Callable[..., Any], **options: Any) -> Callable[[F], F]:
    """Decorate a function that receives numba's types of the arguments and returns the body to run for `function`.

    Parameters
    ----------
    function : function
        The function that compiled code calls.
    **options
        Options of `numba.extending.overload`.
    """

    def decorate(choose: F) -> F:
        note_stand_in(function, choose)
        numba.extending.overload(function, **options)(choose)
        return choose

    return decorate
