"""A list of near pairs for vector registers of WIDTH numbers.

Particles stand in groups of WIDTH. Each entry of the list holds one partner for every member of a group. Each pair is
listed both ways, so that a sweep writes only the forces of its own group. Particles are renumbered by cells, and
within blocks by their number of partners, so that the members of a group have about equally many. Members that have
fewer are filled up with pairs whose diameter is zero and whose force therefore vanishes.

A pair is plain where r_i − r_j needs no folding to the nearest image as long as the list serves. Other pairs, which
meet across a face of the box, are folded.
"""

from math import sqrt

import numpy as np

from ...compiled import inline, loop
from ...compiled.simd import LANE, WIDTH
from .neighbours import FOLDED, grid, into_cells, search

# Particles are sorted by their number of partners within blocks of this many: larger blocks fill groups better, smaller
# blocks keep neighbours near each other in memory (512 discs are 8 kB, a quarter of the first cache).
BLOCK = 512
# How far a list may reach beyond contact, in mean diameters. At 0.65 it covers 1.65² = 2.7 times the area of contact,
# and each evaluation pays for that. The lower bound keeps a start with long steps from thinning the skin without end.
NEVER = 2**62  # evaluations
LARGEST_SKIN, LEAST_SKIN = 0.65, 0.02

Workspace = tuple[np.ndarray, np.ndarray, np.ndarray]  # floats, integers and pairs


def workspace(n: int) -> Workspace:
    """Arrays that `list_pairs` of n particles works in; reuse them, since fresh memory costs a third of its time."""
    return np.empty(7 * n + 4 * WIDTH), np.empty(6 * n, dtype=np.int64), np.empty(8 * n + 64, dtype=np.int64)


@loop
def list_pairs(
    x: np.ndarray, edges: np.ndarray, radii: np.ndarray, factor: float, skin: float, room: Workspace
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, Workspace]:
    """The list of all pairs nearer than factor (R_i + R_j) + skin, of n ≥ WIDTH particles.

    No such cutoff may exceed a width of the box, or half of it if the box is tilted (see `spare`).

    Parameters
    ----------
    x : (n d,) array
        Positions in two or three dimensions, anywhere.
    edges, radii : (d, d) and (n,) arrays
        Edges of the box, and radii of the particles.
    factor, skin : float
        λ over the λ that belongs to `radii`, and how far the list reaches beyond contact.
    room : tuple
        A `workspace`, or the one that the last call returned.

    Returns
    -------
    places, back : (n d,) int64 arrays
        For each entry of x in the list's numbering its place in the user's x, and the inverse.
    home : (n d + 1,) array
        x in the list's numbering, then zero.
    counts : (groups, 2) int64 array
        Plain and folded partners that each member of a group has room for. The last group holds the last WIDTH
        particles.
    partner, sums : (entries,) uint32 and float arrays
        The partner, in the list's numbering, and R_i + R_j (at `factor` one) of each entry.
    room : tuple
        For the next call.
    """
    n, d = len(radii), len(edges)
    reaches = factor * radii + 0.5 * skin
    box, cells, fold = grid(edges, reaches)
    floats, integers, pairs = room
    points, near = floats[: 3 * n].reshape(n, 3), floats[3 * n : 7 * n + 4 * WIDTH].reshape(4, n + WIDTH)
    sorted_by_cell, new, order, key = (
        integers[:n],
        integers[n : 2 * n],
        integers[2 * n : 3 * n],
        integers[3 * n : 4 * n],
    )
    partners = integers[4 * n :].reshape(n, 2)
    start = into_cells(x, box, cells, reaches, points, near, sorted_by_cell, key)
    pairs, found = search(near, box, cells, fold, start, pairs)
    _mark(x, edges, skin, sorted_by_cell, pairs[:found], points.reshape(3, n), partners)
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
    edges: np.ndarray,
    skin: float,
    sorted_by_cell: np.ndarray,
    pairs: np.ndarray,
    spread: np.ndarray,
    partners: np.ndarray,
) -> None:
    """Fill partners, (n, 2), with the numbers of plain and folded partners of each particle; mark folded pairs.

    Particles are in the order of cells. A mark is the bit FOLDED of an entry of pairs. spread, (3, n), is overwritten.
    """
    n, d, most = len(sorted_by_cell), len(edges), np.full(3, np.inf)
    # Plain where |r_i − r_j| ≤ ½ side − skin along each axis: while the list serves, this changes by at most the skin,
    # so the nearest image stays the same, by whatever edges the box is tilted.
    for axis in range(d):
        most[axis] = 0.5 * edges[axis, axis] - skin
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
    """Number the particles anew, by a counting sort by partners within each block.

    Fills order, (n,), with the particle of each new number, and new, (n,), with the number of each particle in the
    order of cells.
    """
    # 256 classes, and two more since counts are shifted by one
    n, first = len(sorted_by_cell), np.empty(258, dtype=np.int64)
    for s in range(n):
        # 8 × 32 = 256 classes: mostly fewer than 8 folded and fewer than 32 plain partners; more share the last class
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
    """counts, partner and sums of `list_pairs`; an entry without a pair keeps partner 0 and the sum 0.

    size, of at least n floats, is overwritten.
    """
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
    places = partners  # reused: the place where the next partner of each particle goes
    for s in range(n):
        group = new[s] // WIDTH
        # the last group begins at n − WIDTH, so that it is full
        lane = LANE[new[s] - min(WIDTH * group, n - WIDTH)]
        places[s, 0], places[s, 1] = begins[group, 0] + lane, begins[group, 1] + lane
    partner, sums = np.zeros(entries, dtype=np.uint32), np.zeros(entries)
    for e in range(len(pairs)):
        s, t, kind = pairs[e] >> 32, pairs[e] & (FOLDED - 1), pairs[e] // FOLDED & 1  # kind 1: folded
        here, there, both = places[s, kind], places[t, kind], size[s] + size[t]
        partner[here], partner[there] = new[t], new[s]
        sums[here], sums[there] = both, both
        places[s, kind], places[t, kind] = here + WIDTH, there + WIDTH
    return counts, partner, sums


@inline
def suitable_skin(skin: float, served: int, worth: float, unit: float) -> float:
    """The skin of the next list, given that a list of thickness `skin` served for `served` evaluations.

    A thicker skin is renewed less often, but costs more in each evaluation. The sum of both costs is least where skin ×
    served evaluations has the value `worth`, which is measured. `unit` is the mean diameter.
    """
    # The number of evaluations that a list serves is taken as proportional to its skin, hence the square root.
    best = sqrt(worth * skin / max(served, 1))
    best = min(max(best, 0.7 * skin), 1.4 * skin)  # so that one unusual list does not set the next
    return min(max(best, LEAST_SKIN * unit), LARGEST_SKIN * unit)


@inline
def longest_service(skin: float, worth: float, unit: float) -> int:
    """The number of evaluations after which the best skin is less than half of a list's own.

    Late in a run particles hardly move, and a thick list would serve for ever. Parameters as in `suitable_skin`.
    """
    return int(4.0 * worth / skin) if skin > 1.01 * LEAST_SKIN * unit else NEVER
