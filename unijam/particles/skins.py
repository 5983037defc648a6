"""How far a list of near pairs reaches beyond contact: as far as its renewals and its length cost the same."""

from math import sqrt

from numba.extending import register_jitable

LARGEST_SKIN, LEAST_SKIN = 0.65, 0.02  # in mean diameters


@register_jitable
def suitable_skin(skin, served, worth, unit):
    """The skin after one that lasted for so many evaluations: a list serves as long as its skin is thick."""
    best = sqrt(worth * skin / max(served, 1))
    best = min(max(best, 0.7 * skin), 1.4 * skin)
    return min(max(best, LEAST_SKIN * unit), LARGEST_SKIN * unit)
