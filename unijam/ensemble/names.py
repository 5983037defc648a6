"""Names that the package registers when it is imported, so that this room need not import other rooms."""

from collections.abc import Iterable

from ..support.naming import named

PUBLIC: dict[str, str] = {}  # public names, each with the module that exports it
SHOWING: set[str] = set()  # packages that only display measurements: their source does not affect a sample


def introduce(module: str, names: Iterable[str], showing: Iterable[str]) -> None:
    """Register public names and display packages.

    Parameters
    ----------
    module : str
        The module that exports the names.
    names : iterable of str
        They become short names of classes: "SoftSpheres" for "unijam:SoftSpheres".
    showing : iterable of str
        Subpackages of the module that only display measurements.
    """
    PUBLIC.update(dict.fromkeys(names, module))
    SHOWING.update(f"{module}.{package}" for package in showing)


def full_name(name: str) -> str:
    """The full name "module:Class" of a short name; any other name is returned as it is."""
    return f"{PUBLIC[name]}:{name}" if name in PUBLIC else name


def short_name(name: str, thing: object) -> str:
    """The short name of a class if it has one, else its full name.

    A short name stays valid if the module of the class is moved.
    """
    last = name.partition(":")[2]
    return last if last in PUBLIC and named(full_name(last)) is thing else name
