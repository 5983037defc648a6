"""A network of layers as a constrained system; `FullyConnected` adds the ways to make one."""

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
LEAST_MARGIN = 1e-4  # below this jamming margin the output vanishes on all data: a trivial solution


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LayeredSystem(Architecture, Softened, Replicated, Gauged):
    """A network of layers as a constrained system; see `FullyConnected` for the attributes."""

    def __post_init__(self) -> None:
        dtype, device = _kind(self.initial)
        for name in ("initial", "inputs", "labels", "radii"):
            object.__setattr__(self, name, as_tensor(getattr(self, name), name, dtype, device))
        if self.kinks is not None:
            object.__setattr__(self, "kinks", as_kinks(self.kinks, self.initial))
        require_valid(self, set(self.__dataclass_fields__))

    @property
    def control(self) -> str | None:  # type: ignore[override]
        """The name "margin" for spherical weights; None for free weights, which scale f at will, and cross-entropy."""
        return "margin" if self.weights == "spherical" and self.potential.finite_range else None

    @property
    def least_threshold(self) -> float | None:  # type: ignore[override]
        """1e-4 for a network with hidden layers and a margin, else None.

        A smaller jamming margin means that f vanishes on all data, as it does beyond the load that the network can fit.
        """
        return LEAST_MARGIN if self.depth and self.control else None

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether Δ is linear in x: a network without hidden layers and with free weights.

        On a sphere the weights with U = 0 form a convex cone for κ ≥ 0. Where no weights have U = 0, U behaves as a
        convex function only while Hp = −Σ Δ(Δ − κ)/N ≥ 0, and has several minima beyond.
        """
        return not self.widths and self.weights == "free"

    @property
    def softest(self) -> float | None:  # type: ignore[override]
        """The sharpness β from which a search begins; None without ReLU.

        2 for up to two hidden layers, 3.2 for three, 8 for five: softplus of small β has slope ½, so that many layers
        would damp a signal.
        """
        kinked = self.depth and self.activation == "relu"
        return float(2 ** (1 + max(self.depth - 2, 0) / 1.5)) if kinked else None

    def at(self, **changes: Any) -> Self:
        """A copy with other attributes, or another `scale`, for which the same x is valid.

        With a potential without finite range κ becomes 0, unless a margin is given too. Kinks held are released where
        inputs, labels, widths or the activation change.

        Raises
        ------
        ValueError
            Where a name is no attribute, or the attributes do not fit together.
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
        """The network with softplus of sharpness β in place of ReLU and no kinks held; a `ValueError` without ReLU."""
        require(
            self.softest, "activation", self.activation, "'relu' with a hidden layer: what softplus replaces"
        )
        return self.at(activation="softplus", beta=beta)

    def subset(self, select: int | Array | slice) -> Self:
        """The network on some of its data; kinks held on these stay held.

        Parameters
        ----------
        select : int, slice, (P,) mask or (k,) indices
            The number of first data to keep, or which data.

        Raises
        ------
        ValueError
            Where no datum is left, a mask has another length, or an index is out of range or not whole.
        """
        select = chosen_data(select, self.n_data, self.initial.device)
        other = copy.copy(self)  # not `at`, which checks everything: each mini-batch makes a copy
        for cached in ("targets", "kinks_by_layer"):
            other.__dict__.pop(cached, None)
        if self.kinks is not None:
            kinks = kinks_on(self.kinks, torch.arange(self.n_data, device=self.initial.device)[select])
            other.__dict__.update(kinks=kinks, potential=holding(self.potential, kinks))
        parts = {"inputs": self.inputs[..., select, :], "labels": self.labels[..., select]}
        other.__dict__.update(parts, entering=self.entering[..., select])
        return other

    def replica(self, number: tuple[Any, ...]) -> Self:
        """The network of one replica, or of several, by indices along the leading axes of data and weights."""
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
        """f_W of inputs, (M, d), at x, (N,): (M,), or (M, C) for C > 2 classes; differentiable in x and inputs."""
        dtype, device = self.initial.dtype, self.initial.device
        x, inputs = self.taken(x), torch.as_tensor(writable(inputs), dtype=dtype, device=device)
        outputs = self.outputs(x, passes.with_ones(inputs.mT, self.bias))
        return outputs[0] if self.n_classes == 2 else outputs.T

    def constraints(self, x: Tensor, reach: float = 0.0) -> NetworkConstraints:
        """The constraints of all data at x, (N,); gaps of any width are included, whatever `reach`."""
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
        """Directions along which no Δ changes, (k, N), not orthonormal; a sparse tensor in a matrix-free network.

        They are the radial directions of spherical weights, rescalings of ReLU units, and common shifts of C > 2
        outputs.
        """
        x = self.taken(x)
        sphere = self.sphere(x)
        rows = self._free.rows(x)
        if sphere is not None:
            rows = torch.cat([sphere.normals.T.to_sparse(), on_spheres(rows, sphere)])
        return rows if self.matrix_free else rows.to_dense()

    def gauge_directions(self, x: Tensor) -> Tensor:
        """The symmetries that hold beyond first order, (k, N).

        For spherical weights these are the radial directions alone: rescaled units change the norms to second order,
        which Hp sees. For free weights they are all `symmetries`.
        """
        x = self.taken(x)
        sphere = self.sphere(x)
        return self.symmetries(x) if sphere is None else sphere.normals.T

    def canonical(self, x: Tensor) -> Tensor:
        """x, (N,), in its gauge; x itself where it is there already.

        Spherical weights are scaled to ‖θ_l‖ = r_l. Free weights are shifted so that outputs have sum 0 (C > 2
        classes), and rescaled so that ReLU units have ‖[w_in|b]‖ = ‖w_out‖.
        """
        x = self.taken(x)
        sphere = self.sphere(x)
        if sphere is not None:
            change = (sphere.stretch - 1).abs().max()
            # 8 eps: rounding of the norms, so that a normalised x comes back bit by bit
            return x if float(change) < 8 * torch.finfo(x.dtype).eps else sphere.effective
        return self._free.canonical(x)

    def resolution(self, x: Tensor) -> float:
        """The rounding error of one Δ, a float: 4 eps × max(|κ|, typical |f|)."""
        return float(rounding(self.outputs(self.taken(x), self.entering), self.margin))


def _kind(initial: Any) -> tuple[torch.dtype, torch.device]:
    """Precision and device of weights; double precision on the CPU unless they are a tensor of floating numbers."""
    if isinstance(initial, Tensor) and initial.is_floating_point():
        return initial.dtype, initial.device
    return torch.float64, torch.device("cpu")
