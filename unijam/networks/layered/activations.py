"""Activation functions σ(z) with their first and second derivatives, elementwise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """σ(z) of pre-activations z.

    Attributes
    ----------
    value : function of z
        h = σ(z).
    slope, bend : function of (z, h)
        σ' and σ'', which may be cheaper from h.
    odd : bool
        Whether σ(−z) = −σ(z), so that a hidden unit may change its sign.
    homogeneous : bool
        Whether σ(a z) = a σ(z) for a > 0, so that a hidden unit may be rescaled.
    kinked : bool
        Whether σ' jumps from 0 to 1 at z = 0.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    bend: Callable[[Tensor, Tensor], Tensor]
    odd: bool = False
    homogeneous: bool = False
    kinked: bool = False

    def write(self, z: Tensor, out: Tensor) -> None:
        """Write σ(z) into `out`, a tensor of the shape of z."""
        if self.homogeneous:
            torch.clamp_min(z, 0.0, out=out)
        else:
            out.copy_(self.value(z))


@cache
def activation(name: str, beta: float = 1.0) -> Activation:
    """The activation of a name: tanh; softplus, log(1 + exp(βz))/β; gelu, z Φ(z); relu, max(z, 0), slope 0 at z = 0.

    A `KeyError` for another name; `beta` matters for softplus only.
    """
    return {"tanh": _tanh, "softplus": lambda: _softplus(beta), "gelu": _gelu, "relu": _relu}[name]()


def _tanh() -> Activation:
    def slope(z: Tensor, h: Tensor) -> Tensor:
        return 1 - h * h

    def bend(z: Tensor, h: Tensor) -> Tensor:
        return 2 * h * (h * h - 1)

    return Activation(torch.tanh, slope, bend, odd=True)


def _softplus(beta: float) -> Activation:
    def value(z: Tensor) -> Tensor:
        # beyond βz = 40 softplus is linear to rounding, since exp(−40) = 4e-18
        return functional.softplus(z, beta=beta, threshold=40.0)

    def slope(z: Tensor, h: Tensor) -> Tensor:
        return torch.sigmoid(beta * z)

    def bend(z: Tensor, h: Tensor) -> Tensor:
        d = torch.sigmoid(beta * z)
        return beta * d * (1 - d)

    return Activation(value, slope, bend)


def _gelu() -> Activation:
    def density(z: Tensor) -> Tensor:
        return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)

    def slope(z: Tensor, h: Tensor) -> Tensor:
        below: Tensor = torch.special.ndtr(z)
        return below + z * density(z)

    def bend(z: Tensor, h: Tensor) -> Tensor:
        return (2 - z * z) * density(z)

    return Activation(functional.gelu, slope, bend)


def _relu() -> Activation:
    def slope(z: Tensor, h: Tensor) -> Tensor:
        return h.sign()  # quicker than (z > 0), which would have to be turned into numbers

    def bend(z: Tensor, h: Tensor) -> Tensor:
        return torch.zeros_like(z)

    return Activation(torch.relu, slope, bend, homogeneous=True, kinked=True)
