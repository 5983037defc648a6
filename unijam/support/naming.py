"""Names of classes and functions, "module:Class", by which files and processes refer to them."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from .validation import require

MAIN = "__main__"


def module_name(name: str) -> str:
    """The name under which other processes and later runs import a module; for a script, the name of its file."""
    if name not in (MAIN, "__mp_main__"):  # the second is the first as a worker process sees it
        return name
    main = sys.modules[MAIN]
    spec, path = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None and spec.name not in (MAIN, "__mp_main__"):  # started by python -m
        return str(spec.name).removesuffix(f".{MAIN}")
    return Path(path).stem if path and Path(path).suffix == ".py" else MAIN


def name_of(thing: Any) -> str:
    """The name of a class or function, "module:Class".

    Raises
    ------
    ValueError
        It has no such name: it is a lambda, or defined inside a function, or its module no longer holds it.
    """
    place, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    named = isinstance(place, str) and isinstance(name, str) and "<" not in name
    wanted = "one that a module holds by its name: not a lambda, and not defined inside a function"
    kind = "class" if isinstance(thing, type) else "function"
    require(named, kind, name or thing, wanted)
    full = f"{module_name(str(place))}:{name}"
    require(_held(str(place), str(name)) is thing, kind, full, wanted)
    return full


def named(name: str) -> Any:
    """The class or function of a name "module:Class"; its module is imported if necessary.

    Raises
    ------
    ValueError
        There is no such module, or it holds nothing of that name.
    """
    place, _, inside = name.partition(":")
    require(place and inside, "name", name, '"module:Class"')
    try:
        found = _held(MAIN if module_name(MAIN) == place else place, inside)
    except ImportError as error:
        raise ValueError(f"{name} is not to be found: {error}.") from None
    if found is None:
        raise ValueError(f"{name} is not to be found: the module {place} holds no {inside}.")
    return found


def _held(place: str, name: str) -> Any:
    """The object that a module holds under a dotted name, or None; an `ImportError` if there is no such module."""
    found: Any = sys.modules.get(place) or import_module(place)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
