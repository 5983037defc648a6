"""Energies and gradients of spheres along a path: each object owns a neighbour (Verlet) list and renews it when needed.

A list holds every pair within σ + skin; it stays complete while twice the largest displacement, plus the
growth of the largest σ where the scale moves, is below the skin.
"""

from typing import Any

import numpy as np

from ..core.border import require_positions
from ..core.capabilities import CompiledEvaluator
from ..core.tolerances import OVERLAP_RESOLUTIONS
from ..support.arrays import Array
from .kernels import contact_network
from .kernels import discs as disc_kernel
from .kernels.neighbours import neighbour_pairs, spare
from .kernels.pair_list import list_pairs, suitable_skin, workspace
from .packing import Packing

FIRST_SKINS = (0.4, 0.3)  # in mean diameters, in the plane and in space; later skins follow from use
# Skin in mean diameters × number of evaluations that a list serves, at which renewals and longer lists together cost
# least: measured, in the plane and in space.
WORTH = (40.0, 25.0)


class SphereForces:
    """Evaluator of spheres of any dimension and potential: x -> (U, ∇U, Σ u'², N_Δ), x and ∇U (n d,).

    Called with (x, λ), it returns Σ u' c as a fifth number. Where x is not finite, the results are NaN. A `ValueError`
    is raised where x has another shape, or where λ makes a particle wider than half the box.

    Each object changes its own list: make one for each thread.
    """

    def __init__(self, system: Packing) -> None:
        self.system = system
        self.edges, self.radii, self.scale = system.edges, system.radii, system.scale
        self.shape = system.initial.shape
        self.width = system.largest_diameter
        self.threshold = OVERLAP_RESOLUTIONS * system.resolution(system.initial)
        self.skin = FIRST_SKINS[system.dimension > 2] * self.scale
        self.worth = WORTH[system.dimension > 2] * self.scale
        self.factor = 0.0  # λ of the list over the system's λ; zero before the first list
        self.served = 0

    def __call__(self, x: Array, scale: float | None = None) -> tuple[Any, ...]:
        found = self._all(x, self.scale if scale is None else scale)
        return found[:4] if scale is None else found

    def _all(self, x: Array, scale: float) -> tuple[float, Array, float, int, float]:
        x = np.ascontiguousarray(x, dtype=np.float64)
        if x.shape != self.shape:
            require_positions(self.system, x)
        if not x.flags.writeable:
            x = x.copy()  # compiled for writeable arrays only
        factor = scale / self.scale
        if not 0.0 < factor < np.inf:
            self.system.at(scale=scale)  # raises an error that says what is wrong
        # what growing diameters leave of the skin, half for each particle of a pair
        slack = 0.5 * (self.skin - max(0.0, factor - self.factor) * self.width)
        if self.factor > 0 and slack > 0:
            found = self.evaluate(x, factor, slack * slack)
            if found is not None:
                self.served += 1
                return found
        if not np.isfinite(x).all():
            return np.nan, np.full(len(x), np.nan), np.nan, 0, np.nan
        self.renew(x, factor * self.scale)
        found = self.evaluate(x, factor, np.inf)
        assert found is not None
        return found

    def renew(self, x: Array, scale: float) -> None:
        """Make a new list at x, (n d,), and λ; its skin follows from the number of evaluations that the last served."""
        factor = scale / self.scale
        if factor * self.width > 0.5 * self.system.narrowest_width:
            self.system.at(scale=factor * self.scale)  # raises an error that says what is wrong
        if self.factor > 0:
            self.skin = suitable_skin(self.skin, self.served, self.worth, self.scale)
        self.skin = min(self.skin, spare(self.edges, factor * self.width))
        self.served, self.factor = 0, factor
        self.build(x, factor)

    def build(self, x: Array, factor: float) -> None:
        """List all pairs nearer than factor (R_i + R_j) + skin, at x, (n d,)."""
        self.home = self.system.positions(x).copy()
        self.pairs = neighbour_pairs(self.home, self.edges, factor * self.radii, self.skin)
        self.loading = self.radii[self.pairs].sum(axis=1) / self.scale

    def evaluate(
        self, x: Array, factor: float, limit: float
    ) -> tuple[float, Array, float, int, float] | None:
        """(U, ∇U, Σ u'², N_Δ, Σ u' c) at x, (n d,), and λ = factor × the system's λ.

        None where a particle is farther than √limit from its place when the list was made.
        """
        positions, potential = self.system.positions(x), self.system.potential
        if not ((positions - self.home) ** 2).sum(axis=1).max() <= limit:
            return None
        delta, _, normals = contact_network.overlaps(positions, self.edges, factor * self.radii, self.pairs)
        force = potential.force(delta)
        gradient = contact_network.push(self.pairs, normals, force, len(self.radii))
        count = int((delta > self.threshold).sum())
        return (
            float(potential.energy(delta).sum()),
            gradient,
            float(force @ force),
            count,
            float(force @ self.loading),
        )


class CompiledForces(SphereForces, CompiledEvaluator):
    """`SphereForces` in compiled code, for u = Δ^a/a and at least `WIDTH` particles in two or three dimensions.

    Compiled loops of solvers use its list too.

    Attributes
    ----------
    kernel : DiscList
        The list.
    origin : Origin
        The data from which the next list is made. Both are None before the first evaluation.
    """

    def adopt(self, kernel: disc_kernel.DiscList, origin: disc_kernel.Origin) -> None:
        """Use this list from now on, for example one that a compiled loop has renewed."""
        self.kernel, self.origin = kernel, origin
        self.skin, self.factor = kernel.skin, kernel.made_at / self.scale

    def build(self, x: Array, factor: float) -> None:
        room = self.origin.room if self.origin else workspace(len(self.radii))
        made = list_pairs(x, self.edges, self.radii, factor, self.skin, room)
        places, back, home, counts, partner, sums, room = made
        kernel = disc_kernel.DiscList(
            *(home, counts, partner, sums, self.edges),
            *(self.scale, factor * self.scale, self.skin, self.width, self.threshold),
            float(self.system.potential.exponent),
        )
        self.adopt(kernel, disc_kernel.Origin(places, back, room, self.radii, self.worth))

    def evaluate(
        self, x: Array, factor: float, limit: float
    ) -> tuple[float, Array, float, int, float] | None:
        energy, gradient, square, count, load = disc_kernel.evaluate(
            self.kernel, x, self.origin.places, factor * self.scale, limit
        )
        return None if energy < 0 else (energy, gradient, square, count, load)
