"""Pictures of packings and their animation; figures that compare systems."""

from .animation import animate_jamming
from .packings import plot_packing

__all__ = ["animate_jamming", "plot_packing"]
