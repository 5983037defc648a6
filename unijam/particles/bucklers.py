"""Bucklers: spheres that d + 1 contacts hold, the fewest that can, and whose forces have a law of their own.

A contact of a buckler can be opened by moving that particle alone: the contact is *localised*. Opening any other, an
*extended* one, moves the whole packing.

Sources: E. Lerner, G. During, M. Wyart, Soft Matter 9, 8252 (2013); P. Charbonneau, E. Corwin, G. Parisi, F. Zamponi,
PRL 114, 125504 (2015).
"""

import numpy as np

from ..core.border import require_constraints
from ..core.capabilities import HasBucklers
from ..core.system import ConstrainedSystem
from ..support.arrays import Array


def localised_contacts(system: ConstrainedSystem, x: Array) -> np.ndarray:
    """Which of the bearing constraints at x are contacts of bucklers, particles with d + 1 bearing overlaps.

    Parameters
    ----------
    system : SoftSpheres
        Discs or spheres, in d dimensions.
    x : (n d,) array
        A state at jamming or near it: with more contacts there are no bucklers.

    Returns
    -------
    (m',) mask
        Of Δ of the bearing constraints, `c.delta[c.bearing()[1]]` of `c = system.constraints(x)`. Overlaps that it does
        not name are extended; gaps are not named.

    Raises
    ------
    ValueError
        Where the system is another one, or x has a wrong shape.

    Examples
    --------
    >>> import unijam as uj
    >>> state = uj.jam(uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.9)).settled()
    >>> c = state.system.constraints(state.x)
    >>> delta, localised = c.delta[c.bearing()[1]], uj.localised_contacts(state.system, state.x)
    >>> extended = delta[~localised]  # for `uj.delta_statistics`, which measures θ_e there
    >>> 0 < int(localised.sum()) < delta.size
    True
    """
    if not isinstance(system, HasBucklers):
        raise ValueError(
            f"system = {type(system).__name__} is not valid: it must be SoftSpheres, since only spheres have bucklers."
        )
    mask: np.ndarray = system.localised(require_constraints(system, x))
    return mask
