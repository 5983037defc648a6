"""A cache on disk of compiled functions that notices when any source file behind a function has changed.

numba's own cache looks only at the file of the function itself, so a function would keep the old code of functions of
other files that it calls. Here the stamp of a cached function covers every source file that it reaches, and the value
of every constant (docs/decisions/071). If no folder can be written, functions are compiled again in each process.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserWideCacheLocator

_digests: dict[str, bytes] = {}  # of source files, by path, as they were when their code was imported
# The functions that compiled code runs in place of a function: bodies given by `overload` and `implements`.
_stand_ins: dict[Callable[..., Any], list[Callable[..., Any]]] = {}
# All compiled code depends on the files of this room.
_ROOM = sorted(str(path) for path in Path(__file__).parent.glob("*.py"))
# Digits of a digest in a file's name: 64 bits, so that two different contents never share a name in practice.
_SHORT = 16


def note_source(function: Callable[..., Any]) -> None:
    """Take the digest of a function's file when the function is defined; later the file may have been edited."""
    path = function.__code__.co_filename
    with suppress(OSError):  # code typed into a session has no file; it is not cached
        _digests[path] = hashlib.sha256(Path(path).read_bytes()).digest()


def note_stand_in(function: Callable[..., Any], body: Callable[..., Any]) -> None:
    """Record that compiled code which calls `function` may run `body` instead."""
    note_source(body)
    _stand_ins.setdefault(function, []).append(body)


def stamp(function: Callable[..., Any]) -> tuple[bytes, str]:
    """A digest of everything that the compiled code of a function depends on, except the types of its arguments.

    Parameters
    ----------
    function : function
        As written in Python.

    Returns
    -------
    digest : bytes
        Of the source files and constants that the function reaches.
    variant : str
        A name for the set of stand-ins that are known in this process, empty if the function reaches none. A
        process that has imported more of them must not overwrite the cache of one that has imported fewer.

    Raises
    ------
    OSError
        A source file cannot be read.
    """
    files, constants, bodies = _reach(function)
    total = hashlib.sha256()
    for digest in sorted(_digest(path) for path in files):
        total.update(digest)
    total.update("\n".join(sorted(constants)).encode())
    named = "\n".join(sorted(f"{body.__module__}.{body.__qualname__}" for body in bodies))
    return total.digest(), hashlib.sha256(named.encode()).hexdigest()[:_SHORT] if bodies else ""


def _digest(path: str) -> bytes:
    if path not in _digests:
        _digests[path] = hashlib.sha256(Path(path).read_bytes()).digest()
    return _digests[path]


def _reach(function: Callable[..., Any]) -> tuple[set[str], set[str], set[Callable[..., Any]]]:
    """Files and constants behind a function, and the stand-ins among the functions that it may call.

    Names are followed through the globals of each function, and through modules and classes of its own package;
    NumPy, numba and the standard library are followed no further (numba's version is part of its cache's index).
    """
    files, constants, bodies = set(_ROOM), set(), set()
    packages = {_package(function)}  # only functions of these packages are followed
    waiting: list[tuple[str, Any]] = [("", function)]
    seen: set[int] = set()
    while waiting:
        name, value = waiting.pop()
        value = getattr(value, "_defn", value)  # of an intrinsic: its definition in Python
        if hasattr(value, "targetoptions"):  # a compiled function: the flags it is compiled with
            constants.add(f"{name}: {_flags(value)}")
            value = value.py_func
        if isinstance(value, int | float | complex | str | bytes | tuple | None):
            constants.add(f"{name} = {value!r}")
        elif isinstance(value, type) and _package(value) in packages:
            files.add(_file_of(value))
        elif isinstance(value, FunctionType) and id(value) not in seen:
            seen.add(id(value))
            found = _stand_ins.get(value, [])
            packages.update(_package(body) for body in found)  # the package of a user who wrote an evaluator
            bodies.update(found)
            waiting += [("", body) for body in found]
            if _package(value) in packages:
                files.add(value.__code__.co_filename)
                waiting += _names(value, packages)
    return files, constants, bodies


def _flags(compiled: Any) -> str:
    """The flags a function is compiled with, told the same in every process: the order of a set is not."""
    told = {flag: sorted(v) if isinstance(v, set) else v for flag, v in compiled.targetoptions.items()}
    return str(sorted(told.items(), key=str))


def _names(value: FunctionType, packages: set[str]) -> Iterator[tuple[str, Any]]:
    """(name, value) of the globals, of the members of the package's modules, and of the closure of a function."""
    names = sorted(_all_names(value.__code__))
    for name in names:
        if name not in value.__globals__:
            continue
        found = value.__globals__[name]
        if not isinstance(found, ModuleType):
            yield name, found
        elif found.__name__.partition(".")[0] in packages:
            yield from ((other, getattr(found, other)) for other in names if hasattr(found, other))
    for cell in value.__closure__ or ():
        with suppress(ValueError):  # a cell that is still empty
            yield "", cell.cell_contents


def _all_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            names |= _all_names(part)
    return names


def _package(value: Any) -> str:
    return str(value.__module__).partition(".")[0]


def _file_of(kind: type) -> str:
    return str(getattr(sys.modules.get(kind.__module__), "__file__", __file__))


class _Home(UserWideCacheLocator):
    """The cache folder in the user's home directory, if there is one."""

    def ensure_cache_path(self) -> None:
        if not os.path.isabs(self.get_cache_path()):  # without a home directory: a folder named ~
            raise OSError("no home directory")
        super().ensure_cache_path()  # type: ignore[no-untyped-call]  # numba's


class _Places(CompileResultCacheImpl):
    _locator_classes = [  # noqa: RUF012  # numba's name, whose order is kept
        _Home if kind is UserWideCacheLocator else kind for kind in CompileResultCacheImpl._locator_classes
    ]


class _Files(IndexDataCacheFile):
    """The files of the index and of the code of one function; several processes may write them at once.

    numba numbers the files of code. Two processes may give one number to two signatures, and the index of one then
    names the code of the other. Here the name of a file of code is a digest of its content, and the code is written
    before the index.
    """

    def __init__(self, cache_path: str, base: str, source_stamp: bytes) -> None:
        super().__init__(cache_path=cache_path, filename_base=base, source_stamp=source_stamp)  # type: ignore[no-untyped-call]  # numba's
        self._base = base

    def save(self, key: Any, data: Any) -> None:
        dumped = self._dump(data)
        name = f"{self._base}.{hashlib.sha256(dumped).hexdigest()[:_SHORT]}.nbc"
        with self._open_for_write(self._data_path(name)) as file:
            file.write(dumped)
        overloads = self._load_index()
        overloads[key] = name
        self._save_index(overloads)
        kept = set(overloads.values())
        # Code of older sources is removed. A process that misses it compiles again.
        for path in Path(self._cache_path).iterdir():
            if path.name.startswith(f"{self._base}.") and path.suffix == ".nbc" and path.name not in kept:
                path.unlink(missing_ok=True)

    def _load_index(self) -> dict[Any, str]:
        try:
            index: dict[Any, str] = super()._load_index()  # type: ignore[no-untyped-call]  # numba's
            return index
        except Exception:  # a crash or a full disk damaged it: as if there were none
            return {}


class SourceCache(FunctionCache):
    """numba's cache of one function, under a stamp of all its sources. Loading and saving never raise.

    Raises
    ------
    RuntimeError
        When it is made (by numba), if no folder can be written.
    """

    _impl_class = _Places

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for a signature, or None if it must be compiled."""
        try:
            self._look()
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # numba's
        except Exception:  # unreadable or damaged: compiling again is all it costs
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled function; if that fails, stop caching this function."""
        try:
            self._look()
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]  # numba's
        except OSError:  # the disk is full, or has become read-only
            self.disable()

    def _look(self) -> None:
        """Compute the stamp again: more stand-ins may be known than for the last signature."""
        digest, variant = stamp(self._py_func)
        base = "-".join(filter(None, (self._impl.filename_base, variant)))
        self._cache_file = _Files(self._cache_path, base, digest)
