"""The search for near pairs in a periodic box, by linked cells, or by trying all pairs above three dimensions.

A box is given by its edges: row k of the lower triangular (d, d) array `edges` is the k-th edge. A separation is folded
to the nearest image by subtracting whole multiples of the last edge, then of the one before it, and so on. This finds
each image that is nearer than half the narrowest width of the box (see `widths`).
"""

from typing import Any

import numpy as np

from ...compiled import COMPILED, loop, overload
from ...compiled.simd import WIDTH, below, note, several, whole
from ...support.arrays import Array
from ...support.validation import require

# Two particle numbers are kept in one integer, s << 32 | t. This bit of t, which no particle number reaches, marks
# pairs that must be folded (see `pair_list`).
FOLDED = 1 << 31


def folded_separations(separation: Array, edges: Array) -> np.ndarray:
    """Separations, (m, d), between nearest images, in a box with edges (d, d): a new array."""
    folded = np.array(separation, dtype=np.float64)
    for axis in range(len(edges) - 1, -1, -1):
        folded -= np.rint(folded[:, axis, None] / edges[axis, axis]) * edges[axis]
    return folded


def box_edges(box_length: Any, dimension: int) -> np.ndarray:
    """Edges of a box, (d, d), from L, from its sides, (d,), or from its edges."""
    if np.ndim(box_length) == 2:
        return np.ascontiguousarray(box_length, dtype=np.float64)
    return np.diag(np.full(dimension, box_length, dtype=np.float64))


def neighbour_pairs(positions: Array, box_length: Any, reaches: Array, skin: float = 0.0) -> np.ndarray:
    """Pairs nearer than the sum of their reaches, in a periodic box.

    Parameters
    ----------
    positions : (n, d) array
        Anywhere: they need not lie inside the box.
    box_length : float, (d,) or (d, d) array
        L, or the side along each axis, or, in up to three dimensions, the edges of a tilted box, one a row, lower
        triangular.
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
    known = shape in ((), (d,), (d, d))
    require(known, "the shape of box_length", shape, f"() or ({d},), one for each axis, or ({d}, {d})")
    edges = box_edges(box_length, d)
    positions = np.require(positions, np.float64, ["C", "W"])
    if n > 0 and d <= 3:  # one axis more would need 27 runs of cells for each, so all pairs are tried there
        return pairs_by_cells(positions.reshape(-1), edges, half)
    sides = np.diag(edges).copy()
    require(
        bool((edges == np.diag(sides)).all()), "the tilt of box_length", "not zero", f"zero where d = {d}"
    )
    if not COMPILED:
        return _pairs_of_all(positions, edges, half)
    wrapped, room = wrap(positions, sides), 16 * n + 64  # a first guess
    while True:
        pairs = np.empty((room, 2), dtype=np.int64)
        found = _search_all(wrapped, sides, half, pairs)
        if found <= room:
            return pairs[:found]
        room = found  # the search counts pairs that find no room too, so the number is known now


@loop
def wrap(positions: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Positions folded into [0, L) along each axis: a new array of the same shape."""
    wrapped = np.empty_like(positions)
    for i in range(len(positions)):
        for axis in range(len(sides)):
            side, at = sides[axis], positions[i, axis]
            at -= side * np.floor(at / side)
            wrapped[i, axis] = at if 0.0 <= at < side else 0.0  # rounding at the faces
    return wrapped


def _pairs_of_all(positions: Array, edges: Array, half: Array) -> np.ndarray:
    """All pairs in any dimension by trying all, (m, 2): the same without compiled code."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for i in range(len(half) - 1):
        along = folded_separations(positions[i + 1 :] - positions[i], edges)
        near = i + 1 + np.flatnonzero((along**2).sum(axis=1) < (half[i] + half[i + 1 :]) ** 2)
        found.append(np.column_stack((np.full(len(near), i), near)))
    return np.concatenate(found)


def pairs_by_cells(x: np.ndarray, edges: np.ndarray, reaches: np.ndarray) -> np.ndarray:
    """All pairs nearer than the sum of their reaches, (m, 2), in up to three dimensions, in lexicographic order.

    Compiled code calls `_pairs_by_cells` instead.

    Parameters
    ----------
    x : (n d,) array
        Positions, row by row, anywhere.
    edges, reaches : (d, d) and (n,) arrays
        Edges of the box, and reaches of the particles.
    """
    if COMPILED:
        return _pairs_by_cells(x, edges, reaches)
    return _pairs_of_all(x.reshape(len(reaches), -1), edges, reaches)


@loop
def _pairs_by_cells(x: np.ndarray, edges: np.ndarray, reaches: np.ndarray) -> np.ndarray:
    n = len(reaches)
    box, cells, fold = grid(edges, reaches)
    points, near = np.empty((n, 3)), np.empty((4, n + WIDTH))
    sorted_by_cell, key = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    start = into_cells(x, box, cells, reaches, points, near, sorted_by_cell, key)
    found, count = search(near, box, cells, fold, start, np.empty(8 * n + 64, dtype=np.int64))
    row, pairs = np.zeros(n + 1, dtype=np.int64), np.empty((count, 2), dtype=np.int64)
    for e in range(count):
        i, j = sorted_by_cell[found[e] >> 32], sorted_by_cell[found[e] & (FOLDED - 1)]
        found[e] = min(i, j) << 32 | max(i, j)
        row[min(i, j) + 1] += 1
    for i in range(n):
        row[i + 1] += row[i]
    key[:] = row[:n]
    for e in range(count):
        i = found[e] >> 32
        pairs[key[i], 0], pairs[key[i], 1] = i, found[e] & (FOLDED - 1)
        key[i] += 1
    for i in range(n):
        _sort_row(pairs[row[i] : row[i + 1]])
    return pairs


overload(pairs_by_cells)(
    lambda x, edges, reaches: lambda x, edges, reaches: _pairs_by_cells(x, edges, reaches)
)


@loop
def _sort_row(row: np.ndarray) -> None:
    """Insertion sort of the second column, in place."""
    for a in range(1, len(row)):
        value = row[a, 1]
        b = a - 1
        while b >= 0 and row[b, 1] > value:
            row[b + 1, 1] = row[b, 1]
            b -= 1
        row[b + 1, 1] = value


@loop
def widths(edges: np.ndarray) -> np.ndarray:
    """The distances between opposite faces of a box, (d,), of its edges, (d, d): its sides if it is not tilted."""
    d = len(edges)
    found = np.empty(d)
    for k in range(d):
        # the k-th row of the inverse times the k-th side: how fast the k-th fraction changes along each axis
        slopes = np.zeros(d)
        slopes[k] = 1.0
        for axis in range(k + 1, d):
            for between in range(k, axis):
                slopes[axis] -= edges[axis, between] * slopes[between] / edges[axis, axis]
        q = 0.0
        for axis in range(d):
            q += slopes[axis] * slopes[axis]
        found[k] = edges[k, k] / np.sqrt(q)
    return found


@loop
def spare(edges: np.ndarray, widest: float) -> float:
    """The thickest skin of a list, of particles of diameter `widest`, in a tilted box; infinite if it is not tilted.

    Folding finds each image nearer than half the narrowest width, in a tilted box none beyond it for certain.
    """
    for axis in range(len(edges)):
        for before in range(axis):
            if edges[axis, before] != 0.0:
                room: float = 0.5 * widths(edges).min() - widest
                return max(room, 0.0)
    return np.inf


@loop
def grid(edges: np.ndarray, reaches: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Edges of the box (3, 3), number of cells along each (3,), and whether `search` must seek nearest images.

    Axes that the box lacks come first, with side one and one cell. A cell is at least as wide as the largest cutoff,
    2 × the largest of reaches (n,), so that only neighbouring cells need to be searched. An axis of fewer than three
    such cells is not divided: then images must be sought.
    """
    d, width, wide = len(edges), 2.0 * reaches.max(), widths(edges)
    sides = np.empty(d)
    for axis in range(d):
        sides[axis] = edges[axis, axis]
    many = _crowded(len(reaches), sides)
    box, cells, fold = np.eye(3), np.ones(3, dtype=np.int64), False
    for axis in range(d):
        along = 3 - d + axis
        for before in range(axis + 1):
            box[along, 3 - d + before] = edges[axis, before]
        # 1e-12: rounding must not make a cell narrower than the reach, which would lose pairs
        count = min(int(wide[axis] / width * (1.0 - 1e-12)), max(3, int(many[axis])))
        # with two cells, the same one would be the neighbour on both sides
        cells[along] = count if count >= 3 else 1
        fold |= count < 3
    return box, cells, fold


@loop
def _crowded(n: int, sides: np.ndarray) -> np.ndarray:
    """Cells along each side, (d,) of floats, if each of n particles had a cell: more cells would be empty."""
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
        for axis in range(d):  # a side thinner than a cell gets one cell; the others share the particles
            settled[axis] = settled[axis] or along * (sides[axis] / shortest) < 1.0
    return cells


@loop
def into_cells(
    x: np.ndarray,
    box: np.ndarray,
    cells: np.ndarray,
    reaches: np.ndarray,
    points: np.ndarray,
    near: np.ndarray,
    sorted_by_cell: np.ndarray,
    cell_of: np.ndarray,
) -> np.ndarray:
    """Sort particles by cell; return where each cell begins, (cells + 1,).

    Fills near (4, n + WIDTH) with x, y, z in the box and reach of each particle, in the order of cells; sorted_by_cell
    (n,) with the particles in this order; points (n, 3) with places and cell_of (n,) with cells in the user's order.
    """
    n, d = len(reaches), len(x) // len(reaches)
    points[:, : 3 - d] = 0.0
    for axis in range(d):
        for i in range(n):
            points[i, 3 - d + axis] = x[i * d + axis]
    (lx, ly, lz), (xy, xz, yz) = (box[0, 0], box[1, 1], box[2, 2]), (box[1, 0], box[2, 0], box[2, 1])
    for i in range(n):
        # each in turn, from the last: how many whole edges the particle lies off
        px, py, pz = points[i]
        fz = pz * (1.0 / lz)
        fy = (py - fz * yz) * (1.0 / ly)
        fx = (px - fy * xy - fz * xz) * (1.0 / lx)
        kx, ky, kz = np.floor(fx), np.floor(fy), np.floor(fz)
        points[i, 0] = px - kx * lx - ky * xy - kz * xz
        points[i, 1] = py - ky * ly - kz * yz
        points[i, 2] = pz - kz * lz
    start = np.zeros(cells.prod() + 1, dtype=np.int64)
    _fill_cells(points, box, cells, start, sorted_by_cell, cell_of)
    near[:, n:] = 0.0  # `search` reads WIDTH at a time, beyond the last particle too
    for s in range(n):
        i = sorted_by_cell[s]
        near[0, s], near[1, s], near[2, s], near[3, s] = points[i, 0], points[i, 1], points[i, 2], reaches[i]
    return start


@loop
def search(
    near: np.ndarray, box: np.ndarray, cells: np.ndarray, fold: bool, start: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, int]:
    """All near pairs, each once, as integers s << 32 | t (s, t: ranks in the order of cells), and their number.

    near and start are as `into_cells` makes them; box, cells and fold as `grid`. pairs, an int64 array, is filled, or
    replaced by a longer one where it is too short: use the array that is returned.
    """
    nx, ny, nz = cells
    # Five lines of cells along z (half of the neighbours, so that each pair is found once), each in at most two runs of
    # consecutive cells, since a line that crosses a face of the box is cut there.
    begins, ends, moves = np.empty(10, dtype=np.int64), np.empty(10, dtype=np.int64), np.empty((10, 3))
    xs, ys, zs, reaches = near[0], near[1], near[2], near[3]
    (lx, ly, lz), (xy, xz, yz) = (box[0, 0], box[1, 1], box[2, 2]), (box[1, 0], box[2, 0], box[2, 1])
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
                            over_x, over_y = (
                                1.0 if ax == nx else 0.0,
                                -1.0 if ay < 0 else 1.0 if ay == ny else 0.0,
                            )
                            moves[runs, 0] = over_x * lx + over_y * xy + part * xz
                            moves[runs, 1] = over_y * ly + part * yz
                            moves[runs, 2] = part * lz
                            most += ends[runs] - begins[runs]
                            runs += 1
                for s in range(first, last):
                    if found + most > len(pairs):  # no pair is ever dropped
                        longer = np.empty(2 * (len(pairs) + most), dtype=np.int64)
                        longer[:found] = pairs[:found]
                        pairs = longer
                    begins[0] = s + 1  # run 0 is its own cell, in which only later particles are partners
                    reach = reaches[s]
                    for run in range(runs):
                        x, y, z = xs[s] - moves[run, 0], ys[s] - moves[run, 1], zs[s] - moves[run, 2]
                        end = ends[run]
                        for t in range(begins[run], end, WIDTH):
                            dx, dy, dz = several(xs, t) - x, several(ys, t) - y, several(zs, t) - z
                            if fold:
                                over = whole(dz * kz)
                                dx, dy, dz = dx - over * xz, dy - over * yz, dz - over * lz
                                over = whole(dy * ky)
                                dx, dy = dx - over * xy, dy - over * ly
                                dx = dx - whole(dx * kx) * lx
                            cutoff = several(reaches, t) + reach
                            bits = below(dx * dx + dy * dy + dz * dz, cutoff * cutoff)
                            # lanes past the end of the run hold other particles
                            bits &= every >> max(0, t + WIDTH - end)
                            found += note(pairs, found, (s << 32) + t, bits)
    return pairs, found


@loop
def _fill_cells(
    positions: np.ndarray,
    box: np.ndarray,
    counts: np.ndarray,
    start: np.ndarray,
    order: np.ndarray,
    slots: np.ndarray,
) -> None:
    """Counting sort by cell: order[start[c]:start[c+1]] are the particles in cell c, and slots[i] is the cell of i."""
    start[:] = 0
    n = len(positions)
    (lx, ly, lz), (xy, xz, yz) = (box[0, 0], box[1, 1], box[2, 2]), (box[1, 0], box[2, 0], box[2, 1])
    nx, ny, nz = counts
    for i in range(n):
        fz = positions[i, 2] / lz
        fy = (positions[i, 1] - fz * yz) / ly
        fx = (positions[i, 0] - fy * xy - fz * xz) / lx
        x = min(max(int(fx * nx), 0), nx - 1)
        y = min(max(int(fy * ny), 0), ny - 1)
        z = min(max(int(fz * nz), 0), nz - 1)
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


@loop
def _search_all(positions: np.ndarray, sides: np.ndarray, half: np.ndarray, pairs: np.ndarray) -> int:
    """Fill pairs, (room, 2), by trying all pairs, in any dimension; returns how many there are, with room or not."""
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
