"""Harmonic forces of discs and spheres at full speed: one sweep over a list in slabs (see `slabs`).

U = ½ Σ Δ², Δ = λ c − r. Positions are brought into the list's numbering before it, gradients back after it.
"""

import llvmlite.binding as llvm
import numpy as np
from numba import njit
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

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


@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=DistinctArrays)
def _place(x, order, offset, home, positions, source, shift, limit):
    """Bring x into the list's numbering; how many particles are farther than √limit from home (or NaN)."""
    n, d = len(order), len(home)
    far = 0
    px, py = positions[0], positions[1]
    if d == 2:
        for i in range(n):
            p = np.uint64(order[i]) * np.uint64(2)
            px[i] = x[p] - offset[0, i]
            py[i] = x[p + np.uint64(1)] - offset[1, i]
            dx, dy = px[i] - home[0, i], py[i] - home[1, i]
            far += not (dx * dx + dy * dy <= limit)
    else:
        pz = positions[2]
        for i in range(n):
            p = np.uint64(order[i]) * np.uint64(3)
            px[i] = x[p] - offset[0, i]
            py[i] = x[p + np.uint64(1)] - offset[1, i]
            pz[i] = x[p + np.uint64(2)] - offset[2, i]
            dx, dy, dz = px[i] - home[0, i], py[i] - home[1, i], pz[i] - home[2, i]
            far += not (dx * dx + dy * dy + dz * dz <= limit)
    for axis in range(d):
        along, shifts = positions[axis], shift[axis]
        for g in range(len(source)):
            along[n + g] = along[source[g]] + shifts[g]
    return far


_fast = {"contract", "arcp", "nsz", "reassoc", "nnan", "ninf"}


@njit(nogil=True, cache=True, error_model="numpy", fastmath=_fast, pipeline_class=DistinctArrays)
def _sweep(positions, gx, gy, gz, partner, sums, filled, factor, threshold):
    """∇U in the list's numbering; Σ Δ², the number of Δ above the threshold and Σ Δ σ, each pair twice.

    One source for the plane (gz is None) and for space: numba drops the branch that does not apply.
    """
    squares, count, load = 0.0, 0.0, 0.0
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
                pull = delta / r
                squares += delta * delta
                count += 1.0 if delta > threshold else 0.0
                load += delta * sigma[i]
                fx[i] -= pull * dx
                fy[i] -= pull * dy
                if gz is not None:
                    fz[i] -= pull * dz
            base += m
    return squares, count, load


@njit(nogil=True, cache=True, error_model="numpy", pipeline_class=DistinctArrays)
def evaluate(
    x,
    gradient,
    order,
    offset,
    home,
    positions,
    source,
    shift,
    gx,
    gy,
    gz,
    partner,
    sums,
    filled,
    limit,
    factor,
    threshold,
):
    """Fill ∇U in the user's numbering unless the list is stale: (far, Σ Δ², N_Δ, Σ Δ σ), each pair once."""
    far = _place(x, order, offset, home, positions, source, shift, limit)
    if far > 0:
        return far, 0.0, 0.0, 0.0
    squares, count, load = _sweep(positions, gx, gy, gz, partner, sums, filled, factor, threshold)
    for i in range(len(order)):
        if gz is None:
            p = np.uint64(order[i]) * np.uint64(2)
        else:
            p = np.uint64(order[i]) * np.uint64(3)
            gradient[p + np.uint64(2)] = gz[i]
        gradient[p] = gx[i]
        gradient[p + np.uint64(1)] = gy[i]
    return far, 0.5 * squares, 0.5 * count, 0.5 * load
