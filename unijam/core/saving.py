"""Results and systems as files: `save` and `load`. A file holds numbers and the names of classes, never code.

A dataclass is saved as its fields. A system or potential of another class is saved as its attributes, and read without
a call of its constructor. If an attribute is not data (a function, say), the arguments of the constructor are saved,
and reading calls the constructor again.
"""

import dataclasses
import inspect
import json
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..support.arrays import to_numpy
from ..support.files import written_whole
from ..support.naming import name_of, named
from ..support.saving import Parts, Reader, Writer
from ..support.validation import require
from .potentials import Potential
from .system import ConstrainedSystem, made_of

FORMAT, VERSION = "unijam", 1
TREE = "tree"  # the entry of a file that holds the tree of plain JSON; all others are arrays
OWN = __name__.partition(".")[0]
# what NumPy, zipfile and json raise on a damaged file, or on one of another kind
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
# what goes wrong when objects are made from a tree that `save` did not write
MISMADE = (TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError, RuntimeError)

TakeApart = Callable[[Any], dict[str, Any]]
Make = Callable[[type, dict[str, Any], Any], Any]
_special: dict[type, tuple[TakeApart, Make]] = {}  # classes with functions of their own: see `saved_by`


def saved_by(kind: type, take_apart: TakeApart, make: Make) -> None:
    """Register how objects of a class, and of its subclasses, are saved and loaded.

    Parameters
    ----------
    kind : type
    take_apart : function of an object
        Returns its parts by name: data, or objects that can be saved.
    make : function of (class, parts, module)
        Makes the object again; `module` is the argument of `load`, or None.
    """
    _special[kind] = (take_apart, make)


def save(result: Any, path: Path | str) -> Path:
    """Write a result into a file, completely or not at all.

    Parameters
    ----------
    result : MinimizeResult, JamResult, Branch, Transition, MarginCurve, HessianDecomposition, sample, system, …
        Any result of unijam, or a list, tuple or dict of them. The systems in it may be of the user's own classes if
        their attributes, or the arguments of their constructors, are numbers, strings, arrays and tensors.
    path : Path or str
        The file (npz: NumPy opens it, and it holds no pickle).

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        Some part cannot be saved; the sentence names it.

    Examples
    --------
    >>> import tempfile
    >>> import unijam as uj
    >>> packing = uj.jam(uj.SoftSpheres.random(n=32, radii="uniform", packing_fraction=1.0))
    >>> file = uj.save(packing, f"{tempfile.mkdtemp()}/packing.npz")
    >>> uj.load(file).threshold == packing.threshold
    True
    """
    writer = Writer(_taken_apart)
    try:
        content = writer.write(result, "result")
    except RecursionError:
        raise ValueError("the result cannot be saved: something in it holds itself.") from None
    tree = {"format": FORMAT, "version": VERSION, "content": content}
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False)
    arrays = writer.arrays | {TREE: np.frombuffer(text.encode(), dtype=np.uint8)}
    path = Path(path)
    with written_whole(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return path


def load(path: Path | str, *, module: Any = None) -> Any:
    """Read a result that `save` wrote.

    x and U are the same to the last bit, and ``minimize(result.system, result)`` resumes as if the run had not been
    stopped. If there is no GPU, its tensors are loaded to the CPU. A user's class is imported by its name.

    Parameters
    ----------
    path : Path or str
    module : torch.nn.Module, optional
        The module of a `Network`: a file holds the parameters and buffers of a module, but not its code.

    Returns
    -------
    object
        The object that was given to `save`.

    Raises
    ------
    ValueError
        The file is damaged, not written by `save`, or of a later version; a class cannot be found, or is neither a
        system, a potential nor a result; or the module of a `Network` is missing or is another one.
    OSError
        The file cannot be opened.

    Examples
    --------
    See `save`.
    """
    path = Path(path)
    wanted = "a file that uj.save wrote, whole"
    with path.open("rb") as opened:  # opened here, because NumPy would leave a damaged file open
        try:
            with np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            tree = json.loads(arrays.pop(TREE).tobytes().decode())
            known = tree["format"] == FORMAT
            version, content = tree["version"], tree["content"]
        except (*BROKEN, TypeError, AttributeError, RecursionError):
            known, version, content = False, VERSION, None
    if not known:
        raise ValueError(f"path = {str(path)!r} is not valid: it must be {wanted}.")
    require(version == VERSION, f"the version of {path}", version, f"{VERSION}, or unijam a later one")
    try:
        return Reader(arrays, lambda kind, parts: _made(kind, parts, module)).read(content)
    except MISMADE:
        raise ValueError(f"path = {str(path)!r} is not valid: it must be {wanted}.") from None


def _taken_apart(value: Any) -> Parts | None:
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields") and _of_this_package(kind):
        return f"tuple {name_of(kind)}", dict(zip(kind._fields, value, strict=True))
    if not _is_known(kind):
        return None
    name = name_of(kind)
    for known, (take_apart, _) in _special.items():
        if isinstance(value, known):
            return f"special {name}", take_apart(value)
    if _is_fields(kind):
        return f"fields {name}", {f.name: getattr(value, f.name) for f in dataclasses.fields(kind) if f.init}
    return _attributes(value, name)


def _of_this_package(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == OWN


def _is_known(kind: Any) -> bool:
    """Whether a class is a system, a potential, or a dataclass that is, or derives from, one of this package."""
    if not isinstance(kind, type):
        return False
    derived = any(_of_this_package(base) for base in kind.__mro__)
    return issubclass(kind, ConstrainedSystem | Potential) or (derived and dataclasses.is_dataclass(kind))


def _is_fields(kind: type) -> bool:
    """Whether a class is a dataclass whose constructor takes all of its fields."""
    if not dataclasses.is_dataclass(kind):
        return False
    takes = inspect.signature(kind).parameters
    return all(field.name in takes for field in dataclasses.fields(kind) if field.init)


def _attributes(value: Any, name: str) -> Parts:
    """The attributes of an object, and the arguments of its constructor if some attributes are not data."""
    kind = type(value)
    derived = {
        key for key in vars(value) if isinstance(inspect.getattr_static(kind, key, None), cached_property)
    }
    held = {key: part for key, part in vars(value).items() if key not in derived and key not in HIDDEN}
    data, other = {}, []
    for key, part in held.items():
        try:
            Writer(_taken_apart).write(part, key)
            data[key] = part
        except ValueError as error:
            other.append(str(error))
    if not other:
        return f"attributes {name}", data
    arguments = made_of(value) if isinstance(value, ConstrainedSystem) else None
    if arguments is None:
        raise ValueError(f"a {kind.__name__} cannot be saved: {other[0]}")
    positional, keywords = arguments
    try:
        Writer(_taken_apart).write([positional, keywords], "arguments")
    except ValueError as error:
        raise ValueError(
            f"a {kind.__name__} cannot be saved, by its attributes or its constructor: {error}"
        ) from None
    parts = {"positional": positional, "keywords": keywords, "attributes": data}
    _require_same(value, _called(kind, parts))
    return f"call {name}", parts


HIDDEN = {"_made_of"}  # attributes that are never saved: this one holds the arguments of the constructor


def _require_same(system: Any, again: Any) -> None:
    """Raise a `ValueError` if the system made by calling the constructor again has another Δ."""
    if isinstance(system, ConstrainedSystem):
        a, b = (to_numpy(s.constraints(s.initial).delta) for s in (system, again))
        same = a.shape == b.shape and bool((a == b).all())
        wanted = "one that makes the same system again (draw by a seed), or whose attributes are all data"
        require(same, f"the constructor of {type(system).__name__}", "another Δ", wanted)


def _called(kind: type, parts: dict[str, Any]) -> Any:
    made = kind(*parts["positional"], **parts["keywords"])
    for name, part in parts["attributes"].items():
        object.__setattr__(made, name, part)
    return made


def _made(how: str, parts: dict[str, Any], module: Any) -> Any:
    """An object made of its parts. A file cannot name any class, only one that `save` would have written so."""
    way, _, name = how.partition(" ")
    kind = named(name)
    if way == "tuple" and isinstance(kind, type) and issubclass(kind, tuple) and _of_this_package(kind):
        return kind(**parts)
    require(_is_known(kind), "a class in the file", name, "a system, a potential, or a result of unijam")
    if way == "special":
        for known, (_, make) in _special.items():
            if issubclass(kind, known):
                return make(kind, parts, module)
    if way == "fields" and _is_fields(kind):
        return kind(**parts)
    if way == "call" and issubclass(kind, ConstrainedSystem | Potential):
        return _called(kind, parts)
    require(
        way == "attributes" and not _is_fields(kind),
        "a class in the file",
        name,
        "as it was when it was saved",
    )
    made: Any = kind.__new__(kind)
    for key, part in parts.items():
        object.__setattr__(made, key, part)
    return made
