"""A recipe: the constructor of a system and its parameters. With a seed and a measurement it identifies a sample."""

import hashlib
import inspect
import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..core.system import ConstrainedSystem
from ..support.validation import is_whole, require
from .sample import Measurement, taken_apart

SHOWING = {"figures", "study"}  # what only shows what was measured
FAMILIES = {"particles", "networks"}  # neither uses the other


@dataclass(frozen=True)
class Recipe:
    """How to draw systems, by name, so that what was measured on one can be found again.

    Parameters
    ----------
    kind : str
        A class of `unijam` with a constructor `random`: "SoftSpheres", "Ellipses", "FullyConnected", "Perceptron".
    parameters : dict
        Arguments of that constructor, but the seed.
    replicas : int
        Networks that each seed draws and stacks.

    Raises
    ------
    ValueError
        Where there is no such class, or its constructor takes no such parameter.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.Recipe("SoftSpheres", {"n": 64, "packing_fraction": 0.9}).system(seed=3).n
    64
    """

    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    replicas: int = 1

    def __post_init__(self) -> None:
        import unijam

        kind = getattr(unijam, self.kind, None) if isinstance(self.kind, str) else None
        known = isinstance(kind, type) and hasattr(kind, "random")
        require(known, "kind", self.kind, "the name of a class of unijam with a constructor random")
        require(isinstance(self.parameters, dict), "parameters", self.parameters, "a dict")
        takes = set(inspect.signature(kind.random).parameters) - {"seed"}  # type: ignore[union-attr]
        for name in self.parameters:
            require(name in takes, "parameter", name, f"one of {', '.join(sorted(takes))}")
        require(
            is_whole(self.replicas) and self.replicas >= 1,
            "replicas",
            self.replicas,
            "a whole number of at least 1",
        )

    def at(self, **parameters: Any) -> Self:
        """The same with other parameters."""
        return replace(self, parameters=self.parameters | parameters)

    def system(self, seed: int) -> ConstrainedSystem:
        """The system drawn with this seed; of r replicas those with the seeds from r × seed on."""
        import unijam

        kind, r = getattr(unijam, self.kind), self.replicas
        drawn = [kind.random(**self.parameters, seed=r * seed + k) for k in range(r)]
        return drawn[0] if r == 1 else kind.stack(drawn)

    def identity(self, seed: int, measurement: Measurement) -> str:
        """A name that changes with any parameter, the seed, the measurement, its options, and their source."""
        import unijam

        function, options, _ = taken_apart(measurement)
        family = set(getattr(unijam, self.kind).__module__.split(".")) & FAMILIES
        content = {
            "kind": self.kind,
            "parameters": self.parameters,
            "replicas": self.replicas,
            "seed": seed,
            "measurement": function.__qualname__,
            "options": options,
            "source": _source(frozenset(SHOWING | (FAMILIES - family if family else set()))),
            "measured by": _digest(Path(inspect.getfile(function))),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=_plain).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy as those of Python."""
    known = isinstance(value, np.ndarray | np.generic)
    require(known, "a parameter", value, "of numbers and strings, to be part of an identity")
    return value.tolist()


@cache
def _source(left_out: frozenset[str]) -> str:
    """A digest of the package's own files, less some names: a sample measured by other code is another sample."""
    root = Path(__file__).parents[1]
    parts = {path: path.relative_to(root).with_suffix("").parts for path in sorted(root.rglob("*.py"))}
    return "".join(_digest(path) for path, names in parts.items() if not left_out & set(names))


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
