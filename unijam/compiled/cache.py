"""A cache on disk of compiled functions that notices when any source file behind a function has changed.

numba's own cache looks at the file of the function alone. A function that calls functions of other files would keep
the old code of those: here the stamp of a cached function covers every file of code that it reaches, and the value of
every constant. Where nothing can be written, functions are compiled again in each process.
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

_digests: dict[str, bytes] = {}
# what compiled code calls in place of a function: bodies given by `overload` and `implements`
_stand_ins: dict[Callable, list[Callable]] = {}
_ROOM = sorted(
    str(path) for path in Path(__file__).parent.glob("*.py")
)  # all compiled code rests on this room
# digits of a digest in a file's name: 64 bits, so that two different contents never share a name in practice
_SHORT = 16


def note_source(function: Callable) -> None:
    """Read the file of a function when it is defined: later the file may differ from the code that runs."""
    path = function.__code__.co_filename
    with suppress(OSError):  # code that was typed in has no file, and is not cached
        _digests[path] = hashlib.sha256(Path(path).read_bytes()).digest()


def note_stand_in(function: Callable, body: Callable) -> None:
    """Say that compiled code which calls `function` may run `body`."""
    note_source(body)
    _stand_ins.setdefault(function, []).append(body)


def stamp(function: Callable) -> tuple[bytes, str]:
    """What the compiled code of a function depends on, besides the types of its arguments.

    Parameters
    ----------
    function : function
        As written in Python.

    Returns
    -------
    digest : bytes
        Of the source files and constants that the function reaches.
    variant : str
        A name for the set of stand-ins that are known in this process, empty where the function reaches none. A
        process that has imported more of them must not overwrite the cache of one that has imported fewer.

    Raises
    ------
    OSError
        Where a source file cannot be read.
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


def _reach(function: Callable) -> tuple[set[str], set[str], set[Callable]]:
    """Files and constants behind a function, and the stand-ins among what it may call.

    Names are followed through the globals of each function, and through modules and classes of its own package;
    NumPy, numba and the standard library are followed no further (numba's version is part of its cache's index).
    """
    files, constants, bodies = set(_ROOM), set(), set()
    packages = {_package(function)}  # those whose functions are followed
    waiting: list[tuple[str, Any]] = [("", function)]
    seen: set[int] = set()
    while waiting:
        name, value = waiting.pop()
        value = getattr(value, "_defn", value)  # an intrinsic's definition
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
            packages.update(_package(body) for body in found)  # a user's own evaluators, too
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
    """Globals that a function names, the members that it takes from modules of the package, and its closure."""
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
    """The cache in the user's home, if there is one."""

    def ensure_cache_path(self) -> None:
        if not os.path.isabs(self.get_cache_path()):  # without a home it would be a folder named ~ here
            raise OSError("no home directory")
        super().ensure_cache_path()


class _Places(CompileResultCacheImpl):
    _locator_classes = [  # noqa: RUF012  # numba's name, whose order is kept
        _Home if kind is UserWideCacheLocator else kind for kind in CompileResultCacheImpl._locator_classes
    ]


class _Files(IndexDataCacheFile):
    """Index and data of one function, safe for several processes at once.

    numba numbers the files of data: two processes may give one number to two signatures, and the index of one then
    names the code of the other. Here the name of the data is the digest of it, and data is written before the index.
    """

    def __init__(self, cache_path: str, base: str, source_stamp: bytes) -> None:
        super().__init__(cache_path=cache_path, filename_base=base, source_stamp=source_stamp)
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
        for path in Path(
            self._cache_path
        ).iterdir():  # data of older sources; whoever misses it compiles again
            if path.name.startswith(f"{self._base}.") and path.suffix == ".nbc" and path.name not in kept:
                path.unlink(missing_ok=True)

    def _load_index(self) -> dict:
        try:
            return super()._load_index()
        except Exception:  # a damaged index, as a crash or a full disk leaves it: like none
            return {}


class SourceCache(FunctionCache):
    """numba's cache of one function, under a stamp of all sources behind it; never an error where it cannot work.

    Raises
    ------
    RuntimeError
        By numba, where no folder for it can be written.
    """

    _impl_class = _Places

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for a signature, or None where it has to be compiled."""
        try:
            self._look()
            return super().load_overload(sig, target_context)
        except Exception:  # unreadable or damaged: what is stored is worth a compilation, no more
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled function where there is room for it."""
        try:
            self._look()
            super().save_overload(sig, data)
        except OSError:  # the disk is full, or has become read-only
            self.disable()

    def _look(self) -> None:
        """Take the stamp anew: more stand-ins may be known than at the last signature."""
        digest, variant = stamp(self._py_func)
        base = "-".join(filter(None, (self._impl.filename_base, variant)))
        self._cache_file = _Files(self._cache_path, base, digest)
