"""Forces of discs and spheres at full speed: one sweep over a list in slabs (see `slabs`).

U = Σ Δ^a / a, Δ = λ c − r, the exponent a at least 2 (harmonic). Positions are brought into the list's numbering
before it, gradients back after it.
"""

from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
from numba import njit
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.extending import register_jitable

from ..arrays import Array
from ..compiled import implements, listed_forces
from .slabs import BLOCK

TINY = 1e-300  # added to r²: coincident centres get a finite force, zero, since their separation is zero


class _LoadsOneByOne(Lower):
    """Lowers to functions whose vectors are filled by single loads, not by gather instructions."""

    def setup_function(self, fndesc):
        super().setup_function(fndesc)
        features = f"{self.library.codegen._tm_features},+prefer-no-gather"
        set.add(self.function.attributes, f'"target-features"="{features}"')  # llvmlite knows few by name


@register_pass(mutates_CFG=True, analysis_only=False)
class _LoweringOneByOne(NativeLowering):
    _name = "native_lowering_one_by_one"
    lowering_class = _LoadsOneByOne


class DistinctArrays(Compiler):
    """Compiles for arguments that do not overlap; else LLVM must assume that they may, and not vectorise.

    AMD's gather instructions are slower than single loads (sweeps took 1.2 times as long); LLVM believes the
    contrary.
    """

    def define_pipelines(self):
        self.state.flags.noalias = True
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        if llvm.get_host_cpu_name().startswith("znver"):
            passes.passes = [
                (_LoweringOneByOne, what) if made is NativeLowering else (made, what)
                for made, what in passes.passes
            ]
        passes.finalize()
        return [passes]


class DiscList(NamedTuple):
    """Slabs with all that an evaluation by them needs; y below is (d, n) row by row in their numbering, then λ.

    Attributes
    ----------
    order, offset, home, source, shift, partner, sums, filled : arrays
        See `Slabs`.
    positions : (d, n + g) array
        Room for the particles, folded into the box, and their ghosts.
    unit, made_at : float
        λ for which the radii are those of the list, and λ at which the list was made.
    skin, width : float
        By how much the list reaches beyond contact, and the largest diameter.
    threshold, exponent : float
        Δ from which on it counts as an overlap, and a.
    """

    order: Array
    offset: Array
    home: Array
    source: Array
    shift: Array
    partner: Array
    sums: Array
    filled: Array
    positions: Array
    unit: float
    made_at: float
    skin: float
    width: float
    threshold: float
    exponent: float


@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=DistinctArrays)
def _place(y, offset, home, positions, source, shift, limit):
    """Fold y into the list's box, with its ghosts; whether all particles are nearer than √limit to home."""
    d, n = home.shape
    far = 0
    for axis in range(d):
        along, whole, at = positions[axis], offset[axis], y[axis * n : axis * n + n]
        for i in range(n):
            along[i] = at[i] - whole[i]
        shifts = shift[axis]
        for g in range(len(source)):
            along[n + g] = along[source[g]] + shifts[g]
    px, py, hx, hy = positions[0], positions[1], home[0], home[1]
    if d == 2:
        for i in range(n):
            dx, dy = px[i] - hx[i], py[i] - hy[i]
            far += not (dx * dx + dy * dy <= limit)
    else:
        pz, hz = positions[2], home[2]
        for i in range(n):
            dx, dy, dz = px[i] - hx[i], py[i] - hy[i], pz[i] - hz[i]
            far += not (dx * dx + dy * dy + dz * dz <= limit)
    return far == 0


_fast = {"contract", "arcp", "nsz", "reassoc", "nnan", "ninf"}


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_fast, pipeline_class=DistinctArrays)
def _sweep(gx, gy, gz, power, hertz, positions, partner, sums, filled, factor, threshold):
    """∇U in the list's numbering; Σ u' Δ, Σ u'², the number of Δ above the threshold and Σ u' σ, each pair twice.

    One source for the plane (gz is None) and for space, and for u' = Δ (power and hertz are None), Δ√Δ (hertz is
    not) and Δ to any power: numba drops the branches that do not apply.
    """
    work, squares, count, load = 0.0, 0.0, 0.0, 0.0
    gx[:] = 0.0
    gy[:] = 0.0
    if gz is not None:
        gz[:] = 0.0
    base = 0
    for b in range(filled.shape[0]):
        low = b * BLOCK
        for k in range(filled.shape[1]):
            m = filled[b, k]
            if m == 0:
                break
            near, sigma = partner[base : base + m], sums[base : base + m]
            px, py = positions[0], positions[1]
            ix, iy, fx, fy = px[low : low + m], py[low : low + m], gx[low : low + m], gy[low : low + m]
            if gz is not None:
                pz = positions[2]
                iz, fz = pz[low : low + m], gz[low : low + m]
            for i in range(m):
                j = near[i]
                dx, dy = ix[i] - px[j], iy[i] - py[j]
                q = dx * dx + dy * dy + TINY
                if gz is not None:
                    dz = iz[i] - pz[j]
                    q += dz * dz
                r = np.sqrt(q)
                delta = max(factor * sigma[i] - r, 0.0)
                force = delta
                if hertz is not None:
                    force = delta * np.sqrt(delta)
                if power is not None:
                    force = delta**power if delta > 0.0 else 0.0
                pull = force / r
                if hertz is not None or power is not None:
                    work += force * delta
                squares += force * force
                count += 1.0 if delta > threshold else 0.0
                load += force * sigma[i]
                fx[i] -= pull * dx
                fy[i] -= pull * dy
                if gz is not None:
                    fz[i] -= pull * dz
            base += m
    return work, squares, count, load


@implements(listed_forces, DiscList)
def _listed_forces(kernel, y, gradient, scale):
    slack = 0.5 * (kernel.skin - max(0.0, scale - kernel.made_at) / kernel.unit * kernel.width)
    return forces(kernel, y, gradient, scale, slack * slack if slack > 0 else -1.0)


@njit(nogil=True, cache=True, error_model="numpy")
def forces(kernel, y, gradient, scale, limit):
    """U (negative where a particle is farther than √limit from home), Σ u'², N_Δ, Σ u' c; ∇U is filled in."""
    home, positions = kernel.home, kernel.positions
    d, n = home.shape
    if not _place(y, kernel.offset, home, positions, kernel.source, kernel.shift, limit):
        return -1.0, 0.0, 0, 0.0
    gx, gy, gz = gradient[:n], gradient[n : 2 * n], gradient[2 * n : d * n]
    listed = (positions, kernel.partner, kernel.sums, kernel.filled, scale / kernel.unit, kernel.threshold)
    a = kernel.exponent
    if d == 2:
        work, squares, count, load = _by_exponent(gx, gy, None, a, listed)
    else:
        work, squares, count, load = _by_exponent(gx, gy, gz, a, listed)
    return 0.5 * work / a, 0.5 * squares, np.int64(0.5 * count), 0.5 * load / kernel.unit


@register_jitable
def _by_exponent(gx, gy, gz, exponent, listed):
    if exponent == 2.0:
        _, squares, count, load = _sweep(gx, gy, gz, None, None, *listed)
        return squares, squares, count, load
    if exponent == 2.5:
        return _sweep(gx, gy, gz, None, True, *listed)
    return _sweep(gx, gy, gz, exponent - 1.0, None, *listed)


@njit(nogil=True, cache=True, error_model="numpy")
def evaluate(kernel, x, places, scale, limit):
    """The same, and ∇U, in the user's numbering: `places` says where each entry of y is in x."""
    y, listed, gradient = np.empty(len(x)), np.empty(len(x)), np.empty(len(x))
    for k in range(len(x)):
        y[k] = x[places[k]]
    energy, square, count, load = forces(kernel, y, listed, scale, limit)
    for k in range(len(x)):
        gradient[places[k]] = listed[k]
    return energy, gradient, square, count, load
