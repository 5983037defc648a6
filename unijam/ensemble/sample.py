"""A sample: the numbers measured on one system; scalars, strings and arrays, stored in one npz file."""

import dataclasses
import functools
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

import numpy as np

from ..core.system import ConstrainedSystem
from ..support.files import written_whole
from ..support.printing import Brief
from ..support.validation import require

PROVENANCE = "_provenance"  # the entry of a file that is not a field: source, recipe and versions as JSON
# what NumPy, zipfile and json raise on a file that is missing, damaged, or of another class
UNREADABLE = (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False, repr=False)
class Sample(Brief):
    """Base of all samples: a frozen dataclass whose fields are numbers, strings and arrays of numbers.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from pathlib import Path
    >>> import unijam as uj
    >>> @dataclass(frozen=True, eq=False, repr=False)
    ... class Energy(uj.Sample):
    ...     energy: float
    >>> Energy(0.25).save(Path("sample.npz"))
    >>> Energy.load(Path("sample.npz")).energy
    0.25
    """

    def save(self, path: Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Write the fields and the provenance into an npz file, completely or not at all.

        Raises
        ------
        TypeError
            A field is neither a number, a string nor an array of them.
        """
        fields = {field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)}
        for name, value in fields.items():
            if value.dtype == object:
                raise TypeError(
                    f"{type(self).__name__}.{name} must be a number, a string or an array of them."
                )
        fields[PROVENANCE] = np.array(json.dumps(dict(provenance or {}), ensure_ascii=False))
        with written_whole(path) as file:
            np.savez_compressed(file, **fields)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read a sample from an npz file; None if the file is missing, damaged, or of another class."""
        return cls.read(path)[0]

    @classmethod
    def read(cls, path: Path) -> tuple[Self | None, dict[str, Any]]:
        """(sample, provenance) of an npz file; (None, {}) if the file is missing, damaged, or of another class."""
        try:
            # opened here, because np.load does not close a file that is no archive
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                read = {field.name: file[field.name] for field in dataclasses.fields(cls)}
                beside = json.loads(str(file[PROVENANCE])) if PROVENANCE in file else {}
        except UNREADABLE:
            return None, {}
        return cls(
            **{name: value.item() if value.ndim == 0 else value for name, value in read.items()}
        ), beside


# A function of a module whose return annotation is a subclass of Sample, or a `functools.partial` of such a function.
Measurement = Callable[[ConstrainedSystem], Sample]


def taken_apart(measurement: Measurement) -> tuple[Callable[..., Any], dict[str, Any], type[Sample]]:
    """(function, options, class of its sample) of a measurement.

    Raises
    ------
    ValueError
        It is a lambda or a local function, a partial with positional arguments, or its return annotation is not a
        subclass of `Sample`.
    """
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
