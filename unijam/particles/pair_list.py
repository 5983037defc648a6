"""A list of near pairs for vector registers: particles in groups of four, and for each its partners, four at a time.

Each pair is listed once. Particles are renumbered by cells, and in blocks by their number of partners, so that the
four of a group have about as many; what is missing is filled up with pairs of no size. Pairs whose nearest images
lie, and will lie while the list serves, as far apart as their coordinates say are plain; the others are folded.
"""

import numpy as np
from numba import njit

from ..quads import OWN
from .neighbours import crowded, fill_cells

BLOCK = 512  # particles that are sorted by their number of partners
FOLDED = np.uint32(1 << 31)  # added to the partner in a folded pair

_options = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_options)
def list_pairs(x, sides, radii, factor, skin):
    """The list of all pairs of n ≥ 4 particles, nearer than factor (R_i + R_j) + skin, which may not exceed a side.

    Parameters
    ----------
    x : (n d,) array
        Positions in two or three dimensions, anywhere.
    sides, radii : (d,) and (n,) arrays
        Of the box and the particles.
    factor, skin : float

    Returns
    -------
    places, back : (n d,) int64 arrays
        The user's number of each entry of x in the list, and the inverse.
    home : (n d + 1,) array
        x in the list's numbering, then zero.
    counts : (groups, 2) int64 array
        Of entries / 4 of each group, plain and folded; the last group is of the last four particles.
    partner, sums : (entries,) uint32 and float arrays
        Partner and sum of radii, at `factor` one.
    """
    n, d = len(radii), len(sides)
    wide, cells, reaches = np.ones(3), np.ones(3, dtype=np.int64), factor * radii + 0.5 * skin
    width, many = 2.0 * reaches.max(), crowded(n, sides)
    for axis in range(d):
        along = 3 - d + axis
        wide[along] = sides[axis]
        count = min(int(sides[axis] / width * (1.0 - 1e-12)), max(3, int(many[axis])))
        cells[along] = count if count >= 3 else 1  # of fewer, neighbours would be the same on both sides
    sorted_by_cell, near, start = _into_cells(x, wide, cells, reaches)
    ahead, row = _search(near, wide, cells, start)
    partners = _marked(x, sides, skin, sorted_by_cell, ahead, row)
    order, new = _numbers(sorted_by_cell, partners)
    home, places, back = np.zeros(n * d + 1), np.empty(n * d, dtype=np.int64), np.empty(n * d, dtype=np.int64)
    for i in range(n):
        for axis in range(d):
            k = order[i] * d + axis
            home[i * d + axis], places[i * d + axis], back[k] = x[k], k, i * d + axis
    counts, partner, sums = _entries(sorted_by_cell, radii, new, ahead, row, partners)
    return places, back, home, counts, partner, sums


@njit(**_options)
def _into_cells(x, wide, cells, reaches):
    """Particles in the order of cells, their places in the box with their reaches, and where each cell begins."""
    n, d = len(reaches), len(x) // len(reaches)
    points = np.zeros((n, 3))
    for i in range(n):
        for axis in range(d):
            side, at = wide[3 - d + axis], x[i * d + axis]
            points[i, 3 - d + axis] = at - side * np.floor(at / side)
    start = np.zeros(cells.prod() + 1, dtype=np.int64)
    sorted_by_cell, cell_of = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    fill_cells(points, wide, cells, start, sorted_by_cell, cell_of)
    near = np.empty((n, 4))
    for s in range(n):
        i = sorted_by_cell[s]
        near[s, 0], near[s, 1], near[s, 2], near[s, 3] = points[i, 0], points[i, 1], points[i, 2], reaches[i]
    return sorted_by_cell, near, start


@njit(**_options)
def _search(near, wide, cells, start):
    """Each pair once: of s, as sorted, the others are ahead[row[s]:row[s + 1]]."""
    n, (nx, ny, nz) = len(near), cells
    plane = nx == 1 and wide[0] == 1.0
    fold = (nx == 1 and not plane) or ny == 1 or nz == 1  # one cell across: the nearest image may be any
    row, ahead = np.zeros(n + 1, dtype=np.int64), np.empty(8 * n + 64, dtype=np.uint32)
    begins, ends = np.empty(10, dtype=np.uint64), np.empty(10, dtype=np.uint64)  # of runs of cells
    moves = np.zeros((10, 3))
    found, cell = np.uint64(0), 0
    for cx in range(nx):
        for cy in range(ny):
            for cz in range(nz):
                runs, candidates = 0, np.uint64(0)
                for ax in range(cx, cx + 2 if nx > 1 else cx + 1):
                    ix = ax if ax < nx else 0
                    for ay in range(cy if ax == cx or ny == 1 else cy - 1, cy + 2 if ny > 1 else cy + 1):
                        iy = ay + ny if ay < 0 else ay if ay < ny else ay - ny
                        own = ax == cx and ay == cy
                        low, high = cz if own or nz == 1 else cz - 1, cz + 1 if nz > 1 else cz
                        for part in range(-1, 2):  # beyond the lower face, inside, beyond the upper one
                            if (part < 0 and low >= 0) or (part > 0 and high < nz):
                                continue
                            line = (ix * ny + iy) * nz
                            begin = nz - 1 if part < 0 else 0 if part > 0 else max(low, 0)
                            end = nz - 1 if part < 0 else 0 if part > 0 else min(high, nz - 1)
                            begins[runs], ends[runs] = start[line + begin], start[line + end + 1]
                            moves[runs, 0] = -wide[0] if ax == nx else 0.0
                            moves[runs, 1] = wide[1] if ay < 0 else -wide[1] if ay == ny else 0.0
                            moves[runs, 2] = -part * wide[2]
                            candidates += ends[runs] - begins[runs]
                            runs += 1
                for s in range(start[cell], start[cell + 1]):
                    if found + candidates > np.uint64(len(ahead)):  # no pair is ever dropped
                        longer = np.empty(2 * (len(ahead) + np.int64(candidates)), dtype=np.uint32)
                        longer[: len(ahead)] = ahead
                        ahead = longer
                    begins[0], reach = np.uint64(s + 1), near[s, 3]  # the first run begins with its own cell
                    for run in range(runs):
                        x, y, z = near[s, 0] + moves[run, 0], near[s, 1] + moves[run, 1], near[s, 2] + moves[run, 2]
                        for t in range(begins[run], ends[run]):
                            dx, dy, dz = near[t, 0] - x, near[t, 1] - y, near[t, 2] - z
                            if fold:
                                dx -= wide[0] * np.rint(dx / wide[0])
                                dy -= wide[1] * np.rint(dy / wide[1])
                                dz -= wide[2] * np.rint(dz / wide[2])
                            cutoff = near[t, 3] + reach
                            ahead[found] = t  # kept only if counted, cheaper than a branch
                            found += np.uint64(dx * dx + dy * dy + dz * dz < cutoff * cutoff)
                    row[s + 1] = found
                cell += 1
    return ahead, row


@njit(**_options)
def _marked(x, sides, skin, sorted_by_cell, ahead, row):
    """Partners of each, as sorted, (n, 2): plain and folded; the latter are marked in `ahead`."""
    n, d = len(sorted_by_cell), len(sides)
    partners, spread = np.zeros((n, 2), dtype=np.int64), np.empty((n, d))
    for s in range(n):
        for axis in range(d):
            spread[s, axis] = x[sorted_by_cell[s] * d + axis]
    for s in range(n):
        for e in range(row[s], row[s + 1]):
            folded = False
            for axis in range(d):
                folded |= np.abs(spread[ahead[e], axis] - spread[s, axis]) > 0.5 * sides[axis] - skin
            partners[s, 1 if folded else 0] += 1
            if folded:
                ahead[e] += FOLDED
    return partners


@njit(**_options)
def _numbers(sorted_by_cell, partners):
    """In each block a counting sort by partners: the particle of each number, and the number of each as sorted."""
    n, most = len(sorted_by_cell), 15
    order, new, first = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.uint32), np.empty(258, dtype=np.int64)
    key = np.empty(n, dtype=np.int64)
    for s in range(n):
        key[s] = 16 * min(partners[s, 1], most) + min(partners[s, 0], most)
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
    return order, new


@njit(**_options)
def _entries(sorted_by_cell, radii, new, ahead, row, partners):
    """Entries of each group, and their partners and sums of radii, where there is no pair of no size."""
    n, groups = len(new), (len(new) + 3) // 4
    counts, begins = np.zeros((groups, 2), dtype=np.int64), np.empty((groups, 2), dtype=np.int64)
    size = np.empty(n)
    for s in range(n):
        size[s] = radii[sorted_by_cell[s]]
        for kind in range(2):
            counts[new[s] // 4, kind] = max(counts[new[s] // 4, kind], partners[s, kind])
    entries = 0
    for group in range(groups):
        for kind in range(2):
            begins[group, kind] = entries
            entries += 4 * counts[group, kind]
    partner, sums = np.zeros(entries, dtype=np.uint32), np.zeros(entries)
    for s in range(n):
        group = new[s] // 4
        lane = OWN[new[s] - min(4 * group, n - 4)]
        plain, folded = begins[group, 0] + lane, begins[group, 1] + lane
        for e in range(row[s], row[s + 1]):
            t = ahead[e]
            if t < FOLDED:
                partner[plain], sums[plain] = new[t], size[s] + size[t]
                plain += 4
            else:
                t -= FOLDED
                partner[folded], sums[folded] = new[t], size[s] + size[t]
                folded += 4
    return counts, partner, sums
