"""From the weights of a network of layers to its constraints: all that does not depend on how it was made."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from ...core.capabilities import Gauged, Replicated, Softened
from ...core.potentials import holding
from ...core.system import ConstrainedSystem
from ...support.arrays import Array, writable
from ...support.validation import require
from ..precision import rounding
from ..selection import chosen_data
from ..symmetries.gauge import Symmetries, on_spheres
from . import passes
from .activations import activation
from .architecture import Architecture
from .constraints import NetworkConstraints
from .evaluator import Evaluator
from .held_kinks import as_kinks, kinks_on
from .initial import as_tensor
from .validity import require_valid

LOSES_KINKS = {
    "inputs",
    "labels",
    "widths",
    "activation",
}  # changes after which (unit, datum) means another pair
LEAST_MARGIN = 1e-4  # a jamming margin below this is that of a vanishing f


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LayeredSystem(Architecture, Softened, Replicated, Gauged):
    """The constraints of a network of layers; `FullyConnected` says what its attributes are."""

    def __post_init__(self) -> None:
        dtype, device = _kind(self.initial)
        for name in ("initial", "inputs", "labels", "radii"):
            object.__setattr__(self, name, as_tensor(getattr(self, name), name, dtype, device))
        if self.kinks is not None:
            object.__setattr__(self, "kinks", as_kinks(self.kinks, self.initial))
        require_valid(self, set(self.__dataclass_fields__))

    @property
    def control(self) -> str | None:  # type: ignore[override]
        """The margin of spherical weights; None for free ones, which can scale f at will, and for cross-entropy."""
        return "margin" if self.weights == "spherical" and self.potential.finite_range else None

    @property
    def least_threshold(self) -> float | None:  # type: ignore[override]
        """1e-4 with hidden layers: below, f vanishes on all data (past the load that the network can fit)."""
        return LEAST_MARGIN if self.depth and self.control else None

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Of a linear network with free weights, in which Δ is linear.

        On a sphere the weights with U = 0 are a convex cone for κ ≥ 0; where there are none, U is convex-equivalent
        only while Hp = −Σ Δ(Δ − κ)/N ≥ 0, and has several minima beyond.
        """
        return not self.widths and self.weights == "free"

    @property
    def softest(self) -> float | None:  # type: ignore[override]
        """β = 2 for up to two hidden layers of ReLU, 3.2 for three, 8 for five: soft units damp what passes them."""
        kinked = self.depth and self.activation == "relu"
        return float(2 ** (1 + max(self.depth - 2, 0) / 1.5)) if kinked else None

    def at(self, **changes: Any) -> Self:
        """A copy with other attributes, or another `scale`, for which the same x is valid.

        A potential without finite range brings κ = 0 with it, unless a margin is given too.
        """
        if "scale" in changes and self.control is not None:
            changes[self.control] = changes.pop("scale")
        if not getattr(changes.get("potential"), "finite_range", True):
            changes = {"margin": 0.0} | changes
        other = copy.copy(self)
        cached = ["kinks_by_layer"]
        cached += ["entering"] if {"inputs", "bias"} & set(changes) else []
        cached += ["targets"] if {"labels", "n_classes"} & set(changes) else []
        for name in cached:
            other.__dict__.pop(name, None)
        if LOSES_KINKS & set(changes):
            changes = {"kinks": None} | changes
        if changes.get("kinks") is not None:
            changes["kinks"] = as_kinks(changes["kinks"], self.initial)
        if "kinks" in changes:
            changes["potential"] = holding(changes.get("potential", self.potential), changes["kinks"])
        for name, value in changes.items():
            require(name in self.__dataclass_fields__, "parameter", name, "an attribute of the network")
            if name in ("initial", "inputs", "labels", "radii"):
                value = as_tensor(value, name, self.initial.dtype, self.initial.device)
            elif name in ("margin", "beta"):
                value = float(value)
            object.__setattr__(other, name, value)
        require_valid(other, set(changes))
        return other

    def softened(self, beta: float) -> ConstrainedSystem:
        """The network with softplus of sharpness β for ReLU, no kinks held."""
        require(
            self.softest, "activation", self.activation, "'relu' with a hidden layer: what softplus replaces"
        )
        return self.at(activation="softplus", beta=beta)

    def subset(self, select: int | Array | slice) -> Self:
        """The network on some of its data; kinks held on these stay held.

        Parameters
        ----------
        select : int, slice, (P,) mask or (k,) indices
            The first so many, or which.

        Raises
        ------
        ValueError
            Where no datum is left, a mask has another length, or an index is out of range or not whole.
        """
        select = chosen_data(select, self.n_data, self.initial.device)
        other = copy.copy(self)  # quick: a mini-batch makes one a step
        for cached in ("targets", "kinks_by_layer"):
            other.__dict__.pop(cached, None)
        if self.kinks is not None:
            kinks = kinks_on(self.kinks, torch.arange(self.n_data, device=self.initial.device)[select])
            other.__dict__.update(kinks=kinks, potential=holding(self.potential, kinks))
        parts = {"inputs": self.inputs[..., select, :], "labels": self.labels[..., select]}
        other.__dict__.update(parts, entering=self.entering[..., select])
        return other

    def replica(self, number: tuple[Any, ...]) -> Self:
        """The network of one replica, or of some, by indices along the leading axes of data and weights."""
        if self.initial.ndim == self.inputs.ndim - 1 == self.labels.ndim == 1:
            return self
        other = copy.copy(self)
        for cached in ("targets", "entering"):
            other.__dict__.pop(cached, None)
        for name, single in (("initial", 1), ("inputs", 2), ("labels", 1)):
            value = getattr(self, name)
            if value.ndim > single:
                other.__dict__[name] = value[number]
        return other

    def output(self, x: Array, inputs: Array) -> Tensor:
        """f_W of inputs (M, d) at x, (M,), or (M, C) for C > 2 classes; differentiable in both."""
        dtype, device = self.initial.dtype, self.initial.device
        x, inputs = self.taken(x), torch.as_tensor(writable(inputs), dtype=dtype, device=device)
        outputs = self.outputs(x, passes.with_ones(inputs.mT, self.bias))
        return outputs[0] if self.n_classes == 2 else outputs.T

    def constraints(self, x: Tensor, reach: float = 0.0) -> NetworkConstraints:
        """The constraints of all data at x, gaps of any width included."""
        return NetworkConstraints(self, x)

    def evaluator(self) -> Callable[[Tensor], tuple[float, Tensor, float, int]]:
        return Evaluator(self) if self.kinks is None else super().evaluator()

    def scaled_evaluator(self) -> Callable[[Tensor, float], tuple[float, Tensor, float, int, float]]:
        return Evaluator(self).scaled if self.kinks is None else super().scaled_evaluator()

    @property
    def _free(self) -> Symmetries:
        """The symmetries that free weights have."""
        homogeneous = activation(self.activation, self.beta).homogeneous
        return Symmetries.of_layers(self.shapes, homogeneous, self.n_classes > 2, self.initial.device)

    def symmetries(self, x: Tensor) -> Tensor:
        """Radial directions of spherical weights, rescalings of ReLU units, common shifts of C > 2 outputs.

        (k, N), not orthonormal, sparse in a matrix-free network.
        """
        x = self.taken(x)
        sphere = self.sphere(x)
        rows = self._free.rows(x)
        if sphere is not None:
            rows = torch.cat([sphere.normals.T.to_sparse(), on_spheres(rows, sphere)])
        return rows if self.matrix_free else rows.to_dense()

    def gauge_directions(self, x: Tensor) -> Tensor:
        """Of spherical weights the radial directions: rescaled units change norms to second order, which Hp sees."""
        x = self.taken(x)
        sphere = self.sphere(x)
        return self.symmetries(x) if sphere is None else sphere.normals.T

    def canonical(self, x: Tensor) -> Tensor:
        """x in its gauge; x itself where it is there already.

        Spherical weights have ‖θ_l‖ = r_l; free ones outputs of sum 0 (C > 2 classes), and ReLU units with
        ‖[w_in|b]‖ = ‖w_out‖.
        """
        x = self.taken(x)
        sphere = self.sphere(x)
        if sphere is not None:
            change = (sphere.stretch - 1).abs().max()
            return x if float(change) < 8 * torch.finfo(x.dtype).eps else sphere.effective
        return self._free.canonical(x)

    def resolution(self, x: Tensor) -> float:
        """The rounding error of one Δ: 4 eps × max(|κ|, typical |f|)."""
        return float(rounding(self.outputs(self.taken(x), self.entering), self.margin))


def _kind(initial: Any) -> tuple[torch.dtype, torch.device]:
    """Precision and device of weights; double precision on the CPU of what is no tensor of floating numbers."""
    if isinstance(initial, Tensor) and initial.is_floating_point():
        return initial.dtype, initial.device
    return torch.float64, torch.device("cpu")
