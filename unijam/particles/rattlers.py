"""Rattlers: particles that their contacts cannot hold, removed until none is left."""

import numpy as np

from ..compiled import loop
from ..support.arrays import Array
from ..support.validation import require


def bearing_particles(contacts: Array, n: int, minimum: int) -> np.ndarray:
    """Find the particles that bear force, by removing again and again all with fewer than `minimum` contacts.

    Parameters
    ----------
    contacts : (m, 2) integer array
        Pairs of touching particles.
    n : int
        The number of particles.
    minimum : int
        Contacts that hold a particle: d + 1 for spheres, 3 for ellipses in the plane.

    Returns
    -------
    (n,) bool array
        True for the backbone, False for rattlers.

    Raises
    ------
    ValueError
        Where a contact names no particle.
    """
    pairs = np.ascontiguousarray(contacts, dtype=np.int64).reshape(-1, 2)
    ends = (int(pairs.min(initial=0)), int(pairs.max(initial=0)))
    require(ends[0] >= 0 and ends[1] < n, "the least and largest of contacts", ends, f"in 0 … {n - 1}")
    return _peel(pairs, n, minimum)


@loop
def _peel(contacts: np.ndarray, n: int, minimum: int) -> np.ndarray:
    """bearing, (n,); a contact is looked at once for each end that is removed, so the cost is O(n + m)."""
    degree = np.zeros(n, dtype=np.int64)
    for k in range(len(contacts)):
        degree[contacts[k, 0]] += 1
        degree[contacts[k, 1]] += 1
    start = np.zeros(n + 1, dtype=np.int64)
    filled = np.empty(n, dtype=np.int64)
    bearing = np.empty(n, dtype=np.bool_)
    for i in range(n):
        start[i + 1] = start[i] + degree[i]
        filled[i] = start[i]
        bearing[i] = degree[i] >= minimum
    partner = np.empty(2 * len(contacts), dtype=np.int64)
    for k in range(len(contacts)):
        i, j = contacts[k, 0], contacts[k, 1]
        partner[filled[i]] = j
        filled[i] += 1
        partner[filled[j]] = i
        filled[j] += 1
    stack = np.empty(n, dtype=np.int64)
    depth = 0
    for i in range(n):
        if not bearing[i]:
            stack[depth] = i
            depth += 1
    while depth > 0:
        depth -= 1
        i = stack[depth]
        for k in range(start[i], start[i + 1]):
            j = partner[k]
            if bearing[j]:
                degree[j] -= 1
                if degree[j] < minimum:
                    bearing[j] = False
                    stack[depth] = j
                    depth += 1
    return bearing
