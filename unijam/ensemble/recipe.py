"""A recipe: the constructor of a system and its parameters. Its content and a seed are the identity of a sample."""

import hashlib
import json
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
        """A name that changes with any parameter, the seed, and the version of the package."""
        import unijam

        content = {
            "kind": self.kind,
            "parameters": self.parameters,
            "seed": seed,
            "version": unijam.__version__,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
