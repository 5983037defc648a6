"""Touching scales: the factor s by which two bodies must be scaled about their centres until they touch.

Δ = σ (1 − s) is positive for an overlap and linear in a common factor λ of all radii, because λ s does not depend on
λ. For ellipses s is √F of the contact function F of J. W. Perram and M. S. Wertheim, J. Comput. Phys. 58, 409 (1985);
for other bodies A. Donev, S. Torquato, F. H. Stillinger, J. Comput. Phys. 202, 737 (2005), section 3.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...core.recording import recording
from ...support.validation import require
from .bodies import Body, together

Surface = Callable[[Body, Tensor], Tensor]

# A step of the normal's angle, in radians, that is the last one: secants err by less than a tenth of it
ROOT = 1e-11
FOLLOWED, FAR = 6, 0.3  # secants from where a normal was, none of which may turn it by more than this angle
SECANT = 1e-9  # of an angle: the slope over a shorter step is lost in rounding
STEPS = 60  # of that search: a bisection alone has then come to rounding
NEVER = 10.0  # touching scale of discs that recede faster than they grow


def touching_scale(a: Body, b: Body, r: Tensor, surface: Surface) -> Tensor:
    """The factor at which two smooth convex bodies in the plane touch, (m,): s = max r·n/(h_a(n) + h_b(−n)).

    The bodies are separated by a line while s > 1. h(n) = n · surface(n) is the support function of a body, and the
    largest value is taken at the common normal n, where the sum of both points of contact is parallel to r.

    Parameters
    ----------
    a, b : Body
        Pairs of bodies, as `delta` has them.
    r : (m, 2) tensor
        From a to b.
    surface : function
        (body, n) -> the point of the body's surface whose outward normal is n, both (m, 2) and in the body's frame;
        the body strictly convex, its centre inside, all lengths multiples of `body.radius`.

    Returns
    -------
    (m,) tensor
        s, twice differentiable where the bodies are curved.

    Raises
    ------
    ValueError
        Where r is not of the plane.

    Examples
    --------
    Discs touch where they are scaled by r/(R_a + R_b):

    >>> import torch
    >>> from unijam.particles.pairs.bodies import Body
    >>> from unijam.particles.pairs.touching import touching_scale
    >>> disc = Body(torch.ones(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), {})
    >>> r = torch.tensor([[3.0, 0.0]], dtype=torch.float64)
    >>> touching_scale(disc, disc, r, lambda body, n: body.radius[:, None] * n)
    tensor([1.5000], dtype=torch.float64)
    """
    require(
        r.shape[1] == 2, "the shape of r", tuple(r.shape), "(m, 2): touching_scale is for bodies in the plane"
    )
    both = together(a, b)
    with torch.no_grad():
        contact = _Contact(both.detached(), r.detach(), surface)
        angle = _common_normal(contact, a.kept)
    if a.order == 1:
        found: Tensor = _Scale.apply(r, both.orientation, both.radius, angle, contact)  # type: ignore[no-untyped-call]
        return found
    with recording():
        turn = angle.clone().requires_grad_()
        (slope,) = torch.autograd.grad(contact.turned(turn).sum(), turn)
    moving = _Contact(both, r, surface)
    # one Newton step of zero length: its derivatives are those of the normal
    angle = angle - moving.turned(angle) / slope
    along = r[:, 0] * angle.cos() + r[:, 1] * angle.sin()
    return along / _halves_summed(moving.support(angle))


class _Contact:
    """Both bodies of each pair, (2m,) in one: where their surfaces have a normal n, and −n.

    A body does not see the box: the normal and r are turned into its frame, r of the second body backwards.
    """

    def __init__(self, both: Body, r: Tensor, surface: Surface) -> None:
        self.both, self.r, self.surface = both, r, surface
        turn = both.angle
        self.turn = torch.cat((turn[: len(r)], turn[len(r) :] - torch.pi))

    @cached_property
    def seen(self) -> tuple[Tensor, Tensor]:
        """r in the frame of each body, −r in that of the second, by components, (2m,) each."""
        x, y = (torch.cat((part, part)) for part in (self.r[:, 0], self.r[:, 1]))
        cos, sin = self.turn.cos(), self.turn.sin()
        return cos * x + sin * y, cos * y - sin * x

    def take(self, which: Tensor) -> "_Contact":
        """The same of some of the pairs."""
        both = torch.cat((which, which + len(self.r)))
        return _Contact(self.both.take(both), self.r[which], self.surface)

    def normals(self, angle: Tensor) -> Tensor:
        """The outward normals of the bodies in their frames, (2m, 2), of the angle of n, (m,)."""
        own = torch.cat((angle, angle)) - self.turn
        return torch.stack((own.cos(), own.sin()), dim=1)

    def support(self, angle: Tensor) -> Tensor:
        """h of each body, (2m,)."""
        n = self.normals(angle)
        p = self.surface(self.both, n)
        return n[:, 0] * p[:, 0] + n[:, 1] * p[:, 1]

    def turned(self, angle: Tensor) -> Tensor:
        """r × (sum of both points of contact), (m,): rises with the angle of n, from −90° to 90° about r."""
        p, (x, y) = self.surface(self.both, self.normals(angle)), self.seen
        return _halves_summed(p[:, 1] * x - p[:, 0] * y)

    def apart(self, angle: Tensor) -> Tensor:
        """Whether a line with this normal has the bodies on either side, so that Δ < 0 whatever the best line is."""
        cos, sin = angle.cos(), angle.sin()
        return self.r[:, 0] * cos + self.r[:, 1] * sin > _halves_summed(self.support(angle))


class _Scale(torch.autograd.Function):
    """s = r·n/h and its first derivatives: to first order n, and the points on the bodies, do not move."""

    @staticmethod
    def forward(
        ctx: Any, r: Tensor, orientation: Tensor, radius: Tensor, angle: Tensor, contact: _Contact
    ) -> Tensor:
        n = contact.normals(angle)
        p = contact.surface(contact.both, n)
        own = n[:, 0] * p[:, 0] + n[:, 1] * p[:, 1]
        h, cos, sin = _halves_summed(own), angle.cos(), angle.sin()
        scale = (r[:, 0] * cos + r[:, 1] * sin) / h
        arm = n[:, 1] * p[:, 0] - n[:, 0] * p[:, 1]  # of n about the centre: ∂h/∂angle
        ctx.save_for_backward(scale / h, cos / h, sin / h, arm, own / radius)
        return scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        less, x, y, arm, growth = ctx.saved_tensors
        less = -slope * less
        less = torch.cat((less, less))
        return torch.stack((slope * x, slope * y), dim=1), (less * arm)[:, None], less * growth, None, None


def _halves_summed(values: Tensor) -> Tensor:
    m = len(values) // 2
    return values[:m] + values[m:]


def _common_normal(contact: _Contact, kept: dict[str, Tensor] | None) -> Tensor:
    """The angle of the common normal, (m,); where forces alone are asked for, of any line between two bodies apart."""
    r, m = contact.r, len(contact.r)
    along = torch.atan2(r[:, 1], r[:, 0])
    radius = contact.both.radius
    guess = (radius[:m] + radius[m:]) * r.norm(dim=1)
    if kept is None or "turn" not in kept:
        now, slope = _searched(contact, along, along, guess)
    else:  # normals turn with r and with the bodies, about as much with each
        turn, fresh = kept["turn"], kept["turn"].isnan()
        slope = torch.where(fresh, guess, kept["slope"])
        now, slope, found = _followed(contact, torch.where(fresh, along, along + turn), slope)
        which = (~found).nonzero()[:, 0]
        if len(which):
            start = torch.where((now[which] - along[which]).abs() < 0.5 * torch.pi, now[which], along[which])
            now[which], slope[which] = _searched(contact.take(which), along[which], start, slope[which])
    if kept is not None:
        kept["turn"], kept["slope"] = now - along, slope
    return now


def _followed(contact: _Contact, now: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The common normal by a few secants from where it was, its slope, and where one was found that will do."""
    value, apart = contact.turned(now), torch.zeros_like(now, dtype=torch.bool)
    for number in range(FOLLOWED):
        step = (value / slope).clamp(-FAR, FAR)
        now, before = now - step, value
        found = apart | (step.abs() <= ROOT)
        if bool(found.all()):
            break
        value = contact.turned(now)
        secant = (before - value) / step
        usual = (step.abs() > SECANT) & (secant > 0.1 * slope) & (secant < 10.0 * slope)
        slope = torch.where(usual, secant, slope)
        if number == FOLLOWED // 2:
            apart = contact.apart(now)
    return now, slope, found


def _searched(contact: _Contact, along: Tensor, now: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The common normal and its slope: inverse quadratics and secants, the middle of an interval where they are slow.

    Where a body is nearly flat, the points of contact run away as roots do: of a root the inverse is quadratic.
    """
    low, high = along - 0.5 * torch.pi, along + 0.5 * torch.pi
    value, slow = contact.turned(now), torch.zeros_like(now, dtype=torch.bool)
    last, last_value = now, torch.full_like(now, torch.nan)  # the point before the one before
    before, before_value = last, last_value
    for _ in range(STEPS):
        secant = now - value / slope
        quadratic = (
            now * (before_value * last_value) / ((value - before_value) * (value - last_value))
            + before * (value * last_value) / ((before_value - value) * (before_value - last_value))
            + last * (value * before_value) / ((last_value - value) * (last_value - before_value))
        )
        low, high = torch.where(value < 0, now, low), torch.where(value > 0, now, high)
        near = (secant - now).abs() <= ROOT
        trial = torch.where((quadratic > low) & (quadratic < high) & ~near, quadratic, secant)
        if bool(near.all()):
            return secant, slope
        halve = ~near & (slow | ~((trial > low) & (trial < high)))
        following = torch.where(halve, 0.5 * (low + high), trial)
        there, change = contact.turned(following), following - now
        rise = (there - value) / change
        slope = torch.where((rise > 0) & rise.isfinite() & (change.abs() > SECANT), rise, slope)
        slow = ~halve & (there.abs() > 0.5 * value.abs())
        last, last_value, before, before_value = before, before_value, now, value
        now, value = following, there
    return now, slope


def touching_discs(r: Tensor, of_a: Tensor, of_b: Tensor, reach: Tensor) -> Tensor:
    """The factor at which two discs or spheres touch whose centres are fixed in bodies that grow, (m, …).

    |r + s (of_b − of_a)| = s × reach. Discs that recede faster than they grow never touch; their factor is 10.

    Parameters
    ----------
    r : (…, d) tensor
        From the centre of body a to that of b.
    of_a, of_b : (…, d) tensors
        The centre of each disc, seen from that of its body.
    reach : (…) tensor
        The sum of both radii.

    Returns
    -------
    (…) tensor
        s.

    Examples
    --------
    >>> import torch
    >>> import unijam as uj
    >>> r, none, one = torch.tensor([[3.0, 0.0]]), torch.zeros(1, 2), torch.ones(1)
    >>> uj.touching_discs(r, none, none, 2 * one)
    tensor([1.5000])
    """
    apart = of_b - of_a
    return discs_by_components(r.unbind(dim=-1), apart.unbind(dim=-1), reach)


def discs_by_components(r: Sequence[Tensor], apart: Sequence[Tensor], reach: Tensor) -> Tensor:
    """`touching_discs` of the components of r and of of_b − of_a."""
    square = sum((c * c for c in r[1:]), r[0] * r[0])
    along = sum((c * e for c, e in zip(r[1:], apart[1:], strict=True)), r[0] * apart[0])
    free = reach * reach - sum((e * e for e in apart[1:]), apart[0] * apart[0])
    root = along * along + square * free
    usual = square * reach * reach
    touches = root > 1e-6 * usual  # there, where they but graze each other, s has no slope
    inverse = (torch.where(touches, root, usual).sqrt() - along) / square
    touches = touches & (inverse > 1.0 / NEVER)
    return torch.where(touches, 1.0 / torch.where(touches, inverse, 1.0), NEVER)
