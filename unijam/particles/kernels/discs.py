"""Forces of discs and spheres at full speed: one sweep over a list of pairs, several side by side (see `pair_list`).

U = Σ Δ^a / a, Δ = λ c − r, the exponent a at least 2 (harmonic). A list numbers the particles anew: positions are
brought into its numbering before the sweep, and gradients back into the user's numbering after it.
"""

from typing import NamedTuple

import numpy as np

from ...compiled import inline, loop
from ...compiled.dispatch import due, implements, listed_forces, renewed_list
from ...compiled.simd import WIDTH, beyond, fill, larger, near, own, power, put, root, several, total, whole
from ...support.arrays import Array
from .neighbours import spare, widths
from .pair_list import Workspace, list_pairs, longest_service, suitable_skin

TINY = 1e-300  # added to r²: coincident centres get a finite force, zero, since their separation is zero


class DiscList(NamedTuple):
    """A list of pairs with all that an evaluation by it needs.

    Evaluations take y, (n d + 1,): positions in the numbering of the list, row by row, then λ.

    Attributes
    ----------
    home, counts, partner, sums : arrays
        See `list_pairs`.
    edges : (d, d) array
        Edges of the box, one a row, lower triangular.
    unit, made_at : float
        The λ at which diameters are `sums` and `width`, and the λ at which the list was made.
    skin, width : float
        How far the list reaches beyond contact, and the largest diameter.
    threshold, exponent : float
        The Δ above which a constraint counts as an overlap, and a.
    """

    home: Array
    counts: Array
    partner: Array
    sums: Array
    edges: Array
    unit: float
    made_at: float
    skin: float
    width: float
    threshold: float
    exponent: float


class Origin(NamedTuple):
    """The data that making a list needs and evaluating by it does not.

    They are kept apart from `DiscList` because each call counts references of every array that it hands on.

    Attributes
    ----------
    places, back, room
        Of the last list: see `list_pairs`.
    radii : (n,) array
        In the user's numbering.
    worth : float
        Skin × number of evaluations for which sweeps and renewals together cost least (see `suitable_skin`).
    """

    places: Array
    back: Array
    room: Workspace
    radii: Array
    worth: float


@loop
def _sweep(
    y: np.ndarray,
    g: np.ndarray,
    space: bool | None,
    exponent: float | None,
    hertz: bool | None,
    kernel: DiscList,
    factor: float,
    limit: float,
) -> tuple[float, float, float, float, float]:
    """Fill g with ∇U; return Σ u' Δ, Σ u'², the number of overlaps, Σ u' σ, and how many particles are too far.

    A particle is too far where it is farther than √limit from home: the list is then outdated. Σ u' Δ is zero, and
    not needed, where u' = Δ.

    One source serves the plane (space is None) and space, and the forces u' = Δ (exponent and hertz are None),
    u' = Δ√Δ (hertz is not None) and u' = Δ^exponent: numba drops the branches that do not apply. In a plane all z
    are zero.
    """
    home, counts, partner, sums, edges = kernel.home, kernel.counts, kernel.partner, kernel.sums, kernel.edges
    lx, ly, lz, xy, xz = edges[0, 0], edges[1, 1], edges[-1, -1], edges[1, 0], edges[-1, 0]
    yz = edges[-1, 1] if len(edges) > 2 else 0.0
    kx, ky, kz, tilted = 1.0 / lx, 1.0 / ly, 1.0 / lz, xy != 0.0 or xz != 0.0 or yz != 0.0
    zero = fill(0.0)
    work, squares, count, load, far = zero, zero, zero, zero, zero
    at, last = 0, len(home) // len(edges) - WIDTH
    # the last group adds to its rows, of which the group before may have written some
    g[len(edges) * last :] = 0.0
    for group in range(len(counts)):
        first = min(WIDTH * group, last)
        ix, iy, iz = own(y, first, space)
        hx, hy, hz = own(home, first, space)
        dx, dy, dz = ix - hx, iy - hy, iz - hz
        far = far + beyond(dx * dx + dy * dy + dz * dz, limit)
        fx, fy, fz = zero, zero, zero
        for folded in range(2):
            for _ in range(counts[group, folded]):
                jx, jy, jz = near(y, partner, at, space)
                dx, dy, dz = ix - jx, iy - jy, iz - jz
                if folded:
                    if tilted:
                        if space is not None:
                            over = whole(dz * kz)
                            dx, dy = dx - over * xz, dy - over * yz
                        dx = dx - whole(dy * ky) * xy
                    dx = dx - whole(dx * kx) * lx
                    dy = dy - whole(dy * ky) * ly
                    dz = dz - whole(dz * kz) * lz
                sigma, r = several(sums, at), root(dx * dx + (dy * dy + (dz * dz + TINY)))
                delta = larger(sigma * factor - r, 0.0)
                force = delta
                if hertz is not None:
                    force = delta * root(delta)
                if exponent is not None:
                    force = power(delta, exponent)
                if hertz is not None or exponent is not None:
                    work = work + force * delta
                pull = force / r
                squares = squares + force * force
                count = count + beyond(delta, kernel.threshold)
                load = load + force * sigma
                fx, fy, fz = fx - pull * dx, fy - pull * dy, fz - pull * dz
                at += WIDTH
        # The last group holds the last WIDTH particles, so that it is full. It shares rows with the group before it;
        # the pairs of such a row are listed in one of the two groups only, so the forces of both are summed.
        if first == last:
            gx, gy, gz = own(g, first, space)
            fx, fy, fz = fx + gx, fy + gy, fz + gz
        put(g, first, fx, fy, fz, space)
    # ½: each pair is listed both ways
    return 0.5 * total(work), 0.5 * total(squares), 0.5 * total(count), 0.5 * total(load), total(far)


@implements(listed_forces, DiscList)
def _listed_forces(
    kernel: DiscList, y: np.ndarray, gradient: np.ndarray, scale: float
) -> tuple[float, float, int, float]:
    # What is left of the skin once diameters have grown; two particles that approach each other use up half each.
    slack = 0.5 * (kernel.skin - max(0.0, scale - kernel.made_at) / kernel.unit * kernel.width)
    return forces(kernel, y, gradient, scale, slack * slack if slack > 0 else -1.0)


@loop(forceinline=True)
def forces(
    kernel: DiscList, y: np.ndarray, gradient: np.ndarray, scale: float, limit: float
) -> tuple[float, float, int, float]:
    """U, Σ u'², N_Δ and Σ u' c at y, (n d + 1,), and λ = scale; ∇U is written into gradient, (n d + 1,).

    U is −1 where the list is outdated, a particle being farther than √limit from home; nothing else is valid then.
    """
    a, factor = kernel.exponent, scale / kernel.unit
    if len(kernel.edges) == 2:
        found = _by_exponent(y, gradient, None, a, kernel, factor, limit)
    else:
        found = _by_exponent(y, gradient, True, a, kernel, factor, limit)
    work, squares, count, load, far = found
    if far != 0.0:
        return -1.0, 0.0, 0, 0.0
    return work / a, squares, np.int64(count), load / kernel.unit  # type: ignore[return-value]  # compiled it is an int


@inline(forceinline=True)
def _by_exponent(
    y: np.ndarray,
    gradient: np.ndarray,
    space: bool | None,
    exponent: float,
    kernel: DiscList,
    factor: float,
    limit: float,
) -> tuple[float, float, float, float, float]:
    if exponent == 2.0:
        _, squares, count, load, far = _sweep(y, gradient, space, None, None, kernel, factor, limit)
        return squares, squares, count, load, far
    if exponent == 2.5:  # Hertzian
        return _sweep(y, gradient, space, None, True, kernel, factor, limit)
    return _sweep(y, gradient, space, exponent - 1.0, None, kernel, factor, limit)


@loop
def evaluate(
    kernel: DiscList, x: np.ndarray, places: np.ndarray, scale: float, limit: float
) -> tuple[float, np.ndarray, float, int, float]:
    """U, ∇U (n d,), Σ u'², N_Δ and Σ u' c at x (n d,), in the user's numbering; U is −1 where the list is outdated.

    `places`, (n d,), says which entry of x each entry of y is; `limit` is as in `forces`.
    """
    y, listed, gradient = np.zeros(len(x) + 1), np.empty(len(x) + 1), np.empty(len(x))
    for k in range(len(x)):
        y[k] = x[places[k]]
    energy, square, count, load = forces(kernel, y, listed, scale, limit)
    for k in range(len(x)):
        gradient[places[k]] = listed[k]
    return energy, gradient, square, count, load


@implements(renewed_list, DiscList)
def _renewed_list(
    kernel: DiscList, origin: Origin, y: np.ndarray, scale: float, served: int
) -> tuple[DiscList, Origin, np.ndarray]:
    factor, n_dof = scale / kernel.unit, len(y) - 1
    if (
        not 0.0 < factor * kernel.width <= 0.5 * widths(kernel.edges).min()
    ):  # no particle, or wider than half the box
        return kernel, origin, np.empty(0, dtype=np.int64)  # an empty order says that no list can be made
    x, order = np.empty(n_dof), np.empty(n_dof + 1, dtype=np.int64)
    for k in range(n_dof):
        x[origin.places[k]] = y[k]
    edges, unit, radii, worth = kernel.edges, kernel.unit, origin.radii, origin.worth
    skin = min(suitable_skin(kernel.skin, served, worth, unit), spare(edges, factor * kernel.width))
    places, back, home, counts, partner, sums, room = list_pairs(x, edges, radii, factor, skin, origin.room)
    for k in range(n_dof):
        order[k] = origin.back[places[k]]
    order[n_dof] = n_dof
    # fmt: off
    renewed = DiscList(
        home, counts, partner, sums, edges, unit, scale, skin, kernel.width, kernel.threshold, kernel.exponent
    )
    # fmt: on
    return renewed, Origin(places, back, room, radii, worth), order


@implements(due, DiscList)
def _due(kernel: DiscList, origin: Origin) -> int:
    return longest_service(kernel.skin, origin.worth, kernel.unit)
