"""The constraints of a `PairSystem` at one x: Δ of all near pairs, and sparse J, H0 and Hp, made when asked for."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from ...core.constraints import UNMOVED, Constraints
from ...support.arrays import Array
from ..packing import HasContacts
from ..rattlers import bearing_particles
from .pairs import Pairs


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PairConstraints(Constraints, HasContacts):
    """Overlaps and gaps of a user's bodies at one x.

    Attributes
    ----------
    delta : (m,) array
        Δ, of each pair in turn.
    members : (m, 2) int64 array
        Pairs i < j, in lexicographic order; a pair that is near in several of its distances has as many rows.
    which : (m,) int64 array
        Which of the k distances of its pair each Δ is.
    pairs : Pairs
        The pairs that are near.
    rows : (m,) int64 array
        Which of these each Δ belongs to.
    z : (pairs, d + 2o) array
        r_j − r_i of the nearest images, and the orientations of both.
    several : int
        k, the distances that `delta` gives of each pair.
    """

    system: Any
    x: Array
    delta: Array
    members: Array
    which: Array
    pairs: Pairs
    rows: Array
    z: Array
    several: int

    @cached_property
    def slopes(self) -> np.ndarray:
        """∂Δ/∂z, (m, d + 2o + 1); the last is ∂Δ/∂(ln size)."""
        return self.pairs.slopes(self.z, self.rows, self.which)

    @cached_property
    def _columns(self) -> np.ndarray:
        return self.pairs.columns[self.rows]

    @cached_property
    def _values(self) -> np.ndarray:
        """∂Δ/∂(r_i, r_j, orientations), (m, 2d + 2o)."""
        return self.pairs.spread(self.slopes[:, :-1])

    def vjp(self, weights: Array) -> Array:
        values = self._values * np.asarray(weights, float)[:, None]
        total: np.ndarray = np.bincount(self._columns.ravel(), values.ravel(), self.system.n_dof)
        return total

    def jvp(self, direction: Array) -> Array:
        along: np.ndarray = (self._values * np.asarray(direction, float)[self._columns]).sum(axis=1)
        return along

    def jacobian(self, select: Array | None = None) -> sp.csr_array:
        chosen = slice(None) if select is None else select
        columns, values = self._columns[chosen], self._values[chosen]
        starts = np.arange(0, values.size + 1, values.shape[1])
        shape = (len(values), self.system.n_dof)
        return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=shape)

    def stiffness(self, weights: Array) -> sp.csc_array:
        return self._matrix(*self._outer(weights))

    def curvature(self, weights: Array) -> sp.csc_array:
        return self._matrix(*self.bends(weights))

    def hessian(self, stiffness: Array, weights: Array) -> sp.csc_array:
        (first, outer), (second, bends) = self._outer(stiffness), self.bends(weights)
        return self._matrix(np.concatenate((first, second)), np.concatenate((outer, bends)))

    def bends(self, weights: Array) -> tuple[np.ndarray, np.ndarray]:
        """Which pairs bend, and their Σ_k w_k ∂²Δ_k/∂z∂z, (m', d + 2o, d + 2o)."""
        weights = np.asarray(weights, float)
        used = np.flatnonzero(weights)
        number, place = np.unique(self.rows[used], return_inverse=True)
        several = np.zeros((len(number), self.several))
        several[place.reshape(-1), self.which[used]] = weights[used]
        some = Pairs(self.system, self.pairs.first[number], self.pairs.second[number])
        return number, some.bends(self.z[number], several)

    def contacts(self, select: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows, which = self.rows[select], self.which[select]
        alone = np.zeros((len(rows), self.several))
        alone[np.arange(len(rows)), which] = 1.0
        some = Pairs(self.system, self.pairs.first[rows], self.pairs.second[rows])
        z = self.z[rows]
        return z[:, : self.system.dimension], self.slopes[select, :-1], some.bends(z, alone)

    def _outer(self, weights: Array) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of the rows in use, and w ∇Δ ⊗ ∇Δ of each."""
        weights = np.asarray(weights, float)
        used = np.flatnonzero(weights)
        slopes = self.slopes[used, :-1]
        return self.rows[used], weights[used, None, None] * slopes[:, :, None] * slopes[:, None, :]

    def _matrix(self, number: np.ndarray, blocks: np.ndarray) -> sp.csc_array:
        """Σ of blocks in z, each of the pair of its number; the diagonal is always stored, for shifts."""
        n, d = self.system.n_dof, self.system.dimension
        wide = np.concatenate((-blocks[:, :d], blocks), axis=1)
        whole = np.concatenate((-wide[:, :, :d], wide), axis=2)
        columns, own = self.pairs.columns[number], np.arange(n)
        width = columns.shape[1]
        down, right = np.repeat(columns, width, axis=1).ravel(), np.tile(columns, width).ravel()
        data = np.concatenate((whole.ravel(), np.zeros(n)))
        places = (np.concatenate((down, own)), np.concatenate((right, own)))
        matrix = sp.csc_array(sp.coo_array((data, places), shape=(n, n)))
        matrix.sort_indices()
        return matrix

    def loading(self) -> Array:
        return self.slopes[:, -1] / self.system.scale

    def bearing(self) -> tuple[Array, Array]:
        """Masks of the degrees of freedom, (n_dof,), and of the constraints, (m,), that bear force.

        Rattlers, bodies with fewer than d + 1 overlaps, are removed recursively (two distances of one pair count
        twice); of the others, an orientation that no overlap turns bears none.
        """
        return self._bearing

    @cached_property
    def _bearing(self) -> tuple[Array, Array]:
        system, overlaps = self.system, self.overlaps
        n, d, o = system.n, system.dimension, system.orientations
        backbone = bearing_particles(self.members[overlaps], n, d + 1)
        bearing = backbone[self.members].all(axis=1)
        used = bearing & overlaps
        squares = np.bincount(self._columns[used].ravel(), self._values[used].ravel() ** 2, system.n_dof)
        if system.coordinate_lengths is not None:
            squares = squares / system.coordinate_lengths**2
        moves, turns = squares[: n * d].reshape(n, d).sum(axis=1), squares[n * d :].reshape(n, o).sum(axis=1)
        least = UNMOVED**2 * max(moves.max(initial=0.0), turns.max(initial=0.0))
        moved, turned = (moves > least) & backbone, (turns > least) & backbone
        return np.concatenate((np.repeat(moved, d), np.repeat(turned, o))), bearing

    def sensitivity(self, lengths: Array | None = None) -> float:
        stressed = self.stressed
        stiffness = self.system.potential.stiffness(self.delta[stressed])
        values = self._values[stressed]
        if lengths is not None:
            values = values / lengths[self._columns[stressed]]
        return math.sqrt(float((values**2).sum(axis=1) @ stiffness**2))
