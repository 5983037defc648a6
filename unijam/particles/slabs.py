"""A neighbour list for vector registers: blocks of particles, and in each block one slab a neighbour.

Particles are renumbered by cells, and in blocks of `BLOCK` by their number of neighbours, descending. Slab k
of a block holds the k-th neighbour of every particle of the block that has one, so that a loop over a slab
runs over consecutive particles without padding. Images across the faces of the box are copies, "ghosts": no
distance is folded. Each pair is listed both ways: twice the arithmetic, but nothing is scattered.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..arrays import Array
from .neighbours import fill_cells

BLOCK = 512  # compiled into disc_kernel too: whoever changes it must empty __pycache__


@dataclass(frozen=True, eq=False)
class Slabs:
    """The list of all pairs, images counted apart, nearer than the sum of their reaches; d = 2 or 3.

    Attributes
    ----------
    order : (n,) uint32 array
        The user's number of each particle of the list.
    offset, home : (d, n) arrays
        Whole sides taken off the positions, and what remained when the list was made.
    source, shift : (g,) uint32 and (d, g) arrays
        The particle and the translation of each ghost; ghosts are numbered n, n + 1, ….
    partner, sums : (entries,) uint32 and float arrays
        Neighbour and sum of radii of each entry.
    filled : (blocks, k) int64 array
        How many particles each slab serves: the first of its block; zero ends a block.
    """

    order: Array
    offset: Array
    home: Array
    source: Array
    shift: Array
    partner: Array
    sums: Array
    filled: Array


def build_slabs(positions: Array, side: float, radii: Array, reaches: Array) -> Slabs:
    """The list at positions (n, d), wherever they are, in a box of which no cutoff exceeds the side."""
    n, d = positions.shape
    width = 2.0 * float(reaches.max())
    offset = side * np.floor(positions / side)
    home = positions - offset
    source, shift = _images(home, side, width)
    total = len(source)
    points = np.zeros((total, 3))  # from the corner of the layer of ghosts; a plane has one layer of cells
    points[:n, 3 - d :] = home
    points[n:, 3 - d :] = home[source[n:]] + shift
    points[:, 3 - d :] += width
    wide = side + 2.0 * width
    counts = np.ones(3, dtype=np.int64)
    counts[3 - d :] = max(1, min(int(wide / width), 2 + int(n ** (1.0 / d))))
    first = np.zeros(counts.prod() + 1, dtype=np.int64)
    sorted_by_cell, cell_of = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    fill_cells(points, wide, counts, first, sorted_by_cell, cell_of)
    row, entries = _rows(points, reaches, source, sorted_by_cell, cell_of, counts, first)
    order, filled, partner, sums, home_of_ghost = _renumber(sorted_by_cell, row, entries, source, radii)
    return Slabs(
        order=order,
        offset=np.ascontiguousarray(offset[order].T),
        home=np.ascontiguousarray(home[order].T),
        source=home_of_ghost,
        shift=np.ascontiguousarray(shift.T),
        partner=partner,
        sums=sums,
        filled=filled,
    )


def _images(home: Array, side: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Sources of all particles, then of their g images within `width` of the box; shifts (g, d) of these."""
    n, d = home.shape
    source, shift = np.arange(n), np.zeros((n, d))
    for axis in range(d):  # images of images fill the edges and corners
        along = home[source, axis]
        copies = np.concatenate([np.flatnonzero(along < width), np.flatnonzero(along >= side - width)])
        moved = shift[copies]
        lower = int((along < width).sum())
        moved[:lower, axis] += side
        moved[lower:, axis] -= side
        source, shift = np.concatenate([source, source[copies]]), np.concatenate([shift, moved])
    return source, shift[n:]


@njit(nogil=True, cache=True, error_model="numpy")
def _rows(points, reaches, source, sorted_by_cell, cell_of, counts, first):
    """Neighbours of each particle that is no ghost, cell by cell: entries[row[s]:row[s + 1]], as sorted."""
    n = len(reaches)
    near = np.empty((len(points), 4))
    for s in range(len(points)):
        i = sorted_by_cell[s]
        near[s, 0], near[s, 1], near[s, 2], near[s, 3] = (
            points[i, 0],
            points[i, 1],
            points[i, 2],
            reaches[source[i]],
        )
    row = np.zeros(n + 1, dtype=np.int64)
    entries = np.empty(12 * n + 64, dtype=np.uint32)
    found, particle = 0, 0
    for s in range(len(near)):
        if sorted_by_cell[s] >= n:
            continue
        x, y, z, reach = near[s, 0], near[s, 1], near[s, 2], near[s, 3]
        cell = cell_of[sorted_by_cell[s]]
        cz = cell % counts[2]
        cy = cell // counts[2] % counts[1]
        cx = cell // (counts[1] * counts[2])
        for ax in range(max(cx - 1, 0), min(cx + 2, counts[0])):
            for ay in range(max(cy - 1, 0), min(cy + 2, counts[1])):
                line = (ax * counts[1] + ay) * counts[2]
                start = first[line + max(cz - 1, 0)]
                stop = first[line + min(cz + 2, counts[2])]
                if found + stop - start > len(entries):  # grows: no entry is ever dropped
                    longer = np.empty(2 * (found + stop - start), dtype=np.uint32)
                    for e in range(found):
                        longer[e] = entries[e]
                    entries = longer
                for t in range(start, stop):
                    dx, dy, dz, cutoff = near[t, 0] - x, near[t, 1] - y, near[t, 2] - z, near[t, 3] + reach
                    entries[found] = t  # kept only if counted: cheaper than a branch
                    found += (dx * dx + dy * dy + dz * dz < cutoff * cutoff) & (t != s)
        particle += 1
        row[particle] = found
    return row, entries


@njit(nogil=True, cache=True, error_model="numpy")
def _renumber(sorted_by_cell, row, entries, source, radii):
    """In each block a counting sort by number of neighbours, descending; then the slabs, renumbered."""
    n, total = len(radii), len(source)
    most = 0
    for s in range(n):
        most = max(most, row[s + 1] - row[s])
    blocks = (n + BLOCK - 1) // BLOCK
    filled = np.zeros((blocks, most + 1), dtype=np.int64)
    rank = np.empty(n, dtype=np.int64)  # of the s-th particle in the new numbering, and back
    particle = np.empty(n, dtype=np.int64)
    place = np.zeros(most + 2, dtype=np.int64)
    for b in range(blocks):
        low, high = b * BLOCK, min(n, (b + 1) * BLOCK)
        for degree in range(most + 2):
            place[degree] = 0
        for s in range(low, high):
            place[row[s + 1] - row[s]] += 1
        for degree in range(most, -1, -1):
            place[degree] += place[degree + 1]  # particles with at least this degree
            if degree > 0:
                filled[b, degree - 1] = place[degree]
        for s in range(low, high):
            degree = row[s + 1] - row[s]
            rank[s] = low + place[degree + 1]
            place[degree + 1] += 1
            particle[rank[s]] = s

    number = np.empty(
        total, dtype=np.uint32
    )  # new number, radius of each place in the cells, ghosts included
    size = np.empty(total)
    order = np.empty(n, dtype=np.uint32)
    new = np.empty(n, dtype=np.uint32)  # of the user's particle
    s = 0
    for place_in_cells in range(total):
        i = sorted_by_cell[place_in_cells]
        size[place_in_cells] = radii[source[i]]
        number[place_in_cells] = i  # ghosts keep theirs
        if i < n:
            number[place_in_cells] = rank[s]
            order[rank[s]] = i
            new[i] = rank[s]
            s += 1
    home_of_ghost = np.empty(total - n, dtype=np.uint32)
    for g in range(total - n):
        home_of_ghost[g] = new[source[n + g]]

    partner, sums = np.empty(row[n], dtype=np.uint32), np.empty(row[n])
    base = 0
    for b in range(blocks):
        low = b * BLOCK
        for k in range(most):
            for local in range(filled[b, k]):
                t = entries[row[particle[low + local]] + k]
                partner[base + local] = number[t]
                sums[base + local] = radii[order[low + local]] + size[t]
            base += filled[b, k]
    return order, filled, partner, sums, home_of_ghost
