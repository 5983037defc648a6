"""Rounded polygons and capsules: touching scales of their faces and corners, each smooth, all of them constraints.

A rounded polygon is the set of points within ρ of a convex polygon (the core; of a capsule a line). Two of them touch
where a corner of one meets a face of the other, or two corners meet: as many smooth distances as there are such
pairs, the nearest of which is that of the bodies. Where two faces meet, two of them are in contact.
"""

import torch
from torch import Tensor

from .bodies import Body
from .touching import NEVER, discs_by_components

Vector = tuple[Tensor, ...]  # its components

# A corner beyond the end of a face, by y, is let go by y²/ρ: twice as fast as the circle around that end curves away,
# so that there the distance of the two corners alone is in contact.
LET_GO = 1.0
LEAST = 1e-3  # of r, and of ρ: what is divided by is at least that


def touching_polygons(a: Body, b: Body, r: Tensor, core: Tensor, rounding: float) -> Tensor:
    """Touching scales of every corner of one body with every face and corner of the other, (m, k).

    The least of them is the factor at which the bodies touch. Δ = σ (1 − s) of all k is C¹, and linear in a common
    factor of all radii. Where forces alone are asked for, scales above one have no derivatives.

    Parameters
    ----------
    a, b : Body
        Pairs of bodies, as `delta` has them.
    r : (m, 2) tensor
        From a to b.
    core : (v, 2) tensor
        Corners of the core in the frame of a body, counterclockwise, in units of R; two are the ends of a capsule.
    rounding : float
        ρ, in units of R.

    Returns
    -------
    (m, 3 v²) tensor
        At most 10. Beyond the end of a face the scale rises twice as fast as that of the corner there.

    Examples
    --------
    Two capsules side by side touch in two of their distances:

    >>> import torch
    >>> import unijam as uj
    >>> from unijam.particles.pairs.bodies import Body
    >>> body = Body(torch.ones(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), {})
    >>> core, r = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double(), torch.tensor([[0.5, 2.0]]).double()
    >>> scales = uj.touching_polygons(body, body, r, core, 1.0)
    >>> scales.shape, int((scales == 1).sum())
    (torch.Size([1, 12]), 2)
    """
    m, v = len(r), len(core)
    corners = torch.stack([body.radius[:, None, None] * body.outward(core) for body in (a, b)])
    reach = rounding * (a.radius + b.radius)
    if a.kept is None:
        return _all(r, corners, reach)
    with torch.no_grad():
        scales = _all(r.detach(), corners.detach(), reach.detach())
    pair, number = (scales < 1.0).nonzero().unbind(dim=1)
    side, face, corner = number // (v * v), number % (v * v) // v, number % v
    table = corners.reshape(2 * m * v, 2)

    def of(which: Tensor, body: Tensor, place: Tensor) -> tuple[Tensor, ...]:
        return table.index_select(0, (body * m + which) * v + place).unbind(dim=1)

    meets, ends = (side < 2).nonzero()[:, 0], (side == 2).nonzero()[:, 0]
    which, body, own = pair[meets], side[meets], face[meets]
    x, y = (r.index_select(0, which) * (1 - 2 * body)[:, None]).unbind(dim=1)
    start, stop = of(which, body, own), of(which, body, (own + 1) % v)
    on_faces = _on_faces((x, y), start, stop, of(which, 1 - body, corner[meets]), reach[which])
    which = pair[ends]
    (xa, ya), (xb, yb) = of(which, 0 * which, face[ends]), of(which, 0 * which + 1, corner[ends])
    apart = r.index_select(0, which).unbind(dim=1)
    on_corners = discs_by_components(apart, (xb - xa, yb - ya), reach[which])
    places = (pair[torch.cat((meets, ends))], number[torch.cat((meets, ends))])
    return scales.index_put(places, torch.cat((on_faces, on_corners)))


def _all(r: Tensor, corners: Tensor, reach: Tensor) -> Tensor:
    """Corners of b on faces of a, corners of a on faces of b, corners on corners, (m, 3 v²); corners (2, m, v, 2)."""
    x, y = r.unbind(dim=1)  # by components, and pairs last: long rows are what torch is quick with
    (xa, xb), (ya, yb) = corners.permute(3, 0, 2, 1).contiguous()
    parts = []
    for sign, u, w, p, q in ((1.0, xa, ya, xb, yb), (-1.0, xb, yb, xa, ya)):
        start, stop = (
            (z[:, None], t[:, None]) for z, t in ((u, w), (u.roll(-1, dims=0), w.roll(-1, dims=0)))
        )
        parts.append(_on_faces((sign * x, sign * y), start, stop, (p, q), reach))
    parts.append(discs_by_components((x, y), (xb - xa[:, None], yb - ya[:, None]), reach))
    return torch.cat([part.flatten(0, 1) for part in parts]).T


def _on_faces(r: Vector, start: Vector, stop: Vector, corner: Vector, reach: Tensor) -> Tensor:
    """Scales at which a corner of a body at r meets the face from start to stop of a body about the origin."""
    (x, y), (x0, y0), (xc, yc) = r, start, corner
    along, up = stop[0] - x0, stop[1] - y0
    length = (along * along + up * up).sqrt()
    along, up = along / length, up / length  # of the face; its normal is (up, −along)
    away = x * up - y * along
    grown = x0 * up - y0 * along + reach - (up * xc - along * yc)
    size = (x * x + y * y).sqrt()
    meets = (away > LEAST * size) & (grown > LEAST * reach)
    grown = torch.where(meets, grown, reach)
    scale = torch.where(meets, away, size) / grown
    place = x * along + y * up + scale * (along * xc + up * yc)
    begin = x0 * along + y0 * up
    # beyond an end of the face: only one of both is positive
    beyond = (place - scale * (begin + length)).relu() + (scale * begin - place).relu()
    found = scale + LET_GO * beyond * beyond / (scale * reach * grown)
    return torch.where(meets & (found < NEVER), found, NEVER)
