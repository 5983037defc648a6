"""Numba loops over pairs of spheres: overlaps and normals, Jᵀw, Jv, and sparse matrices in blocks of d × d.

n particles in d dimensions; m pairs (i, j), i < j. All lengths are in the units of the box.
"""

import numpy as np

from ...compiled import loop


@loop
def overlaps(
    positions: np.ndarray, edges: np.ndarray, radii: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Δ = σ − r (m,), the distance r (m,) and the normal n = (r_i − r_j)/r (m, d) of each pair, by nearest images.

    Parameters
    ----------
    positions : (n, d) array
        Anywhere: they need not lie inside the box.
    edges, radii : (d, d) and (n,) arrays
        Edges of the box, one a row, lower triangular, and radii of the particles.
    pairs : (m, 2) integer array
        n is zero for a pair whose centres coincide.
    """
    m, d = len(pairs), positions.shape[1]
    delta = np.empty(m)
    distance = np.empty(m)
    normals = np.empty((m, d))
    for k in range(m):
        i, j = pairs[k, 0], pairs[k, 1]
        for axis in range(d):
            normals[k, axis] = positions[i, axis] - positions[j, axis]
        for axis in range(d - 1, -1, -1):  # to the nearest image
            over = np.rint(normals[k, axis] / edges[axis, axis])
            for before in range(axis + 1):
                normals[k, before] -= over * edges[axis, before]
        q = 0.0
        for axis in range(d):
            q += normals[k, axis] * normals[k, axis]
        distance[k] = np.sqrt(q)
        delta[k] = radii[i] + radii[j] - distance[k]
        for axis in range(d):
            # coincident centres: no direction, so no force, rather than NaN
            normals[k, axis] = normals[k, axis] / distance[k] if q > 0 else 0.0
    return delta, distance, normals


@loop
def push(pairs: np.ndarray, normals: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Jᵀ w, (n d,), of pairs (m, 2), normals (m, d) and weights (m,).

    Each pair adds −w n to its first and w n to its second particle, since ∂Δ/∂r_i = −n.
    """
    d = normals.shape[1]
    total = np.zeros(n * d)
    for k in range(len(pairs)):
        first, second = pairs[k, 0] * d, pairs[k, 1] * d
        for axis in range(d):
            push_of_pair = weights[k] * normals[k, axis]
            total[first + axis] -= push_of_pair
            total[second + axis] += push_of_pair
    return total


@loop
def closing(pairs: np.ndarray, normals: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """J v, (m,), of a direction v, (n d,): how fast each pair closes, −n·(v_i − v_j)."""
    m, d = normals.shape
    speed = np.zeros(m)
    for k in range(m):
        first, second = pairs[k, 0] * d, pairs[k, 1] * d
        for axis in range(d):
            speed[k] -= normals[k, axis] * (direction[first + axis] - direction[second + axis])
    return speed


@loop
def assemble(
    pairs: np.ndarray, normals: np.ndarray, along: np.ndarray, isotropic: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrix Σ (along n nᵀ + isotropic 1) on the separations of pairs: csc data, indices, indptr.

    Each pair adds its (d, d) block to (i, i) and (j, j) and subtracts it from (i, j) and (j, i). Indices come out
    sorted, because the pairs that end at a particle precede the pairs that start there. The diagonal is always
    stored, so that a shift of it needs no new entries. A pair whose two weights are zero takes no space.

    Parameters
    ----------
    pairs : (m, 2) integer array
        In lexicographic order, i < j.
    normals : (m, d) array
    along, isotropic : (m,) arrays
    n : int
        The number of particles: the matrix is (n d, n d).
    """
    d = normals.shape[1]
    used = np.empty(len(pairs), dtype=np.bool_)
    # partners of smaller index come before the diagonal block, partners of larger index after it
    below = np.zeros(n, dtype=np.int64)
    above = np.zeros(n, dtype=np.int64)
    for k in range(len(pairs)):
        used[k] = along[k] != 0 or isotropic[k] != 0
        if used[k]:
            above[pairs[k, 0]] += 1
            below[pairs[k, 1]] += 1
    indptr = np.empty(n * d + 1, dtype=np.int32)
    position = 0
    for i in range(n):
        for axis in range(d):
            indptr[i * d + axis] = position
            position += d * (below[i] + above[i] + 1)  # 1: the diagonal block
    indptr[n * d] = position
    indices = np.empty(position, dtype=np.int32)
    data = np.zeros(position)
    for i in range(n):
        for axis in range(d):
            place = indptr[i * d + axis] + d * below[i]
            for row in range(d):
                indices[place + row] = i * d + row
    # the place, in blocks, that the next partner of a particle takes
    next_below = np.zeros(n, dtype=np.int64)
    next_above = below + 1
    for k in range(len(pairs)):
        if not used[k]:
            continue
        i, j = pairs[k, 0], pairs[k, 1]
        for axis in range(d):
            column_i, column_j = indptr[i * d + axis], indptr[j * d + axis]
            for row in range(d):
                block = along[k] * normals[k, row] * normals[k, axis]
                if row == axis:
                    block += isotropic[k]
                data[column_i + d * below[i] + row] += block
                data[column_j + d * below[j] + row] += block
                data[column_i + d * next_above[i] + row] = -block
                indices[column_i + d * next_above[i] + row] = j * d + row
                data[column_j + d * next_below[j] + row] = -block
                indices[column_j + d * next_below[j] + row] = i * d + row
        next_above[i] += 1
        next_below[j] += 1
    return data, indices, indptr
