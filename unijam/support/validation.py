"""Checks of arguments: a wrong value raises a `ValueError` with one sentence that names field, value and range."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from operator import or_
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, validate_call

from .arrays import Array, namespace
from .printing import brief

F = TypeVar("F", bound=Callable[..., Any])

# Types for annotations of `checked` functions. Numbers of NumPy and torch are converted to Python's; strings, True and
# False are not numbers.
_PLAIN = BeforeValidator(lambda a: a.item() if getattr(a, "ndim", None) == 0 else a)
Whole = Annotated[int, _PLAIN, Field(strict=True)]
Count = Annotated[Whole, Field(ge=1)]
Seed = Annotated[Whole, Field(ge=0)]
Finite = Annotated[float, _PLAIN, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0)]


def sentence(error: ValidationError, names: Sequence[str] = ()) -> str:
    """The first complaint of pydantic as one sentence with field, value and range.

    Parameters
    ----------
    error : ValidationError
    names : sequence of str
        The names of the arguments, for those given by position.
    """
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in _named(first["loc"], names)) or "argument"
    if first["type"].startswith("missing"):
        return f"{field} is missing: it must be given."
    message = first["msg"].removeprefix("Value error, ")
    return f"{field} = {brief(first['input'])} is not valid: {message[0].lower()}{message[1:]}."


def checked(function: F) -> F:
    """Validate the arguments of each call by their annotations.

    Parameters
    ----------
    function : callable
        Its annotations may be the types of this module (`Count`, `Positive`, …) or any that pydantic knows.

    Returns
    -------
    callable
        The same function. Its signature shows plain types (`float | None`), without validators, so that `help` can
        be read. A wrong argument raises a `ValueError` of one sentence instead of pydantic's report.
    """
    validated = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)
    signature = inspect.signature(function)
    shown = {name: _plain(annotation) for name, annotation in function.__annotations__.items()}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return validated(*args, **kwargs)
        except ValidationError as error:
            raise ValueError(sentence(error, list(signature.parameters))) from None

    call.__annotations__ = shown
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[p.replace(annotation=_plain(p.annotation)) for p in signature.parameters.values()]
    )
    return call  # type: ignore[return-value]


def _plain(annotation: Any) -> Any:
    """The type alone: `float | None` of `Annotated[float, validators] | None`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(parts[0])
    if origin is Union or origin is UnionType:
        return reduce(or_, (_plain(part) for part in parts))
    if origin in (tuple, list, dict, Sequence):
        return origin[tuple(_plain(part) for part in parts)]
    return annotation


def _named(place: tuple[int | str, ...], names: Sequence[str]) -> tuple[int | str, ...]:
    """A place in the call with the name of an argument that was given by position."""
    if place and isinstance(place[0], int) and place[0] < len(names):
        return (names[place[0]], *place[1:])
    return place


def require(condition: Any, field: str, value: Any, wanted: str) -> None:
    """Raise a `ValueError` unless the condition holds: "{field} = {value} is not valid: it must be {wanted}."."""
    if not condition:
        raise ValueError(f"{field} = {brief(value)} is not valid: it must be {wanted}.")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of Python or NumPy; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_positive(value: Any) -> bool:
    """Whether a value is a positive and finite number of Python or NumPy."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return number and bool(0 < value < math.inf)


def require_finite(array: Array, field: str) -> None:
    """Raise a `ValueError` that names `field` if an array of any shape holds NaN or infinity."""
    finite = namespace(array).isfinite(array)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        raise ValueError(f"{field} has {bad} entries that are NaN or infinite; all must be finite numbers.")


def require_options(options: Any) -> None:
    """Raise a `ValueError` if a number among the fields of a dataclass is not one, is NaN or infinite.

    A field is a number if its default or its annotation is; None is allowed.
    """
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), field.default
        if value is None or not (
            isinstance(default, int | float) or field.type in (int, float, float | None)
        ):
            continue
        if isinstance(default, bool):
            require(isinstance(value, bool), field.name, value, "True or False")
            continue
        number = isinstance(value, int | float | np.number) and math.isfinite(value)
        require(number, field.name, value, "a finite number")
        require(field.type is not int or value == int(value), field.name, value, "a whole number")
