"""Whether a run resumes an earlier result, or only starts at its x."""

import dataclasses
from typing import Any

from ..core.system import ConstrainedSystem, released
from .result import MinimizeResult


def goes_on(system: ConstrainedSystem, method: Any, earlier: MinimizeResult) -> bool:
    """Whether a run resumes an earlier result: its solver has the same class, and its system equal attributes.

    Kinks that the result's system holds do not count as a difference.
    """
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
    """The attributes that a system was made from; of a dataclass its fields, without attributes derived from them."""
    if not dataclasses.is_dataclass(system):
        return {name: value for name, value in vars(system).items() if name != "_made_of"}
    return {field.name: getattr(system, field.name) for field in dataclasses.fields(system) if field.init}


def _equal(a: Any, b: Any) -> bool:
    """Whether two attributes are equal; arrays must agree in class, shape, precision, device and every entry."""
    if a is b:
        return True
    if hasattr(a, "shape") and hasattr(b, "shape"):
        kinds = [(type(v), tuple(v.shape), v.dtype, getattr(v, "device", None)) for v in (a, b)]
        return kinds[0] == kinds[1] and bool((a == b).all())
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b) and (a == b) is True
