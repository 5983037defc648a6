"""States connected by a moving parameter: to jamming, to a target above it, and while data are removed."""

from .continuation import conjugate_force, distance_to_threshold
from .follow import Branch, follow
from .jam import JamResult, jam

__all__ = ["Branch", "JamResult", "conjugate_force", "distance_to_threshold", "follow", "jam"]
