"""Whether the attributes of a network fit together; a `ValueError` of one sentence where one does not."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from ...core.kinks import HeldKinks
from ...core.potentials import Potential
from ...support.validation import require, require_finite
from .architecture import Architecture
from .initial import n_outputs

ActivationName = Literal["tanh", "softplus", "gelu", "relu"]
Weights = Literal["spherical", "free"]
Device = Literal["cpu", "cuda"]
Precision = Literal["float64", "float32"]


def require_valid(network: Architecture, changed: set[str]) -> None:
    """Check the attributes of a network; `changed` holds the names of those that are new.

    Checks that need only old attributes are left out. A `ValueError` names the attribute, its value and its range.
    """
    if changed & {"inputs", "labels", "initial", "widths", "bias", "n_classes"}:
        _require_data(network)
    if "kinks" in changed and network.kinks is not None:
        require_kinks(
            network.kinks, network.n_hidden, network.n_data, network.targets.per_datum, network.potential
        )
        bent = network.activation == "relu" or not bool((network.kinks[0][:, 0] >= 0).any())
        require(bent, "activation", network.activation, "'relu' where kinks are held")
    for field, choices in (("activation", ActivationName), ("weights", Weights)):
        value = getattr(network, field)
        require(value in get_args(choices), field, value, "one of " + ", ".join(get_args(choices)))
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
    require_potential(network.potential, network.margin, network.targets.per_datum)


def require_labels(labels: Tensor, n_outputs: int) -> None:
    """Raise a `ValueError` unless labels, (P,), are ±1 for one output, or 0 … C − 1 for C outputs."""
    if n_outputs == 1:
        wrong = labels[labels.abs() != 1]
        wanted = "+1 or −1 for every datum: one output tells two classes apart"
    else:
        wrong = labels[(labels != labels.round()) | (labels < 0) | (labels >= n_outputs)]
        wanted = f"a whole number from 0 to {n_outputs - 1} for every datum of {n_outputs} classes"
    require(len(wrong) == 0, "labels", wrong[:1].tolist(), wanted)


def require_potential(potential: Potential, margin: float, per_datum: int) -> None:
    """Raise a `ValueError` unless potential and margin fit each other and the number of constraints of a datum."""
    require(isinstance(potential, Potential), "potential", potential, "a Potential, as Harmonic()")
    fits = potential.coupled in (1, per_datum)
    require(fits, "potential", potential, f"one of {per_datum + 1} classes")
    require(math.isfinite(margin), "margin", margin, "a finite number")
    require(potential.finite_range or not margin, "margin", margin, "0 for this potential")


def require_kinks(kinks: HeldKinks, units: int, n_data: int, per_datum: int, potential: Potential) -> None:
    """Raise a `ValueError` unless kinks are (unit, datum) pairs, (k, 2), with k slopes, within `units` and `n_data`.

    Where u' jumps, the unit −1 stands for a constraint, of which a datum has `per_datum`.
    """
    members, slopes = kinks
    shape = (tuple(members.shape), tuple(slopes.shape))
    require(shape == ((len(slopes), 2), (len(slopes),)), "the shapes of kinks", shape, "((k, 2), (k,))")
    width = torch.where(members[:, 0] >= 0, n_data, n_data * per_datum)
    lowest = -1 if potential.kink else 0
    inside = (members[:, 0] >= lowest) & (members[:, 0] < units)
    inside &= (members[:, 1] >= 0) & (members[:, 1] < width)
    require(bool(inside.all()), "kinks", members, "(unit, datum) pairs of the network")


def _require_data(network: Architecture) -> None:
    n_data, lead = network.n_data, tuple(network.initial.shape[:-1])  # with a leading axis: replicas
    require(n_data >= 1, "n_data", n_data, "at least 1")
    labels = network.labels
    fits = tuple(labels.shape) in ((n_data,), (*lead, n_data))
    require(fits, "the shape of labels", tuple(labels.shape), f"({n_data},), one a datum")
    fits = tuple(network.inputs.shape[:-2]) in ((), lead)
    require(fits, "the shape of inputs", tuple(network.inputs.shape), "(P, d)")
    require_labels(labels, n_outputs(network.n_classes))
    size = sum(network.sizes)
    shape = tuple(network.initial.shape)
    require(shape[-1:] == (size,), "the shape of initial", shape, f"({size},) for these layers")
    for field in ("initial", "inputs"):
        require_finite(getattr(network, field), field)
