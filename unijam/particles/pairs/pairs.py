"""Pairs of bodies and the derivatives of their Δ: passes of torch over all pairs at once, never over all of x.

Of each pair torch sees z = (r, orientation of a, orientation of b, size), a row of its own: D = d + 2o + 1 numbers.
Rows do not know each other, so that one backward pass gives ∂Δ/∂z of all pairs, and D more give ∂²Δ/∂z∂z.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.recording import recording
from ...support.validation import require
from ..kernels.neighbours import folded_separations
from .bodies import Body

BATCH = 2**14  # pairs in one pass: its graph takes some 100 MB where Δ has ten distances a pair


class Pairs:
    """Pairs (i, j) of bodies of a system, i the first.

    Attributes
    ----------
    first, second : (m,) int64 arrays
    """

    def __init__(self, system: Any, first: np.ndarray, second: np.ndarray) -> None:
        self.system, self.first, self.second = system, first, second

    def __len__(self) -> int:
        return len(self.first)

    def coordinates(self, x: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """z without the size, (m, d + 2o): r_j − r_i + shift, or the nearest image's, and both orientations."""
        system = self.system
        positions, turns = system.positions(x), system.orientations_of(x)
        r = positions[self.second] - positions[self.first]
        r += self.images(x) if shift is None else shift
        return np.concatenate((r, turns[self.first], turns[self.second]), axis=1)

    def images(self, x: np.ndarray) -> np.ndarray:
        """What is added to r_j − r_i for the nearest image, (m, d)."""
        positions = self.system.positions(x)
        r = positions[self.second] - positions[self.first]
        images: np.ndarray = folded_separations(r, self.system.edges) - r
        return images

    @cached_property
    def columns(self) -> np.ndarray:
        """Which degree of freedom each of (r_i, r_j, orientation of i, of j) is, (m, 2d + 2o)."""
        d, o, n = self.system.dimension, self.system.orientations, self.system.n
        places, turns = np.arange(d), n * d + np.arange(o)
        parts = (
            self.first[:, None] * d + places,
            self.second[:, None] * d + places,
            self.first[:, None] * o + turns,
            self.second[:, None] * o + turns,
        )
        return np.concatenate(parts, axis=1)

    def spread(self, slopes: np.ndarray) -> np.ndarray:
        """∂/∂(r_i, r_j, orientations), (m, 2d + 2o), of ∂/∂z, (m, d + 2o): r = r_j − r_i."""
        d = self.system.dimension
        return np.concatenate((-slopes[:, :d], slopes), axis=1)

    def summed(self, slopes: np.ndarray) -> np.ndarray:
        """∂/∂x, (n_dof,), of the sum over pairs of what has these slopes, (m, d + 2o)."""
        values = self.spread(slopes)
        total: np.ndarray = np.bincount(self.columns.ravel(), values.ravel(), self.system.n_dof)
        return total

    def values(self, z: np.ndarray) -> np.ndarray:
        """Δ, (m, k)."""
        parts = []
        for part in self.batches():
            with torch.no_grad():
                parts.append(self.delta(_leaf(z[part]), part, order=1).numpy())
        return np.concatenate(parts) if parts else np.empty((0, 1))

    def slopes(self, z: np.ndarray, rows: np.ndarray, which: np.ndarray) -> np.ndarray:
        """∂Δ/∂z, (rows, D), of distance number `which` of pair `rows`, for ascending pairs.

        One backward pass takes one distance of each pair, so there are as many passes as the pair with the most has.
        """
        found = np.empty((len(rows), z.shape[1] + 1))
        begins = np.searchsorted(rows, rows)
        turn = np.arange(len(rows)) - begins  # the number of each row among those of its pair
        for part in self.batches():
            low, high = np.searchsorted(rows, (part.start, part.stop))
            if low == high:
                continue
            with recording():
                leaf = _leaf(z[part]).requires_grad_()
                delta = self.delta(leaf, part, order=1)
            for number in range(turn[low:high].max() + 1):
                now = low + np.flatnonzero(turn[low:high] == number)
                weights = torch.zeros_like(delta)
                weights[torch.from_numpy(rows[now] - part.start), torch.from_numpy(which[now])] = 1.0
                (slope,) = torch.autograd.grad(delta, leaf, weights, retain_graph=True)
                found[now] = slope[torch.from_numpy(rows[now] - part.start)].numpy()
        return found

    def bends(self, z: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Σ_k w_k ∂²Δ_k/∂z∂z, (m, D − 1, D − 1), of weights (m, k); without the size."""
        m, width = z.shape
        found = np.zeros((m, width, width))
        for part in self.batches():
            with recording():
                leaf = _leaf(z[part]).requires_grad_()
                delta = self.delta(leaf, part, order=2)
                total = (delta * torch.from_numpy(weights[part])).sum()
                (slope,) = torch.autograd.grad(total, leaf, create_graph=True)
            if not slope.requires_grad:  # Δ is linear in z
                continue
            for c in range(width):
                (row,) = torch.autograd.grad(slope[:, c].sum(), leaf, retain_graph=True)
                found[part, c] = row[:, :-1].numpy()
        return 0.5 * (found + found.transpose(0, 2, 1))

    def forces(
        self, z: np.ndarray, ratio: float, kept: list[dict[str, Tensor]]
    ) -> tuple[float, np.ndarray, float, np.ndarray, float]:
        """Σ u, Σ ∂u/∂z without the size, (m, D − 1), Σ u'², Δ, (m, k), and Σ ∂u/∂(ln size), in one backward pass.

        `kept` holds a dict for each batch, which a `delta` may fill for its next call with the same pairs.
        """
        potential, found = self.system.potential, np.empty(z.shape)
        deltas: list[np.ndarray] = []
        energy = square = pull = 0.0
        for number, part in enumerate(self.batches()):
            if number == len(kept):
                kept.append({})
            with recording():
                leaf = _leaf(z[part], ratio).requires_grad_()
                delta = self.delta(leaf, part, 1, kept[number])
            values = delta.detach().numpy()
            force = potential.force(values.reshape(-1))
            energy += float(potential.energy(values.reshape(-1)).sum())
            square += float(force @ force)
            weights = torch.from_numpy(np.ascontiguousarray(force).reshape(values.shape))
            slopes = torch.autograd.grad(delta, leaf, weights)[0].numpy()
            found[part] = slopes[:, :-1]
            deltas.append(values)
            pull += float(slopes[:, -1].sum()) * ratio
        return energy, found, square, np.concatenate(deltas) if deltas else np.empty((0, 1)), pull

    def delta(self, z: Tensor, part: slice, order: int, kept: dict[str, Tensor] | None = None) -> Tensor:
        """Δ, (m', k), of some of the pairs, at z with the size, (m', D)."""
        d, o = self.system.dimension, self.system.orientations
        (radius_a, rows_a), (radius_b, rows_b) = self._bodies(part)
        size, fixed = z[:, -1], self.system.shape_fields[0]
        a = Body(radius_a * size, z[:, d : d + o], fixed, rows_a, order, kept)
        b = Body(radius_b * size, z[:, d + o : d + 2 * o], fixed, rows_b, order, kept)
        return checked_delta(self.system, a, b, z[:, :d])

    def batches(self) -> Iterator[slice]:
        """The pairs in parts, each of which is one pass."""
        for begin in range(0, len(self), BATCH):
            yield slice(begin, min(begin + BATCH, len(self)))

    def _bodies(self, part: slice) -> list[tuple[Tensor, dict[str, Any]]]:
        """Radii and shapes of the bodies of some of the pairs."""
        if self._gathered is None or self._gathered[0] != part:
            rows = self.system.shape_fields[1]
            radii = torch.from_numpy(self.system.radii)
            found = []
            for whose in (self.first[part], self.second[part]):
                index = torch.from_numpy(np.ascontiguousarray(whose))
                found.append((radii[index], {name: value[index] for name, value in rows.items()}))
            self._gathered = part, found
        return self._gathered[1]

    _gathered: tuple[slice, list[tuple[Tensor, dict[str, Any]]]] | None = None


def checked_delta(system: Any, a: Body, b: Body, r: Tensor) -> Tensor:
    """Δ of a user's class, (m, k), or one sentence that says what is wrong with it."""
    delta, field, m = system.delta(a, b, r), f"{type(system).__name__}.delta(a, b, r)", len(r)
    wanted = "a tensor, made of a, b and r by functions of torch"
    require(isinstance(delta, Tensor), field, type(delta).__name__, wanted)
    shape = tuple(delta.shape)
    fits = 1 <= len(shape) <= 2 and shape[0] == m and (len(shape) == 1 or shape[1] >= 1)
    require(fits, f"the shape of {field}", shape, f"({m},), or ({m}, k) of k distances a pair, for {m} pairs")
    if not np.isfinite(delta.detach().numpy()).all():
        bad = int((~delta.isfinite()).sum())
        require(False, f"the number of entries of {field} that are NaN or infinite", bad, "zero")
    columns: Tensor = delta[:, None] if delta.ndim == 1 else delta
    return columns


def _leaf(z: np.ndarray, ratio: float = 1.0) -> Tensor:
    """z with the size, (m, D), a new tensor."""
    leaf = torch.empty(len(z), z.shape[1] + 1, dtype=torch.float64)
    leaf[:, :-1] = torch.from_numpy(z)
    leaf[:, -1] = ratio
    return leaf
