"""Packings of particles in a periodic box."""

from .bucklers import localised_contacts
from .ellipses import Ellipses
from .ellipsoids import Ellipsoids
from .kernels.neighbours import neighbour_pairs
from .packing import Packing, draw_radii
from .rattlers import bearing_particles
from .spheres import SoftSpheres

__all__ = [
    "Ellipses",
    "Ellipsoids",
    "Packing",
    "SoftSpheres",
    "bearing_particles",
    "draw_radii",
    "localised_contacts",
    "neighbour_pairs",
]
