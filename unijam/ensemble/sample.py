"""A sample: what is measured on one system, and kept; scalars, strings and arrays in one npz file."""

import dataclasses
import functools
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

import numpy as np

from ..core.system import ConstrainedSystem
from ..support.printing import Brief
from ..support.validation import require


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Brief):
    """Base of all samples: a frozen dataclass whose fields are numbers, strings and arrays of numbers."""

    def save(self, path: Path) -> None:
        """Write to an npz file, whole or not at all; a `TypeError` where a field is of another kind."""
        fields = {field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)}
        for name, value in fields.items():
            if value.dtype == object:
                raise TypeError(
                    f"{type(self).__name__}.{name} must be a number, a string or an array of them."
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **fields)  # type: ignore[arg-type]
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read an npz file back; None where there is none, or it is not whole."""
        try:
            with np.load(path, allow_pickle=False) as file:
                read = {field.name: file[field.name] for field in dataclasses.fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return cls(**{name: value.item() if value.ndim == 0 else value for name, value in read.items()})


# a module-level function that says in its annotation which Sample it returns, or a `functools.partial` of one
Measurement = Callable[[ConstrainedSystem], Sample]


def taken_apart(measurement: Measurement) -> tuple[Callable, dict[str, Any], type[Sample]]:
    """The function of a measurement, its options, and the class of what it returns."""
    function, options = measurement, {}
    if isinstance(measurement, functools.partial):
        require(not measurement.args, "measurement", measurement, "a partial with keywords only")
        function, options = measurement.func, measurement.keywords
    name = getattr(function, "__qualname__", "<none>")
    require("<" not in name, "measurement", name, "a function of a module, not a lambda or a local one")
    kind: Any = get_type_hints(function).get("return")
    known = isinstance(kind, type) and issubclass(kind, Sample)
    require(known, f"the return annotation of {name}", kind, "a subclass of Sample")
    return function, options, kind
