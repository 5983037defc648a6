"""A list of near pairs for vector registers: particles in groups, and for each its partners, one for each at a time.

Each pair is listed both ways, so that no particle pushes another. Particles are renumbered by cells, and in blocks by
their number of partners, so that the members of a group have about as many; what is missing is filled up with pairs
of no size. Pairs whose nearest images lie, and will lie while the list serves, as far apart as their coordinates say
are plain; the others are folded.
"""

from math import sqrt

import numpy as np

from ...compiled import inline, loop
from ...compiled.simd import LANE, WIDTH
from .neighbours import FOLDED, grid, into_cells, search

# Particles are sorted by their number of partners within blocks of so many: larger blocks fill groups better, smaller
# ones keep neighbours near each other in memory (512 discs are 8 kB, a quarter of the first cache).
BLOCK = 512
# How far a list may reach beyond contact, in mean diameters. At 0.65 it covers 1.65² = 2.7 times the area of contact,
# and each evaluation pays for that; the least keeps a start with long steps from making it thinner without end.
LARGEST_SKIN, LEAST_SKIN = 0.65, 0.02

Workspace = tuple[np.ndarray, np.ndarray, np.ndarray]  # floats, integers and pairs


def workspace(n: int) -> Workspace:
    """Room for `list_pairs` of n particles, to be used again: fresh memory costs a third of its time."""
    return np.empty(7 * n + 4 * WIDTH), np.empty(6 * n, dtype=np.int64), np.empty(8 * n + 64, dtype=np.int64)


@loop
def list_pairs(
    x: np.ndarray, sides: np.ndarray, radii: np.ndarray, factor: float, skin: float, room: Workspace
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, Workspace]:
    """The list of all pairs of n ≥ WIDTH particles, nearer than factor (R_i + R_j) + skin, which may not exceed a side.

    Parameters
    ----------
    x : (n d,) array
        Positions in two or three dimensions, anywhere.
    sides, radii : (d,) and (n,) arrays
        Of the box and the particles.
    factor, skin : float
    room : tuple
        A `workspace`.

    Returns
    -------
    places, back : (n d,) int64 arrays
        The user's number of each entry of x in the list, and the inverse.
    home : (n d + 1,) array
        x in the list's numbering, then zero.
    counts : (groups, 2) int64 array
        Of entries / WIDTH of each group, plain and folded; the last group is of the last WIDTH particles.
    partner, sums : (entries,) uint32 and float arrays
        Partner and sum of radii, at `factor` one.
    room : tuple
        For the next time.
    """
    n, d = len(radii), len(sides)
    reaches = factor * radii + 0.5 * skin
    wide, cells, fold = grid(sides, reaches)
    floats, integers, pairs = room
    points, near = floats[: 3 * n].reshape(n, 3), floats[3 * n : 7 * n + 4 * WIDTH].reshape(4, n + WIDTH)
    sorted_by_cell, new, order, key = (
        integers[:n],
        integers[n : 2 * n],
        integers[2 * n : 3 * n],
        integers[3 * n : 4 * n],
    )
    partners = integers[4 * n :].reshape(n, 2)
    start = into_cells(x, wide, cells, reaches, points, near, sorted_by_cell, key)
    pairs, found = search(near, wide, cells, fold, start, pairs)
    _mark(x, sides, skin, sorted_by_cell, pairs[:found], points.reshape(3, n), partners)
    _number(sorted_by_cell, partners, key, order, new)
    home, places, back = np.zeros(n * d + 1), np.empty(n * d, dtype=np.int64), np.empty(n * d, dtype=np.int64)
    for i in range(n):
        for axis in range(d):
            k = order[i] * d + axis
            home[i * d + axis], places[i * d + axis], back[k] = x[k], k, i * d + axis
    counts, partner, sums = _entries(sorted_by_cell, radii, new, pairs[:found], partners, floats)
    return places, back, home, counts, partner, sums, (floats, integers, pairs)


@loop
def _mark(
    x: np.ndarray,
    sides: np.ndarray,
    skin: float,
    sorted_by_cell: np.ndarray,
    pairs: np.ndarray,
    spread: np.ndarray,
    partners: np.ndarray,
) -> None:
    """Partners of each, as sorted, (n, 2): plain and folded; pairs of the latter are marked."""
    n, d, most = len(sorted_by_cell), len(sides), np.full(3, np.inf)
    most[:d] = 0.5 * sides - skin
    spread[d:] = 0.0
    for axis in range(d):
        for s in range(n):
            spread[axis, s] = x[sorted_by_cell[s] * d + axis]
    partners[:] = 0
    xs, ys, zs = spread
    for e in range(len(pairs)):
        s, t = pairs[e] >> 32, pairs[e] & (FOLDED - 1)
        plain = np.abs(xs[t] - xs[s]) <= most[0]
        plain &= np.abs(ys[t] - ys[s]) <= most[1]
        plain &= np.abs(zs[t] - zs[s]) <= most[2]
        folded = 1 - plain
        pairs[e] += FOLDED * folded
        partners[s, folded] += 1
        partners[t, folded] += 1


@loop
def _number(
    sorted_by_cell: np.ndarray, partners: np.ndarray, key: np.ndarray, order: np.ndarray, new: np.ndarray
) -> None:
    """In each block a counting sort by partners: the particle of each number, and the number of each as sorted."""
    # 256 classes, and two more since counts are shifted by one
    n, first = len(sorted_by_cell), np.empty(258, dtype=np.int64)
    for s in range(n):
        # 8 × 32 = 256 classes: folded partners are few (0 … 7), plain ones below 32; more share the last class
        key[s] = 32 * min(partners[s, 1], 7) + min(partners[s, 0], 31)
    for low in range(0, n, BLOCK):
        high = min(n, low + BLOCK)
        first[:] = 0
        for s in range(low, high):
            first[key[s] + 1] += 1
        for k in range(256):
            first[k + 1] += first[k]
        for s in range(low, high):
            i = low + first[key[s]]
            first[key[s]] += 1
            order[i], new[s] = sorted_by_cell[s], i


@loop
def _entries(
    sorted_by_cell: np.ndarray,
    radii: np.ndarray,
    new: np.ndarray,
    pairs: np.ndarray,
    partners: np.ndarray,
    size: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries of each group, and their partners and sums of radii, where there is no pair of no size."""
    n, groups = len(new), (len(new) + WIDTH - 1) // WIDTH
    counts, begins = np.zeros((groups, 2), dtype=np.int64), np.empty((groups, 2), dtype=np.int64)
    for s in range(n):
        size[s] = radii[sorted_by_cell[s]]
        for kind in range(2):
            counts[new[s] // WIDTH, kind] = max(counts[new[s] // WIDTH, kind], partners[s, kind])
    entries = 0
    for group in range(groups):
        for kind in range(2):
            begins[group, kind] = entries
            entries += WIDTH * counts[group, kind]
    places = partners  # from now on where the next partner of each goes
    for s in range(n):
        group = new[s] // WIDTH
        lane = LANE[new[s] - min(WIDTH * group, n - WIDTH)]
        places[s, 0], places[s, 1] = begins[group, 0] + lane, begins[group, 1] + lane
    partner, sums = np.zeros(entries, dtype=np.uint32), np.zeros(entries)
    for e in range(len(pairs)):
        s, t, kind = pairs[e] >> 32, pairs[e] & (FOLDED - 1), pairs[e] // FOLDED & 1
        here, there, both = places[s, kind], places[t, kind], size[s] + size[t]
        partner[here], partner[there] = new[t], new[s]
        sums[here], sums[there] = both, both
        places[s, kind], places[t, kind] = here + WIDTH, there + WIDTH
    return counts, partner, sums


@inline
def suitable_skin(skin: float, served: int, worth: float, unit: float) -> float:
    """The skin of the next list, given that a list of thickness `skin` served for so many evaluations.

    A list serves for a time that grows with its skin, and costs in each evaluation in proportion to it; `worth` is the
    product of both at the best skin, measured. Steps of at most 1.4 keep one unusual list from setting the next.
    """
    best = sqrt(worth * skin / max(served, 1))
    best = min(max(best, 0.7 * skin), 1.4 * skin)
    return min(max(best, LEAST_SKIN * unit), LARGEST_SKIN * unit)
