"""The constraints of a fully connected network at one x, read off one forward and one backward pass."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..arrays import Array
from ..system import OVERLAP_RESOLUTIONS, Constraints
from . import layers

if TYPE_CHECKING:
    from .fully_connected import FullyConnected


class NetworkConstraints(Constraints):
    """Δ_μ = κ − y_μ f_W(x_μ) of every datum; J and Σ w ∇∇Δ are products over the batch, dense."""

    system: "FullyConnected"
    passed: layers.Forward

    def __init__(self, system: "FullyConnected", x: Tensor) -> None:
        self.system, self.x = system, x.detach()
        self._sphere = system.sphere(self.x)
        self.passed = system.forward(
            self.x if self._sphere is None else self._sphere.effective, system.entering
        )
        self.delta = system.margin - system.labels * self.passed.output

    @property
    def members(self) -> Tensor:  # type: ignore[override]
        return torch.arange(len(self.delta), device=self.delta.device)[:, None]

    @property
    def overlaps(self) -> Tensor:
        return self.delta > OVERLAP_RESOLUTIONS * self.system.rounding(self.passed.output, self.system.margin)

    @cached_property
    def _errors(self) -> list[Tensor]:
        """∂Δ/∂z_l of each datum, (h_l, P) a layer."""
        return layers.backward(self.passed, -self.system.labels)

    def vjp(self, weights: Array) -> Tensor:
        return self._project(self._pull(weights)[None])[0]

    def jvp(self, direction: Array) -> Tensor:
        moved = self._project(direction[None].clone())[0].split(self.system.sizes)
        steps = zip(self._errors, self.passed.entering, moved, self.system.shapes, strict=True)
        return torch.stack([(e * (v.reshape(shape) @ h)).sum(0) for e, h, v, shape in steps]).sum(0)

    def jacobian(self, select: Array | None = None) -> Tensor:
        passed, errors = self.passed, self._errors
        if select is not None:
            passed, errors = passed.of(select), [e[:, select] for e in errors]
        return self._project(layers.jacobian(passed, errors))

    def curvature(self, weights: Array) -> Tensor:
        hessian = layers.curvature(self.passed, self._errors, weights)
        return hessian if self._sphere is None else self._sphere.curvature(hessian, self._pull(weights))

    def loading(self) -> Tensor:
        return torch.ones_like(self.delta)

    def _pull(self, weights: Tensor) -> Tensor:
        """Σ w ∇Δ in the effective weights, (N,)."""
        return layers.gradient(self.passed, [e * weights for e in self._errors])

    def _project(self, rows: Tensor) -> Tensor:
        return rows if self._sphere is None else self._sphere.project(rows)
