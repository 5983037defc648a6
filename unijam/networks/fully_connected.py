"""Fully connected networks as constrained systems: Δ_μ = κ − y_μ f_W(x_μ), or Δ_μc = κ + z_c − z_y of C classes."""

import zlib
from collections.abc import Sequence
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor

from ..core.capabilities import Reducible, Redundancy, Resizable
from ..core.potentials import Harmonic, Potential
from ..support.validation import Count, Finite, Positive, Seed, Whole, checked, require
from .datasets.data_set import DataSet
from .layered.initial import as_tensor, generators, initial_weights, layer_shapes, n_outputs, random_data
from .layered.reduction import redundancy
from .layered.system import LayeredSystem
from .layered.validity import ActivationName, Device, Precision, Weights
from .symmetries.sphere import layer_norms

Depth = Annotated[Whole, Field(ge=0)]


class FullyConnected(LayeredSystem, Reducible, Resizable):
    """A fully connected network trained to y f_W(x) ≥ κ, or z_y − z_c ≥ κ; made by `random` or `from_data`.

    h_l = σ(W_l h_{l−1} + b_l) through the hidden layers, f linear in the last. x holds θ_l = [W_l|b_l], rows
    first, one layer after the other. *Spherical* weights are used as r_l θ_l/‖θ_l‖; then f is bounded, and
    the margin κ jams the network (Δ = κ c − y f with c = 1). *Free* weights can scale f at will, so that no κ jams it.

    For two classes, the sign of one output f decides. For C > 2 classes, the largest of C outputs z decides:
    Δ_μc = κ + z_c − z_y for each class c but the true one, C − 1 constraints a datum.

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

    @classmethod
    @checked
    def random(
        cls,
        depth: Depth = 3,
        width: Count = 9,
        input_dimension: Count = 9,
        n_data: Annotated[Whole, Field(ge=2)] = 420,
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
            Number of hidden layers (0: a linear network), units in each of them, and d.
        n_data : int
            P, at least 2: Gaussian inputs, centred, on the sphere of radius √d, with balanced labels.
        activation, beta, weights, margin, bias
            See the class.
        seed : int
            Seed of data and weights.
        device : "cpu" or "cuda"
            The device of all tensors.
        dtype : "float64" or "float32"
            Their precision.

        Returns
        -------
        FullyConnected

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
        n_classes: Annotated[Whole, Field(ge=2)] | None = None,
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

        Returns
        -------
        FullyConnected

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

    @classmethod
    def stack(cls, networks: Sequence[Self]) -> Self:
        """One network of several replicas: weights, (k, N), and data, (k, P, d), of k networks along a leading axis.

        `minimize` runs them together; `replica((i,))` returns the network i. A `ValueError` is raised where they differ
        in anything but weights and data.
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

    def resized(self, width: int, seed: int | None = None) -> Self:
        """A network with `width` units in each hidden layer on the same data; its initial weights are drawn anew.

        Without a seed, the seed of the draw follows from the initial weights of this network.
        """
        if seed is None:
            seed = zlib.crc32(self.initial.detach().cpu().numpy().tobytes())
        kept = ("activation", "beta", "weights", "margin", "bias", "potential", "n_classes")
        return type(self).from_data(
            self.inputs,
            self.labels,
            depth=self.depth,
            width=width,
            seed=seed,
            device="cuda" if self.inputs.is_cuda else "cpu",
            dtype="float32" if self.inputs.dtype == torch.float32 else "float64",
            **{name: getattr(self, name) for name in kept},
        )

    def redundancy(self, x: Tensor) -> Redundancy:
        """Dead units, copies and trapped data at x, (N,), and a network of fewer hidden units with the same f on data.

        The radii of the reduced network are the norms of its weights. It is made for counting: k copies count k times
        in the norm of their layer and the merged unit counts once, so that spherical weights whose forces balance in
        the whole network do not, in general, balance in the reduced one.
        """
        return redundancy(self, x)
