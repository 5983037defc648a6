"""A module and its data: what constraints, kinks and products read of a `Network`."""

from functools import cached_property

import torch
from torch import Tensor

from ...core.capabilities import HasData
from ...core.kink_tracer import KinkTracer
from ...core.recording import recording
from ...core.system import ConstrainedSystem
from ...support.arrays import Array
from ..labels import Classes, Labels, Signs
from ..layered.initial import as_weights
from .functional import FunctionalModule


class ModuleData(ConstrainedSystem, HasData):
    """A module as a function of its parameters, the data it is trained on, and their distances.

    Attributes
    ----------
    function : FunctionalModule
        Outputs of data, from the parameters.
    inputs, labels : (P, …), (P,) tensors
        Data.
    margin : float
        κ.
    dense_limit : int
        N up to which J and H are matrices.
    """

    function: FunctionalModule
    inputs: Tensor
    labels: Tensor
    margin: float
    dense_limit: int

    @property
    def _place(self) -> tuple[torch.dtype, torch.device]:
        return self.initial.dtype, self.initial.device

    @property
    def sparse(self) -> bool:
        """Every datum moves every parameter: J is dense."""
        return False

    @property
    def kinked(self) -> bool:
        """Whether a call of ReLU or its like is known in the module, or u' jumps."""
        return bool(self.kinked_units) or self.potential.kink > 0

    @property
    def matrix_free(self) -> bool:
        """Whether N is beyond `dense_limit`."""
        return self.n_dof > self.dense_limit

    @property
    def n_data(self) -> int:  # type: ignore[override]
        """P."""
        return len(self.inputs)

    def taken(self, x: Array) -> Tensor:
        """x as a tensor of the network's own kind; x itself where it is one already."""
        return as_weights(x, self.initial)

    @cached_property
    def n_outputs(self) -> int:
        """1, or C."""
        return self.function.n_outputs(self.inputs)

    @cached_property
    def targets(self) -> Labels:
        """The labels, as the map from outputs to distances."""
        return self.label(self.labels)

    @cached_property
    def _traced(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        whole = self.function.data_within(self.memory_limit, self.inputs) >= self.n_data
        return traced_kinks(self.function, self.inputs) if whole and not self.matrix_free else ((), ())

    @property
    def kinked_units(self) -> tuple[int, ...]:
        """How many units each call of ReLU and its like bends; none where kinks are not known."""
        return self._traced[0]

    @property
    def unseen_kinks(self) -> tuple[str, ...]:
        """Functions of torch in the module that bend where it is not seen."""
        return self._traced[1]

    def label(self, labels: Tensor) -> Labels:
        """Labels of some data, as the map from outputs to distances."""
        return Signs(labels) if self.n_outputs == 1 else Classes(labels, self.n_outputs)

    def distances(self, x: Tensor, part: Tensor | slice) -> Tensor:
        """Δ of some data, differentiable."""
        outputs = self.function(x, self.inputs[part])
        return self.label(self.labels[part]).distances(outputs, self.margin)

    def delta(self, x: Tensor) -> Tensor:
        """Δ of all data, differentiable."""
        return self.distances(x, slice(None))


def traced_kinks(function: FunctionalModule, inputs: Tensor) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """How many units each call of ReLU, |·|, max, … bends, and the functions whose kinks are not seen.

    Kinks are seen where every call that bends is about data, (P, …); else there are none, and all are named.
    """
    found: list[tuple[int, ...]] = []
    tracer = KinkTracer(None)
    for copies in (1, 2):
        tracer = KinkTracer(None)
        with recording():
            few = torch.cat(copies * [inputs[:1]])
            leaf = function.initial.clone().requires_grad_()
            with tracer:
                function(leaf, few)
        if any(z.ndim == 0 or len(z) != len(few) for z in tracer.z):
            return (), tuple(dict.fromkeys([*tracer.unseen, *tracer.names]))
        found.append(tuple(z[0].numel() for z in tracer.z))
    if found[0] == found[1]:
        return found[0], tuple(tracer.unseen)
    return (), tuple(dict.fromkeys([*tracer.unseen, *tracer.names]))
