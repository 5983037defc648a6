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
from .neighbours import crowded, fill_cells

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


def build_slabs(positions: Array, sides: Array, radii: Array, reaches: Array) -> Slabs:
    """The list at positions (n, d), wherever they are, in a box of which no cutoff exceeds a side."""
    n = len(positions)
    width = 2.0 * float(reaches.max())
    offset, home = _fold(positions, sides)
    source, shift, points = _images(home, sides, width)
    total = len(source)
    wide, counts = _cells(n, sides, width)
    first = np.zeros(counts.prod() + 1, dtype=np.int64)
    sorted_by_cell, cell_of = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    fill_cells(points, wide, counts, first, sorted_by_cell, cell_of)
    ahead, row, degree = _pairs(points, reaches, source, sorted_by_cell, counts, first)
    order, filled, partner, sums, home_of_ghost = _renumber(sorted_by_cell, ahead, row, degree, source, radii)
    return Slabs(
        order=order,
        offset=_columns(offset, order),
        home=_columns(home, order),
        source=home_of_ghost,
        shift=shift,
        partner=partner,
        sums=sums,
        filled=filled,
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _fold(positions, sides):
    """Whole sides in positions (n, d), and what remains."""
    offset, home = np.empty(positions.shape), np.empty(positions.shape)
    for i in range(len(positions)):
        for axis in range(len(sides)):
            offset[i, axis] = sides[axis] * np.floor(positions[i, axis] / sides[axis])
            home[i, axis] = positions[i, axis] - offset[i, axis]
    return offset, home


@njit(nogil=True, cache=True, error_model="numpy")
def _cells(n, sides, width):
    """Lengths of the box with its ghosts, (3,), and cells along them; a plane has one layer of cells."""
    wide, counts = np.ones(3), np.ones(3, dtype=np.int64)
    many = crowded(n, sides)
    for axis in range(len(sides)):
        along = 3 - len(sides) + axis
        wide[along] = sides[axis] + 2.0 * width
        counts[along] = max(1, min(int(wide[along] / width), 2 + int(many[axis])))
    return wide, counts


@njit(nogil=True, cache=True)
def _columns(rows, order):
    """Row order[i] of (n, d) as column i of (d, n)."""
    columns = np.empty(rows.shape[::-1])
    for i in range(len(order)):
        for axis in range(len(columns)):
            columns[axis, i] = rows[order[i], axis]
    return columns


@njit(nogil=True, cache=True, error_model="numpy")
def _images(home, sides, width):
    """Sources of all particles, then of their g images within `width` of the box; shifts (d, g) of these; points.

    Points (n + g, 3) are counted from the corner of the layer of ghosts.
    """
    n, d = home.shape
    source, shift = np.arange(n), np.zeros((d, 0))
    for axis in range(d):  # images of images fill the edges and corners
        side = sides[axis]
        known, images = len(source), 0
        for s in range(known):
            along = home[source[s], axis]
            images += (along < width) + (along >= side - width)
        longer, moved = np.empty(known + images, dtype=np.int64), np.zeros((d, known - n + images))
        longer[:known], moved[:, : known - n] = source, shift
        for step in (side, -side):
            for s in range(len(source)):
                along = home[source[s], axis]
                if along < width if step > 0 else along >= side - width:
                    longer[known] = source[s]
                    if s >= n:
                        moved[:, known - n] = shift[:, s - n]
                    moved[axis, known - n] = step
                    known += 1
        source, shift = longer, moved
    points = np.zeros((len(source), 3))
    for s in range(len(source)):
        for axis in range(d):
            at = home[source[s], axis] + (shift[axis, s - n] if s >= n else 0.0)
            points[s, 3 - d + axis] = at + width
    return source, shift, points


@njit(nogil=True, cache=True, error_model="numpy")
def _pairs(points, reaches, source, sorted_by_cell, counts, first):
    """Each pair once, as sorted: of s, the later ahead[row[s]:row[s + 1]]; neighbours of each, ghosts' left out."""
    n, total = len(reaches), len(points)
    near = np.empty((total, 4))
    for s in range(total):
        i = sorted_by_cell[s]
        near[s, 0], near[s, 1], near[s, 2], near[s, 3] = (
            points[i, 0],
            points[i, 1],
            points[i, 2],
            reaches[source[i]],
        )
    row, degree = np.zeros(total + 1, dtype=np.int64), np.zeros(total, dtype=np.int64)
    ahead = np.empty(8 * n + 64, dtype=np.uint32)
    begins, ends = (
        np.empty(5, dtype=np.uint64),
        np.empty(5, dtype=np.uint64),
    )  # of lines of cells, own and later
    found, cell = np.uint64(0), 0
    for cx in range(counts[0]):
        for cy in range(counts[1]):
            for cz in range(counts[2]):
                lines, candidates = 0, np.uint64(0)
                for ax in range(cx, min(cx + 2, counts[0])):
                    for ay in range(cy if ax == cx else max(cy - 1, 0), min(cy + 2, counts[1])):
                        line = (ax * counts[1] + ay) * counts[2]
                        begins[lines] = first[line + max(cz - 1, 0)]
                        ends[lines] = first[line + min(cz + 2, counts[2])]
                        candidates += ends[lines] - begins[lines]
                        lines += 1
                for s in range(np.uint64(first[cell]), np.uint64(first[cell + 1])):
                    if found + candidates > np.uint64(len(ahead)):  # no pair is ever dropped
                        longer = np.empty(2 * (len(ahead) + np.int64(candidates)), dtype=np.uint32)
                        longer[: len(ahead)] = ahead
                        ahead = longer
                    begin, begins[0] = found, s + np.uint64(1)
                    x, y, z, reach = near[s, 0], near[s, 1], near[s, 2], near[s, 3]
                    for a in range(lines):
                        for t in range(begins[a], ends[a]):
                            dx, dy, dz = near[t, 0] - x, near[t, 1] - y, near[t, 2] - z
                            cutoff = near[t, 3] + reach
                            ahead[found] = t  # kept only if counted, cheaper than a branch
                            found += np.uint64(dx * dx + dy * dy + dz * dz < cutoff * cutoff)
                    if sorted_by_cell[s] >= n:  # two ghosts are no pair
                        last, found = found, begin
                        for e in range(begin, last):
                            ahead[found] = ahead[e]
                            found += np.uint64(sorted_by_cell[ahead[e]] < n)
                    row[s + np.uint64(1)] = found
                    degree[s] += np.int64(found - begin)
                    for e in range(begin, found):
                        degree[ahead[e]] += 1
                cell += 1
    return ahead, row, degree


@njit(nogil=True, cache=True, error_model="numpy")
def _renumber(sorted_by_cell, ahead, row, degree, source, radii):
    """In each block a counting sort by number of neighbours, descending; then the slabs, renumbered."""
    n, total = len(radii), len(source)
    particle = np.empty(n, dtype=np.int64)  # where the s-th of the box is among all as sorted
    most, s = 0, 0
    for place in range(total):
        if sorted_by_cell[place] < n:
            particle[s] = place
            most = max(most, degree[place])
            s += 1
    blocks = (n + BLOCK - 1) // BLOCK
    filled = np.zeros((blocks, most + 1), dtype=np.int64)
    begins = np.zeros((blocks, most + 1), dtype=np.int64)  # of the slabs
    order = np.empty(n, dtype=np.uint32)
    new = np.empty(total, dtype=np.uint32)  # number of the user's particle; ghosts keep theirs
    at_least = np.empty(most + 2, dtype=np.int64)
    entries = 0
    for b in range(blocks):
        low, high = b * BLOCK, min(n, (b + 1) * BLOCK)
        at_least[:] = 0
        for s in range(low, high):
            at_least[degree[particle[s]]] += 1
        for k in range(most, -1, -1):
            at_least[k] += at_least[k + 1]
            if k > 0:
                filled[b, k - 1] = at_least[k]
        for k in range(most):
            begins[b, k] = entries
            entries += filled[b, k]
        for s in range(low, high):
            k = degree[particle[s]] + 1
            i = sorted_by_cell[particle[s]]
            order[low + at_least[k]] = i
            new[i] = low + at_least[k]
            at_least[k] += 1
    for g in range(n, total):
        new[g] = g
    home_of_ghost = np.empty(total - n, dtype=np.uint32)
    number, size = np.empty(total, dtype=np.uint32), np.empty(total)  # of each place in the cells
    for place in range(total):
        i = sorted_by_cell[place]
        number[place], size[place] = new[i], radii[source[i]]
        if i >= n:
            home_of_ghost[i - n] = new[source[i]]

    partner, sums = np.empty(entries, dtype=np.uint32), np.empty(entries)
    listed = np.zeros(total, dtype=np.int64)
    for s in range(total):
        for e in range(row[s], row[s + 1]):
            t = np.int64(ahead[e])
            for here, there in ((s, t), (t, s)):
                i = number[here]
                if i < n:
                    b = i // BLOCK
                    slot = begins[b, listed[here]] + i - b * BLOCK
                    partner[slot], sums[slot] = number[there], size[here] + size[there]
                    listed[here] += 1
    return order, filled, partner, sums, home_of_ghost
