"""Checks of what users pass to the package, made once at its entrance: systems, positions, constraints."""

from typing import Any

import numpy as np

from ..support.arrays import Array, is_torch, namespace, to_numpy, writable
from ..support.printing import brief
from ..support.validation import is_positive, is_whole, require, require_finite
from .constraints import Constraints
from .hooks import refuse_attributes
from .potentials import Potential
from .system import ConstrainedSystem


def require_system(system: Any) -> None:
    """Check the type and the attributes of a system, without evaluating it.

    Raises
    ------
    ValueError
        The object is not a `ConstrainedSystem`, or one of its attributes has a wrong kind.
    """
    known = isinstance(system, ConstrainedSystem)
    require(known, "system", system, "a ConstrainedSystem, as SoftSpheres or FullyConnected")
    kind = type(system).__name__
    start, field = getattr(system, "initial", None), f"initial of {kind}"
    require(start is not None, field, start, "a start, an array (n_dof,) of floating numbers")
    floating = "float" in str(getattr(start, "dtype", None))
    require(floating, field, start, "an array of floating numbers")
    refuse_attributes(system)
    control = system.control
    named = control is None or (isinstance(control, str) and hasattr(system, control))
    require(named, "control", control, f"None or the name of an attribute of {kind}")
    require(
        isinstance(system.potential, Potential),
        f"potential of {kind}",
        system.potential,
        "a Potential, as Harmonic()",
    )
    require(is_positive(system.unit), f"unit of {kind}", system.unit, "a positive number")
    for name in ("sparse", "kinked", "matrix_free"):
        if name in vars(type(system)) or name in vars(system):
            value = getattr(system, name)
            require(isinstance(value, bool | np.bool_), f"{name} of {kind}", value, "True or False")
    _require_coordinates(system)


def _require_coordinates(system: ConstrainedSystem) -> None:
    """Check `coordinates`: one number that divides n_dof, or for each degree of freedom the number of its group."""
    given, n_dof = system.coordinates, system.n_dof
    field = f"coordinates of {type(system).__name__}"
    wanted = f"a whole number that divides {n_dof}, or the group of each degree of freedom, ({n_dof},) whole numbers"
    if is_whole(given):
        require(given >= 1 and n_dof % int(given) == 0, field, given, wanted)
        return
    shape, numbers = tuple(getattr(given, "shape", ())), str(getattr(given, "dtype", ""))
    if isinstance(given, list | tuple):
        shape, numbers = (len(given),), "int" if all(is_whole(group) for group in given) else ""
    require(shape == (n_dof,) and "int" in numbers, field, given, wanted)


def require_positions(system: Any, x: Array, replicas: bool = False) -> Array:
    """Convert x to the array library, precision and device of `system.initial`, and check it.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        An array, tensor or sequence of numbers. A tensor is detached from its graph.
    replicas : bool
        Whether x may have leading axes, (…, n_dof).

    Returns
    -------
    (n_dof,) or (…, n_dof) array
        x itself where it has the right kind: copy it before changing it.

    Raises
    ------
    ValueError
        The shape of x does not fit, an entry is NaN or infinite, or `require_system` refuses the system.
    """
    require_system(system)
    try:
        x = x.detach() if is_torch(x) else np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"x = {brief(x)} is not valid: it must be an array of numbers.") from None
    if is_torch(system.initial):
        start = system.initial
        x = namespace(start).asarray(writable(x), dtype=start.dtype, device=start.device)
    else:
        x = np.asarray(to_numpy(x), dtype=float)
    shape = tuple(system.initial.shape)
    fits = x.shape[-1:] == shape if replicas and len(shape) == 1 else tuple(x.shape) == shape
    require(fits and 0 not in x.shape, "the shape of x", tuple(x.shape), f"{shape}, that of system.initial")
    require_finite(x, "x")
    return x


def require_constraints(system: Any, x: Array) -> Constraints:
    """The constraints at x, (n_dof,).

    Raises
    ------
    ValueError
        `require_positions` refuses x, or some Δ is NaN or infinite.
    """
    x = require_positions(system, x)
    c: Constraints = system.constraints(x)
    require_finite(c.delta, f"{type(system).__name__}.delta(x)")
    return c
