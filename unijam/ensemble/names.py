"""What the package says of itself when it is imported, so that ensembles know none of its rooms by name."""

from collections.abc import Iterable

from ..support.naming import named

PUBLIC: dict[str, str] = {}  # public names, each with the module that offers it
SHOWING: set[str] = set()  # packages that only show what was measured


def introduce(module: str, names: Iterable[str], showing: Iterable[str]) -> None:
    """Make the public names of a module short names of classes; name the packages that only show what was measured."""
    PUBLIC.update(dict.fromkeys(names, module))
    SHOWING.update(f"{module}.{package}" for package in showing)


def full_name(name: str) -> str:
    """The name "module:Class" of a short one; any other name as it is."""
    return f"{PUBLIC[name]}:{name}" if name in PUBLIC else name


def short_name(name: str, thing: object) -> str:
    """The short name of a class where it has one, else its full name: it survives a move of the class's module."""
    last = name.partition(":")[2]
    return last if last in PUBLIC and named(full_name(last)) is thing else name
