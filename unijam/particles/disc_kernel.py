"""Harmonic forces of discs and spheres at full speed: one pass over a list laid out for vector registers.

Particles are renumbered cell by cell, and in blocks of `BLOCK` by their number of neighbours, descending.
Slab k of a block holds the k-th neighbour of every particle of the block that has one, so that the inner loop
runs over consecutive particles without padding. Images across the faces of the box are copies ("ghosts"): no
distance is folded. Each pair is listed both ways: twice the arithmetic, but nothing is scattered.
"""

import numpy as np
from numba import njit
from numba.core.compiler import Compiler

BLOCK = 512
TINY = 1e-300  # added to r²: coincident centres get a finite force, zero, since their separation is zero


class DistinctArrays(Compiler):
    """Compiles for arguments that do not overlap; else LLVM must assume that they may, and not vectorise."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


@njit(nogil=True, cache=True, error_model="numpy")
def build_slabs(x, dimension, side, radii, reaches, cells):
    """The list of all pairs (images counted apart) nearer than reaches_i + reaches_j, d = 2 or 3, as slabs.

    Cells are at least the largest cutoff wide. Returned, in the new numbering, ghosts behind the particles:
    order (n,), the old number of each; offset, home (d, n), the multiples of the side taken off and the rest;
    partner and sum of radii of each entry; filled (blocks, k), the particles in each slab; source (g,) and
    shift (d, g) of the ghosts.
    """
    n = len(radii)
    wide = cells + 2  # with a layer of ghosts on each side
    deep = wide if dimension == 3 else 1
    total = wide * wide * deep
    offset, home = np.zeros((3, n)), np.zeros((3, n))
    cell_of = np.zeros(n, dtype=np.int64)
    first, last = np.zeros(total + 1, dtype=np.int64), np.zeros(total, dtype=np.int64)
    for i in range(n):
        for axis in range(dimension):
            offset[axis, i] = side * np.floor(x[i * dimension + axis] / side)
            home[axis, i] = x[i * dimension + axis] - offset[axis, i]
            along = int(home[axis, i] / side * cells)
            cell_of[i] = cell_of[i] * wide + min(max(along, 0), cells - 1) + 1
        first[cell_of[i] + 1] += 1
    for cell in range(total):
        first[cell + 1] += first[cell]
        last[cell] = first[cell]
    sorted_by_cell = np.empty(n, dtype=np.int64)
    for i in range(n):
        sorted_by_cell[last[cell_of[i]]] = i
        last[cell_of[i]] += 1

    # ghosts: every border cell receives copies of the cell across the box
    ghosts = 0
    for count in range(2):  # first how many, then which
        if count == 1:
            px, py, pz, half = (
                np.empty(n + ghosts),
                np.empty(n + ghosts),
                np.empty(n + ghosts),
                np.empty(n + ghosts),
            )
            source, shift = np.empty(ghosts, dtype=np.uint32), np.empty((3, ghosts))
            for s in range(n):
                i = sorted_by_cell[s]
                px[s], py[s], pz[s], half[s] = home[0, i], home[1, i], home[2, i], reaches[i]
            ghosts = 0
        for cx in range(wide):
            for cy in range(wide):
                for cz in range(deep):
                    tx, ty = _turn(cx, cells), _turn(cy, cells)
                    tz = _turn(cz, cells) if dimension == 3 else 0
                    if tx == 0 and ty == 0 and tz == 0:
                        continue
                    origin = ((cx - tx * cells) * wide + cy - ty * cells) * deep + cz - tz * cells
                    cell = (cx * wide + cy) * deep + cz
                    if count == 1:
                        first[cell] = n + ghosts
                        for s in range(first[origin], last[origin]):
                            g = ghosts + s - first[origin]
                            source[g] = s
                            shift[0, g], shift[1, g], shift[2, g] = tx * side, ty * side, tz * side
                            px[n + g], py[n + g] = px[s] + tx * side, py[s] + ty * side
                            pz[n + g], half[n + g] = pz[s] + tz * side, half[s]
                        last[cell] = n + ghosts + last[origin] - first[origin]
                    ghosts += last[origin] - first[origin]

    # neighbours, row by row; the buffer grows, so that no entry is ever dropped
    row = np.zeros(n + 1, dtype=np.int64)
    entries = np.empty(12 * n + 64, dtype=np.uint32)
    found = 0
    for s in range(n):
        x0, y0, z0, reach, cell = px[s], py[s], pz[s], half[s], cell_of[sorted_by_cell[s]]
        for ax in range(-1, 2):
            for ay in range(-1, 2):
                for az in range(-1, 2) if dimension == 3 else range(0, 1):
                    near = cell + (ax * wide + ay) * deep + az
                    for t in range(first[near], last[near]):
                        dx, dy, dz, cutoff = px[t] - x0, py[t] - y0, pz[t] - z0, reach + half[t]
                        if dx * dx + dy * dy + dz * dz < cutoff * cutoff and t != s:
                            if found == len(entries):
                                longer = np.empty(2 * found, dtype=np.uint32)
                                longer[:found] = entries
                                entries = longer
                            entries[found] = t
                            found += 1
        row[s + 1] = found

    # in each block, a counting sort by number of neighbours, descending
    most = 0
    for s in range(n):
        most = max(most, row[s + 1] - row[s])
    blocks = (n + BLOCK - 1) // BLOCK
    filled = np.zeros((blocks, most + 1), dtype=np.int64)
    number = np.empty(n + ghosts, dtype=np.uint32)  # new number of each slot
    slot = np.empty(n, dtype=np.int64)
    place = np.empty(most + 2, dtype=np.int64)
    for b in range(blocks):
        low, high = b * BLOCK, min(n, (b + 1) * BLOCK)
        place[:] = 0
        for s in range(low, high):
            place[row[s + 1] - row[s]] += 1
        for degree in range(most, -1, -1):
            place[degree] += place[degree + 1]  # particles with at least this degree
            if degree > 0:
                filled[b, degree - 1] = place[degree]
        for s in range(low, high):
            degree = row[s + 1] - row[s]
            new = low + place[degree + 1]
            place[degree + 1] += 1
            number[s] = new
            slot[new] = s
    for g in range(ghosts):
        number[n + g] = n + g
        source[g] = number[source[g]]

    partner, sums = np.empty(found, dtype=np.uint32), np.empty(found)
    order = np.empty(n, dtype=np.uint32)
    new_offset, new_home = np.empty((dimension, n)), np.empty((dimension, n))
    base = 0
    for b in range(blocks):
        low = b * BLOCK
        for k in range(most):
            for local in range(filled[b, k]):
                s = slot[low + local]
                t = entries[row[s] + k]
                partner[base + local] = number[t]
                inner = t if t < n else slot[source[t - n]]
                sums[base + local] = radii[sorted_by_cell[s]] + radii[sorted_by_cell[inner]]
            base += filled[b, k]
    for new in range(n):
        i = sorted_by_cell[slot[new]]
        order[new] = i
        for axis in range(dimension):
            new_offset[axis, new] = offset[axis, i]
            new_home[axis, new] = home[axis, i]
    return order, new_offset, new_home, partner, sums, filled, source, shift[:dimension].copy()


@njit(nogil=True, cache=True)
def _turn(cell, cells):
    """−1, 0, 1: on which side of the box a cell of the padded grid lies."""
    return -1 if cell == 0 else 1 if cell == cells + 1 else 0


@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=DistinctArrays)
def _place(x, order, offset, home, positions, source, shift, limit):
    """Bring x into the list's numbering; how many particles are farther than √limit from home (or NaN)."""
    n, d = len(order), len(home)
    far = 0
    px, py = positions[0], positions[1]
    if d == 2:
        for i in range(n):
            p = np.uint64(order[i]) * np.uint64(2)
            px[i] = x[p] - offset[0, i]
            py[i] = x[p + np.uint64(1)] - offset[1, i]
            dx, dy = px[i] - home[0, i], py[i] - home[1, i]
            far += not (dx * dx + dy * dy <= limit)
    else:
        pz = positions[2]
        for i in range(n):
            p = np.uint64(order[i]) * np.uint64(3)
            px[i] = x[p] - offset[0, i]
            py[i] = x[p + np.uint64(1)] - offset[1, i]
            pz[i] = x[p + np.uint64(2)] - offset[2, i]
            dx, dy, dz = px[i] - home[0, i], py[i] - home[1, i], pz[i] - home[2, i]
            far += not (dx * dx + dy * dy + dz * dz <= limit)
    for axis in range(d):
        along, shifts = positions[axis], shift[axis]
        for g in range(len(source)):
            along[n + g] = along[source[g]] + shifts[g]
    return far


_fast = {"contract", "arcp", "nsz", "reassoc", "nnan", "ninf"}


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_fast, pipeline_class=DistinctArrays)
def _sweep(positions, gx, gy, gz, partner, sums, filled, factor, threshold):
    """∇U in the list's numbering; Σ Δ², the number of Δ above the threshold and Σ Δ σ, each pair twice.

    One source for the plane (gz is None) and for space: numba drops the branch that does not apply.
    """
    squares, count, load = 0.0, 0.0, 0.0
    gx[:] = 0.0
    gy[:] = 0.0
    if gz is not None:
        gz[:] = 0.0
    base = 0
    for b in range(filled.shape[0]):
        low = b * BLOCK
        for k in range(filled.shape[1]):
            m = filled[b, k]
            if m == 0:
                break
            near, sigma = partner[base : base + m], sums[base : base + m]
            px, py = positions[0], positions[1]
            ix, iy, fx, fy = px[low : low + m], py[low : low + m], gx[low : low + m], gy[low : low + m]
            if gz is not None:
                pz = positions[2]
                iz, fz = pz[low : low + m], gz[low : low + m]
            for i in range(m):
                j = near[i]
                dx, dy = ix[i] - px[j], iy[i] - py[j]
                q = dx * dx + dy * dy + TINY
                if gz is not None:
                    dz = iz[i] - pz[j]
                    q += dz * dz
                r = np.sqrt(q)
                delta = max(factor * sigma[i] - r, 0.0)
                pull = delta / r
                squares += delta * delta
                count += 1.0 if delta > threshold else 0.0
                load += delta * sigma[i]
                fx[i] -= pull * dx
                fy[i] -= pull * dy
                if gz is not None:
                    fz[i] -= pull * dz
            base += m
    return squares, count, load


@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=DistinctArrays)
def evaluate(
    x,
    gradient,
    order,
    offset,
    home,
    positions,
    source,
    shift,
    gx,
    gy,
    gz,
    partner,
    sums,
    filled,
    limit,
    factor,
    threshold,
):
    """Fill ∇U in the user's numbering unless the list is stale: (far, Σ Δ², N_Δ, Σ Δ σ), each pair once."""
    far = _place(x, order, offset, home, positions, source, shift, limit)
    if far > 0:
        return far, 0.0, 0.0, 0.0
    squares, count, load = _sweep(positions, gx, gy, gz, partner, sums, filled, factor, threshold)
    for i in range(len(order)):
        if gz is None:
            p = np.uint64(order[i]) * np.uint64(2)
        else:
            p = np.uint64(order[i]) * np.uint64(3)
            gradient[p + np.uint64(2)] = gz[i]
        gradient[p] = gx[i]
        gradient[p + np.uint64(1)] = gy[i]
    return far, 0.5 * squares, 0.5 * count, 0.5 * load
