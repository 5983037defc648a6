"""Names that have a meaning in the interface of systems, and users' attributes that have such a name by accident.

A hook of the wrong kind is refused with one sentence when its class is made, when it is set, or when the system is
first used. Otherwise it would fail deep inside a solver, or silently change what a solver does.
"""

from types import FunctionType
from typing import Any

from ..support.printing import brief
from .capabilities import HOOKS

# Hooks that are plain values: solvers act on them alone, while `n_data = 5` means nothing without a method `subset`.
TELLING = ("softest", "least_threshold", "convex", "handover")


def refuse_class(cls: type) -> None:
    """Raise a `ValueError` if the body of a class gives a hook a wrong kind, or has a hook without its capability."""
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, FunctionType | property) or name in TELLING:
            _require_capability(cls, name)
        if isinstance(_inherited(cls, name), FunctionType) and not _serves_as_method(value):
            _refuse(cls, name, value, "a method")
    for name in vars(cls).get("__annotations__", {}):
        inherited = None if name in vars(cls) else _inherited(cls, name)
        if isinstance(inherited, FunctionType):
            _refuse(cls, name, "a field", "a method")
        if isinstance(inherited, property) and inherited.fset is None:
            _refuse(cls, name, "a field without default", "a property, or a field with a default")


def refuse_attribute(system: Any, name: str, value: Any) -> None:
    """Raise a `ValueError` if an attribute that is about to be set hides a method or a property of its class."""
    found = _inherited(type(system), name, own=True)
    if isinstance(found, FunctionType) and not callable(value):
        _refuse(type(system), name, value, "a method")
    if isinstance(found, property) and found.fset is None:
        _refuse(type(system), name, value, "a property of the class")


def refuse_attributes(system: Any) -> None:
    """Raise a `ValueError` if an attribute of a system, however it was set, hides a method of its class."""
    for name, value in vars(system).items():
        if name in TELLING and value is not None:
            _require_capability(type(system), name)
        if not callable(value) and isinstance(_inherited(type(system), name, own=True), FunctionType):
            _refuse(type(system), name, value, "a method")


def _inherited(cls: type, name: str, own: bool = False) -> Any:
    """The unbound attribute that a class inherits under a name, or, with `own`, may define itself; None if absent."""
    return next((vars(c)[name] for c in cls.__mro__[0 if own else 1 :] if name in vars(c)), None)


def _serves_as_method(value: Any) -> bool:
    return callable(value) or hasattr(value, "__get__")  # functions, and descriptors such as properties


def _refuse(cls: type, name: str, value: Any, wanted: str) -> None:
    raise ValueError(
        f"{name} = {brief(value)} is not valid in {cls.__name__}: {name} has a meaning in the contract of systems and "
        f"must be {wanted}; give the attribute another name."
    )


def _require_capability(cls: type, name: str) -> None:
    if name in HOOKS and not issubclass(cls, HOOKS[name]):
        raise ValueError(
            f"{name} of {cls.__name__} is not used unless the class inherits {HOOKS[name].__name__} (of "
            "unijam.core.capabilities) besides its system: inherit that, or give the attribute another name."
        )
