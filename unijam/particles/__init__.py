"""Packings of particles in a periodic box."""

from .base import Packing, draw_radii
from .ellipses import Ellipses
from .neighbours import neighbour_pairs
from .rattlers import bearing_particles
from .spheres import SoftSpheres

__all__ = ["Ellipses", "Packing", "SoftSpheres", "bearing_particles", "draw_radii", "neighbour_pairs"]
