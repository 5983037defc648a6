"""A recipe: the constructor of a system and its parameters. Its content and a seed are the identity of a sample."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ..system import ConstrainedSystem


class Recipe(BaseModel):
    """How to draw systems: `kind` names a class of `unijam` with a constructor `random`, `parameters` its arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    parameters: dict[str, Any] = Field(default_factory=dict)

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
        """The system drawn with this seed."""
        import unijam

        return getattr(unijam, self.kind).random(**self.parameters, seed=seed)

    def identity(self, seed: int) -> str:
        """A name that changes with any parameter, the seed, and the source of the package."""
        content = {
            "kind": self.kind,
            "parameters": self.parameters,
            "seed": seed,
            "source": _source(),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _source() -> str:
    """A digest of the package's own files: a sample measured by other code is another sample."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        if not {"plotting.py", "report.py", "pictures"} & set(
            path.parts
        ):  # these only show what was measured
            digest.update(path.read_bytes())
    return digest.hexdigest()
