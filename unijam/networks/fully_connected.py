"""Fully connected networks as constrained systems: Δ_μ = κ − y_μ f_W(x_μ), or Δ_μc = κ + z_c − z_y of C classes."""

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

import torch
from pydantic import Field
from torch import Tensor

from ..arrays import Array
from ..potentials import Harmonic, Potential, holding
from ..system import ConstrainedSystem
from ..validation import Count, Finite, Positive, Seed, checked, require, require_finite
from . import gauge, layers
from .activations import activation
from .constraints import NetworkConstraints
from .data import as_tensor, generators, initial_weights, layer_shapes, n_outputs, random_data
from .data_set import DataSet
from .evaluator import Evaluator
from .labels import Classes, Labels, Signs
from .precision import DENSE, rounding
from .reduction import reduced
from .sphere import Sphere, layer_norms

Depth = Annotated[int, Field(ge=0, strict=True)]
ActivationName = Literal["tanh", "softplus", "gelu", "relu"]
Weights = Literal["spherical", "free"]
Device = Literal["cpu", "cuda"]
Precision = Literal["float64", "float32"]

LOSES_KINKS = {
    "inputs",
    "labels",
    "widths",
    "activation",
}  # changes after which (unit, datum) means another pair
LEAST_MARGIN = 1e-4  # a jamming margin below this is that of a vanishing f


@dataclasses.dataclass(frozen=True, eq=False)
class FullyConnected(ConstrainedSystem):
    """A fully connected network trained to y f_W(x) ≥ κ, or z_y − z_c ≥ κ; made by `random` or `from_data`.

    h_l = σ(W_l h_{l−1} + b_l) through the hidden layers, f linear in the last. x holds θ_l = [W_l|b_l], rows
    first, one layer after the other. *Spherical* weights are used as r_l θ_l/‖θ_l‖; then f is bounded, and
    the margin κ jams the network (Δ = κ c − y f with c = 1). *Free* weights can scale f at will: no κ does.

    Two classes are told apart by the sign of one output f. C > 2 classes have C outputs z, and the largest
    decides: Δ_μc = κ + z_c − z_y for each class c but the true one, C − 1 constraints a datum.

    Attributes
    ----------
    initial : (N,) tensor
        Weights to start from; spherical ones need not be normalised.
    inputs : (P, d) tensor
        Data.
    labels : (P,) tensor
        ±1, or 0 … C − 1.
    widths : tuple of int
        Hidden units of each hidden layer.
    activation : "tanh", "softplus", "gelu" or "relu"
        σ.
    beta : float
        Sharpness of softplus, log(1 + exp(βz))/β.
    weights : "spherical" or "free"
        Whether each layer's norm is fixed.
    radii : (layers,) tensor
        r_l of spherical weights, the norms at initialisation.
    margin : float
        κ.
    bias : bool
        Whether there are biases b_l.
    potential : Potential
        The energy of one datum. `CrossEntropy` has no margin (κ = 0) and no control.
    n_classes : int
        C.
    kinks : (members, slopes) or None
        (unit, datum) pairs, units numbered through the layers, where h = slope × z instead of max(z, 0).
    dense_limit : int
        N up to which J and H are matrices; beyond, H is known by its products.

    References
    ----------
    M. Geiger et al., Phys. Rev. E 100, 012115 (2019).

    Examples
    --------
    >>> import unijam as uj
    >>> network = uj.FullyConnected.random(depth=2, width=8, input_dimension=8, n_data=200, seed=1)
    >>> network.n_dof, network.control, network.scale
    (153, 'margin', 1.0)
    """

    initial: Tensor
    inputs: Tensor
    labels: Tensor
    widths: tuple[int, ...]
    activation: str
    beta: float
    weights: str
    radii: Tensor
    margin: float
    bias: bool
    potential: Potential = dataclasses.field(default_factory=Harmonic)
    n_classes: int = 2
    kinks: tuple[Tensor, Tensor] | None = None
    dense_limit: int = DENSE

    @classmethod
    @checked
    def random(
        cls,
        depth: Depth = 3,
        width: Count = 9,
        input_dimension: Count = 9,
        n_data: Annotated[int, Field(ge=2, strict=True)] = 420,
        activation: ActivationName = "tanh",
        beta: Positive = 1.0,
        weights: Weights = "spherical",
        margin: Finite = 1.0,
        bias: bool = True,
        seed: Seed = 0,
        device: Device = "cpu",
        dtype: Precision = "float64",
    ) -> Self:
        """A network of orthogonal initial weights and zero biases, and random data.

        Parameters
        ----------
        depth, width, input_dimension : int
            Hidden layers (0: a linear network), units in each, and d.
        n_data : int
            P, at least 2: Gaussian inputs, centred, on the sphere of radius √d, with balanced labels.
        activation, beta, weights, margin, bias
            See the class.
        seed : int
            Of data and weights.
        device : "cpu" or "cuda"
            Where the network lives.
        dtype : "float64" or "float32"
            In which precision.

        Raises
        ------
        ValueError
            Where a value is out of range, or the device is not there.
        """
        data, _ = generators(seed)
        inputs, labels = random_data(n_data, input_dimension, data)
        return cls.from_data(
            inputs, labels, depth, width, activation, beta, weights, margin, bias, seed, device, dtype
        )

    @classmethod
    @checked
    def from_data(
        cls,
        inputs: Any,
        labels: Any = None,
        depth: Depth = 3,
        width: Count = 9,
        activation: ActivationName = "tanh",
        beta: Positive = 1.0,
        weights: Weights = "spherical",
        margin: Finite | None = None,
        bias: bool = True,
        seed: Seed = 0,
        device: Device = "cpu",
        dtype: Precision = "float64",
        potential: Potential | None = None,
        n_classes: Annotated[int, Field(ge=2, strict=True)] | None = None,
    ) -> Self:
        """A network of orthogonal initial weights and zero biases, and given data.

        Parameters
        ----------
        inputs : DataSet, or (P, d) array
            Data, finite, P at least 1.
        labels : (P,) array, or None for a DataSet, which has its own
            ±1, or 0 … C − 1 for C > 2 classes.
        margin : float, optional
            κ: 1 by default, 0 for `CrossEntropy`.
        potential : Potential, optional
            `Harmonic()` by default.
        n_classes : int, optional
            C: 2 by default, or the data set's.
        depth, width, activation, beta, weights, bias, seed, device, dtype
            See `random`.

        Raises
        ------
        ValueError
            Where data hold NaN, labels are not ±1 (not one of C classes), a value is out of range, or the device is
            not there.
        """
        if isinstance(inputs, DataSet):
            alone = labels is None and n_classes in (None, inputs.n_classes)
            require(alone, "labels and n_classes", "given", "left out: a DataSet has its own")
            inputs, labels, n_classes = inputs.inputs, inputs.labels, inputs.n_classes
        n_classes = n_classes or 2
        available = device == "cpu" or torch.cuda.is_available()
        require(available, "device", device, "'cpu' on a machine without a CUDA device")
        place = {"dtype": getattr(torch, dtype), "device": device}
        inputs, labels = as_tensor(inputs, "inputs", **place), as_tensor(labels, "labels", **place)
        require(inputs.ndim == 2 and inputs.shape[1], "the shape of inputs", tuple(inputs.shape), "(P, d)")
        widths = (width,) * depth
        shapes = layer_shapes(inputs.shape[1], widths, bias, n_outputs(n_classes))
        initial = torch.as_tensor(initial_weights(shapes, bias, generators(seed)[1]), **place)
        radii = layer_norms(initial, tuple(i * j for i, j in shapes))
        potential = Harmonic() if potential is None else potential
        margin = float(potential.finite_range) if margin is None else margin
        return cls(
            initial,
            inputs,
            labels,
            widths,
            activation,
            beta,
            weights,
            radii,
            margin,
            bias,
            potential,
            n_classes,
        )

    def __post_init__(self) -> None:
        _require_valid(self, set(self.__dataclass_fields__))

    @property
    def control(self) -> str | None:  # type: ignore[override]
        """The margin of spherical weights; None for free ones, which can scale f at will, and for cross-entropy."""
        return "margin" if self.weights == "spherical" and self.potential.finite_range else None

    @property
    def least_threshold(self) -> float | None:  # type: ignore[override]
        """1e-4 with hidden layers: below, f vanishes on all data (past the load that the network can fit)."""
        return LEAST_MARGIN if self.depth and self.control else None

    @property
    def matrix_free(self) -> bool:
        """Whether N is beyond `dense_limit`."""
        return self.n_dof > self.dense_limit

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.widths)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(h_l, h_{l−1} + bias) of each θ_l."""
        return layer_shapes(self.inputs.shape[-1], self.widths, self.bias, n_outputs(self.n_classes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of parameters of each layer."""
        return tuple(i * j for i, j in self.shapes)

    @cached_property
    def entering(self) -> Tensor:
        """The data as they enter the first layer, (d + bias, P)."""
        return layers.with_ones(self.inputs.mT, self.bias).contiguous()

    @cached_property
    def targets(self) -> Labels:
        """The labels, as the map from outputs to distances."""
        return Signs(self.labels) if self.n_classes == 2 else Classes(self.labels, self.n_classes)

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
            changes["kinks"] = _as_kinks(changes["kinks"], self.initial)
        if "kinks" in changes:
            changes["potential"] = holding(changes.get("potential", self.potential), changes["kinks"])
        for name, value in changes.items():
            require(name in self.__dataclass_fields__, "parameter", name, "an attribute of the network")
            if name in ("initial", "inputs", "labels", "radii"):
                value = as_tensor(value, name, self.initial.dtype, self.initial.device)
            elif name in ("margin", "beta"):
                value = float(value)
            object.__setattr__(other, name, value)
        _require_valid(other, set(changes))
        return other

    @property
    def n_data(self) -> int:  # type: ignore[override]
        """P."""
        return self.inputs.shape[-2]

    def subset(self, select: Array | slice) -> Self:
        """The network on some of its data, a slice, (P,) mask or index; kinks held on these stay held."""
        other = copy.copy(self)  # quick: a mini-batch makes one a step
        for cached in ("targets", "kinks_by_layer"):
            other.__dict__.pop(cached, None)
        if self.kinks is not None:
            kinks = _kinks_of(self.kinks, torch.arange(self.n_data)[select])
            other.__dict__.update(kinks=kinks, potential=holding(self.potential, kinks))
        parts = {"inputs": self.inputs[..., select, :], "labels": self.labels[..., select]}
        other.__dict__.update(parts, entering=self.entering[..., select])
        return other

    def replica(self, number: tuple) -> Self:
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

    @classmethod
    def stack(cls, networks: Sequence[Self]) -> Self:
        """Replicas: networks of the same kind, their weights and data along a leading axis.

        `minimize` runs them at once; `replica((k,))` is one of them again.
        """
        first = networks[0]
        for name in ("widths", "activation", "beta", "weights", "margin", "bias", "potential", "n_classes"):
            values = [getattr(network, name) for network in networks]
            require(values.count(values[0]) == len(values), name, values, "the same in all replicas")
        shapes = [tuple(network.inputs.shape) for network in networks]
        require(len(set(shapes)) == 1, "the shapes of inputs", shapes, "the same in all replicas")
        radii = [network.radii for network in networks]
        same = all(torch.allclose(r, radii[0]) for r in radii)
        require(same, "radii", [r.tolist() for r in radii], "the same in all replicas")
        parts = {k: torch.stack([getattr(n, k) for n in networks]) for k in ("initial", "inputs", "labels")}
        return first.at(**parts, radii=first.radii)

    def sphere(self, x: Tensor) -> Sphere | None:
        """The normalisation of spherical weights at x; None for free ones."""
        return Sphere.at(x, self.radii, self.sizes) if self.weights == "spherical" else None

    def forward(self, effective: Tensor, entering: Tensor) -> layers.Forward:
        """The forward pass of effective weights over `entering` data, (d + bias, P)."""
        parts = zip(effective.split(self.sizes), self.shapes, strict=True)
        weights = [part.view(shape) for part, shape in parts]
        kinks = self.kinks_by_layer if entering is self.entering else None
        return layers.forward(weights, entering, activation(self.activation, self.beta), kinks)

    @cached_property
    def kinks_by_layer(self) -> list[tuple[Tensor, Tensor, Tensor]] | None:
        """(units, data, slopes) of the kinks held in each hidden layer."""
        if self.kinks is None:
            return None
        ((units, data), slopes), first, held = (self.kinks[0].T, self.kinks[1]), 0, []
        for width in self.widths:
            here = (units >= first) & (units < first + width)
            held.append((units[here] - first, data[here], slopes[here]))
            first += width
        return held

    def outputs(self, x: Tensor, entering: Tensor) -> Tensor:
        """z of the last layer at x, (outputs, P)."""
        sphere = self.sphere(x)
        return self.forward(x if sphere is None else sphere.effective, entering).outputs

    def output(self, x: Array, inputs: Array) -> Tensor:
        """f_W of inputs (M, d) at x, (M,), or (M, C) for C > 2 classes; differentiable in both."""
        dtype, device = self.initial.dtype, self.initial.device
        x, inputs = (torch.as_tensor(a, dtype=dtype, device=device) for a in (x, inputs))
        outputs = self.outputs(x, layers.with_ones(inputs.mT, self.bias))
        return outputs[0] if self.n_classes == 2 else outputs.T

    def constraints(self, x: Tensor, reach: float = 0.0) -> NetworkConstraints:
        """The constraints of all data at x, gaps of any width included."""
        return NetworkConstraints(self, x)

    def evaluator(self) -> Callable[[Tensor], tuple[float, Tensor, float, int]]:
        return Evaluator(self) if self.kinks is None else super().evaluator()

    def scaled_evaluator(self) -> Callable[[Tensor, float], tuple[float, Tensor, float, int, float]]:
        return Evaluator(self).scaled if self.kinks is None else super().scaled_evaluator()

    def symmetries(self, x: Tensor) -> Tensor:
        """Radial directions of spherical weights, rescalings of ReLU units, common shifts of C > 2 outputs: (k, N),
        not orthonormal, sparse in a matrix-free network."""
        sphere = self.sphere(x)
        moves = (
            [gauge.rescalings(x, self.shapes)] if activation(self.activation, self.beta).homogeneous else []
        )
        if self.n_classes > 2:
            moves.append(gauge.shifts(x, self.shapes))
        rows = torch.cat(moves) if moves else x.new_zeros(0, len(x)).to_sparse()
        if sphere is not None:
            rows = torch.cat([sphere.normals.T.to_sparse(), gauge.on_spheres(rows, sphere)])
        return rows if self.matrix_free else rows.to_dense()

    def gauge_directions(self, x: Tensor) -> Tensor:
        """Of spherical weights the radial directions: rescaled units change norms to second order, which Hp sees."""
        sphere = self.sphere(x)
        return self.symmetries(x) if sphere is None else sphere.normals.T

    def canonical(self, x: Tensor) -> Tensor:
        """Spherical weights at ‖θ_l‖ = r_l; free ones with outputs of sum 0 (C > 2 classes), and ReLU units at
        ‖[w_in|b]‖ = ‖w_out‖; x itself where it is so already."""
        sphere = self.sphere(x)
        if sphere is not None:
            change = (sphere.stretch - 1).abs().max()
            return x if float(change) < 8 * torch.finfo(x.dtype).eps else sphere.effective
        if self.n_classes > 2:
            x = gauge.centred(x, self.shapes)
        return gauge.balanced(x, self.shapes) if self.activation == "relu" else x

    def resolution(self, x: Tensor) -> float:
        """The rounding error of one Δ: 4 eps × max(|κ|, typical |f|)."""
        return float(rounding(self.outputs(x, self.entering), self.margin))

    def reduced(self, x: Tensor) -> "tuple[FullyConnected, Tensor] | None":
        """The same f on the data from fewer hidden units; radii are the norms of the new weights.

        Made for counting: k copies count k times in their layer's norm and their unit once, so that spherical
        weights in force balance are in general none in the reduced network.

        Returns
        -------
        (system, x) or None
            None where no unit is dead or a copy of another.
        """
        return reduced(self, x)


def _require_valid(network: FullyConnected, changed: set[str]) -> None:
    """Check the attributes that changed, each in one sentence."""
    if changed & {"inputs", "labels", "initial", "widths", "bias", "n_classes"}:
        _require_data(network)
    if "kinks" in changed and network.kinks is not None:
        _require_kinks(network, *network.kinks)
    for field, choices in (("activation", ActivationName), ("weights", Weights)):
        value = getattr(network, field)
        require(value in get_args(choices), field, value, "one of " + ", ".join(get_args(choices)))
    require(math.isfinite(network.margin), "margin", network.margin, "a finite number")
    require(0 < network.beta < math.inf, "beta", network.beta, "positive and finite")
    radii = torch.as_tensor(network.radii)
    require_finite(radii, "radii")
    require(
        len(radii) == len(network.shapes),
        "the number of radii",
        len(radii),
        f"{len(network.shapes)}, one a layer",
    )
    require(bool((radii > 0).all()), "the smallest of radii", float(radii.min()), "positive")
    potential = network.potential
    require(isinstance(potential, Potential), "potential", potential, "a Potential, as Harmonic()")
    per_datum = network.targets.per_datum
    require(
        potential.coupled in (1, per_datum), "potential", potential, f"one of {network.n_classes} classes"
    )
    require(potential.finite_range or not network.margin, "margin", network.margin, "0 for this potential")


def _as_kinks(value: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    members, slopes = value
    return (
        torch.as_tensor(members, dtype=torch.int64, device=like.device),
        torch.as_tensor(slopes, dtype=like.dtype, device=like.device),
    )


def _kinks_of(kinks: tuple[Tensor, Tensor], chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Those kinks whose datum is among the chosen ones, with its new number."""
    members, slopes = kinks
    which, number = (members[:, 1:] == chosen.to(members.device)).nonzero(as_tuple=True)
    return torch.stack([members[which, 0], number], 1), slopes[which]


def _require_kinks(network: FullyConnected, members: Tensor, slopes: Tensor) -> None:
    shape = (tuple(members.shape), tuple(slopes.shape))
    require(shape == ((len(slopes), 2), (len(slopes),)), "the shapes of kinks", shape, "((k, 2), (k,))")
    hidden = members[:, 0] >= 0
    bent = network.activation == "relu" or not bool(hidden.any())
    require(bent, "activation", network.activation, "'relu' where kinks are held")
    width = torch.where(hidden, network.n_data, network.n_data * network.targets.per_datum)
    lowest = -1 if network.potential.kink else 0  # unit −1: the constraint itself
    inside = (members[:, 0] >= lowest) & (members[:, 0] < sum(network.widths))
    inside &= (members[:, 1] >= 0) & (members[:, 1] < width)
    require(bool(inside.all()), "kinks", members, "(unit, datum) pairs of the network")


def _require_data(network: FullyConnected) -> None:
    n_data, lead = network.n_data, tuple(network.initial.shape[:-1])  # with a leading axis: replicas
    require(n_data >= 1, "n_data", n_data, "at least 1")
    labels = network.labels
    fits = tuple(labels.shape) in ((n_data,), (*lead, n_data))
    require(fits, "the shape of labels", tuple(labels.shape), f"({n_data},), one a datum")
    fits = tuple(network.inputs.shape[:-2]) in ((), lead)
    require(fits, "the shape of inputs", tuple(network.inputs.shape), "(P, d)")
    classes = network.n_classes
    if classes == 2:
        wrong = labels[labels.abs() != 1]
        require(len(wrong) == 0, "labels", wrong[:1].tolist(), "+1 or −1 for every datum")
    else:
        wrong = labels[(labels != labels.round()) | (labels < 0) | (labels >= classes)]
        wanted = f"a whole number from 0 to {classes - 1} for every datum of {classes} classes"
        require(len(wrong) == 0, "labels", wrong[:1].tolist(), wanted)
    size = sum(network.sizes)
    shape = tuple(network.initial.shape)
    require(shape[-1:] == (size,), "the shape of initial", shape, f"({size},) for these layers")
    for field in ("initial", "inputs"):
        require_finite(getattr(network, field), field)
