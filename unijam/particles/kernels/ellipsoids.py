"""Forces of ellipsoids at full speed: near pairs, each with its image and its t*, listed and evaluated when compiled.

U = ½ Σ Δ², Δ = σ (λ/unit − √F). As in the plane (see `ellipses`), two bodies that touch when scaled by √F are at least
(√F − 1)(b_i + b_j) apart, b the shortest half axis; a move δr and a turn by δangle about any axis shorten this distance
by at most |δr| + (a − b)|δangle|, a the longest, since the support function changes by no more.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from ...compiled import loop
from ...compiled.dispatch import due, implements, listed_forces, renewed_list
from ...support.arrays import Array
from .ellipses import Origin
from .neighbours import widths
from .orientations import FAST, to_coordinates, unit
from .pair_list import longest_service, suitable_skin
from .perram_wertheim_3d import contacts, near_pairs
from .spheroids import add_forces, axis_contacts, axis_coordinates

STEEPEST = 1.05  # an angle over its chord, for chords of at most one


class EllipsoidList(NamedTuple):
    """Near pairs with all that an evaluation by them needs; particles keep the user's numbering.

    Attributes
    ----------
    built, built_ratio, skin : (n_dof,) array, float, float
        x, with orientations of norm one, and λ/unit for which the list was made, and how far it reaches beyond contact.
    radii, shape, unit : (n,) array, (3,) array, float
        Radii of the system, half axes of a body of R = 1, and λ.
    threshold : float
        The Δ above which a constraint counts as an overlap.
    first, second, shift, t : (m,), (m,), (3, m) and (m,) arrays
        See `near_pairs`; numbers are unsigned, and each evaluation brings t up to date.
    root, rows, frame : (m,), (9, m) and (n, 9) arrays
        Room for √F, its slopes and the frames.
    """

    built: Array
    built_ratio: float
    skin: float
    radii: Array
    shape: Array
    unit: float
    threshold: float
    first: Array
    second: Array
    shift: Array
    t: Array
    root: Array
    rows: Array
    frame: Array


@loop(fastmath=FAST)
def outdated(
    x: np.ndarray,
    ratio: float,
    built: np.ndarray,
    built_ratio: float,
    skin: float,
    radii: np.ndarray,
    shape: np.ndarray,
) -> int:
    """How many particles have used up half the skin by moving, turning and growing since the list was built.

    x and built are (n_dof,), ratio and built_ratio are λ/unit. A NaN in x counts as too far.
    """
    n, count = len(radii), 0
    o = len(x) // n - 3
    longest = shape.max()
    growth = longest * max(0.0, ratio - built_ratio)
    # an angle of an axis is at most 1.05 times its chord, one of a rotation twice that of its quaternion
    turning = built_ratio * (longest - shape.min()) * STEEPEST * (1.0 if o == 3 else 2.0)
    for i in range(n):
        dx, dy, dz = x[3 * i] - built[3 * i], x[3 * i + 1] - built[3 * i + 1], x[3 * i + 2] - built[3 * i + 2]
        start, square, chord = 3 * n + o * i, 0.0, 0.0
        for k in range(o):
            square += x[start + k] * x[start + k]
        scale = 1.0 / sqrt(square)
        for k in range(o):
            change = scale * x[start + k] - built[start + k]
            chord += change * change
        chord = sqrt(chord)
        moved = sqrt(dx * dx + dy * dy + dz * dz) + radii[i] * (turning * chord + growth)
        count += not (moved <= 0.5 * skin and chord <= 1.0)  # "not ≤" rather than ">": true for NaN too
    return count


@loop(fastmath=FAST)
def forces(listed: EllipsoidList, x: np.ndarray, total: np.ndarray, ratio: float) -> tuple[float, int, float]:
    """Σ Δ², N_Δ and Σ Δ σ over the listed pairs with Δ = σ (ratio − √F) > 0, ratio = λ/unit, at x, (n_dof,).

    total, (n_dof,), is overwritten with ∇ ½ΣΔ². Where the list is outdated, or ratio not positive, Σ Δ² is −1 and
    nothing else is valid.
    """
    radii, shape, first, second = listed.radii, listed.shape, listed.first, listed.second
    root, rows, frame = listed.root, listed.rows, listed.frame
    if not ratio > 0 or outdated(x, ratio, listed.built, listed.built_ratio, listed.skin, radii, shape) > 0:
        return -1.0, 0, 0.0
    n = len(radii)
    pushes = np.zeros((n, 6))
    if len(x) == 6 * n:
        axis_contacts(x, frame, radii, shape, first, second, listed.shift, listed.t, root, rows)
        found = add_forces(first, second, radii, ratio, root, rows, listed.threshold, pushes)
        axis_coordinates(x, n, frame, pushes, total)
        return found
    contacts(x, frame, radii, shape, first, second, listed.shift, listed.t, root, rows)
    squares, count, load = 0.0, 0, 0.0
    for k in range(len(first)):
        if root[k] < ratio:
            i, j = first[k], second[k]
            sigma = radii[i] + radii[j]
            delta = sigma * (ratio - root[k])
            squares += delta * delta
            count += delta > listed.threshold
            load += delta * sigma
            push_pair(pushes, i, j, rows, k, -delta * sigma)
    to_coordinates(x, n, frame, pushes, total)
    return squares, count, load


@loop(inline="always", fastmath=FAST)
def push_pair(pushes: np.ndarray, i: int, j: int, rows: np.ndarray, k: int, weight: float) -> None:
    """Add weight × rows[:, k] to the forces and torques of i and j in pushes, (n, 6)."""
    gx, gy, gz = weight * rows[0, k], weight * rows[1, k], weight * rows[2, k]
    pushes[i, 0] -= gx
    pushes[i, 1] -= gy
    pushes[i, 2] -= gz
    pushes[i, 3] += weight * rows[3, k]
    pushes[i, 4] += weight * rows[4, k]
    pushes[i, 5] += weight * rows[5, k]
    pushes[j, 0] += gx
    pushes[j, 1] += gy
    pushes[j, 2] += gz
    pushes[j, 3] += weight * rows[6, k]
    pushes[j, 4] += weight * rows[7, k]
    pushes[j, 5] += weight * rows[8, k]


@loop(fastmath=FAST)
def push(
    x: np.ndarray,
    frame: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    rows: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Jᵀ w, (n_dof,), of pairs first, second (m,), rows (9, m) and weights (m,), at x with its frames, (n, 9)."""
    total, pushes = np.empty(len(x)), np.zeros((len(frame), 6))
    for k in range(len(first)):
        push_pair(pushes, first[k], second[k], rows, k, weights[k])
    to_coordinates(x, len(frame), frame, pushes, total)
    return total


@loop(fastmath=FAST)
def evaluate(listed: EllipsoidList, x: np.ndarray, ratio: float) -> tuple[float, int, float, np.ndarray]:
    """Σ Δ², N_Δ, Σ Δ σ and ∇ ½ΣΔ², (n_dof,), at x and ratio = λ/unit; Σ Δ² is −1 where the list is outdated."""
    total = np.empty(len(x))
    squares, count, load = forces(listed, x, total, ratio)
    return squares, count, load, total


@implements(listed_forces, EllipsoidList)
def _listed_forces(
    listed: EllipsoidList, y: np.ndarray, gradient: np.ndarray, scale: float
) -> tuple[float, float, int, float]:
    size = len(listed.built)
    squares, count, load = forces(listed, y[:size], gradient[:size], scale / listed.unit)
    return 0.5 * squares, squares, np.int64(count), load / listed.unit  # type: ignore[return-value]  # compiled it is an int


@loop(fastmath=FAST)
def room(listed: EllipsoidList, origin: Origin, ratio: float) -> float:
    """The thickest skin at ratio = λ/unit with which no image of a pair but the nearest is near.

    Negative where the longest axis exceeds half the shortest side: no list can then be made.
    """
    widest: float = 2.0 * ratio * listed.shape.max() * listed.radii.max()
    thickest: float = 0.5 * widths(origin.edges).min() - widest
    return thickest


@loop(fastmath=FAST)
def renewed(
    listed: EllipsoidList, origin: Origin, x: np.ndarray, ratio: float, served: int
) -> tuple[Any, ...]:
    """The fields of an `EllipsoidList` made anew at x, (n_dof,), and ratio = λ/unit, for the system of `listed`.

    `served` is the number of evaluations that `listed` served: the new skin follows from it.
    """
    radii, shape, unit_length = listed.radii, listed.shape, listed.unit
    skin = suitable_skin(listed.skin, served, origin.worth, unit_length)
    skin = min(skin, max(room(listed, origin, ratio), 0.0))
    # Closer than the skin means (√F − ratio)(b_i + b_j) < skin, where b_i + b_j = σ × the shortest half axis.
    first, second, shift, t = near_pairs(x, origin.edges, radii, shape, ratio, skin, skin / shape.min())
    made = unit(x, len(radii)), ratio, skin, radii, shape, unit_length, listed.threshold
    ends = first.astype(np.uint32), second.astype(np.uint32)
    return (*made, *ends, shift, t, np.empty(len(t)), np.empty((9, len(t))), np.empty((len(radii), 9)))


@implements(renewed_list, EllipsoidList)
def _renewed_list(
    listed: EllipsoidList, origin: Origin, y: np.ndarray, scale: float, served: int
) -> tuple[EllipsoidList, Origin, np.ndarray]:
    x, ratio = y[: len(listed.built)], scale / listed.unit
    if not (ratio > 0.0 and room(listed, origin, ratio) >= 0.0 and np.isfinite(x).all()):
        return listed, origin, np.empty(0, dtype=np.int64)  # an empty order says that no list can be made
    return EllipsoidList(*renewed(listed, origin, x, ratio, served)), origin, np.arange(len(y))


@loop(fastmath=FAST)
def in_coordinates(first: np.ndarray, second: np.ndarray, rows: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Slopes in (r, orientation of i, of j), (m, 3 + 2o), of rows (9, m) and turn, (n, 3, o), as `turns` makes it."""
    o = turn.shape[2]
    out = np.zeros((len(first), 3 + 2 * o))
    for k in range(len(first)):
        for axis in range(3):
            out[k, axis] = rows[axis, k]
            for c in range(o):
                out[k, 3 + c] += turn[first[k], axis, c] * rows[3 + axis, k]
                out[k, 3 + o + c] += turn[second[k], axis, c] * rows[6 + axis, k]
    return out


@loop(fastmath=FAST)
def bends_in_coordinates(
    first: np.ndarray,
    second: np.ndarray,
    blocks: np.ndarray,
    slopes: np.ndarray,
    weights: np.ndarray,
    turn: np.ndarray,
    x: np.ndarray,
) -> np.ndarray:
    """Second derivatives in (r, orientations), (m, 3 + 2o, 3 + 2o): Tᵀ blocks T − (s gᵀ + g sᵀ), see `orientations`.

    Parameters
    ----------
    first, second : (m,) arrays
    blocks : (m, 9, 9) array
        In (r, turns of i, turns of j), weighted.
    slopes, weights : (m, 3 + 2o) and (m,) arrays
        First derivatives, as `in_coordinates` gives them, and their weights.
    turn, x : (n, 3, o) and (n_dof,) arrays
    """
    n, o = turn.shape[0], turn.shape[2]
    width = 3 + 2 * o
    out, half, s = np.empty((len(first), width, width)), np.empty((width, 9)), np.empty(o)
    for k in range(len(first)):
        i, j = first[k], second[k]
        for column in range(9):
            for axis in range(3):
                half[axis, column] = blocks[k, axis, column]
            for c in range(o):
                of_i, of_j = 0.0, 0.0
                for axis in range(3):
                    of_i += turn[i, axis, c] * blocks[k, 3 + axis, column]
                    of_j += turn[j, axis, c] * blocks[k, 6 + axis, column]
                half[3 + c, column], half[3 + o + c, column] = of_i, of_j
        for row in range(width):
            for axis in range(3):
                out[k, row, axis] = half[row, axis]
            for c in range(o):
                of_i, of_j = 0.0, 0.0
                for axis in range(3):
                    of_i += turn[i, axis, c] * half[row, 3 + axis]
                    of_j += turn[j, axis, c] * half[row, 6 + axis]
                out[k, row, 3 + c], out[k, row, 3 + o + c] = of_i, of_j
        for end in range(2):
            start, body = 3 + o * end, j if end else i
            square = 0.0
            for c in range(o):
                s[c] = x[3 * n + o * body + c]
                square += s[c] * s[c]
            for c in range(o):
                s[c] *= weights[k] / square
            for row in range(o):
                for c in range(o):
                    twist = s[row] * slopes[k, start + c] + slopes[k, start + row] * s[c]
                    out[k, start + row, start + c] -= twist
    return out


@loop
def assemble(
    first: np.ndarray, second: np.ndarray, blocks: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symmetric csc matrix (data, indices, indptr), the sum of blocks in (r, orientation of i, of j).

    Rows and columns are 3n coordinates, then o n of orientations. Pairs i < j must come in lexicographic order: then
    the partners of a particle do too, and indices are sorted. The diagonal is always stored, so that a shift of it
    needs no new entries.

    Parameters
    ----------
    first, second : (m,) integer arrays
    blocks : (m, 3 + 2o, 3 + 2o) array
        Symmetric, with r = r_j − r_i.
    n : int
        The number of particles.
    """
    o = (blocks.shape[1] - 3) // 2
    # partners of smaller and of larger index than a particle
    below, above = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for k in range(len(first)):
        above[first[k]] += 1
        below[second[k]] += 1
    partners = below + 1 + above  # itself included
    size = (3 + o) * n
    indptr = np.zeros(size + 1, dtype=np.int32)
    for e in range(n):
        for v in range(3):
            indptr[3 * e + v + 1] = (3 + o) * partners[e]
        for v in range(o):
            indptr[3 * n + o * e + v + 1] = (3 + o) * partners[e]
    for column in range(size):
        indptr[column + 1] += indptr[column]
    data, indices = np.zeros(indptr[size]), np.empty(indptr[size], dtype=np.int32)
    next_below, next_above = np.zeros(n, dtype=np.int64), below + 1
    for k in range(-n, len(first)):  # first every particle with itself
        i, j = (first[k], second[k]) if k >= 0 else (np.int64(k + n), np.int64(k + n))
        for end in range(4 if k >= 0 else 1):  # the columns of i or j, the rows of i or j
            right, down = end // 2, end % 2
            q, p = (j if right else i), (j if down else i)
            place = below[q] if p == q else next_below[q] if right else next_above[q]
            high, low = 3 * place, 3 * partners[q] + o * place
            for v in range(3 + o):
                start = indptr[3 * q + v] if v < 3 else indptr[3 * n + o * q + v - 3]
                for u in range(3):
                    indices[start + high + u] = 3 * p + u
                for u in range(o):
                    indices[start + low + u] = 3 * n + o * p + u
                if k >= 0:
                    column = v if v < 3 else v + o * right
                    sign = -1.0 if v < 3 and not right else 1.0
                    both = sign if down else -sign
                    for u in range(3):
                        data[start + high + u] += both * blocks[k, u, column]
                    for u in range(o):
                        data[start + low + u] += sign * blocks[k, 3 + o * down + u, column]
        if k >= 0:
            next_above[i] += 1
            next_below[j] += 1
    return data, indices, indptr


@implements(due, EllipsoidList)
def _due(listed: EllipsoidList, origin: Origin) -> int:
    return longest_service(listed.skin, origin.worth, listed.unit)
