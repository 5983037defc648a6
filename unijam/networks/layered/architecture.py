"""The layers of a network and its data: shapes, normalisation of the weights, forward pass, targets.

Constraints, evaluators, checks and reductions read this; `system`, which stands above them, makes a system of it.
"""

import dataclasses
from functools import cached_property

import torch
from torch import Tensor

from ...core.capabilities import HasData, Layered
from ...core.kinks import HeldKinks
from ...core.potentials import Harmonic, Potential
from ...core.system import ConstrainedSystem
from ...support.arrays import Array
from ..labels import Classes, Labels, Signs
from ..precision import DENSE
from ..symmetries.sphere import Sphere
from . import passes
from .activations import activation
from .held_kinks import by_layer
from .initial import as_weights, layer_shapes, n_outputs


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Architecture(ConstrainedSystem, HasData, Layered):
    """The layers of a network and its data; see `FullyConnected` for the attributes."""

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
    kinks: HeldKinks | None = None
    dense_limit: int = DENSE

    @property
    def n_hidden(self) -> int:  # type: ignore[override]
        """The number of hidden units in all layers, an int."""
        return sum(self.widths)

    @property
    def sparse(self) -> bool:
        """False: every datum moves every weight, so J is dense."""
        return False

    @property
    def kinked(self) -> bool:
        """Whether U has kinks: hidden units are ReLUs, or u' jumps."""
        bent = bool(self.widths) and activation(self.activation, self.beta).kinked
        return bent or self.potential.kink > 0

    @property
    def matrix_free(self) -> bool:
        """Whether N is above `dense_limit`, so that J and H are known by their products only."""
        return self.n_dof > self.dense_limit

    @property
    def depth(self) -> int:
        """The number of hidden layers, an int."""
        return len(self.widths)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """The shape (h_l, h_{l−1} + bias) of each θ_l."""
        return layer_shapes(self.inputs.shape[-1], self.widths, self.bias, n_outputs(self.n_classes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of parameters of each layer, a tuple of int."""
        return tuple(i * j for i, j in self.shapes)

    @cached_property
    def entering(self) -> Tensor:
        """The data as they enter the first layer, (d + bias, P): one datum a column, a last row of ones with biases."""
        with torch.inference_mode(False):  # cached tensors must allow derivatives later
            return passes.with_ones(self.inputs.mT, self.bias).contiguous()

    @cached_property
    def targets(self) -> Labels:
        """The labels, as the linear map from outputs, (outputs, P), to distances, (m,)."""
        return Signs(self.labels) if self.n_classes == 2 else Classes(self.labels, self.n_classes)

    @property
    def n_data(self) -> int:  # type: ignore[override]
        """The number of data P, an int."""
        return self.inputs.shape[-2]

    def taken(self, x: Array) -> Tensor:
        """x, (N,), as a tensor of the network's precision and device; x itself where it is one already.

        A `ValueError` is raised where x is no array of numbers or has another length.
        """
        return as_weights(x, self.initial)

    def sphere(self, x: Tensor) -> Sphere | None:
        """The map from x, (N,), to normalised weights, and its derivatives; None for free weights."""
        return Sphere.at(x, self.radii, self.sizes) if self.weights == "spherical" else None

    def forward(self, effective: Tensor, entering: Tensor) -> passes.Forward:
        """The forward pass of effective weights, (N,), over `entering` data, (d + bias, P).

        Kinks are held only where `entering` is the network's own tensor: they belong to its data.
        """
        parts = zip(effective.split(self.sizes), self.shapes, strict=True)
        weights = [part.view(shape) for part, shape in parts]
        kinks = self.kinks_by_layer if entering is self.entering else None
        return passes.forward(weights, entering, activation(self.activation, self.beta), kinks)

    @cached_property
    def kinks_by_layer(self) -> list[tuple[Tensor, Tensor, Tensor]] | None:
        """(units, data, slopes), (k,) each, of the kinks held in each hidden layer; None where no kinks are held."""
        return None if self.kinks is None else by_layer(self.kinks, self.widths)

    def outputs(self, x: Tensor, entering: Tensor) -> Tensor:
        """z of the last layer, (outputs, P), at x, (N,), for `entering` data, (d + bias, P)."""
        sphere = self.sphere(x)
        return self.forward(x if sphere is None else sphere.effective, entering).outputs
