"""Which particles are near each other in a periodic box: linked cells where they pay, else all pairs.

Distances are between nearest images, |r − L round(r/L)| along each axis.
"""

from typing import Any

import numpy as np
from numba import njit

from ..arrays import Array
from ..validation import require

MANY = 64  # fewer particles are searched pair by pair


def neighbour_pairs(positions: Array, box_length: Any, reaches: Array, skin: float = 0.0) -> np.ndarray:
    """Pairs nearer than the sum of their reaches, in a periodic box.

    Parameters
    ----------
    positions : (n, d) array
        Anywhere: they need not lie inside the box.
    box_length : float or (d,) array
        L, or the side along each axis.
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
    shape = np.shape(box_length)
    require(shape in ((), (d,)), "the shape of box_length", shape, f"() or ({d},), one for each axis")
    sides, counts = np.full(d, box_length, dtype=np.float64), np.ones(3, dtype=np.int64)
    wrapped = wrap(np.require(positions, np.float64, ["C", "W"]), sides)
    cells = n >= MANY and d <= 3 and cells_a_side(n, sides, 2.0 * float(half.max()), counts)
    padded, wide = np.zeros((n, 3)), np.ones(3)  # a plane or a line is a box with one layer of cells
    if cells:
        padded[:, :d], wide[:d] = wrapped, sides
    room = 16 * n + 64
    while True:
        pairs = np.empty((room, 2), dtype=np.int64)
        if cells:
            found = _search_cells(padded, wide, half, counts, pairs)
        else:
            found = _search_all(wrapped, sides, half, pairs)
        if found <= room:
            return pairs[:found]
        room = found  # the search counts on when room is short, so now it is known


@njit(nogil=True, cache=True, error_model="numpy")
def wrap(positions, sides):
    """Positions folded into [0, L) along each axis: a new array of the same shape."""
    wrapped = np.empty_like(positions)
    for i in range(len(positions)):
        for axis in range(len(sides)):
            side, at = sides[axis], positions[i, axis]
            at -= side * np.floor(at / side)
            wrapped[i, axis] = at if 0.0 <= at < side else 0.0  # rounding at the faces
    return wrapped


@njit(nogil=True, cache=True, error_model="numpy")
def crowded(n, sides):
    """Cells along each side, (d,) of floats, if n particles had one each: more only cost time."""
    d = len(sides)
    cells, settled = np.ones(d), np.zeros(d, dtype=np.bool_)
    for _ in range(d):
        shortest, volume, free = np.inf, 1.0, 0
        for axis in range(d):
            if not settled[axis]:
                shortest = min(shortest, sides[axis])
                free += 1
        for axis in range(d):
            volume *= 1.0 if settled[axis] else sides[axis] / shortest
        along = (n / volume) ** (1.0 / free)  # the shortest side
        if along >= 1.0:
            for axis in range(d):
                if not settled[axis]:
                    cells[axis] = along * (sides[axis] / shortest)
            break
        for axis in range(d):  # thinner than a cell: the others share out the particles
            settled[axis] = settled[axis] or along * (sides[axis] / shortest) < 1.0
    return cells


@njit(nogil=True, cache=True, error_model="numpy")
def cells_a_side(n, sides, cutoff, counts):
    """Fill counts with the cells along each side; whether there are at least 3, so that cells pay."""
    many = crowded(n, sides)
    for axis in range(len(sides)):
        most = max(3.0, many[axis])
        counts[axis] = int(most if cutoff * most <= sides[axis] else sides[axis] / cutoff)
        if counts[axis] < 3:
            return False
    return True


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
def fill_cells(positions, sides, counts, start, order, slots):
    """Counting sort of particles by cell: order[start[c]:start[c+1]] are those of cell c = slots[i]."""
    start[:] = 0
    n = len(positions)
    (wide, high, deep), (nx, ny, nz) = sides, counts
    for i in range(n):
        x = min(max(int(positions[i, 0] / wide * nx), 0), nx - 1)
        y = min(max(int(positions[i, 1] / high * ny), 0), ny - 1)
        z = min(max(int(positions[i, 2] / deep * nz), 0), nz - 1)
        cell = (x * ny + y) * nz + z
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
def _search_cells(positions, sides, half, counts, pairs):
    """All pairs from 3^d cells a particle, at least 3 a side; returns how many there are, fitting or not."""
    wide, high, deep = sides
    n = len(positions)
    cells = counts[0] * counts[1] * counts[2]
    start = np.empty(cells + 1, dtype=np.int64)
    order = np.empty(n, dtype=np.int64)
    slots = np.empty(n, dtype=np.int64)
    fill_cells(positions, sides, counts, start, order, slots)
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
                        dx = wide - dx if dx > 0.5 * wide else dx
                        dy = high - dy if dy > 0.5 * high else dy
                        dz = deep - dz if dz > 0.5 * deep else dz
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
def _search_all(positions, sides, half, pairs):
    """All pairs by trying all: any dimension, any cutoff; returns how many there are, fitting or not."""
    n, d = positions.shape
    found = 0
    for i in range(n):
        for j in range(i + 1, n):
            q = 0.0
            for axis in range(d):
                along = abs(positions[j, axis] - positions[i, axis])
                along = sides[axis] - along if along > 0.5 * sides[axis] else along
                q += along * along
            cutoff = half[i] + half[j]
            if q < cutoff * cutoff:
                if found < len(pairs):
                    pairs[found, 0] = i
                    pairs[found, 1] = j
                found += 1
    return found
