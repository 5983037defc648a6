"""Forces of ellipses at full speed: near pairs, each with its image and its t*, listed and evaluated in compiled code.

U = ½ Σ Δ², Δ = σ (λ/unit − √F). Two ellipses that touch when scaled by √F are at least (√F − 1)(b_i + b_j) apart, and
the distance falls at most by |δr| + (a − b)|δangle| of each, so contacts and next to nothing else are listed.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from ...compiled import loop
from ...compiled.dispatch import implements, listed_forces, renewed_list
from ...support.arrays import Array
from .pair_list import suitable_skin
from .perram_wertheim import FAST, contacts, near_pairs, push_pair


class EllipseList(NamedTuple):
    """Near pairs with all that an evaluation by them needs; its numbering is the user's.

    Attributes
    ----------
    built, built_ratio, skin : array, float, float
        x and λ (in units of the system's) for which the list was made, and by how much it reaches beyond contact.
    radii, alpha, unit : array, float, float
        The system's, and its λ.
    threshold : float
        Δ from which on it counts as an overlap.
    first, second, shift, t : arrays
        See `near_pairs`; numbers of particles without a sign, t kept up to date.
    root, rows : arrays
        Room for √F, (m,), and its slopes, (4, m).
    """

    built: Array
    built_ratio: float
    skin: float
    radii: Array
    alpha: float
    unit: float
    threshold: float
    first: Array
    second: Array
    shift: Array
    t: Array
    root: Array
    rows: Array


class Origin(NamedTuple):
    """What the making of lists needs, and evaluations by them do not.

    Attributes
    ----------
    places, back : arrays
        The user's own numbering.
    sides : (2,) array
        Of the box.
    worth : float
        Skin × evaluations that a list serves at best.
    """

    places: Array
    back: Array
    sides: Array
    worth: float


@loop(distinct=True, fastmath=FAST)
def outdated(
    x: np.ndarray,
    ratio: float,
    built: np.ndarray,
    built_ratio: float,
    skin: float,
    radii: np.ndarray,
    alpha: float,
) -> int:
    """How many particles moved, turned and grew by more than half the skin since built; NaN counts."""
    n, count, wide, thin = len(radii), 0, sqrt(alpha), 1.0 / sqrt(alpha)
    turning, growth = built_ratio * (wide - thin), wide * max(0.0, ratio - built_ratio)
    for i in range(n):
        dx, dy, turn = (
            x[2 * i] - built[2 * i],
            x[2 * i + 1] - built[2 * i + 1],
            x[2 * n + i] - built[2 * n + i],
        )
        moved = sqrt(dx * dx + dy * dy) + radii[i] * (turning * abs(turn) + growth)
        count += not moved <= 0.5 * skin
    return count


@loop(fastmath=FAST)
def forces(listed: EllipseList, x: np.ndarray, total: np.ndarray, ratio: float) -> tuple[float, int, float]:
    """Σ Δ², overlaps above the threshold and Σ Δ σ over the Δ = σ (ratio − √F) > 0 of listed pairs; ∇ ½ΣΔ² filled in.

    Where the list is outdated, Σ Δ² is −1 and no more is told.
    """
    radii, alpha, first, second = listed.radii, listed.alpha, listed.first, listed.second
    root, rows = listed.root, listed.rows
    if not ratio > 0 or outdated(x, ratio, listed.built, listed.built_ratio, listed.skin, radii, alpha) > 0:
        return -1.0, 0, 0.0
    contacts(x, radii, alpha, first, second, listed.shift, listed.t, root, rows)
    n, squares, count, load = len(radii), 0.0, 0, 0.0
    total[:] = 0.0
    for k in range(len(first)):
        if root[k] < ratio:
            i, j = first[k], second[k]
            sigma = radii[i] + radii[j]
            delta = sigma * (ratio - root[k])
            squares += delta * delta
            count += delta > listed.threshold
            load += delta * sigma
            push_pair(total, n, i, j, rows, k, -delta * sigma)
    return squares, count, load


@loop(fastmath=FAST)
def evaluate(listed: EllipseList, x: np.ndarray, ratio: float) -> tuple[float, int, float, np.ndarray]:
    """`forces`, and ∇ ½ΣΔ² itself."""
    total = np.empty(3 * len(listed.radii))
    squares, count, load = forces(listed, x, total, ratio)
    return squares, count, load, total


@implements(listed_forces, EllipseList)
def _listed_forces(
    listed: EllipseList, y: np.ndarray, gradient: np.ndarray, scale: float
) -> tuple[float, float, int, float]:
    size = 3 * len(listed.radii)
    squares, count, load = forces(listed, y[:size], gradient[:size], scale / listed.unit)
    return 0.5 * squares, squares, np.int64(count), load / listed.unit  # type: ignore[return-value]  # compiled it is an int


@loop(fastmath=FAST)
def room(listed: EllipseList, origin: Origin, ratio: float) -> float:
    """How thick a skin may be at λ, if of every pair no image but the nearest may be near; negative: none may."""
    thickest: float = 0.5 * origin.sides.min() - 2.0 * ratio * sqrt(listed.alpha) * listed.radii.max()
    return thickest


@loop(fastmath=FAST)
def renewed(listed: EllipseList, origin: Origin, x: np.ndarray, ratio: float, served: int) -> tuple[Any, ...]:
    """The members of a list made at x and λ, of the same system as one that served for so many evaluations.

    It holds until a particle has used up half of the skin.
    """
    radii, alpha, unit = listed.radii, listed.alpha, listed.unit
    skin = suitable_skin(listed.skin, served, origin.worth, unit)
    skin = min(skin, max(room(listed, origin, ratio), 0.0))
    first, second, shift, t = near_pairs(x, origin.sides, radii, alpha, ratio, skin, skin * sqrt(alpha))
    made = x.copy(), ratio, skin, radii, alpha, unit, listed.threshold
    ends = first.astype(np.uint32), second.astype(np.uint32)
    return (*made, *ends, shift, t, np.empty(len(t)), np.empty((4, len(t))))


@implements(renewed_list, EllipseList)
def _renewed_list(
    listed: EllipseList, origin: Origin, y: np.ndarray, scale: float, served: int
) -> tuple[EllipseList, Origin, np.ndarray]:
    x, ratio = y[: 3 * len(listed.radii)], scale / listed.unit
    if not (ratio > 0.0 and room(listed, origin, ratio) >= 0.0 and np.isfinite(x).all()):
        return listed, origin, np.empty(0, dtype=np.int64)
    return EllipseList(*renewed(listed, origin, x, ratio, served)), origin, np.arange(len(y))
