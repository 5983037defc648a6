"""One body of each pair, as a user's `delta` sees it: its radius, its orientation, its shape."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

Shape = dict[str, Any]  # what the class of the user adds: numbers, and tensors with one row a body


class Body:
    """The first, or the second, body of each of m pairs.

    Every field that the user's class declares is an attribute too: a number as it is, an array with one row a body
    as the rows of these bodies, (m, …).

    Attributes
    ----------
    radius : (m,) tensor
        R, in the units of the box. All lengths of a body are multiples of it, so that they grow with the control.
    orientation : (m, o) tensor
        The angle (o = 1) or the quaternion (o = 4) as it stands in x; (m, 0) of bodies that do not turn.
    order : int
        How many derivatives of Δ will be taken, 1 or 2: a `delta` that solves equations may spare the second.
    kept : dict or None
        What a `delta` likes to keep of each pair from one evaluation to the next, as where it found a root: tensors
        with one row a pair, NaN for pairs that are new. None where these pairs are not evaluated again.

    Examples
    --------
    >>> import torch
    >>> from unijam.particles.pairs.bodies import Body
    >>> quarter = torch.tensor([[torch.pi / 2]], dtype=torch.float64)
    >>> body = Body(torch.ones(1, dtype=torch.float64), quarter, {"aspect": 2.0})
    >>> body.aspect, (body.axis + 0.0).round(decimals=12).tolist()
    (2.0, [[0.0, 1.0]])
    """

    def __init__(
        self,
        radius: Tensor,
        orientation: Tensor,
        fixed: Shape,
        rows: Shape | None = None,
        order: int = 2,
        kept: dict[str, Tensor] | None = None,
    ) -> None:
        self.radius, self.orientation, self.order, self.kept = radius, orientation, order, kept
        self._fixed, self._rows = fixed, rows or {}

    def __getattr__(self, name: str) -> Any:
        for shape in ("_rows", "_fixed"):
            if name in self.__dict__.get(shape, ()):
                return self.__dict__[shape][name]
        raise AttributeError(
            f"a body has no {name!r}, but radius, angle, axis, rotation, and the fields of its class"
        )

    @property
    def angle(self) -> Tensor:
        """The angle of the body's first axis, (m,), in the plane."""
        return self.orientation[:, 0]

    @cached_property
    def axis(self) -> Tensor:
        """The body's first axis, (m, d): (cos, sin) of the angle in the plane."""
        if self.orientation.shape[1] == 1:
            return torch.stack((self.angle.cos(), self.angle.sin()), dim=1)
        return self.rotation[:, :, 0]

    @cached_property
    def rotation(self) -> Tensor:
        """What takes vectors of the body's frame to the box's, (m, d, d)."""
        if self.orientation.shape[1] == 1:
            cos, sin = self.angle.cos(), self.angle.sin()
            return torch.stack((cos, -sin, sin, cos), dim=1).reshape(-1, 2, 2)
        w, x, y, z = (self.orientation / self.orientation.norm(dim=1, keepdim=True)).T
        rows = (
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )
        return torch.stack(rows, dim=1).reshape(-1, 3, 3)

    def inward(self, vectors: Tensor) -> Tensor:
        """Vectors of the box, (m, d) or (m, k, d), in the body's frame."""
        return self._turned(vectors, backwards=True)

    def outward(self, vectors: Tensor) -> Tensor:
        """Vectors of the body's frame, (m, d), (m, k, d) or (k, d), in the box's."""
        return self._turned(vectors, backwards=False)

    def _turned(self, vectors: Tensor, backwards: bool) -> Tensor:
        of_each = vectors.ndim == 2 and len(vectors) == len(self.radius)
        if self.orientation.shape[1] == 1:  # by components: small matrices are slow
            cos, sin = self.axis.unbind(dim=1) if of_each else self.axis[:, None].unbind(dim=2)
            sin = -sin if backwards else sin
            x, y = vectors.unbind(dim=-1)
            return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
        rotation = self.rotation.transpose(1, 2) if backwards else self.rotation
        if of_each:
            return (rotation @ vectors[:, :, None])[:, :, 0]
        return vectors @ rotation.transpose(1, 2)

    def take(self, which: Tensor) -> "Body":
        """Some of the bodies."""
        rows = {name: value[which] for name, value in self._rows.items()}
        return Body(self.radius[which], self.orientation[which], self._fixed, rows, self.order)

    def detached(self) -> "Body":
        """The same bodies, of which no derivatives are taken."""
        return Body(self.radius.detach(), self.orientation.detach(), self._fixed, self._rows, self.order)


def together(a: Body, b: Body) -> Body:
    """The bodies a, then the bodies b, (2m,)."""
    rows = {name: torch.cat((value, b._rows[name])) for name, value in a._rows.items()}
    radius, orientation = torch.cat((a.radius, b.radius)), torch.cat((a.orientation, b.orientation))
    return Body(radius, orientation, a._fixed, rows, a.order)
