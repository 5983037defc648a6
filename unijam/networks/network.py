"""Any torch module as a constrained system: Δ_μ = κ − y_μ f_x(data_μ), x the parameters of the module."""

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..core.potentials import Harmonic, Potential, holding
from ..core.recording import recording
from ..core.tolerances import OVERLAP_RESOLUTIONS
from ..linalg import MEMORY
from ..support.arrays import Array, writable
from ..support.printing import brief
from ..support.validation import Count, Finite, Whole, checked, require, require_finite
from .layered.held_kinks import as_kinks, kinks_on
from .layered.initial import as_tensor
from .layered.validity import Device, Precision, require_kinks, require_labels, require_potential
from .modules.constraints import ModuleConstraints
from .modules.data import ModuleData
from .modules.functional import FunctionalModule
from .modules.kinks import TracedConstraints
from .modules.known import FLOATS
from .modules.sequential import symmetries_of
from .precision import DENSE, rounding
from .selection import chosen_data
from .symmetries.gauge import Symmetries


class Network(ModuleData):
    """Any `torch.nn.Module` that takes data and gives one output, or C, for each of them.

    One output f: labels ±1, Δ_μ = κ − y_μ f_μ. C outputs z_c: labels 0 … C − 1, and C − 1 constraints a datum,
    Δ_μc = κ + z_c − z_y. The module is copied. x, (N,), holds its trainable parameters, flat, in their order; frozen
    parameters and buffers stay fixed. Weights are free, so no margin jams the network.

    Up to `dense_limit` parameters J and H are matrices. Beyond, they are known by their products, taken forward over
    reverse mode in micro-batches of data that keep to `memory_limit`. Kinks of ReLU, |·|, max, min and one-sided clamps
    are known where J and H are matrices and all data fit into that limit at once.

    Parameters
    ----------
    module : nn.Module
        Deterministic, and without coupling between data: dropout and batch normalisation in eval mode.
    inputs : (P, …) array
        Data as the module takes them (integers for a module with an `nn.Embedding`).
    labels : (P,) array
        ±1, or classes from 0.
    potential : Potential, optional
        The energy of one datum; `Harmonic()` by default.
    margin : float, optional
        κ: 1 by default, 0 for `CrossEntropy`.
    memory_limit : int
        Bytes that a derivative may take beyond the data, x and the module themselves.
    dense_limit : int
        N up to which J and H are matrices.
    dtype : "float64" or "float32"
        Precision of x, data and outputs, whatever the precision of the module given.
    device : "cpu" or "cuda", optional
        By default the device of the module.

    Raises
    ------
    ValueError
        Where data hold NaN, labels fit no output, the output has another shape, is random or couples data, the
        module is in half precision, the memory does not suffice for one datum, or the device is not there.

    Examples
    --------
    >>> import torch, unijam as uj
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
    >>> data, labels = torch.randn(30, 8), torch.arange(30) % 2 * 2 - 1
    >>> network = uj.Network(module, data, labels)
    >>> network.n_dof, len(network.symmetries(network.initial)), uj.minimize(network).status
    (61, 6, 'satisfied')
    """

    @checked
    def __init__(
        self,
        module: Any,
        inputs: Any,
        labels: Any,
        potential: Potential | None = None,
        margin: Finite | None = None,
        *,
        memory_limit: Count = MEMORY,
        dense_limit: Annotated[Whole, Field(ge=0)] = DENSE,
        dtype: Precision = "float64",
        device: Device | None = None,
    ) -> None:
        available = device != "cuda" or torch.cuda.is_available()
        require(available, "device", device, "'cpu' on a machine without a CUDA device")
        place = None if device is None else torch.device(device)
        self.function = FunctionalModule(module, getattr(torch, dtype), place)
        self.initial = self.function.initial
        self.potential = Harmonic() if potential is None else potential
        self.margin = float(self.potential.finite_range) if margin is None else margin
        self.memory_limit, self.dense_limit = memory_limit, dense_limit
        self.inputs, self.labels = self._data(inputs), as_tensor(labels, "labels", *self._place)
        self._require_valid()

    @property
    def module(self) -> nn.Module:
        """A copy of the module with the parameters `initial`: as it was given, unless `initial` was changed."""
        return self.function.state(self.initial)

    @cached_property
    def _symmetries(self) -> Symmetries:
        return symmetries_of(self.function.module, self.function.positions, self.n_outputs)

    def at(self, **changes: Any) -> Self:
        """A copy with other parameters, for which the same x is valid.

        They are `initial`, `inputs`, `labels`, `margin`, `potential`, `memory_limit`, `dense_limit` and `kinks`. Kinks
        held are released where data change. A `ValueError` names what is unknown or does not fit.
        """
        known = ("initial", "inputs", "labels", "margin", "potential", "memory_limit", "dense_limit", "kinks")
        if not getattr(changes.get("potential"), "finite_range", True):
            changes = {"margin": 0.0} | changes
        if {"inputs", "labels"} & set(changes):  # (unit, datum) means another pair
            changes = {"kinks": None} | changes
        if changes.get("kinks") is not None:
            changes["kinks"] = as_kinks(changes["kinks"], self.initial)
        if "kinks" in changes:
            changes["potential"] = holding(changes.get("potential", self.potential), changes["kinks"])
        other = copy.copy(self)
        for cached in ("targets", "_traced"):
            other.__dict__.pop(cached, None)
        for name, value in changes.items():
            require(name in known, "parameter", name, "one of " + ", ".join(known))
            if name == "inputs":
                value = self._data(value)
            elif name in ("initial", "labels"):
                value = as_tensor(value, name, *self._place)
            setattr(other, name, float(value) if name == "margin" else value)
        if "inputs" in changes:
            other.__dict__.pop("n_outputs", None)
        other._require_valid()
        return other

    def subset(self, select: int | Array | slice) -> Self:
        """The network on some of its data: a number, a slice, a mask, (P,), or indices, (k,); see `FullyConnected`."""
        select = chosen_data(select, self.n_data, self._place[1])
        other = copy.copy(self)  # not `at`, which checks everything: each mini-batch makes a copy
        other.__dict__.pop("targets", None)
        other.__dict__.update(inputs=self.inputs[select], labels=self.labels[select])
        if self.kinks is not None:
            kinks = kinks_on(self.kinks, torch.arange(self.n_data, device=self.initial.device)[select])
            other.__dict__.update(kinks=kinks, potential=holding(self.potential, kinks))
        return other

    def trained(self, x: Array) -> nn.Module:
        """A copy of the module with the parameters x, (N,), an ordinary `nn.Module`."""
        return self.function.state(self.taken(x))

    def output(self, x: Array, inputs: Array) -> Tensor:
        """f of inputs, (M, …), at x, (N,): (M,), or (M, C) for C outputs; differentiable in x and inputs."""
        outputs = self.function(self.taken(x), self._data(inputs, False))
        return outputs[0] if self.n_outputs == 1 else outputs.T

    def constraints(self, x: Tensor, reach: float = 0.0) -> ModuleConstraints | TracedConstraints:
        """The constraints of all data at x, (N,); gaps of any width are included, whatever `reach`."""
        return ModuleConstraints(self, x) if self.kinks is None else TracedConstraints(self, x)

    def evaluator(self) -> Callable[[Tensor], tuple[float, Tensor, float, int]]:
        if self.kinks is not None:
            return super().evaluator()
        size = self.function.data_within(self.memory_limit, self.inputs)

        def evaluate(x: Tensor) -> tuple[float, Tensor, float, int]:
            x = self.taken(x)
            gradient, found = torch.zeros_like(x), []
            for start in range(0, self.n_data, size):
                part = slice(start, start + size)
                with recording():
                    leaf = x.detach().clone().requires_grad_()
                    outputs = self.function(leaf, self.inputs[part])
                    delta = self.label(self.labels[part]).distances(outputs, self.margin)
                found.append((outputs.detach(), delta.detach()))
                gradient += torch.autograd.grad(delta, leaf, self.potential.force(found[-1][1]))[0]
            outputs, delta = torch.cat([f[0] for f in found], 1), torch.cat([f[1] for f in found])
            force = self.potential.force(delta)
            overlaps = (delta > OVERLAP_RESOLUTIONS * rounding(outputs, self.margin)).sum()
            sums = [self.potential.energy(delta).sum(), force @ force, overlaps.to(delta.dtype)]
            energy, square, n_overlaps = torch.stack(sums).tolist()  # one transfer from the device: slow
            return energy, gradient, square, int(n_overlaps)

        return evaluate

    def symmetries(self, x: Tensor) -> Tensor:
        """Directions along which no Δ changes, (k, N), not orthonormal; a sparse tensor in a matrix-free network.

        They are rescalings of ReLU units and common shifts of C outputs, and are known only where the module is a chain
        of known layers.
        """
        rows = self._symmetries.rows(self.taken(x))
        return rows if self.matrix_free else rows.to_dense()

    def canonical(self, x: Tensor) -> Tensor:
        """x, (N,), in its gauge; x itself where it is there already.

        Outputs are shifted to sum 0 and ReLU units rescaled to ‖[w_in|b]‖ = ‖w_out‖, where these symmetries are known.
        """
        return self._symmetries.canonical(self.taken(x))

    def resolution(self, x: Tensor) -> float:
        """The rounding error of one Δ, a float: 4 eps × max(|κ|, typical |f|)."""
        return float(rounding(self.constraints(x).outputs, self.margin))

    def _data(self, value: Any, finite: bool = True) -> Tensor:
        """Data as a new tensor of finite numbers; `output`, which is differentiable in its inputs, asks for neither."""
        dtype, device = self._place
        try:
            given = value if isinstance(value, Tensor) else torch.as_tensor(writable(np.asarray(value)))
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(
                f"inputs = {brief(value)} is not valid: it must be an array of numbers."
            ) from None
        if given.is_floating_point() or given.is_complex():
            precise = given.dtype in FLOATS
            require(precise, "the precision of inputs", str(given.dtype), "float64 or float32")
        elif any(isinstance(layer, nn.Embedding) for layer in self.function.module.modules()):
            dtype = given.dtype
        if not finite:
            return given.to(dtype=dtype, device=device)
        with torch.inference_mode(False):  # derivatives may follow it later
            kept = given.detach().to(dtype=dtype, device=device).clone()
        require_finite(kept, "inputs")
        return kept

    def _require_valid(self) -> None:
        """Raise a `ValueError` of one sentence where data, labels, potential or kinks do not fit the module."""
        shape = tuple(self.inputs.shape)
        require(len(shape) >= 2, "the shape of inputs", shape, "(P, …), one datum a row")
        require(shape[0] >= 1, "n_data", shape[0], "at least 1")
        given, wanted = tuple(self.labels.shape), f"({shape[0]},), one a datum"
        require(given == (shape[0],), "the shape of labels", given, wanted)
        require_labels(self.labels, self.n_outputs)
        size = tuple(self.function.initial.shape)
        require(self.initial.shape == size, "the shape of initial", tuple(self.initial.shape), f"{size}")
        per_datum = self.targets.per_datum
        require_potential(self.potential, self.margin, per_datum)
        self.function.data_within(self.memory_limit, self.inputs)
        if self.kinks is not None:
            require_kinks(self.kinks, sum(self.kinked_units), shape[0], per_datum, self.potential)
