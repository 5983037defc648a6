"""Forces of ellipses at full speed: near pairs, each with its image and its t*, listed and evaluated in compiled code.

U = ½ Σ Δ², Δ = σ (λ/unit − √F). Two ellipses that touch when scaled by √F are at least (√F − 1)(b_i + b_j) apart, and
a move δr and a turn δangle of either shorten this distance by at most |δr| + (a − b)|δangle|. So a list by √F is
complete and holds hardly more than the contacts: a skin of 0.1 adds 4 % of pairs.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from ...compiled import loop
from ...compiled.dispatch import due, implements, listed_forces, renewed_list
from ...support.arrays import Array
from .neighbours import widths
from .pair_list import longest_service, suitable_skin
from .perram_wertheim import FAST, contacts, near_pairs, push_pair


class EllipseList(NamedTuple):
    """Near pairs with all that an evaluation by them needs; particles keep the user's numbering.

    Attributes
    ----------
    built, built_ratio, skin : (3n,) array, float, float
        x and λ/unit for which the list was made, and how far it reaches beyond contact.
    radii, alpha, unit : (n,) array, float, float
        Radii and aspect ratio of the system, and its λ.
    threshold : float
        The Δ above which a constraint counts as an overlap.
    first, second, shift, t : (m,), (m,), (2, m) and (m,) arrays
        See `near_pairs`. Particle numbers are unsigned, which saves a tenth of the time of a pass. Each evaluation
        brings t up to date.
    root, rows : (m,) and (4, m) arrays
        Room for √F and its slopes.
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
    """The data that making a list needs and evaluating by it does not.

    Attributes
    ----------
    places, back : (3n,) arrays
        0, 1, 2, …: a list of ellipses keeps the user's numbering.
    edges : (d, d) array
        Edges of the box, one a row, lower triangular.
    worth : float
        Skin × number of evaluations for which sweeps and renewals together cost least (see `suitable_skin`).
    """

    places: Array
    back: Array
    edges: Array
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
    """How many particles have used up half the skin by moving, turning and growing since the list was built.

    x and built are (3n,), ratio and built_ratio are λ/unit, radii are (n,). A NaN in x counts as too far.
    """
    n, count, wide, thin = len(radii), 0, sqrt(alpha), 1.0 / sqrt(alpha)
    turning, growth = built_ratio * (wide - thin), wide * max(0.0, ratio - built_ratio)
    for i in range(n):
        dx, dy, turn = (
            x[2 * i] - built[2 * i],
            x[2 * i + 1] - built[2 * i + 1],
            x[2 * n + i] - built[2 * n + i],
        )
        moved = sqrt(dx * dx + dy * dy) + radii[i] * (turning * abs(turn) + growth)
        count += not moved <= 0.5 * skin  # "not ≤" rather than ">": true for NaN too
    return count


@loop(fastmath=FAST)
def forces(listed: EllipseList, x: np.ndarray, total: np.ndarray, ratio: float) -> tuple[float, int, float]:
    """Σ Δ², N_Δ and Σ Δ σ over the listed pairs with Δ = σ (ratio − √F) > 0, ratio = λ/unit, at x, (3n,).

    total, (3n,), is overwritten with ∇ ½ΣΔ². Where the list is outdated, or ratio not positive, Σ Δ² is −1 and
    nothing else is valid.
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
    """Σ Δ², N_Δ, Σ Δ σ and ∇ ½ΣΔ², (3n,), at x, (3n,), and ratio = λ/unit; Σ Δ² is −1 where the list is outdated."""
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
    """The thickest skin at ratio = λ/unit with which no image of a pair but the nearest is near.

    Negative where the longest axis exceeds half the shortest side: no list can then be made.
    """
    thickest: float = 0.5 * widths(origin.edges).min() - 2.0 * ratio * sqrt(listed.alpha) * listed.radii.max()
    return thickest


@loop(fastmath=FAST)
def renewed(listed: EllipseList, origin: Origin, x: np.ndarray, ratio: float, served: int) -> tuple[Any, ...]:
    """The fields of an `EllipseList` made anew at x, (3n,), and ratio = λ/unit, for the system of `listed`.

    `served` is the number of evaluations that `listed` served: the new skin follows from it.
    """
    radii, alpha, unit = listed.radii, listed.alpha, listed.unit
    skin = suitable_skin(listed.skin, served, origin.worth, unit)
    skin = min(skin, max(room(listed, origin, ratio), 0.0))
    # Closer than the skin means (√F − ratio)(b_i + b_j) < skin, where b_i + b_j = σ/√α: hence the reach skin × √α.
    first, second, shift, t = near_pairs(x, origin.edges, radii, alpha, ratio, skin, skin * sqrt(alpha))
    made = x.copy(), ratio, skin, radii, alpha, unit, listed.threshold
    ends = first.astype(np.uint32), second.astype(np.uint32)
    return (*made, *ends, shift, t, np.empty(len(t)), np.empty((4, len(t))))


@implements(renewed_list, EllipseList)
def _renewed_list(
    listed: EllipseList, origin: Origin, y: np.ndarray, scale: float, served: int
) -> tuple[EllipseList, Origin, np.ndarray]:
    x, ratio = y[: 3 * len(listed.radii)], scale / listed.unit
    if not (ratio > 0.0 and room(listed, origin, ratio) >= 0.0 and np.isfinite(x).all()):
        return listed, origin, np.empty(0, dtype=np.int64)  # an empty order says that no list can be made
    return EllipseList(*renewed(listed, origin, x, ratio, served)), origin, np.arange(len(y))


@implements(due, EllipseList)
def _due(listed: EllipseList, origin: Origin) -> int:
    return longest_service(listed.skin, origin.worth, listed.unit)
