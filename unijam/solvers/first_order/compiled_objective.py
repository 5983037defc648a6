"""The objective in compiled loops, evaluated by the kernel of a compiled evaluator."""

import math
from typing import Any, NamedTuple

import numpy as np

from ...compiled import inline
from ...compiled.dispatch import borrowed, implements, listed_forces, renewed_list
from ...linalg.vectors import dot
from ...support.arrays import Array
from ..objective import Objective
from ..point import Point


class CompiledObjective(NamedTuple):
    """E in compiled loops, without weight decay. y, (n_dof + 1,), is in the kernel's numbering and always ends in w λ.

    `mask` is empty if every degree of freedom may move; `units` is empty if x = y. Otherwise both have the length of y,
    and `units` holds 1/lengths. The other fields are those of `Objective`.
    """

    kernel: tuple[Any, ...]
    mask: Array
    units: Array
    moving: bool
    conjugate: float
    scale_weight: float
    reference: float


def evaluated(objective: Objective, y: Array) -> Point:
    """The point at y, also in compiled loops. There U < 0 means that the kernel's list is out of date."""
    return objective(y)


@implements(evaluated, CompiledObjective)
def _evaluated(objective: CompiledObjective, kept: np.ndarray) -> Point:
    written = np.empty(len(kept))
    y, gradient = borrowed(kept), borrowed(written)
    x, scale = _x_and_scale(objective, y)
    energy, square, n_overlaps, load = listed_forces(objective.kernel, x, gradient, scale)
    gradient[-1] = 0.0
    if len(objective.units):
        gradient *= objective.units
    if len(objective.mask):
        gradient *= objective.mask
    force, norm = math.sqrt(square), math.sqrt(dot(gradient, gradient))
    residual = norm / force if force > 0 else math.inf if norm > 0 else 0.0
    value = energy
    if objective.moving:
        tension = load - objective.conjugate
        value -= objective.conjugate * (scale - objective.reference)
        residual = max(residual, abs(tension) / objective.conjugate)
        gradient[-1] = tension / objective.scale_weight
    return Point(kept, value, energy, written, force, n_overlaps, residual, None, None)


def relisted(
    objective: CompiledObjective, origin: tuple[Any, ...], y: Array, served: int
) -> tuple[CompiledObjective, tuple[Any, ...], np.ndarray]:
    """(objective, origin, order): the objective with a new list, made at y; origin and order as in `renewed_list`."""
    raise NotImplementedError("a stub: what compiled objectives implement")


@implements(relisted, CompiledObjective)
def _relisted(
    objective: CompiledObjective, origin: tuple[Any, ...], y: np.ndarray, served: int
) -> tuple[CompiledObjective, tuple[Any, ...], np.ndarray]:
    x, scale = _x_and_scale(objective, y)
    kernel, origin, order = renewed_list(objective.kernel, origin, x, scale, served)
    mask = objective.mask[order] if len(objective.mask) else objective.mask
    units = objective.units[order] if len(objective.units) else objective.units
    renewed = CompiledObjective(
        kernel,
        mask,
        units,
        objective.moving,
        objective.conjugate,
        objective.scale_weight,
        objective.reference,
    )
    return renewed, origin, order


@inline(forceinline=True)
def _x_and_scale(objective: CompiledObjective, y: np.ndarray) -> tuple[np.ndarray, float]:
    scale = y[-1] / objective.scale_weight if objective.moving else objective.reference
    return y * objective.units if len(objective.units) else y, scale


def compiled(objective: Objective, kernel: tuple[Any, ...], mask: Array, units: Array) -> CompiledObjective:
    """The compiled form of an objective; `mask` and `units` are in the numbering of `kernel`, (n_dof + 1,) or empty."""
    conjugate = objective.conjugate or 0.0
    return CompiledObjective(
        kernel, mask, units, objective.moving, conjugate, objective.scale_weight, objective.reference
    )
