"""The constraints of any module at one x; torch takes all derivatives, in micro-batches that fit into memory."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...core.constraints import ConstraintOperator, Constraints
from ...core.kinks import Kinks
from ...core.recording import recording
from ...core.tolerances import OVERLAP_RESOLUTIONS
from ...support.arrays import Array, weigh
from ...support.memory import require_matrices
from ..layered.initial import as_tensor_like
from ..precision import rounding
from .data import ModuleData
from .functional import ONE_THREAD
from .kinks import TracedConstraints

PRODUCTS = "lower dense_limit, so that H is known by its products"


class ModuleConstraints(Constraints):
    """Δ of every datum (and class), (m,). J and Σ w ∇∇Δ are dense for small N; else H is known by its products.

    One product, (Σ a ∇Δ ⊗ ∇Δ + Σ w ∇∇Δ) v, is the derivative along v of the gradient of Σ w Δ + ½ a (Δ − Δ(x))²:
    forward over reverse mode (B. Pearlmutter, Neural Comput. 6, 147 (1994)). Where the data fit into memory at once,
    the graph of that gradient is kept instead, and each product is one backward pass through it.
    """

    system: ModuleData
    x: Tensor
    delta: Tensor

    def __init__(self, system: ModuleData, x: Tensor) -> None:
        self.system = system
        with torch.inference_mode(False), torch.no_grad():
            self.x = system.taken(x).detach().clone()
            outputs = [system.function(self.x, system.inputs[part]) for part in self._parts(1)]
        self.outputs = torch.cat(outputs, 1)
        self.delta = system.targets.distances(self.outputs, system.margin)
        self._graph: tuple[Any, ...] = (None, None)

    @property
    def members(self) -> Tensor:
        return self.system.targets.members()

    @property
    def overlaps(self) -> Tensor:
        return self.delta > OVERLAP_RESOLUTIONS * rounding(self.outputs, self.system.margin)

    def vjp(self, weights: Array) -> Tensor:
        weights = as_tensor_like(weights, self.x)
        total = torch.zeros_like(self.x)
        for part, w in self._weighted(weights):
            with recording():
                leaf = self.x.clone().requires_grad_()
                delta = self.system.distances(leaf, part)
            total += torch.autograd.grad(delta, leaf, w)[0]
        return total

    def jvp(self, direction: Array) -> Tensor:
        direction = as_tensor_like(direction, self.x)
        changes = [_forward(self._distances(part), self.x, direction) for part in self._parts()]
        return torch.cat(changes)

    def jacobian(self, select: Array | None = None) -> Tensor:
        system, k = self.system, self.system.targets.per_datum
        rows = torch.arange(len(self.delta), device=self.x.device)
        rows = rows if select is None else rows[select]
        data, n = torch.unique(rows // k), len(self.x)
        require_matrices(
            [(len(data) * k, n)], f"J of {len(data) * k} constraints and {n} weights", PRODUCTS, self.x
        )
        one = system.function.data_within(system.memory_limit, system.inputs)
        # at a time so many data that four copies of their rows of J fit into memory
        chunk = max(1, min(one, system.memory_limit // (4 * k * len(self.x) * self.x.element_size())))

        def of_datum(x: Tensor, inputs: Tensor, label: Tensor) -> Tensor:
            outputs = system.function(x, inputs[None])
            return system.label(label[None]).distances(outputs, system.margin)

        found = self.x.new_empty(len(data) * k, len(self.x))
        derive = torch.func.vmap(torch.func.jacrev(of_datum), in_dims=(None, 0, 0))
        for start in range(0, len(data), chunk):
            part = data[start : start + chunk]
            try:
                with recording():
                    blocks = derive(self.x, system.inputs[part], system.labels[part]).detach()
            except RuntimeError:  # vmap does not work for recurrent layers
                blocks = self._rows(part)
            found[start * k : (start + len(part)) * k] = blocks.reshape(-1, len(self.x))
        if len(rows) == len(found):
            return found  # all constraints of each datum, in order
        return found[torch.searchsorted(data, rows // k) * k + rows % k]

    def _rows(self, data: Tensor) -> Tensor:
        """The rows of J of some data, (rows, N), by one backward pass for each row."""
        with recording():
            leaf = self.x.clone().requires_grad_()
            delta = self.system.distances(leaf, data)
        rows = [torch.autograd.grad(one, leaf, retain_graph=True)[0] for one in delta]
        return torch.stack(rows)

    def curvature(self, weights: Array) -> Tensor | ConstraintOperator:
        weights = as_tensor_like(weights, self.x)
        if self.system.matrix_free:
            return ConstraintOperator(self, weights=weights, memory=self.system.memory_limit)
        n = len(self.x)
        require_matrices([(4 * n, n)], f"Hp as a dense matrix of {n} weights", PRODUCTS, self.x)
        hessian = self.x.new_zeros(n, n)
        # columns of H at a time, at most 2^24 numbers; micro-batches are made smaller by this factor
        columns = min(n, max(1, 2**24 // (n * max(1, len(self.outputs)))), 64)
        eye = torch.eye(n, dtype=self.x.dtype, device=self.x.device)
        for part, w in self._weighted(weights, columns):
            product = self._product(part, None, w)
            try:
                hessian += torch.func.vmap(product, chunk_size=columns)(eye)
            except RuntimeError:  # as in `jacobian`
                hessian += torch.stack([product(column) for column in eye])
        return 0.5 * (hessian + hessian.T)

    def curvature_product(self, direction: Array, stiffness: Array | None, weights: Array | None) -> Tensor:
        direction = as_tensor_like(direction, self.x)
        if not (self._graph[0] is stiffness and self._graph[1] is weights):
            self._graph = (stiffness, weights, *self._gradient(stiffness, weights))
        if len(self._graph) > 2:
            leaf, gradient = self._graph[2:]
            product: Tensor
            (product,) = torch.autograd.grad(
                gradient, leaf, direction, retain_graph=True, materialize_grads=True
            )
            return product
        total = torch.zeros_like(self.x)
        for part, a, w in self._both(stiffness, weights):
            total += self._product(part, a, w)(direction)
        return total

    def _gradient(self, stiffness: Tensor | None, weights: Tensor | None) -> tuple[Tensor, ...]:
        """(x, ∇): the gradient whose derivative along v is the product with v, with its graph.

        Empty where the data do not fit into memory at once, there are no weights, or the gradient does not depend on x.
        """
        parts = list(self._both(stiffness, weights))
        if weights is None or len(parts) != 1:
            return ()
        part, a, w = parts[0]
        assert w is not None
        with recording():
            leaf = self.x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self._total(part, a, w)(leaf), leaf, create_graph=True)
        return (leaf, gradient) if gradient.requires_grad else ()

    def kinks(self, weights: Array) -> Kinks:
        if not self.system.kinked_units:
            return super().kinks(weights)
        return TracedConstraints(self.system, self.x).kinks(weights)

    def loading(self) -> Tensor:
        return torch.ones_like(self.delta)

    def _distances(self, part: Tensor | slice) -> Callable[[Tensor], Tensor]:
        with recording():
            inputs, targets = self.system.inputs[part], self.system.label(self.system.labels[part])
        return lambda x: targets.distances(self.system.function(x, inputs), self.system.margin)

    def _product(
        self, part: Tensor, stiffness: Tensor | None, weights: Tensor | None
    ) -> Callable[[Tensor], Tensor]:
        """The function v -> (Σ a ∇Δ ⊗ ∇Δ + Σ w ∇∇Δ) v of some data, (N,) -> (N,)."""
        distances = self._distances(part)
        if weights is None:

            def between(v: Tensor) -> Tensor:
                weighed = weigh(stiffness, _forward(distances, self.x, v))
                product: Tensor = torch.func.vjp(distances, self.x)[1](weighed)[0]
                return product

            return between
        return lambda v: _forward(torch.func.grad(self._total(part, stiffness, weights)), self.x, v)

    def _total(self, part: Tensor, stiffness: Tensor | None, weights: Tensor) -> Callable[[Tensor], Tensor]:
        """The function y -> Σ w Δ(y) + ½ a (Δ(y) − Δ(x))² of some data, whose Hessian at x is the one wanted."""
        distances = self._distances(part)
        start = self.delta.view(-1, self.system.targets.per_datum)[part].reshape(-1)
        start, weights = as_tensor_like(start, self.x), as_tensor_like(weights, self.x)
        stiffness = None if stiffness is None else as_tensor_like(stiffness, self.x)

        def total(x: Tensor) -> Tensor:
            delta = distances(x)
            change = delta - start
            return weights @ delta + (0.0 if stiffness is None else 0.5 * (change @ weigh(stiffness, change)))

        return total

    def _parts(self, copies: int = 1) -> Iterator[slice]:
        """Micro-batches of the data, as slices, each so small that `copies` products with it fit into memory."""
        size, n_data = self._batch(copies), self.system.n_data
        return (slice(start, start + size) for start in range(0, n_data, size))

    def _batch(self, copies: int) -> int:
        system = self.system
        return max(1, system.function.data_within(system.memory_limit, system.inputs) // copies)

    def _weighted(self, weights: Tensor, copies: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Micro-batches of the data with a weight that is not zero, as indices, and their weights."""
        for part, _, w in self._both(None, weights, copies):
            if w is not None:
                yield part, w

    def _both(
        self, stiffness: Tensor | None, weights: Tensor | None, copies: int = 1
    ) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
        """Micro-batches of the data with stiffness or weight that is not zero, as indices, and these two."""
        n_data = self.system.n_data
        present = [g.reshape(n_data, -1) for g in (stiffness, weights) if g is not None]
        weighing = torch.cat(present, 1).any(1).nonzero()[:, 0] if present else self.delta[:0].long()
        coupled = stiffness is not None and stiffness.ndim == 3
        for part in weighing.split(self._batch(copies)):
            a = stiffness if stiffness is None or coupled else stiffness.view(n_data, -1)
            w = None if weights is None else weights.view(n_data, -1)[part].reshape(-1)
            yield part, a if a is None else a[part] if coupled else a[part].reshape(-1), w


def _forward(function: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor) -> Tensor:
    """The derivative of a function along a direction; by reverse mode twice where torch lacks forward mode."""
    with recording():
        try:
            with ONE_THREAD:
                derivative: Tensor = torch.func.jvp(function, (x,), (direction,))[1].detach()
                return derivative
        except (NotImplementedError, RuntimeError):
            value, pull = torch.func.vjp(function, x)[:2]
            derivative = torch.func.vjp(lambda w: pull(w)[0], torch.zeros_like(value))[1](direction)[
                0
            ].detach()
            return derivative
