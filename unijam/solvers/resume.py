"""When a run goes on from an earlier result, and when it only starts there."""

import dataclasses
from typing import Any

from ..core.system import ConstrainedSystem, released
from .result import MinimizeResult


def goes_on(system: ConstrainedSystem, method: Any, earlier: MinimizeResult) -> bool:
    """Whether a run is one with that of a result: the same system, but for kinks held, and a solver of its class."""
    if type(method).__name__ != earlier.solver:
        return False
    if system is earlier.system:
        return True
    there = released(earlier.system)
    if type(system) is not type(there):
        return False
    mine, its = _made_of(system), _made_of(there)
    return all(_equal(mine[name], its[name]) for name in mine.keys() & its.keys())


def _made_of(system: ConstrainedSystem) -> dict[str, Any]:
    """What a system was made of, and not what follows from it, where that is known."""
    if not dataclasses.is_dataclass(system):
        return {name: value for name, value in vars(system).items() if name != "_made_of"}
    return {field.name: getattr(system, field.name) for field in dataclasses.fields(system) if field.init}


def _equal(a: Any, b: Any) -> bool:
    """Whether two attributes are equal, arrays by shape, kind, place and value."""
    if a is b:
        return True
    if hasattr(a, "shape") and hasattr(b, "shape"):
        kinds = [(type(v), tuple(v.shape), v.dtype, getattr(v, "device", None)) for v in (a, b)]
        return kinds[0] == kinds[1] and bool((a == b).all())
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b) and (a == b) is True
