"""A module and its data: the part of a `Network` that constraints, kinks and products read."""

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
        Outputs of data as a function of the parameters.
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
        """False: every datum moves every parameter, so J is dense."""
        return False

    @property
    def kinked(self) -> bool:
        """Whether U has known kinks: a call of ReLU, |·|, max, … in the module, or a jump of u'."""
        return bool(self.kinked_units) or self.potential.kink > 0

    @property
    def matrix_free(self) -> bool:
        """Whether N is above `dense_limit`, so that J and H are known by their products only."""
        return self.n_dof > self.dense_limit

    @property
    def n_data(self) -> int:  # type: ignore[override]
        """The number of data P, an int."""
        return len(self.inputs)

    def taken(self, x: Array) -> Tensor:
        """x, (N,), as a tensor of the network's precision and device; x itself where it is one already.

        A `ValueError` is raised where x is no array of numbers or has another length.
        """
        return as_weights(x, self.initial)

    @cached_property
    def n_outputs(self) -> int:
        """The number of outputs of a datum: 1, or C."""
        return self.function.n_outputs(self.inputs)

    @cached_property
    def targets(self) -> Labels:
        """The labels, as the linear map from outputs, (outputs, P), to distances, (m,)."""
        return self.label(self.labels)

    @cached_property
    def _traced(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        whole = self.function.data_within(self.memory_limit, self.inputs) >= self.n_data
        return traced_kinks(self.function, self.inputs) if whole and not self.matrix_free else ((), ())

    @property
    def kinked_units(self) -> tuple[int, ...]:
        """For each call of ReLU, |·|, max, … the number of units with a kink; empty where kinks are not known."""
        return self._traced[0]

    @property
    def unseen_kinks(self) -> tuple[str, ...]:
        """Names of the torch functions called in the module whose kinks are not seen."""
        return self._traced[1]

    def label(self, labels: Tensor) -> Labels:
        """The map from outputs to distances for some labels, (k,)."""
        return Signs(labels) if self.n_outputs == 1 else Classes(labels, self.n_outputs)

    def distances(self, x: Tensor, part: Tensor | slice) -> Tensor:
        """Δ at x, (N,), of some data, a slice or (k,) indices: (k × constraints a datum,), differentiable in x."""
        outputs = self.function(x, self.inputs[part])
        return self.label(self.labels[part]).distances(outputs, self.margin)

    def delta(self, x: Tensor) -> Tensor:
        """Δ of all data at x, (N,): (m,), differentiable in x."""
        return self.distances(x, slice(None))


def traced_kinks(function: FunctionalModule, inputs: Tensor) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The number of units with a kink in each call of ReLU, |·|, max, …, and the functions whose kinks are not seen.

    Kinks are seen only where the argument of every such call has the data as its first axis, (P, …). Otherwise none
    are seen, and all these functions are named.
    """
    found: list[tuple[int, ...]] = []
    tracer = KinkTracer(None)
    for copies in (1, 2):  # with two data the first axis of an argument must be two: so it is the data's
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
