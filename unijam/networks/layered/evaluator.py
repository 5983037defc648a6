"""U and ∇U of a fully connected network in as few operations as torch allows, since first-order methods wait for them.

x and data may have leading axes (replicas): they are flattened to one, over which every product is batched.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.capabilities import BatchedEvaluator
from ...core.potentials import Harmonic
from ...core.tolerances import OVERLAP_RESOLUTIONS
from ..precision import rounding
from .activations import activation
from .architecture import Architecture
from .passes import with_ones


class Evaluator(BatchedEvaluator):
    """x -> (U, ∇U, Σ u'², N_Δ) of a network on which no kinks are held; owns its buffers.

    x is (N,), or (…, N) for replicas: then ∇U is (…, N), and the three numbers are NumPy arrays, (…).
    """

    def __init__(self, system: Architecture) -> None:
        self.system, self.activation = system, activation(system.activation, system.beta)
        self.lead: torch.Size | None = None

    def __call__(self, x: Tensor) -> tuple[Any, Tensor, Any, Any]:
        gradient, delta, force, least = self._pass(x, self.system.margin)
        return self._numbers(gradient, delta, force, least)

    def scaled(self, x: Tensor, scale: float) -> tuple[Any, Tensor, Any, Any, Any]:
        """(x, κ) -> (U, ∇U, Σ u'², N_Δ, Σ u'), with shapes as above; `scale` is the margin κ."""
        gradient, delta, force, least = self._pass(x, scale)
        return self._numbers(gradient, delta, force, least, force.sum(-1))

    def _pass(self, x: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """∇U (…, N), Δ and u' (…, m), and the least Δ that counts as an overlap (…)."""
        system = self.system
        x = system.taken(x)
        if x.shape[:-1] != self.lead:
            self._allocate(x.shape[:-1])
        sphere = system.sphere(x)
        self.x.copy_(x if sphere is None else sphere.effective)
        self._forward()
        delta = system.targets.distances(self.outputs, margin)
        force = system.potential.force(delta)
        force = force if force.shape == delta.shape else force.view(delta.shape)
        self._backward(system.targets.pull(force).view(self.sums[-1].shape))
        gradient = torch.cat(self.parts, -1)  # a new tensor: the caller may keep it
        if sphere is not None:
            gradient = sphere.project(gradient.unsqueeze(-2)).squeeze(-2)
        return gradient, delta, force, rounding(self.outputs, margin, OVERLAP_RESOLUTIONS)

    def _numbers(
        self, gradient: Tensor, delta: Tensor, force: Tensor, least: Tensor, *more: Tensor
    ) -> tuple[Any, ...]:
        """The evaluator's results; all sums leave the device as one small tensor, since each transfer waits."""
        harmonic = isinstance(self.system.potential, Harmonic)
        square = torch.linalg.vecdot(force, force)
        sums = [square, torch.count_nonzero(delta > least[..., None], -1), *more]
        if not harmonic:
            sums.append(self.system.potential.energy(delta).view(*delta.shape[:-1], -1).sum(-1))
        values: list[Any] = torch.stack(sums).tolist()
        if delta.ndim > 1:
            values = [np.array(value) for value in values]
        energy = 0.5 * values[0] if harmonic else values.pop()  # harmonic: U = ½ Σ u'², already there
        n_overlaps = int(values[1]) if delta.ndim == 1 else values[1].astype(int)
        return energy, gradient, values[0], n_overlaps, *values[2:]

    def _allocate(self, lead: torch.Size) -> None:
        """Make the buffers for x with these leading axes, and views of them once: a view costs as much as a sum."""
        system, replicas, inputs = self.system, math.prod(lead), self.system.entering
        inputs = inputs.expand(*lead, *inputs.shape[-2:]).reshape(replicas, *inputs.shape[-2:])
        self.lead, n = lead, inputs.shape[-1]
        flat = inputs.new_empty(replicas, system.n_dof)
        parts = zip(flat.split(system.sizes, 1), system.shapes, strict=True)
        self.weights = [part.view(replicas, *shape) for part, shape in parts]
        self.sums = [inputs.new_empty(replicas, i, n) for i, _ in system.shapes]
        self.entering = [inputs, *(with_ones(torch.empty_like(z), system.bias) for z in self.sums[:-1])]
        self.hidden = [h[:, : z.shape[1]] for h, z in zip(self.entering[1:], self.sums, strict=False)]
        self.across = [h.mT for h in self.entering]
        self.above = [w[..., : z.shape[1]].mT for w, z in zip(self.weights[1:], self.sums, strict=False)]
        self.errors = [torch.empty_like(z) for z in self.sums[:-1]]
        self.gradients = [torch.empty_like(w) for w in self.weights]
        self.x, self.outputs = flat.view(*lead, -1), self.sums[-1].view(*lead, *self.sums[-1].shape[1:])
        self.parts = [g.view(*lead, -1) for g in self.gradients]

    def _forward(self) -> None:
        """Fill the buffers `sums` with the pre-activations of all layers."""
        for l, z in enumerate(self.sums):
            torch.bmm(self.weights[l], self.entering[l], out=z)
            if l < len(self.hidden):
                self.activation.write(z, self.hidden[l])

    def _backward(self, error: Tensor) -> None:
        """Fill the buffers `gradients` with Σ_μ δ_l h̃ᵀ of all layers, from ∂U/∂z of the last, (replicas, h_L, P)."""
        torch.bmm(error, self.across[-1], out=self.gradients[-1])
        for l in range(len(self.hidden) - 1, -1, -1):
            torch.bmm(self.above[l], error, out=self.errors[l])
            error = self.errors[l].mul_(self.activation.slope(self.sums[l], self.hidden[l]))
            torch.bmm(error, self.across[l], out=self.gradients[l])
