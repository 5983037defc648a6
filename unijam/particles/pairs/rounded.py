"""Rounded polygons and capsules: touching scales of their faces and corners, each smooth, all of them constraints.

A rounded polygon is the set of points within ρ of a convex polygon (the core; of a capsule a line). Two of them touch
where a corner of one meets a face of the other, or two corners meet: as many smooth distances as there are such
pairs, the nearest of which is that of the bodies. Where two faces meet, two of them are in contact.
"""

import torch
from torch import Tensor

from .touching import NEVER, touching_discs

# A corner beyond the end of a face, by y, is let go by y²/ρ: twice as fast as the circle around that end curves away,
# so that there the distance of the two corners alone is in contact.
LET_GO = 1.0
LEAST = 1e-3  # of r, and of ρ: what is divided by is at least that


def touching_polygons(r: Tensor, core_a: Tensor, core_b: Tensor, reach: Tensor) -> Tensor:
    """Touching scales of every corner of one body with every face and corner of the other, (m, k).

    The least is the factor at which the bodies touch. k = 3 v w for cores of v and w corners.

    Parameters
    ----------
    r : (m, 2) tensor
        From body a to body b.
    core_a, core_b : (m, v, 2) and (m, w, 2) tensors
        Corners of the cores, seen from the centre of each body, counterclockwise; two are the ends of a capsule.
    reach : (m,) tensor
        ρ_a + ρ_b.

    Returns
    -------
    (m, 3 v w) tensor
        At least; 10 where they never touch. Beyond the ends of a face more than its scale, as a circle curves away.
    """
    if core_a.shape == core_b.shape:  # corners of b on faces of a, then of a on faces of b, in one pass
        there, cores = torch.cat((r, -r)), torch.cat((core_a, core_b))
        faces = _on_faces(there, cores, torch.cat((core_b, core_a)), torch.cat((reach, reach)))
        on_a, on_b = faces.split(len(r))
    else:
        on_a, on_b = _on_faces(r, core_a, core_b, reach), _on_faces(-r, core_b, core_a, reach)
    corners = touching_discs(
        r[:, None, None, :], core_a[:, :, None, :], core_b[:, None, :, :], reach[:, None, None]
    )
    return torch.cat([scales.flatten(1) for scales in (on_a, on_b, corners)], dim=1)


def _on_faces(r: Tensor, core: Tensor, corners: Tensor, reach: Tensor) -> Tensor:
    """Scales at which corners (m, w, 2) of a body at r meet the faces of a core (m, v, 2) about 0, (m, v, w)."""
    edge = core.roll(-1, dims=1) - core
    tangent = edge / edge.norm(dim=2, keepdim=True)
    normal = torch.stack((tangent[:, :, 1], -tangent[:, :, 0]), dim=2)
    away = (r[:, None, :] * normal).sum(dim=2)[:, :, None]
    grown = ((core * normal).sum(dim=2) + reach[:, None])[:, :, None] - normal @ corners.transpose(1, 2)
    size, wide = r.norm(dim=1)[:, None, None], reach[:, None, None]
    meets = (away > LEAST * size) & (grown > LEAST * wide)
    scale = torch.where(meets, away, size) / torch.where(meets, grown, wide)
    place = (r[:, None, :] * tangent).sum(dim=2)[:, :, None] + scale * (tangent @ corners.transpose(1, 2))
    start = (core * tangent).sum(dim=2)[:, :, None]
    stop = start + edge.norm(dim=2)[:, :, None]
    beyond = (place - scale * stop).relu() + (scale * start - place).relu()
    found = scale + LET_GO * beyond**2 / (scale * wide * torch.where(meets, grown, wide))
    return torch.where(meets & (found < NEVER), found, NEVER)
