"""A recipe: the constructor of a system and its parameters. With a seed and a measurement it identifies a sample."""

import hashlib
import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..system import ConstrainedSystem
from .sample import Measurement, taken_apart

SHOWING = {"plotting", "pictures", "reports"}  # what only shows what was measured
FAMILIES = {"particles", "networks"}  # neither uses the other


class Recipe(BaseModel):
    """How to draw systems: `kind` names a class of `unijam` with a constructor `random`, `parameters` its arguments.

    Of several `replicas`, which a network can have, each seed draws as many and stacks them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    replicas: int = Field(default=1, ge=1)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        import unijam

        if not hasattr(getattr(unijam, kind, None), "random"):
            raise ValueError(
                f"kind = {kind!r} is not valid: it must be a class of unijam with a constructor random"
            )
        return kind

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
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _source(left_out: frozenset[str]) -> str:
    """A digest of the package's own files, less some names: a sample measured by other code is another sample."""
    root = Path(__file__).parents[1]
    parts = {path: path.relative_to(root).with_suffix("").parts for path in sorted(root.rglob("*.py"))}
    return "".join(_digest(path) for path, names in parts.items() if not left_out & set(names))


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
