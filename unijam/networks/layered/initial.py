"""Data and initial weights of networks: given, or random from a seed and the same on every device."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...support.arrays import writable
from ...support.memory import require_matrices
from ...support.printing import brief
from ...support.validation import require, require_finite


def random_data(n_data: int, dimension: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian inputs (P, d), centred, then put on the sphere of radius √d; balanced labels ±1 (P,)."""
    require_matrices([(3 * n_data, dimension)], f"{n_data} random data of {dimension} dimensions")
    inputs = rng.standard_normal((n_data, dimension))
    inputs -= inputs.mean(axis=0)
    inputs *= np.sqrt(dimension) / np.linalg.norm(inputs, axis=1, keepdims=True)
    return inputs, rng.permutation(np.where(np.arange(n_data) % 2, -1.0, 1.0))


def orthogonal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A random matrix, (rows, columns), uniform under rotations; its rows or columns, the fewer, are orthonormal."""
    require_matrices([(4 * rows, columns)], f"a random layer of {rows} × {columns} weights")
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # QR fixes the signs of columns by convention: without this q is not uniform
    return q if rows >= columns else q.T


def initial_weights(shapes: tuple[tuple[int, int], ...], bias: bool, rng: np.random.Generator) -> np.ndarray:
    """Initial θ_l = [W_l|b_l] of these shapes, flat, (N,): orthogonal W_l of gain 1 and zero biases."""
    layers = [np.pad(orthogonal(i, j - bias, rng), ((0, 0), (0, int(bias)))) for i, j in shapes]
    return np.concatenate([theta.ravel() for theta in layers])


def n_outputs(n_classes: int) -> int:
    """The number of outputs: 1 for two classes, C for C > 2."""
    return 1 if n_classes == 2 else n_classes


def layer_shapes(
    dimension: int, widths: tuple[int, ...], bias: bool, outputs: int = 1
) -> tuple[tuple[int, int], ...]:
    """The shape (h_l, h_{l−1} + bias) of each layer's θ_l, from the first layer to the outputs."""
    return tuple(zip((*widths, outputs), (n + bias for n in (dimension, *widths)), strict=True))


def generators(seed: int) -> list[np.random.Generator]:
    """Two independent random generators: for data, and for weights."""
    return np.random.default_rng(seed).spawn(2)


def as_tensor(value: Any, field: str, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Numbers of any kind as a new tensor of the same shape that shares no memory with `value`.

    Raises
    ------
    ValueError
        Where they are no real numbers, or not finite; the message names the field.
    """
    # NumPy must not look at a tensor, which may live on another device
    complex_numbers = value.is_complex() if isinstance(value, Tensor) else np.iscomplexobj(value)
    require(
        not complex_numbers,
        field,
        "complex numbers",
        "an array of real numbers",
    )
    try:
        with torch.inference_mode(False):  # derivatives may follow it later
            tensor = torch.as_tensor(writable(value), dtype=dtype, device=device).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{field} = {brief(value)} is not valid: it must be an array of numbers.") from None
    require_finite(tensor, field)
    return tensor


def as_weights(x: Any, initial: Tensor) -> Tensor:
    """x, (…, N), as a tensor of the precision and device of `initial`; x itself where it is one already.

    Raises
    ------
    ValueError
        Where x is no array of numbers, or its last axis has another length.
    """
    if not isinstance(x, Tensor):
        try:
            x = torch.as_tensor(writable(x), dtype=initial.dtype, device=initial.device)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"x = {brief(x)} is not valid: it must be an array of numbers.") from None
    n = initial.shape[-1]
    require(
        x.ndim >= 1 and x.shape[-1] == n, "the shape of x", tuple(x.shape), f"({n},), that of system.initial"
    )
    weights: Tensor = x.to(dtype=initial.dtype, device=initial.device)
    return weights


def as_tensor_like(values: Any, like: Tensor) -> Tensor:
    """An array of any kind (weights of constraints, a direction) as a tensor of the precision and device of `like`.

    A tensor is returned as it is, unless torch's inference mode made it.
    """
    if not isinstance(values, Tensor):
        with torch.inference_mode(False):
            return torch.as_tensor(writable(np.asarray(values)), dtype=like.dtype, device=like.device)
    if not values.is_inference():
        return values
    with torch.inference_mode(False):  # derivatives may follow it
        return values.clone()
