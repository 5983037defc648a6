"""Validation at the border: what `help` shows, and what a wrong argument is answered."""

import importlib
import inspect
import pkgutil
import pydoc
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field, validate_call

import unijam as uj
from unijam.support.validation import (
    Count,
    Finite,
    Positive,
    Seed,
    Whole,
    checked,
    is_positive,
    is_whole,
    require,
    require_finite,
)


@checked
def example(
    a: Count,
    b: Positive | None = None,
    *more: Finite,
    c: tuple[Seed, ...] = (),
    kind: Literal["one", "two"] = "one",
    d: Annotated[Whole, Field(le=3)] = 0,
) -> dict[str, float]:
    """Nothing."""
    return {"a": a, "b": b or 0, "d": d}


def test_the_signature_shows_plain_types():
    assert str(inspect.signature(example)) == (
        "(a: int, b: float | None = None, *more: float, c: tuple[int, ...] = (), "
        "kind: Literal['one', 'two'] = 'one', d: int = 0) -> dict[str, float]"
    )
    assert example.__annotations__["b"] == float | None


def test_help_shows_plain_types():
    page = pydoc.render_doc(uj.jam, renderer=pydoc.plaintext)
    assert "pressure: float | None = None, packing_fraction: float | None = None" in page


def checked_functions():
    """Each function or method of the package that validates its arguments."""
    for module in pkgutil.walk_packages(uj.__path__, "unijam."):
        scope = vars(importlib.import_module(module.name)).values()
        classes = [thing for thing in scope if inspect.isclass(thing) and thing.__module__ == module.name]
        found = [*scope, *(method for kind in classes for method in vars(kind).values())]
        for thing in found:
            function = getattr(thing, "__func__", thing)
            if inspect.isfunction(function) and hasattr(function, "__signature__"):
                yield function


def test_no_validator_is_shown_anywhere():
    functions = set(checked_functions())
    assert len(functions) > 20
    for function in functions:
        shown = f"{inspect.signature(function)} {function.__annotations__}"
        assert not any(word in shown for word in ("Validator", "FieldInfo", "Annotated")), function


def test_a_checked_function_can_be_validated_again():
    assert validate_call(example)(3, 0.5) == {"a": 3, "b": 0.5, "d": 0}


@pytest.mark.parametrize(
    ("arguments", "more", "named"),
    [
        ((0,), {}, "a = 0"),
        ((True,), {}, "a = True"),
        ((1.5,), {}, "a = 1.5"),
        (("3",), {}, "a = '3'"),
        ((1, 0.0), {}, "b = 0"),
        ((1, float("inf")), {}, "b = inf"),
        ((1, 1.0), {"kind": "three"}, "kind = 'three'"),
        ((1, 1.0), {"d": 4}, "d = 4"),
        ((1, 1.0), {"c": (-1,)}, "c.0 = -1"),
        ((), {}, "a is missing"),
    ],
)
def test_a_wrong_argument_is_answered_by_one_sentence(arguments, more, named):
    with pytest.raises(ValueError, match=r"valid|missing") as caught:
        example(*arguments, **more)
    assert str(caught.value).startswith(named) and "\n" not in str(caught.value)


def test_numbers_of_numpy_are_numbers():
    assert example(np.int64(3), np.float32(0.5), d=np.array(2)) == {"a": 3, "b": 0.5, "d": 2}


@pytest.mark.parametrize("value", [3, np.int8(3)])
def test_whole_numbers(value):
    assert is_whole(value) and is_positive(value)


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), float("inf"), 0, -1.0])
def test_what_is_no_positive_number(value):
    assert not is_positive(value)


def test_require_names_field_value_and_range():
    require(True, "n", 3, "positive")
    with pytest.raises(ValueError, match=r"^n = -3 is not valid: it must be positive\.$"):
        require(False, "n", -3, "positive")


def test_require_finite_counts_what_is_not():
    require_finite(np.zeros(3), "x")
    with pytest.raises(ValueError, match="x has 2 entries"):
        require_finite(np.array([1.0, np.nan, -np.inf]), "x")
