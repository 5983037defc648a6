"""A stack of layers: forward pass, and the derivatives of its outputs by products over the batch.

z_l = W_l h_{l−1} + b_l, h_l = σ(z_l), f = z_L, of one or several outputs. Parameters are θ_l = [W_l|b_l], rows
first, one layer after the other; h̃ = (h, 1) with biases, else h̃ = h. P data are the last axis. In shapes, h_l is the
number of units in layer l, h̃_l = h_l + 1 with biases, and N the number of parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import torch
from torch import Tensor

from .activations import Activation

CHUNK = 2**24  # numbers that one outer product over a batch may hold (128 MB in double precision)


@dataclass(frozen=True, eq=False)
class Forward:
    """One forward pass.

    Attributes
    ----------
    weights : sequence of (h_l, h̃_{l−1}) tensors
        θ_l.
    entering : list of (h̃_{l−1}, P) tensors
        h̃ as it enters each layer.
    sums : list of (h_l, P) tensors
        The pre-activations z_l.
    activation : Activation
        σ.
    held : list of (h_l, P) tensors, or None
        σ'(z_l) of the hidden layers where some z_l are held on their kinks, with a slope of its own each.
    """

    weights: Sequence[Tensor]
    entering: list[Tensor]
    sums: list[Tensor]
    activation: Activation
    held: list[Tensor] | None = None

    @property
    def outputs(self) -> Tensor:
        """f, (outputs, P)."""
        return self.sums[-1]

    def of(self, select: Tensor) -> "Forward":
        """The pass of some of the data, chosen by a mask, (P,), or by indices, (k,)."""
        entering, sums = [h[:, select] for h in self.entering], [z[:, select] for z in self.sums]
        held = None if self.held is None else [d[:, select] for d in self.held]
        return Forward(self.weights, entering, sums, self.activation, held)

    def linear(self, layer: int) -> Tensor:
        """W_l without its bias, (h_l, h_{l−1}), of a layer above the first."""
        return self.weights[layer][:, : len(self.sums[layer - 1])]

    def slope(self, layer: int) -> Tensor:
        """σ'(z_l), (h_l, P)."""
        if self.held is not None:
            return self.held[layer]
        z = self.sums[layer]
        return self.activation.slope(z, self.entering[layer + 1][: len(z)])

    def bend(self, layer: int) -> Tensor:
        """σ''(z_l), (h_l, P)."""
        z = self.sums[layer]
        return self.activation.bend(z, self.entering[layer + 1][: len(z)])


def with_ones(h: Tensor, bias: bool) -> Tensor:
    """h̃: h, (…, h, P), with a last row of ones if there are biases, (…, h̃, P)."""
    return torch.cat([h, torch.ones_like(h[..., :1, :])], -2) if bias else h


def forward(
    weights: Sequence[Tensor],
    inputs: Tensor,
    activation: Activation,
    kinks: Sequence[tuple[Tensor, Tensor, Tensor]] | None = None,
) -> Forward:
    """Run data through the layers.

    Parameters
    ----------
    weights : sequence of (h_l, h̃_{l−1}) tensors
        θ_l.
    inputs : (h̃_0, P) tensor
        Data, with a last row of ones where there are biases.
    activation : Activation
        σ.
    kinks : sequence of (units, data, slopes), optional
        For each hidden layer the (unit, datum) pairs that are held on their kinks, (k,) each: there h = slope × z.
    """
    entering, sums, held = [inputs], [weights[0] @ inputs], []
    for l, theta in enumerate(weights[1:]):
        z = sums[-1]
        h = activation.value(z)
        if kinks is not None:
            units, data, slopes = kinks[l]
            held.append(activation.slope(z, h).index_put((units, data), slopes))
            h = h.index_put((units, data), slopes * z[units, data])
        entering.append(with_ones(h, theta.shape[1] > len(h)))
        sums.append(theta @ entering[-1])
    return Forward(weights, entering, sums, activation, held if kinks is not None else None)


def backward(passed: Forward, seed: Tensor) -> list[Tensor]:
    """δ_l = ∂(seed · z_L)/∂z_l of each datum, a list of one (h_l, P) tensor per layer.

    It is found by backpropagation of seed, (h_L, P), from the last layer of the pass.
    """
    errors = [seed]
    for layer in range(len(passed.weights) - 1, 0, -1):
        errors.append((passed.linear(layer).T @ errors[-1]) * passed.slope(layer - 1))
    return errors[::-1]


def changes(passed: Forward, moved: Sequence[Tensor]) -> list[Tensor]:
    """The change of z_l of each datum along changes `moved` of the θ_l, to first order.

    Takes one (h_l, h̃_{l−1}) tensor per layer and returns one (h_l, P) tensor per layer; the last is the change of the
    outputs.
    """
    along = [moved[0] @ passed.entering[0]]
    for layer in range(1, len(moved)):
        along.append(
            moved[layer] @ passed.entering[layer]
            + passed.linear(layer) @ (passed.slope(layer - 1) * along[-1])
        )
    return along


def kink_gradients(passed: Forward, layer: int, units: Tensor, data: Tensor) -> Tensor:
    """∂z/∂x of k pairs of units, (k,), of a hidden layer, and data, (k,): (k, N), zero for the layers above."""
    top, held = layer + 1, None if passed.held is None else passed.held[:layer]
    below = Forward(passed.weights[:top], passed.entering[:top], passed.sums[:top], passed.activation, held)
    below = below.of(data)
    seed = torch.nn.functional.one_hot(units, len(passed.sums[layer])).to(passed.outputs.dtype).T
    rows = jacobian(below, backward(below, seed))
    above = sum(theta.numel() for theta in passed.weights[top:])
    return torch.cat([rows, rows.new_zeros(len(rows), above)], 1)


def gradient(passed: Forward, errors: Sequence[Tensor]) -> Tensor:
    """Σ_μ δ_l h̃_{l−1}ᵀ of all layers, flat, (N,): the gradient of Σ_μ seed · f, with `errors` δ_l from `backward`."""
    return torch.cat([(e @ h.T).reshape(-1) for e, h in zip(errors, passed.entering, strict=True)])


def jacobian(passed: Forward, errors: Sequence[Tensor]) -> Tensor:
    """δ_l ⊗ h̃_{l−1} of each datum, (P, N), stored by columns: each row is the gradient of seed · f of one datum.

    `errors` are the δ_l, one (h_l, P) tensor per layer, from `backward`.
    """
    sizes = [theta.numel() for theta in passed.weights]
    columns = passed.outputs.new_empty(sum(sizes), errors[0].shape[1])
    for block, e, h in zip(columns.split(sizes), errors, passed.entering, strict=True):
        torch.mul(e[:, None], h[None, :], out=block.view(len(e), len(h), -1))
    return columns.T


def stiffness(passed: Forward, errors: Sequence[Tensor], weighted: Sequence[Tensor]) -> Tensor:
    """Σ_μ J_μᵀ S_μ J_μ, (N, N), for k constraints a datum, by blocks of layers.

    `errors` are the δ_l of each constraint, (h_l, k P) datum by datum, and `weighted` are the S δ_l in the same form.
    For l ≤ m

        H[(i,j),(p,q)] = Σ_μ (Σ_k δ_l[i] (S δ_m)[p]) h̃_{l−1}[j] h̃_{m−1}[q],

    which is one matrix product over the batch. It takes P N_l N_m flops, however many constraints a datum has.
    """
    shapes = [tuple(theta.shape) for theta in passed.weights]
    starts = [0, *accumulate(i * j for i, j in shapes)]
    n_data = passed.outputs.shape[1]
    out = passed.outputs.new_zeros(starts[-1], starts[-1])
    widest = max(max(i, j) for i, j in shapes) ** 2  # a bound of what one datum takes in an outer product
    for part in torch.arange(n_data, device=out.device).split(max(1, CHUNK // widest)):
        here = passed.of(part)
        left, right = (
            [e.unflatten(1, (n_data, -1))[:, part].transpose(0, 1) for e in side]
            for side in (errors, weighted)
        )
        for l, (i, j) in enumerate(shapes):
            for m in range(l, len(shapes)):
                p, q = shapes[m]
                outer = _outer(here.entering[m], here.entering[l])
                inner = torch.bmm(left[l], right[m].transpose(1, 2)).flatten(1)  # (P, i p)
                block = out[starts[l] : starts[l + 1], starts[m] : starts[m + 1]]
                block.unflatten(0, (i, j)).unflatten(2, (p, q)).add_(
                    (outer @ inner).view(q, j, i, p).permute(2, 1, 3, 0)
                )
    return torch.triu(out) + torch.triu(out, 1).T


def curvature(passed: Forward, errors: Sequence[Tensor]) -> Tensor:
    """Σ_μ ∇∇(seed · f)_μ, (N, N), by blocks of layers, with `errors` δ_l from `backward(passed, seed)`.

    d = σ', e = σ'', q_l = ∂(seed · f)/∂h_l.
    M_{m,l} = ∂h_m/∂z_l: M_{l,l} = diag(d_l), M_{m,l} = diag(d_m) W_m M_{m−1,l}.
    G_l = ∇∇(seed · f) in z_l: G_L = 0, G_l = diag(e_l q_l) + diag(d_l) W_{l+1}ᵀ G_{l+1} W_{l+1} diag(d_l).
    For l < m

        H[(i,j),(p,q)] = Σ_μ δ_m[p] h̃_{l−1}[j] M_{m−1,l}[q,i]
                       + Σ_μ h̃_{m−1}[q] h̃_{l−1}[j] (G_m W_m M_{m−1,l})[p,i]

    and for l = m only the second sum, with G_l[p,i]. For ReLU every G is 0. Each sum is one matrix product
    over the batch, which is cut into parts only to bound memory. Data whose seed is zero cost nothing.
    """
    shapes = [theta.shape for theta in passed.weights]
    size = sum(i * j for i, j in shapes)
    widest = max(max(i for i, _ in shapes) * max(j for _, j in shapes), max(j for _, j in shapes) ** 2)
    out = passed.outputs.new_zeros(size, size)
    for part in errors[-1].any(0).nonzero()[:, 0].split(max(1, CHUNK // widest)):
        _add_curvature(out, passed.of(part), [e[:, part] for e in errors])
    return torch.triu(out) + torch.triu(out, 1).T


def product(
    passed: Forward,
    errors: Sequence[Tensor],
    moved: Sequence[Tensor],
    along: Sequence[Tensor],
    reseeded: Tensor,
) -> Tensor:
    """Σ_μ ∇∇(seed · f)_μ v, (N,), by two passes and without a matrix.

    It is the derivative along v of the gradient Σ δ_l h̃ᵀ of a backward pass. The derivative of δ_l is
    δ̇_l = d_l (V_{l+1}ᵀ δ_{l+1} + W_{l+1}ᵀ δ̇_{l+1}) + e_l ż_l q_l, with d = σ', e = σ'' and q_l = ∂(seed · f)/∂h_l.

    Parameters
    ----------
    errors : list of (h_l, P) tensors
        δ_l, from `backward(passed, seed)`.
    moved, along : lists of (h_l, h̃_{l−1}) and (h_l, P) tensors
        v, as changes of θ_l, and ż_l, from `changes(passed, moved)`.
    reseeded : (outputs, P) tensor
        The change of the seed along v: u'' Jv for H0 + Hp at once, 0 for Hp alone.
    """
    change, parts = reseeded, []
    for layer in range(len(moved) - 1, -1, -1):
        part = change @ passed.entering[layer].T
        if layer:
            h = passed.slope(layer - 1) * along[layer - 1]
            part[:, : len(h)] += errors[layer] @ h.T
        parts.append(part.reshape(-1))
        if layer:
            linear, units = passed.linear(layer), len(passed.sums[layer - 1])
            pulled = moved[layer][:, :units].T @ errors[layer] + linear.T @ change
            change = passed.slope(layer - 1) * pulled
            if not passed.activation.homogeneous:
                bent = passed.bend(layer - 1) * along[layer - 1]
                change += bent * (linear.T @ errors[layer])
    return torch.cat(parts[::-1])


def _add_curvature(out: Tensor, passed: Forward, errors: Sequence[Tensor]) -> None:
    """Add the blocks l ≤ m of `curvature` for one part of the batch."""
    shapes = [tuple(theta.shape) for theta in passed.weights]
    starts = [0, *accumulate(i * j for i, j in shapes)]
    slopes = [passed.slope(l) for l in range(len(shapes) - 1)]
    second = _second_derivatives(passed, errors, slopes)
    for l, (i, j) in enumerate(shapes):
        below = passed.entering[l]
        for m in range(l, len(shapes)):
            p, q = shapes[m]
            block = out[starts[l] : starts[l + 1], starts[m] : starts[m + 1]]
            block = block.unflatten(0, (i, j)).unflatten(2, (p, q))
            bend = second[m]
            if m == l and bend is not None:
                block.add_(_of_squares(below, bend).view(q, j, i, p).permute(2, 1, 3, 0))
            if m > l:
                if m == l + 1:  # M = diag(d_l), so that only a diagonal of the block is filled
                    first = _outer(errors[m], below) @ slopes[l].T
                    block.diagonal(0, 0, 3).add_(first.view(p, j, i).transpose(0, 1))
                    response = slopes[l][:, None] * passed.linear(m).T[:, :, None]
                else:
                    moved = response * slopes[m - 1]
                    first = _outer(errors[m], below) @ moved.flatten(0, 1).T
                    block[..., : moved.shape[1]].add_(first.view(p, j, i, -1).permute(2, 1, 0, 3))
                    response = passed.linear(m) @ moved  # ∂z_m/∂z_l, transposed: (h_l, h_m, P)
                if bend is not None:
                    outer = _outer(passed.entering[m], below) @ _each(response, bend)
                    block.add_(outer.view(q, j, i, p).permute(2, 1, 3, 0))


def _second_derivatives(
    passed: Forward, errors: Sequence[Tensor], slopes: list[Tensor]
) -> list[Tensor | None]:
    """G_l of `curvature`, (h_l, h_l, P) a layer; None where it vanishes."""
    second: list[Tensor | None] = [None]
    for l in range(len(passed.weights) - 2, -1, -1):
        if passed.activation.homogeneous:
            second.append(None)
            continue
        linear, above = passed.linear(l + 1), second[-1]
        inner = linear.new_zeros(linear.shape[1], *slopes[l].shape)
        inner.diagonal().copy_((passed.bend(l) * (linear.T @ errors[l + 1])).T)
        if above is not None:
            right = (linear.T @ above).transpose(0, 1)
            inner += (linear.T @ right) * slopes[l][:, None] * slopes[l]
        second.append(inner)
    return second[::-1]


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """a ⊗ b of each datum, flat: (k, P), (h, P) -> (k h, P)."""
    return (a[:, None] * b).flatten(0, 1)


def _of_squares(a: Tensor, b: Tensor) -> Tensor:
    """Σ_μ a aᵀ ⊗ b of all data, flat, (k k, h h), for a, (k, P), and symmetric b, (h, h, P).

    Both factors are symmetric, so only a quarter of the entries is computed.
    """
    (k, *_), (h, *_) = a.shape, b.shape
    (one, other), whole = _half(k, a.device)
    (row, column), spread = _half(h, a.device)
    quarter = (a[one] * a[other]) @ b[row, column].T
    return quarter.index_select(0, whole).index_select(1, spread)


@cache
@torch.inference_mode(False)  # cached tensors must allow derivatives later
def _half(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The index pairs of the upper half of an (n, n) matrix, (2, n (n + 1)/2), and for each entry its pair, (n n,)."""
    pairs = torch.triu_indices(n, n, device=device)
    which = torch.empty(n, n, dtype=torch.long, device=device)
    which[pairs[0], pairs[1]] = which[pairs[1], pairs[0]] = torch.arange(pairs.shape[1], device=device)
    return pairs, which.flatten()


def _each(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product of each datum, (h, k, P) times (k, h', P), flat: (P, h h')."""
    return torch.bmm(a.permute(2, 0, 1).contiguous(), b.permute(2, 0, 1).contiguous()).flatten(1)
