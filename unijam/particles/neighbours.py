"""Which particles are near each other in a periodic box: linked cells where they pay, else all pairs.

Distances are between nearest images, |r − L round(r/L)|: valid while a pair's cutoff is at most half the box.
"""

import numpy as np
from numba import njit

from ..arrays import Array
from ..validation import require

MANY = 64  # fewer particles are searched pair by pair


def neighbour_pairs(positions: Array, box_length: float, reaches: Array, skin: float = 0.0) -> np.ndarray:
    """Pairs nearer than the sum of their reaches, in a periodic box.

    Parameters
    ----------
    positions : (n, d) array
        Anywhere: they need not lie inside the box.
    box_length : float
        L.
    reaches : (n,) array
        A pair is listed where its nearest images are closer than reaches[i] + reaches[j] + skin.
    skin : float
        Added to every cutoff; in the units of the box, as all lengths here.

    Returns
    -------
    (m, 2) int64 array
        Pairs i < j in lexicographic order.

    Raises
    ------
    ValueError
        Where the shapes do not fit or a reach is NaN.
    """
    n, d = positions.shape
    half = np.ascontiguousarray(reaches, dtype=np.float64) + 0.5 * skin
    require(half.shape == (n,), "the shape of reaches", half.shape, f"({n},), one for each position")
    require(not np.isnan(half).any(), "reaches", reaches, "numbers, not NaN")
    wrapped = wrap(positions, box_length)
    cells = cells_a_side(n, d, box_length, 2.0 * float(half.max(initial=0.0)))
    room = 16 * n + 64
    while True:
        pairs = np.empty((room, 2), dtype=np.int64)
        if cells:
            padded = np.zeros((n, 3))  # a plane or a line is a box with one layer of cells
            padded[:, :d] = wrapped
            counts = np.ones(3, dtype=np.int64)
            counts[:d] = cells
            found = _search_cells(padded, box_length, half, counts, pairs)
        else:
            found = _search_all(wrapped, box_length, half, pairs)
        if found <= room:
            return pairs[:found]
        room = found  # the search counts on when room is short, so now it is known


def wrap(positions: Array, box_length: float) -> np.ndarray:
    """Positions folded into [0, L): a new contiguous float64 array of the same shape."""
    wrapped = positions - box_length * np.floor(positions / box_length)
    wrapped[(wrapped < 0) | (wrapped >= box_length)] = 0.0  # rounding at the faces
    return np.ascontiguousarray(wrapped, dtype=np.float64)


def cells_a_side(n: int, dimension: int, box_length: float, cutoff: float) -> int:
    """Cells along each side, 0 where all pairs should be tried: fewer than 3, few particles, d > 3."""
    if n < MANY or dimension > 3:
        return 0
    crowded = max(3, int(n ** (1.0 / dimension)))  # more cells than particles only cost time
    cells = crowded if cutoff * crowded <= box_length else int(box_length / cutoff)
    return cells if cells >= 3 else 0


@njit(nogil=True, cache=True)
def folded(index, count):
    """The index of a neighbouring cell, back in [0, count)."""
    return index + count if index < 0 else index - count if index >= count else index


@njit(nogil=True, cache=True, error_model="numpy")
def _sort_row(row):
    """Insertion sort of the second column, in place."""
    for a in range(1, len(row)):
        value = row[a, 1]
        b = a - 1
        while b >= 0 and row[b, 1] > value:
            row[b + 1, 1] = row[b, 1]
            b -= 1
        row[b + 1, 1] = value


@njit(nogil=True, cache=True, error_model="numpy")
def fill_cells(positions, side, counts, start, order, slots):
    """Counting sort of particles by cell: order[start[c]:start[c+1]] are those of cell c = slots[i]."""
    start[:] = 0
    n = len(positions)
    for i in range(n):
        cell = 0
        for axis in range(3):
            along = int(positions[i, axis] / side * counts[axis])
            cell = cell * counts[axis] + min(max(along, 0), counts[axis] - 1)
        slots[i] = cell
        start[cell + 1] += 1
    for cell in range(len(start) - 1):
        start[cell + 1] += start[cell]
    for i in range(n - 1, -1, -1):  # backwards: leaves start[c] + particles, then shifted back below
        cell = slots[i]
        start[cell + 1] -= 1
        order[start[cell + 1]] = i
    # start[c + 1] now holds the first slot of cell c
    for cell in range(len(start) - 1):
        start[cell] = start[cell + 1]
    start[len(start) - 1] = n


@njit(nogil=True, cache=True, error_model="numpy")
def _search_cells(positions, side, half, counts, pairs):
    """All pairs from 3^d cells a particle, at least 3 a side; returns how many there are, fitting or not."""
    n = len(positions)
    cells = counts[0] * counts[1] * counts[2]
    start = np.empty(cells + 1, dtype=np.int64)
    order = np.empty(n, dtype=np.int64)
    slots = np.empty(n, dtype=np.int64)
    fill_cells(positions, side, counts, start, order, slots)
    middle = 0.5 * side
    found = 0
    for i in range(n):
        first = found
        x, y, z, reach = positions[i, 0], positions[i, 1], positions[i, 2], half[i]
        cz = slots[i] % counts[2]
        cy = slots[i] // counts[2] % counts[1]
        cx = slots[i] // (counts[2] * counts[1])
        for ax in range(-1, 2) if counts[0] > 1 else range(0, 1):
            ix = folded(cx + ax, counts[0])
            for ay in range(-1, 2) if counts[1] > 1 else range(0, 1):
                iy = folded(cy + ay, counts[1])
                for az in range(-1, 2) if counts[2] > 1 else range(0, 1):
                    cell = (ix * counts[1] + iy) * counts[2] + folded(cz + az, counts[2])
                    for slot in range(start[cell], start[cell + 1]):
                        j = order[slot]
                        if j <= i:
                            continue
                        dx = abs(positions[j, 0] - x)
                        dy = abs(positions[j, 1] - y)
                        dz = abs(positions[j, 2] - z)
                        dx = side - dx if dx > middle else dx
                        dy = side - dy if dy > middle else dy
                        dz = side - dz if dz > middle else dz
                        cutoff = reach + half[j]
                        if dx * dx + dy * dy + dz * dz < cutoff * cutoff:
                            if found < len(pairs):
                                pairs[found, 0] = i
                                pairs[found, 1] = j
                            found += 1
        if found <= len(pairs):
            _sort_row(pairs[first:found])
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _search_all(positions, side, half, pairs):
    """All pairs by trying all: any dimension, any cutoff; returns how many there are, fitting or not."""
    n, d = positions.shape
    middle = 0.5 * side
    found = 0
    for i in range(n):
        for j in range(i + 1, n):
            q = 0.0
            for axis in range(d):
                along = abs(positions[j, axis] - positions[i, axis])
                along = side - along if along > middle else along
                q += along * along
            cutoff = half[i] + half[j]
            if q < cutoff * cutoff:
                if found < len(pairs):
                    pairs[found, 0] = i
                    pairs[found, 1] = j
                found += 1
    return found
