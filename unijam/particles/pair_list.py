"""A list of near pairs for vector registers: particles in groups, and for each its partners, one for each at a time.

Each pair is listed both ways, so that no particle pushes another. Particles are renumbered by cells, and in blocks by
their number of partners, so that the members of a group have about as many; what is missing is filled up with pairs
of no size. Pairs whose nearest images lie, and will lie while the list serves, as far apart as their coordinates say
are plain; the others are folded.
"""

import numpy as np
from numba import njit

from ..lanes import LANE, WIDTH, below, note, several, whole
from .neighbours import crowded, fill_cells

BLOCK = 512  # particles that are sorted by their number of partners
FOLDED = 1 << 31  # added to a pair that is folded; s and t are one number, s << 32 | t


def workspace(n):
    """Room for `list_pairs` of n particles, to be used again: fresh memory costs a third of its time."""
    return np.empty(7 * n + 4 * WIDTH), np.empty(6 * n, dtype=np.int64), np.empty(8 * n + 64, dtype=np.int64)


@njit(nogil=True, cache=True, error_model="numpy")
def list_pairs(x, sides, radii, factor, skin, room):
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
    wide, cells, reaches = np.ones(3), np.ones(3, dtype=np.int64), factor * radii + 0.5 * skin
    width, many = 2.0 * reaches.max(), crowded(n, sides)
    for axis in range(d):
        along = 3 - d + axis
        wide[along] = sides[axis]
        count = min(int(sides[axis] / width * (1.0 - 1e-12)), max(3, int(many[axis])))
        cells[along] = count if count >= 3 else 1  # of fewer, neighbours would be the same on both sides
    floats, integers, pairs = room
    points, near = floats[: 3 * n].reshape(n, 3), floats[3 * n : 7 * n + 4 * WIDTH].reshape(4, n + WIDTH)
    sorted_by_cell, new, order, key = (
        integers[:n],
        integers[n : 2 * n],
        integers[2 * n : 3 * n],
        integers[3 * n : 4 * n],
    )
    partners = integers[4 * n :].reshape(n, 2)
    start = _into_cells(x, wide, cells, reaches, points, near, sorted_by_cell, key)
    pairs, found = _search(near, wide, cells, start, pairs)
    _mark(x, sides, skin, sorted_by_cell, pairs[:found], points.reshape(3, n), partners)
    _number(sorted_by_cell, partners, key, order, new)
    home, places, back = np.zeros(n * d + 1), np.empty(n * d, dtype=np.int64), np.empty(n * d, dtype=np.int64)
    for i in range(n):
        for axis in range(d):
            k = order[i] * d + axis
            home[i * d + axis], places[i * d + axis], back[k] = x[k], k, i * d + axis
    counts, partner, sums = _entries(sorted_by_cell, radii, new, pairs[:found], partners, floats)
    return places, back, home, counts, partner, sums, (floats, integers, pairs)


@njit(nogil=True, cache=True, error_model="numpy")
def _into_cells(x, wide, cells, reaches, points, near, sorted_by_cell, cell_of):
    """Particles in the order of cells, their places in the box and reaches, (4, n + WIDTH); where each cell begins."""
    n, d = len(reaches), len(x) // len(reaches)
    points[:, 0] = 0.0  # in a plane
    for axis in range(d):
        side = wide[3 - d + axis]
        for i in range(n):
            at = x[i * d + axis]
            points[i, 3 - d + axis] = at - side * np.floor(at * (1.0 / side))
    start = np.zeros(cells.prod() + 1, dtype=np.int64)
    fill_cells(points, wide, cells, start, sorted_by_cell, cell_of)
    near[:, n:] = 0.0  # read several at a time
    for s in range(n):
        i = sorted_by_cell[s]
        near[0, s], near[1, s], near[2, s], near[3, s] = points[i, 0], points[i, 1], points[i, 2], reaches[i]
    return start


@njit(nogil=True, cache=True, error_model="numpy")
def _search(near, wide, cells, start, pairs):
    """Each pair s, t, as sorted, once, and how many they are; `pairs` is longer if need be."""
    nx, ny, nz = cells
    fold = (nx == 1 and wide[0] != 1.0) or ny == 1 or nz == 1  # one cell across: the nearest image may be any
    begins, ends, moves = np.empty(10, dtype=np.int64), np.empty(10, dtype=np.int64), np.empty((10, 3))
    xs, ys, zs, reaches = near[0], near[1], near[2], near[3]
    lx, ly, lz = wide
    kx, ky, kz = 1.0 / lx, 1.0 / ly, 1.0 / lz
    found, cell, every = 0, 0, (1 << WIDTH) - 1
    for cx in range(nx):
        for cy in range(ny):
            for cz in range(nz):
                runs, most, first, last = 0, WIDTH, start[cell], start[cell + 1]
                cell += 1
                if first == last:
                    continue
                for ax in range(cx, cx + 2 if nx > 1 else cx + 1):
                    for ay in range(cy if ax == cx or ny == 1 else cy - 1, cy + 2 if ny > 1 else cy + 1):
                        own = ax == cx and ay == cy
                        line = (
                            (ax if ax < nx else 0) * ny + (ay + ny if ay < 0 else ay if ay < ny else 0)
                        ) * nz
                        low, high = cz if own or nz == 1 else cz - 1, cz + 1 if nz > 1 else cz
                        for part in range(
                            0 if low >= 0 else -1, 1 if high < nz else 2
                        ):  # -1, 1: beyond a face
                            begin, end = max(low, 0), min(high, nz - 1)
                            if part != 0:
                                begin = end = nz - 1 if part < 0 else 0
                            begins[runs], ends[runs] = start[line + begin], start[line + end + 1]
                            moves[runs, 0] = wide[0] if ax == nx else 0.0
                            moves[runs, 1] = -wide[1] if ay < 0 else wide[1] if ay == ny else 0.0
                            moves[runs, 2] = part * wide[2]
                            most += ends[runs] - begins[runs]
                            runs += 1
                for s in range(first, last):
                    if found + most > len(pairs):  # no pair is ever dropped
                        longer = np.empty(2 * (len(pairs) + most), dtype=np.int64)
                        longer[:found] = pairs[:found]
                        pairs = longer
                    begins[0] = s + 1  # its own cell comes first
                    reach = reaches[s]
                    for run in range(runs):
                        x, y, z = xs[s] - moves[run, 0], ys[s] - moves[run, 1], zs[s] - moves[run, 2]
                        end = ends[run]
                        for t in range(begins[run], end, WIDTH):
                            dx, dy, dz = several(xs, t) - x, several(ys, t) - y, several(zs, t) - z
                            if fold:
                                dx, dy, dz = (
                                    dx - whole(dx * kx) * lx,
                                    dy - whole(dy * ky) * ly,
                                    dz - whole(dz * kz) * lz,
                                )
                            cutoff = several(reaches, t) + reach
                            bits = below(dx * dx + dy * dy + dz * dz, cutoff * cutoff)
                            bits &= every >> max(0, t + WIDTH - end)
                            found += note(pairs, found, (s << 32) + t, bits)
    return pairs, found


@njit(nogil=True, cache=True, error_model="numpy")
def _mark(x, sides, skin, sorted_by_cell, pairs, spread, partners):
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


@njit(nogil=True, cache=True, error_model="numpy")
def _number(sorted_by_cell, partners, key, order, new):
    """In each block a counting sort by partners: the particle of each number, and the number of each as sorted."""
    n, first = len(sorted_by_cell), np.empty(258, dtype=np.int64)
    for s in range(n):
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


@njit(nogil=True, cache=True, error_model="numpy")
def _entries(sorted_by_cell, radii, new, pairs, partners, size):
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
