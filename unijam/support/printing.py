"""Objects printed in one line instead of pages: systems, results, and the values that an error names."""

import dataclasses
from collections.abc import Mapping
from typing import Any

LONGEST = 100  # characters of a value that an error shows
END = 60  # of them from its end, where the name of a file stands


class Brief:
    """Base of classes that print as one line: arrays by shape, sequences by length, other `Brief` objects by name."""

    def __repr__(self) -> str:
        names = [f.name for f in dataclasses.fields(self)] if dataclasses.is_dataclass(self) else vars(self)
        shown = (f"{name}={_part(getattr(self, name, None))}" for name in names if not name.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"


def brief(value: Any) -> str:
    """A value as one line of text for an error: its repr, of at most 100 characters; of an array only the shape.

    What is longer loses its middle: a path keeps the name of its file.
    """
    if _is_array(value):
        return f"an array of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - END]}…{text[-END:]}"


def _part(value: Any) -> str:
    """A field of a `Brief`, short enough for its line."""
    if isinstance(value, Brief):
        return f"{type(value).__name__}(…)"
    if _is_array(value):
        return f"array{tuple(value.shape)}"
    if getattr(value, "shape", None) == ():  # a number of NumPy or torch
        value = value.item()
    if isinstance(value, float):
        return f"{value:.6g}"
    text = brief(value)
    if isinstance(value, Mapping | tuple | list) and (len(text) > 30 or any(map(_is_large, value))):
        return f"{type(value).__name__} of {len(value)}"
    return text


def _is_array(value: Any) -> bool:
    shape = getattr(value, "shape", ())
    return isinstance(shape, tuple) and len(shape) > 0


def _is_large(value: Any) -> bool:
    return isinstance(value, Brief) or _is_array(value)
