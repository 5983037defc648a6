"""Spherical weights: each layer's θ_l = [W_l|b_l] is used as r_l θ_l/‖θ_l‖; the chain rule through it."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sphere:
    """The map θ_l -> r_l θ_l/‖θ_l‖ at one x, with its derivatives.

    D_l = ∂(rθ/‖θ‖)/∂θ = (r/‖θ‖)(1 − nnᵀ), n = θ/‖θ‖, is symmetric.

    Attributes
    ----------
    effective : (N,) tensor
        r_l θ_l/‖θ_l‖, all layers.
    stretch : (N,) tensor
        r_l/‖θ_l‖ of the layer of each parameter.
    normals : (N, layers) tensor
        n_l, zero outside its layer.
    norms : (layers,) tensor
        ‖θ_l‖.
    layers : (N, layers) tensor
        1 where a parameter belongs to a layer.
    """

    effective: Tensor
    stretch: Tensor
    normals: Tensor
    norms: Tensor
    layers: Tensor

    @classmethod
    def at(cls, x: Tensor, radii: Tensor, sizes: tuple[int, ...]) -> "Sphere":
        """The map at x, (N,), for layers of norms `radii`, (layers,), and of `sizes` parameters each."""
        layers = layer_indicator(sizes, x.dtype, x.device)
        norms = ((x * x) @ layers).sqrt()
        stretch = (radii / norms) @ layers.T
        return cls(x * stretch, stretch, layers * (x / (norms @ layers.T))[..., None], norms, layers)

    def project(self, rows: Tensor) -> Tensor:
        """D v of each row v, (k, N), in place.

        D is symmetric, so the same product takes directions from x to θ and gradients from θ to x.
        """
        if rows.ndim == 2:
            return rows.addmm_(rows @ self.normals, self.normals.T, alpha=-1).mul_(self.stretch)
        along = rows @ self.normals  # with leading axes (replicas)
        return rows.sub_(along @ self.normals.mT).mul_(self.stretch.unsqueeze(-2))

    def curvature(self, hessian: Tensor, gradient: Tensor) -> Tensor:
        """∇∇ in x, (N, N), from ∇∇, (N, N), and ∇, (N,), in the effective weights: Dᵀ H D + Σ g ∂²(rθ/‖θ‖), in place.

        Σ g ∂²(rθ/‖θ‖) = −(r/‖θ‖²)[g nᵀ + n gᵀ + (g·n)(1 − 3nnᵀ)], layer by layer.
        """
        hessian = self.project(self.project(hessian).T)
        pull = self.stretch * gradient
        along = (pull @ self.normals) / self.norms
        mixed = (self.layers * pull[:, None] / self.norms) @ self.normals.T
        hessian -= mixed + mixed.T - 3 * (self.normals * along) @ self.normals.T
        hessian.diagonal().sub_(self.layers @ along)
        return hessian

    def curvature_product(self, product: Tensor, gradient: Tensor, direction: Tensor) -> Tensor:
        """The matrix of `curvature` times v = `direction`, (N,).

        `product` is ∇∇ times D v, (N,), and is overwritten; `gradient` is ∇, (N,), both in the effective weights.
        """
        pull = self.stretch * gradient
        along = (pull @ self.normals) / self.norms
        parallel = direction @ self.normals
        found = self.project(product[None])[0]
        # the second term of `curvature` times v, without its matrices
        found -= self.layers @ (parallel / self.norms) * pull
        found -= self.normals @ (self.layers.T @ (pull * direction) / self.norms - 3 * along * parallel)
        return found - (self.layers @ along) * direction


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # cached tensors must allow derivatives later
def layer_indicator(sizes: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor, (N, layers), that is 1 where a parameter belongs to a layer, for layers of `sizes` parameters."""
    layer = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return torch.nn.functional.one_hot(layer, len(sizes)).to(dtype=dtype, device=device)


def layer_norms(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """‖θ_l‖, (layers,), of x, (N,), for layers of `sizes` parameters."""
    return (layer_indicator(sizes, x.dtype, x.device).T @ (x * x)).sqrt()
