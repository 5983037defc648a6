"""A recipe: a class of systems and the arguments of its constructor. With seed and measurement it names a sample."""

import dataclasses
import enum
import hashlib
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ..core.system import ConstrainedSystem
from ..support.arrays import is_torch, to_numpy
from ..support.naming import name_of, named
from ..support.validation import is_whole, require
from .names import PUBLIC, full_name, short_name
from .sample import Measurement, taken_apart

KIND = 'a class of systems, or its name: "module:Class"'


@dataclass(frozen=True)
class Recipe:
    """A class of systems and its parameters, from which systems are drawn by seed and found again in a store.

    Parameters
    ----------
    kind : class or str
        A class, of the user or of `unijam`, whose constructor `random`, or which itself, takes a `seed`; or the name
        of the class, "module:Class" ("SoftSpheres" for a public class of `unijam`). The attribute is the name.
    parameters : dict
        The arguments of that constructor, without the seed.
    replicas : int
        The number of networks that each seed draws and stacks.

    Raises
    ------
    ValueError
        There is no such class, it is defined inside a function, or its constructor does not take a seed or one of the
        parameters.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.Recipe(uj.SoftSpheres, {"n": 64, "packing_fraction": 0.9}).system(seed=3).n
    64
    >>> uj.Recipe("unijam.particles:Ellipses", {"n": 32}).kind
    'Ellipses'
    """

    kind: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    replicas: int = 1

    def __post_init__(self) -> None:
        kind = self.kind
        require(isinstance(kind, type | str), "kind", kind, KIND)
        if isinstance(kind, str):
            require(kind in PUBLIC or ":" in kind, "kind", kind, f"{KIND}, or that of a class of unijam")
            kind = named(full_name(kind))
        drawn = isinstance(kind, type) and (hasattr(kind, "random") or issubclass(kind, ConstrainedSystem))
        require(drawn, "kind", self.kind, KIND)
        require(isinstance(self.parameters, dict), "parameters", self.parameters, "a dict")
        object.__setattr__(self, "kind", short_name(name_of(kind), kind))
        object.__setattr__(self, "parameters", dict(self.parameters))
        takes = inspect.signature(_constructor(kind)).parameters
        anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
        seeded = "seed" in takes or anything
        require(seeded, "kind", self.kind, "a class whose constructor, or its random, takes a seed")
        known = ", ".join(sorted(set(takes) - {"seed"}))
        for name in self.parameters:
            allowed = name != "seed" and (name in takes or anything)
            require(allowed, "parameter", name, f"one of {known}")
        whole = is_whole(self.replicas) and self.replicas >= 1
        require(whole, "replicas", self.replicas, "a whole number of at least 1")

    def at(self, **parameters: Any) -> Self:
        """A recipe with the given parameters added or replaced."""
        return replace(self, parameters=self.parameters | parameters)

    @property
    def drawn_class(self) -> type:
        """The class of the systems."""
        kind: type = named(full_name(self.kind))
        return kind

    def system(self, seed: int) -> ConstrainedSystem:
        """Draw the system of a seed; of r replicas, the stack of the seeds r × seed, …, r × seed + r − 1.

        Raises
        ------
        ValueError
            A parameter is missing or out of range, or the constructor does not make a `ConstrainedSystem`.
        """
        self.require_complete()
        make, r = _constructor(self.drawn_class), self.replicas
        drawn = [make(**self.parameters, seed=r * seed + k) for k in range(r)]
        require(isinstance(drawn[0], ConstrainedSystem), f"what {self.kind} draws", drawn[0], "a system")
        if r == 1:
            system: ConstrainedSystem = drawn[0]
            return system
        stack: Any = getattr(type(drawn[0]), "stack", None)
        require(stack is not None, "replicas", r, f"1: {self.kind} cannot stack systems")
        stacked: ConstrainedSystem = stack(drawn)
        return stacked

    def require_complete(self) -> None:
        """Raise a `ValueError` if a parameter without a default is missing."""
        try:
            inspect.signature(_constructor(self.drawn_class)).bind(**self.parameters, seed=0)
        except TypeError as error:
            raise ValueError(f"parameters of {self.kind} are not valid: {error}.") from None

    def content(self, seed: int, measurement: Measurement) -> dict[str, Any]:
        """What identifies a sample, as plain JSON: class, parameters, replicas, seed, measurement and its options."""
        function, options, _ = taken_apart(measurement)
        content = {
            "class": self.kind,
            "parameters": self.parameters,
            "replicas": self.replicas,
            "seed": seed,
            "measurement": name_of(function),
            "options": options,
        }
        plain: dict[str, Any] = json.loads(json.dumps(content, sort_keys=True, default=_plain))
        return plain

    def identity(self, seed: int, measurement: Measurement) -> str:
        """A name of 20 digits for the sample. It depends on `content` only, not on the source of the program."""
        text = json.dumps(self.content(seed, measurement), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def _constructor(kind: Any) -> Callable[..., Any]:
    if hasattr(kind, "random"):
        random: Callable[..., Any] = kind.random
        return random
    # a class without `__init__` takes no arguments, although the signature of its base's `__new__` takes any
    return object if kind.__init__ is object.__init__ else kind


def _plain(value: Any) -> Any:
    """A value as plain JSON: numbers and arrays as Python's, classes and functions by name, dataclasses by fields."""
    if isinstance(value, np.ndarray | np.generic) or is_torch(value):
        return to_numpy(value).tolist()
    if isinstance(value, os.PathLike | enum.Enum):
        return str(value)
    if isinstance(value, type) or inspect.isfunction(value):
        return name_of(value)
    dataclass_of_it = dataclasses.is_dataclass(value)
    wanted = "of numbers, strings, arrays and dataclasses, to be part of an identity"
    require(dataclass_of_it, "a parameter", value, wanted)
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {"class": name_of(type(value)), **fields}
