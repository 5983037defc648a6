"""The size up to which derivatives of a network are matrices, and the rounding error of its outputs."""

import math

import torch
from torch import Tensor

DENSE = 10_000  # degrees of freedom up to which J and H are matrices
ROUNDING = 4.0  # rounding error of f, in units of eps × max(|κ|, typical |f|)


def rounding(outputs: Tensor, margin: float, times: float = 1.0) -> Tensor:
    """`times` × the rounding error of one Δ = κ ∓ f for outputs f, (…, outputs, P): a tensor, (…)."""
    unit = times * ROUNDING * torch.finfo(outputs.dtype).eps
    size = torch.linalg.vector_norm(outputs, dim=(-2, -1))
    errors: Tensor = (size * (unit / math.sqrt(math.prod(outputs.shape[-2:])))).clamp_min(unit * abs(margin))
    return errors
