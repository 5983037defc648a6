"""A user's `delta` on random pairs: what is wrong with it is said in one sentence, where the system is made."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.recording import recording
from ...support.validation import require
from .bodies import Body
from .pairs import checked_delta

PAIRS = 1000
ROUNDING = 1e-8  # of R: iterations of a user's own may end a little earlier than rounding
# R by which bodies may overlap beyond their bounding radii: a radius given to five digits is right
SLACK = 1e-5
KNOWN = 64  # shapes whose check is remembered
_known: dict[Any, float] = {}


def torque_arm(system: Any) -> float:
    """Check `delta` and the bounding radius on random pairs; return the typical ∂Δ/∂angle at contact, in units of R.

    It is looked at once for each class and shape: copies with other radii or another start are not checked again.

    Raises
    ------
    ValueError
        One sentence: the shape of `delta`, entries that are not finite, other values after an exchange of the bodies
        or not linear in their size, or an overlap beyond the bounding radii.
    """
    key = _identity(system)
    if key not in _known:
        found = _checked(system)
        if len(_known) >= KNOWN:
            _known.pop(next(iter(_known)))
        _known[key] = found
    return _known[key]


def _identity(system: Any) -> Any:
    fixed, rows = system.shape_fields
    parts: list[Any] = [(name, repr(value)) for name, value in fixed.items()]
    parts += [(name, value.numpy().tobytes()) for name, value in rows.items()]
    return type(system), system.dimension, tuple(parts)


def _checked(system: Any) -> float:
    name = f"{type(system).__name__}.delta(a, b, r)"
    rng, d, o = np.random.default_rng(0), system.dimension, system.orientations
    mean = system.radii.mean()
    which = rng.integers(0, system.n, (2, PAIRS))
    radii = torch.from_numpy(system.radii[which] / mean)
    bounds = (system.bounding_radii[which] / mean).sum(axis=0)
    fixed, rows = system.shape_fields
    shapes = [{key: value[torch.from_numpy(w)] for key, value in rows.items()} for w in which]
    turns = rng.uniform(0, 2 * np.pi, (2, PAIRS, o)) if o == 1 else rng.standard_normal((2, PAIRS, o))
    along = rng.standard_normal((PAIRS, d))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    distance = bounds * rng.uniform(0.4, 1.0, PAIRS)
    sigma = radii.sum(dim=0)

    def delta(r: Any, size: float = 1.0, swapped: bool = False, turned: Tensor | None = None) -> Tensor:
        turn = torch.from_numpy(turns) if turned is None else turned
        a, b = (Body(size * radii[k], turn[k], fixed, shapes[k]) for k in ((1, 0) if swapped else (0, 1)))
        return checked_delta(system, a, b, torch.from_numpy(r))

    with torch.no_grad():
        here, back = delta(distance[:, None] * along), delta(-distance[:, None] * along, swapped=True)
        require(
            bool(torch.allclose(here.sort(dim=1)[0], back.sort(dim=1)[0], rtol=0, atol=ROUNDING)),
            f"the largest difference of {name} and delta(b, a, -r)",
            float((here.sort(dim=1)[0] - back.sort(dim=1)[0]).abs().max()) * mean,
            "zero: Δ is the same whichever body comes first",
        )
        beyond = delta(bounds[:, None] * along).amax(dim=1)
        worst = float(beyond.max())
        require(
            worst <= SLACK,
            f"{type(system).__name__}.bounding_radius()",
            system.bounding_radius(),
            f"at least that of the body: two of them overlap, with Δ = {worst * mean:.3g}, as far apart as the sum "
            "of their bounding radii",
        )
        larger, largest = (delta(distance[:, None] * along, size) for size in (1.05, 1.1))
        near = (here > -0.2 * sigma[:, None]) & (largest < 0.5 * sigma[:, None])  # where contacts are made
        bend = torch.where(near, (largest - 2 * larger + here).abs(), 0.0).max()
        require(
            float(bend) <= 1e-6,
            f"the second difference of {name} with the size of the bodies",
            float(bend) * mean,
            "zero: Δ must be linear in a common factor of all radii, as σ(1 − s) is, s the factor at which they touch",
        )
    if not o:
        return 0.0
    with recording():
        turned = torch.from_numpy(turns).requires_grad_()
        found = delta(distance[:, None] * along, turned=turned)
        still = found.detach()  # the nearest of the distances of each pair, where it is about zero
        close = (still.abs() < 0.2 * sigma[:, None]) & (still == still.amax(dim=1, keepdim=True))
        (slopes,) = torch.autograd.grad(found, turned, close.to(found.dtype))
    touching = close.any(dim=1)
    require(bool(slopes.isfinite().all()), f"a derivative of {name}", "NaN", "finite")
    typical = float((slopes[:, touching] ** 2).sum(dim=2).mean()) ** 0.5 if bool(touching.any()) else 1.0
    return typical if o == 1 else 0.5 * typical
