"""The linear map from the outputs of a network to signed distances, and its transpose.

Two classes: labels y = ±1, one output f, one constraint a datum, Δ_μ = κ − y_μ f_μ.
C > 2 classes: labels 0 … C − 1, outputs z_c, C − 1 constraints a datum, Δ_μc = κ + z_c − z_y for every c ≠ y.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..support.arrays import Array


class Labels(ABC):
    """The linear map from outputs, (outputs, P), to distances, (m,), datum by datum, and its transpose.

    `per_datum` is the number of constraints of a datum: m = P × per_datum. Replicas have leading axes.
    """

    per_datum: int

    @abstractmethod
    def distances(self, outputs: Tensor, margin: float) -> Tensor:
        """Δ, (m,), of outputs, (outputs, P); for margin 0 the linear part of the map."""

    @abstractmethod
    def pull(self, weights: Tensor) -> Tensor:
        """Σ w ∂Δ/∂z, (outputs, P), for weights w, (m,): the transposed map."""

    @abstractmethod
    def seeds(self, select: Array | None = None) -> Tensor:
        """∂Δ/∂z of each of m' selected constraints (a mask or indices; all by default), (outputs, m')."""

    @abstractmethod
    def data(self, select: Array | None = None) -> Array | None:
        """The datum of each selected constraint, as indices or a mask; None stands for every datum once."""

    @abstractmethod
    def members(self) -> Tensor:
        """What each constraint is about: its datum, (m, 1), or its datum and wrong class, (m, 2)."""

    @abstractmethod
    def correct(self, outputs: Tensor) -> Tensor:
        """Whether each datum is classified as it is labelled, (P,), for outputs, (outputs, P)."""


class Signs(Labels):
    """Labels of two classes, y = ±1, (P,): Δ_μ = κ − y_μ f_μ."""

    per_datum = 1

    def __init__(self, y: Tensor) -> None:
        self.y, self.opposite = y, -y

    def distances(self, outputs: Tensor, margin: float) -> Tensor:
        return (self.opposite * outputs[..., 0, :]).add_(margin)

    def pull(self, weights: Tensor) -> Tensor:
        return (self.opposite * weights).unsqueeze(-2)

    def seeds(self, select: Array | None = None) -> Tensor:
        return -(self.y if select is None else self.y[select])[None]

    def data(self, select: Array | None = None) -> Array | None:
        return select

    def members(self) -> Tensor:
        return torch.arange(len(self.y), device=self.y.device)[:, None]

    def correct(self, outputs: Tensor) -> Tensor:
        return self.y * outputs[..., 0, :] > 0


class Classes(Labels):
    """Labels of C > 2 classes, y = 0 … C − 1, (P,): Δ_μc = κ + z_c − z_y for each c ≠ y."""

    def __init__(self, y: Tensor, n_classes: int) -> None:
        self.n_classes, self.per_datum = n_classes, n_classes - 1
        self.y = y.long()[..., None]
        wrong = torch.arange(n_classes - 1, device=y.device)
        self.others = wrong + (wrong >= self.y)  # (P, C − 1): all classes but the true one

    def distances(self, outputs: Tensor, margin: float) -> Tensor:
        z = outputs.mT
        others, true = (index.expand(*z.shape[:-1], -1) for index in (self.others, self.y))
        return (margin + z.gather(-1, others) - z.gather(-1, true)).flatten(-2)

    def pull(self, weights: Tensor) -> Tensor:
        w = weights.unflatten(-1, (-1, self.per_datum))
        others, true = (index.expand(*w.shape[:-1], -1) for index in (self.others, self.y))
        seeds: Tensor = w.new_zeros(*w.shape[:-1], self.n_classes)
        return seeds.scatter_(-1, others, w).scatter_(-1, true, -w.sum(-1, keepdim=True)).mT

    def seeds(self, select: Array | None = None) -> Tensor:
        data, wrong = (self.members() if select is None else self.members()[select]).T
        units = torch.eye(self.n_classes, device=self.y.device, dtype=torch.get_default_dtype())
        return (units[wrong] - units[self.y[data, 0]]).T

    def data(self, select: Array | None = None) -> Array | None:
        data = self.members()[:, 0]
        return data if select is None else data[select]

    def members(self) -> Tensor:
        data = torch.arange(len(self.y), device=self.y.device).repeat_interleave(self.per_datum)
        return torch.stack([data, self.others.reshape(-1)], 1)

    def correct(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(-2) == self.y[..., 0]
