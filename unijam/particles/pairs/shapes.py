"""Shapes written as a user writes them: superellipses, capsules, rounded polygons, ellipses by hand.

They are examples that are tested and drawn, and ready to be used; none of them is compiled.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...support.validation import require
from ..pair_system import PairSystem
from .bodies import Body
from .rounded import touching_polygons
from .touching import touching_scale

TURNS = 360  # normals at which a smooth body's area and largest radius are taken
ROUNDED = 8  # vertices of a picture for each rounded corner
NOTHING = 1e-30  # of m²: keeps derivatives of |m|^q finite at m = 0


class Superellipses(PairSystem):
    """|x/a|^p + |y/b|^p ≤ 1, with semi-axes a = R√α and b = R/√α; smooth, and flatter than an ellipse for p > 2.

    Parameters
    ----------
    aspect : float
        α = a/b, from 1 to 100.
    power : float
        p, above 1, at most 4; ellipses have 2. Beyond, faces are too flat for a common normal to be well defined.

    Examples
    --------
    >>> from unijam.particles.pairs.shapes import Superellipses
    >>> system = Superellipses.random(n=16, aspect=1.5, power=2.5, packing_fraction=0.9)
    >>> system.n_dof, round(system.packing_fraction, 6)
    (48, 0.9)
    """

    aspect: float = 1.5
    power: float = 2.5

    def __post_init__(self) -> None:
        require(1.0 <= self.aspect <= 100.0, "aspect", self.aspect, "a number from 1 to 100")
        require(1.0 < self.power <= 4.0, "power", self.power, "above 1, at most 4")
        super().__post_init__()

    def bounding_radius(self) -> float:
        return float(np.linalg.norm(self.outline(), axis=1).max()) * (1.0 + 2.0 / TURNS**2)

    def body_volume(self) -> float:
        p = self.power
        return 4.0 * math.gamma(1.0 + 1.0 / p) ** 2 / math.gamma(1.0 + 2.0 / p)

    def delta(self, a: Body, b: Body, r: Tensor) -> Tensor:
        return (a.radius + b.radius) * (1.0 - touching_scale(a, b, r, self.surface))

    def surface(self, body: Body, n: Tensor) -> Tensor:
        """The point with normal n: the gradient of the support function h = (|a n_x|^q + |b n_y|^q)^(1/q)."""
        q = self.power / (self.power - 1.0)
        axes = body.radius[:, None] * torch.tensor([self.aspect**0.5, self.aspect**-0.5], dtype=n.dtype)
        m = axes * n
        bent = (m * m + NOTHING * axes * axes) ** (0.5 * q - 1.0) * m
        h = (bent * m).sum(dim=1, keepdim=True)
        return axes * bent * h ** (1.0 / q - 1.0)

    def outline(self) -> np.ndarray:
        """Evenly in the angle of the ellipse that they are stretched from."""
        turn, q = 2.0 * np.pi * np.arange(TURNS) / TURNS, 2.0 / self.power
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = np.sign(cos) * abs(cos) ** q, np.sign(sin) * abs(sin) ** q
        return np.column_stack((self.aspect**0.5 * x, self.aspect**-0.5 * y))


class Capsules(PairSystem):
    """Discs of radius R moved along a line (spherocylinders in the plane): α = length over width.

    They meet end to end, end to side, or side to side, where two of their distances are in contact.

    Parameters
    ----------
    aspect : float
        α, above 1, at most 20.

    Examples
    --------
    >>> from unijam.particles.pairs.shapes import Capsules
    >>> Capsules.random(n=16, aspect=2.0).bounding_radius()
    2.0
    """

    aspect: float = 2.0

    def __post_init__(self) -> None:
        require(1.0 < self.aspect <= 20.0, "aspect", self.aspect, "above 1, at most 20")
        super().__post_init__()

    def bounding_radius(self) -> float:
        return self.aspect

    def body_volume(self) -> float:
        return math.pi + 4.0 * (self.aspect - 1.0)

    def delta(self, a: Body, b: Body, r: Tensor) -> Tensor:
        core = torch.tensor([[1.0 - self.aspect, 0.0], [self.aspect - 1.0, 0.0]], dtype=r.dtype)
        return (a.radius + b.radius)[:, None] * (1.0 - touching_polygons(a, b, r, core, 1.0))

    def outline(self) -> np.ndarray:
        return _rounded([[1.0 - self.aspect, 0.0], [self.aspect - 1.0, 0.0]], 1.0, 4 * ROUNDED)


class RoundedPolygons(PairSystem):
    """Regular polygons with rounded corners; R is the distance of the furthest points from the centre.

    Parameters
    ----------
    corners : int
        3 to 8.
    rounding : float
        The radius of a corner, in units of R, above 0 and below 1 (discs).

    Examples
    --------
    >>> from unijam.particles.pairs.shapes import RoundedPolygons
    >>> RoundedPolygons.random(n=16, corners=3, rounding=0.4).n_dof
    48
    """

    corners: int = 3
    rounding: float = 0.3

    def __post_init__(self) -> None:
        known = self.corners in range(3, 9)
        require(known, "corners", self.corners, "a whole number from 3 to 8")
        require(0.0 < self.rounding < 1.0, "rounding", self.rounding, "above 0 and below 1")
        super().__post_init__()

    @property
    def core(self) -> np.ndarray:
        """Corners of the polygon within, (v, 2), counterclockwise, in units of R."""
        turn = 2.0 * np.pi * np.arange(self.corners) / self.corners
        return (1.0 - self.rounding) * np.column_stack((np.cos(turn), np.sin(turn)))

    def bounding_radius(self) -> float:
        return 1.0

    def body_volume(self) -> float:
        v, side = self.corners, 1.0 - self.rounding
        polygon = 0.5 * v * side**2 * math.sin(2.0 * math.pi / v)
        return polygon + 2.0 * v * side * math.sin(math.pi / v) * self.rounding + math.pi * self.rounding**2

    def delta(self, a: Body, b: Body, r: Tensor) -> Tensor:
        core = torch.from_numpy(self.core)
        return (a.radius + b.radius)[:, None] * (1.0 - touching_polygons(a, b, r, core, self.rounding))

    def outline(self) -> np.ndarray:
        return _rounded(self.core, self.rounding, ROUNDED)


class OwnEllipses(PairSystem):
    """`uj.Ellipses` written by hand, to compare with: Δ = σ (1 − √F), semi-axes R√α and R/√α.

    Parameters
    ----------
    aspect : float
        α.

    Examples
    --------
    >>> from unijam.particles.pairs.shapes import OwnEllipses
    >>> OwnEllipses.random(n=16, aspect=1.4).n_dof
    48
    """

    aspect: float = 1.4

    def bounding_radius(self) -> float:
        return float(max(self.aspect, 1.0 / self.aspect) ** 0.5)

    def delta(self, a: Body, b: Body, r: Tensor) -> Tensor:
        axes = torch.tensor([self.aspect**0.5, self.aspect**-0.5], dtype=r.dtype)

        def surface(body: Body, n: Tensor) -> Tensor:
            m = axes * n
            point: Tensor = body.radius[:, None] * axes * m / m.norm(dim=1, keepdim=True)
            return point

        return (a.radius + b.radius) * (1.0 - touching_scale(a, b, r, surface))

    def outline(self) -> np.ndarray:
        turn = 2.0 * np.pi * np.arange(TURNS // 4) / (TURNS // 4)
        return np.column_stack((self.aspect**0.5 * np.cos(turn), self.aspect**-0.5 * np.sin(turn)))


def _rounded(core: Any, rounding: float, vertices: int) -> np.ndarray:
    """The outline of a polygon (v, 2) with discs around its corners, counterclockwise."""
    corners = np.asarray(core, dtype=np.float64)
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.arctan2(-edges[:, 0], edges[:, 1])
    turned = np.mod(normals - np.roll(normals, 1), 2.0 * np.pi)
    arcs = np.roll(normals, 1)[:, None] + turned[:, None] * np.linspace(0.0, 1.0, vertices)
    circle = np.stack((np.cos(arcs), np.sin(arcs)), axis=2)
    return (corners[:, None, :] + rounding * circle).reshape(-1, 2)
