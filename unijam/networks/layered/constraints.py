"""The constraints of a fully connected network at one x, computed by one forward and one backward pass."""

from typing import Any

import torch
from torch import Tensor

from ...core.constraints import ConstraintOperator, Constraints
from ...core.kinks import Kinks
from ...core.tolerances import OVERLAP_RESOLUTIONS
from ...support.arrays import Array, weigh
from ...support.memory import require_matrices
from ..precision import rounding
from . import passes
from .architecture import Architecture
from .initial import as_tensor_like

PRODUCTS = "lower dense_limit, so that H is known by its products"


class NetworkConstraints(Constraints):
    """Δ of every datum (and class) at one x, (m,) with m = P, or P (C − 1) for C > 2 classes.

    For small N, J, Jᵀ u'' J and Σ w ∇∇Δ are dense matrices, made by products over the batch. For large N, H is known
    by its products only; they keep the pass of all data, some 4 P h numbers a layer.
    """

    system: Architecture
    x: Tensor
    delta: Tensor
    passed: passes.Forward

    def __init__(self, system: Architecture, x: Tensor) -> None:
        self.system, self.x = system, system.taken(x).detach().clone()
        self._sphere = system.sphere(self.x)
        self.passed = system.forward(
            self.x if self._sphere is None else self._sphere.effective, system.entering
        )
        self.delta = system.targets.distances(self.passed.outputs, system.margin)
        self._weighing: tuple[Any, ...] = (None, None)

    @property
    def outputs(self) -> Tensor:
        """f, or z of each class, (outputs, P)."""
        return self.passed.outputs

    @property
    def members(self) -> Tensor:
        return self.system.targets.members()

    @property
    def overlaps(self) -> Tensor:
        return self.delta > OVERLAP_RESOLUTIONS * rounding(self.passed.outputs, self.system.margin)

    def errors(self, weights: Array) -> list[Tensor]:
        """∂(Σ w Δ)/∂z_l of each datum for weights w, (m,): one (h_l, P) tensor per layer."""
        return passes.backward(self.passed, self.system.targets.pull(weights))

    def vjp(self, weights: Array) -> Tensor:
        weights = as_tensor_like(weights, self.x)
        return self._project(passes.gradient(self.passed, self.errors(weights))[None])[0]

    def jvp(self, direction: Array) -> Tensor:
        along = passes.changes(self.passed, self._moved(as_tensor_like(direction, self.x)))
        return self.system.targets.distances(along[-1], 0.0)

    def jacobian(self, select: Array | None = None) -> Tensor:
        passed, errors = self.signals(select)
        m, n = errors[0].shape[1], len(self.x)
        require_matrices([(2 * m, n)], f"J of {m} constraints and {n} weights", PRODUCTS, self.x)
        return self._project(passes.jacobian(passed, errors))

    def signals(self, select: Array | None = None) -> tuple[passes.Forward, list[Tensor]]:
        """For each of m' selected constraints (a mask or indices; all by default) the pass of its datum, and ∂Δ/∂z_l.

        The latter are one (h_l, m') tensor per layer.
        """
        targets = self.system.targets
        data = targets.data(select)
        passed = self.passed if data is None else self.passed.of(data)
        return passed, passes.backward(passed, targets.seeds(select).to(self.delta.dtype))

    def stiffness(self, weights: Array) -> Tensor:
        k = self.system.targets.per_datum
        if k == 1 or self.system.matrix_free:
            stiffness: Tensor = super().stiffness(weights)
            return stiffness
        shape = (len(self.delta) // k, k)
        data = (weights.reshape(shape[0], -1) != 0).any(1).nonzero()[:, 0]  # with a weight that is not zero
        if not len(data):
            return self.x.new_zeros(len(self.x), len(self.x))
        self._require_square("H0")
        passed = self.passed.of(data.repeat_interleave(k))
        chosen = (k * data[:, None] + data.new_tensor(range(k))).reshape(-1)
        errors = passes.backward(passed, self.system.targets.seeds(chosen).to(self.delta.dtype))
        weights = weights[data] if weights.ndim == 3 else weights[chosen]
        weighted = [weigh(weights, e.T).T for e in errors]
        h0 = passes.stiffness(self.passed.of(data), errors, weighted)
        return self._project(self._project(h0).T) if self._sphere is not None else h0

    def curvature(self, weights: Array) -> Tensor | ConstraintOperator:
        if self.system.matrix_free:
            return ConstraintOperator(self, weights=weights, memory=self.system.memory_limit)
        self._require_square("Hp")
        weights = as_tensor_like(weights, self.x)
        errors = self.errors(weights)
        hessian = passes.curvature(self.passed, errors)
        if self._sphere is None:
            return hessian
        return self._sphere.curvature(hessian, passes.gradient(self.passed, errors))

    def _require_square(self, what: str) -> None:
        """Memory for a matrix over all weights, and a second one while it is projected."""
        n = len(self.x)
        require_matrices([(2 * n, n)], f"{what} as a dense matrix of {n} weights", PRODUCTS, self.x)

    def curvature_product(self, direction: Array, stiffness: Array | None, weights: Array | None) -> Tensor:
        data, passed, errors = self._pass_of(stiffness, weights)
        moved, targets = self._moved(direction), self.system.targets
        along = passes.changes(passed, moved)
        reseeded = torch.zeros_like(along[-1])
        if stiffness is not None:
            outputs = torch.zeros_like(self.passed.outputs)
            outputs[:, data] = along[-1]
            reseeded = targets.pull(weigh(stiffness, targets.distances(outputs, 0.0)))[:, data]
        if errors is None:
            return self._project(passes.gradient(passed, passes.backward(passed, reseeded))[None])[0]
        product = passes.product(passed, errors, moved, along, reseeded)
        if self._sphere is None:
            return product
        return self._sphere.curvature_product(product, passes.gradient(passed, errors), direction)

    def kinks(self, weights: Array) -> Kinks:
        """One kink for every hidden unit and datum where σ has a kink at zero; members are (unit, datum).

        They come unit by unit; units are numbered through all layers, first layer first.
        """
        if not self.passed.activation.kinked or not self.system.depth:
            return super().kinks(weights)
        sums, n_data = self.passed.sums[:-1], len(self.system.inputs)
        pairs = torch.arange(sum(map(len, sums)) * n_data, device=self.delta.device)

        def forces() -> Tensor:
            errors = self.errors(weights)
            pulls = [self.passed.linear(l + 1).T @ errors[l + 1] for l in range(len(sums))]
            return torch.cat(pulls).reshape(-1)

        def gradients(select: Tensor) -> Tensor:
            chosen, first, rows = pairs[select], 0, []
            order = []
            for l, z in enumerate(sums):
                here = ((chosen >= first) & (chosen < first + z.numel())).nonzero()[:, 0]
                own = chosen[here] - first
                rows.append(passes.kink_gradients(self.passed, l, own // n_data, own % n_data))
                order.append(here)
                first += z.numel()
            return self._project(torch.cat(rows)[torch.cat(order).argsort()])

        kept = self.system.kinks
        held = pairs[:0]
        if kept is not None:
            units, data = kept[0][kept[0][:, 0] >= 0].T
            held = units * n_data + data

        def members(select: Tensor) -> Tensor:
            return torch.stack([pairs[select] // n_data, pairs[select] % n_data], 1)

        return Kinks(torch.cat(sums).reshape(-1), members, held, forces, gradients)

    def loading(self) -> Tensor:
        return 0.0 * self.delta + 1.0

    def _moved(self, direction: Tensor) -> list[Tensor]:
        """A direction of x, (N,), as changes of the effective θ_l, one (h_l, h̃_{l−1}) tensor per layer."""
        moved = self._project(direction[None].clone())[0].split(self.system.sizes)
        return [v.view(shape) for v, shape in zip(moved, self.system.shapes, strict=True)]

    def _pass_of(self, stiffness: Array | None, weights: Array | None) -> tuple[Any, ...]:
        """The data with a weight that is not zero, their pass, and their errors (None without weights).

        They are kept for the next product with the same matrix, which has the same arrays of weights.
        """
        kept = self._weighing
        if kept[0] is stiffness and kept[1] is weights and len(kept) > 2:
            return kept[2:]
        n_data = len(self.system.inputs)
        present = [g.reshape(n_data, -1) for g in (stiffness, weights) if g is not None]
        data = torch.cat(present, 1).any(1).nonzero()[:, 0]
        passed = self.passed.of(data)
        errors = None
        if weights is not None:
            errors = passes.backward(passed, self.system.targets.pull(weights)[:, data])
        self._weighing = (stiffness, weights, data, passed, errors)
        return self._weighing[2:]

    def _project(self, rows: Tensor) -> Tensor:
        return rows if self._sphere is None else self._sphere.project(rows)
