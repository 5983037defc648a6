"""Packings against LAMMPS and jax-md.

Run as python -m benchmarks.particles [--only KEY ...] [--starts N] [--growth FIGURE].

The programs descend from the same starts to the same largest component of the force, one after the other from
start to start. Times are seconds of the processor, on one thread, so that what else the machine does counts
little; a ratio is that of the medians over the starts. Last line: JSON of ratios (above one: unijam is faster),
and seconds where there is no peer.
"""

import argparse
import gc
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from threadpoolctl import threadpool_limits

import unijam as uj
from unijam.solvers import Objective, Point
from unijam.solvers.loop import Solver

from .growth import growth
from .peers_particles import JaxMd, Lammps, Missing

LAMMPS_METHODS = ("fire", "cg")
DESCENT = uj.ConjugateGradient(gradient_tolerance=1e-15)
COMPARED_STEPS = 5000  # of FIRE at most, where speeds are compared
JAX_STEPS = 2000
NEVER = 1e-300  # a largest force that no run reaches


@dataclass(frozen=True)
class Options:
    """How much is run."""

    starts: int = 5
    packings: int = 20
    ellipses: int = 3


def descend(system: uj.SoftSpheres, solver: Solver, tolerance: float, steps: int = 10**6) -> dict[str, float]:
    """Follow a solver of unijam until no component of the force exceeds the tolerance."""
    begin = time.process_time()
    result = uj.minimize(system, None, replace(solver, force_tolerance=tolerance, max_steps=steps))
    return {
        "seconds": time.process_time() - begin,
        "steps": result.n_steps,
        "evaluations": result.n_evaluations,
        "energy": result.energy / system.n,
        "largest_force": float(abs(system.evaluator()(result.x)[1]).max()),
    }


def seconds_a_step(runs: list[dict[str, float]]) -> float:
    """Median over runs; a step is one evaluation of the forces."""
    return median(run["seconds"] / run.get("evaluations", run["steps"]) for run in runs)


def report(what: str, runs: list[dict[str, float]], n: int) -> float:
    """Print one program's medians, and return that of the seconds."""
    found = {name: median(run[name] for run in runs) for name in runs[0]}
    steps = found.get("evaluations", found["steps"])
    each = 1e9 * seconds_a_step(runs) / n
    print(
        f"    {what:24s} {found['seconds']:10.4f} s {steps:9.0f} steps {each:8.1f} ns a particle and step,"
        f" U/n {found['energy']:.3e}",
        flush=True,
    )
    return found["seconds"]


def random_start(seed: int, n: int, dimension: int, packing_fraction: float) -> uj.SoftSpheres:
    """Bidisperse discs or spheres at random positions."""
    return uj.SoftSpheres.random(n=n, dimension=dimension, packing_fraction=packing_fraction, seed=seed)


def above_jamming(seed: int, n: int = 1024, excess: float = 1e-3) -> uj.SoftSpheres:
    """A packing at jamming, its discs then swollen by Δφ above its own φ_J."""
    packing = uj.jam(random_start(seed, n, 2, 0.86))
    assert packing.status == "converged", packing.reason
    return packing.system.at(packing_fraction=packing.threshold + excess, initial=packing.x)


def steps_against_lammps(n: int, dimension: int, packing_fraction: float, options: Options) -> float:
    """FIRE against FIRE, time a step from random to rest or to the last of so many steps."""
    runs: dict[str, list] = {"unijam": [], "lammps": []}
    descend(random_start(options.starts, n, dimension, packing_fraction), uj.Fire(), NEVER, 100)
    for seed in range(options.starts):
        system = random_start(seed, n, dimension, packing_fraction)
        runs["unijam"].append(descend(system, uj.Fire(), 1e-10, COMPARED_STEPS))
        runs["lammps"].append(Lammps(system).descend("fire", 1e-10, COMPARED_STEPS))
    report("unijam Fire", runs["unijam"], n)
    report("LAMMPS fire", runs["lammps"], n)
    return seconds_a_step(runs["lammps"]) / seconds_a_step(runs["unijam"])


def time_against_lammps(
    make: Callable[[int], uj.SoftSpheres], tolerance: float, options: Options, solvers: tuple[Solver, ...]
) -> float:
    """Time to the tolerance, each program with the faster of its methods."""
    runs: dict[str, list] = {}
    for solver in solvers:
        descend(make(options.starts), solver, tolerance, 100)
    for seed in range(options.starts):
        system = make(seed)
        for solver in solvers:
            run = descend(system, solver, tolerance)
            assert run["largest_force"] <= tolerance, run
            runs.setdefault(f"unijam {type(solver).__name__}", []).append(run)
        for method in LAMMPS_METHODS:
            runs.setdefault(f"LAMMPS {method}", []).append(Lammps(system).descend(method, tolerance))
    times = {name: report(name, found, system.n) for name, found in runs.items()}
    best = {
        program: min(seconds for name, seconds in times.items() if name.startswith(program))
        for program in ("unijam", "LAMMPS")
    }
    return best["LAMMPS"] / best["unijam"]


def steps_against_jax_md(options: Options) -> float:
    """FIRE against FIRE, n = 1024 discs."""
    runs: dict[str, list] = {"unijam": [], "jax-md": []}
    descend(random_start(options.starts, 1024, 2, 0.86), uj.Fire(), NEVER, 100)
    for seed in range(options.starts):
        system = random_start(seed, 1024, 2, 0.86)
        runs["unijam"].append(descend(system, uj.Fire(), NEVER, JAX_STEPS))
        runs["jax-md"].append(JaxMd(system).descend(JAX_STEPS))
    report("unijam Fire", runs["unijam"], 1024)
    report("jax-md fire", runs["jax-md"], 1024)
    return seconds_a_step(runs["jax-md"]) / seconds_a_step(runs["unijam"])


def jam_discs(n: int, options: Options) -> float:
    """Median seconds from random to jamming (overlaps of 1e-8 diameters), and how many counts are exact."""
    uj.jam(uj.SoftSpheres.random(n=n, radii="uniform", seed=options.packings))
    seconds, exact = [], 0
    for seed in range(options.packings):
        system = uj.SoftSpheres.random(n=n, radii="uniform", seed=seed)
        begin = time.process_time()
        packing = uj.jam(system)
        seconds.append(time.process_time() - begin)
        count = uj.count_constraints(packing.system, packing.x)
        exact += packing.status == "converged" and count.n_overlaps == count.n_effective + 1
    print(
        f"    unijam jam: {median(seconds):.4f} s, exact count in {exact} of {options.packings}", flush=True
    )
    return median(seconds)


def jam_ellipses(seed: int, n: int) -> tuple[uj.JamResult, float]:
    """Ellipses of aspect ratio 1.4 from random to jamming, and the seconds it took."""
    system = uj.Ellipses.random(n=n, aspect_ratio=1.4, packing_fraction=0.90, seed=seed)
    gc.collect()  # what compiling left: else collected within the time of the first
    begin = time.process_time()
    packing = uj.jam(system)
    return packing, time.process_time() - begin


def fire_of_ellipses(
    system: uj.Ellipses, stages: list[tuple[float | None, float]], plain: bool, limit: float
) -> tuple[float, Point]:
    """Seconds that FIRE takes from the start through stages, `limit` at most, and where it is then.

    A stage is a τ, at which the scale moves (None: at the system's own scale), and a relative gradient, or what
    rounding leaves of it. Plain: on x as it is, else with angles in the lengths that solvers see.
    """
    x, begin, spent = system.initial, time.process_time(), 0.0
    for tau, tolerance in stages:
        objective, fire = Objective(system, conjugate=tau), uj.Fire(gradient_tolerance=tolerance)
        objective.as_it_is = plain
        start = objective.first(x)
        for point, _ in fire.visits(objective, start, lambda: 100):
            spent = time.process_time() - begin
            if fire.converged(objective, point) or spent > limit:
                break
        if spent > limit:
            break
        system, x = objective.system_at(point), objective.x(point.y)
    return spent, point


def ellipses_newton_against_fire(options: Options) -> float:
    """96 ellipses from random to U/n ≤ 1e-13: `jam` (which goes on to 1e-8 diameters) against FIRE alone.

    Alone: on x as it is, to a relative gradient of 1e-2, then at once at the τ at which `jam` first has such a U. It is
    stopped at 50 times our time: the ratio is then a lower bound. Printed too: FIRE with what belongs to `jam`, the
    lengths in which angles are as stiff as moves, and the stages of τ. Medians over starts.
    """
    jam_ellipses(1, 96)  # compiled, and loaded
    ratios: dict[str, list[float]] = {}
    for seed in range(options.starts):
        packing, ours = jam_ellipses(seed, 96)
        system, met = packing.states[0].system, [s for s in packing.states if s.energy > 1e-13 * 96]
        last = packing.states[len(met)]  # the first below
        taus = [uj.conjugate_force(s.system, s.x) for s in (*met[1:], last)]
        at_once = [(None, 1e-2), (taus[-1], 1e-7)]
        led = [(None, 1e-7), *((tau, 1e-7) for tau in taus)]
        ways = {"alone": (at_once, True), "with lengths": (at_once, False), "in stages": (led, False)}
        for name, (stages, plain) in ways.items():
            fire_of_ellipses(system, [(tau, 0.5) for tau, _ in stages[:2]], plain, 1.0)  # compiled
            spent, point = fire_of_ellipses(system, stages, plain, 50 * ours)
            there = "" if spent <= 50 * ours else ", stopped: a lower bound"
            ratios.setdefault(name, []).append(spent / ours)
            print(
                f"    seed {seed}: unijam jam {ours:.3f} s; FIRE {name} {spent:.2f} s, U/n {point.energy / 96:.1e},"
                f" residual {point.residual:.1e}{there}",
                flush=True,
            )
    print("   ", ", ".join(f"FIRE {name}: {median(found):.3g}" for name, found in ratios.items()))
    return median(ratios["alone"])


def ellipses_1024(options: Options) -> float:
    """Median seconds from random to jamming of 1024 ellipses."""
    jam_ellipses(1, 32)
    seconds = []
    for seed in range(options.ellipses):
        packing, spent = jam_ellipses(seed, 1024)
        assert packing.states[-1].energy <= 1e-16 * 1024, packing.reason
        print(f"    seed {seed}: {spent:.2f} s, U/n {packing.states[-1].energy / 1024:.1e}", flush=True)
        seconds.append(spent)
    return median(seconds)


def ellipsoids_512(options: Options) -> float:
    """Median seconds from random to jamming of 512 equal prolate spheroids, α = 1.5."""
    shape = {"aspect_ratios": (1.0, 1.0, 1.5)}
    uj.jam(uj.Ellipsoids.random(n=32, **shape))  # compiled, and loaded
    seconds = []
    for seed in range(options.ellipses):
        system = uj.Ellipsoids.random(n=512, **shape, seed=seed)
        begin = time.process_time()
        packing = uj.jam(system)
        seconds.append(time.process_time() - begin)
        assert packing.status == "converged", packing.reason
        print(f"    seed {seed}: {seconds[-1]:.1f} s, φ_J = {packing.threshold:.4f}", flush=True)
    return median(seconds)


def kernel_signs(small: uj.MinimizeResult, state: uj.MinimizeResult, cuts: tuple[float, ...]) -> float:
    """Seconds for the counts on the kernel of H0 and the lowest five values of Hp there, kernels compiled.

    Of the state as it is, and without some fractions of its contacts, each from the decomposition on; the sum.
    """
    uj.decompose_hessian(small.system, small.x).cut(0.1).kernel_signs()  # compiled
    spent = 0.0
    for cut in cuts:
        begin = time.process_time()
        h = uj.decompose_hessian(state.system, state.x)
        h = h.cut(cut) if cut else h
        signs, values = h.kernel_signs(), h.extreme_eigenvalues("kernel", 5)[0]
        took = time.process_time() - begin
        lowest = f", lowest {values[0]:.2e}" if len(values) else ""
        print(
            f"    {f'{cut:.0%} of the contacts cut' if cut else 'whole'}: {took:.2f} s, {signs}{lowest}",
            flush=True,
        )
        spent += took
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # Linux counts in kB
    print(f"    peak memory {peak:.2f} GB ({'at most' if peak <= 2 else 'MORE THAN'} 2)", flush=True)
    return spent


def kernel_signs_of_discs(options: Options) -> float:
    """20 000 discs at φ = 0.86; its kernel is empty, that without 15 % of the contacts has 2000 modes."""
    small, state = (
        uj.minimize(uj.SoftSpheres.random(n=n, radii="uniform", packing_fraction=0.86))
        for n in (1200, 20_000)
    )
    return kernel_signs(small, state, (0.0, 0.15))


def kernel_signs_of_ellipses(options: Options) -> float:
    """2048 ellipses of aspect ratio 1.4 at φ = 0.90, hypostatic."""
    small, state = (
        uj.minimize(uj.Ellipses.random(n=n, aspect_ratio=1.4, packing_fraction=0.90)) for n in (600, 2048)
    )
    return kernel_signs(small, state, (0.0,))


def descent_of_discs(seed: int, n: int) -> dict[str, float]:
    """From random to a largest force component of 1e-10 at φ = 0.86."""
    return descend(random_start(seed, n, 2, 0.86), DESCENT, 1e-10)


BENCHMARKS: dict[str, tuple[float, float, Callable[[Options], float]]] = {  # floor, aim, what measures it
    "particle_steps_2d_vs_lammps": (2.5, 4.5, lambda o: steps_against_lammps(1024, 2, 0.86, o)),
    "time_2d_1024_vs_lammps": (
        *(2.5, 5.0),
        lambda o: time_against_lammps(lambda s: random_start(s, 1024, 2, 0.86), 1e-10, o, (DESCENT,)),
    ),
    "time_2d_16384_vs_lammps": (
        *(6.0, 10.0),
        lambda o: time_against_lammps(lambda s: random_start(s, 16384, 2, 0.86), 1e-10, o, (DESCENT,)),
    ),
    "particle_steps_3d_vs_lammps": (2.0, 4.0, lambda o: steps_against_lammps(4096, 3, 0.66, o)),
    "time_3d_4096_vs_lammps": (
        *(2.5, 5.0),
        lambda o: time_against_lammps(lambda s: random_start(s, 4096, 3, 0.66), 1e-10, o, (DESCENT,)),
    ),
    "near_jamming_2d_vs_lammps": (
        *(2.5, 6.0),
        lambda o: time_against_lammps(above_jamming, 1e-12, o, (DESCENT,)),
    ),
    "particle_steps_2d_vs_jax_md": (20.0, 40.0, steps_against_jax_md),
    "jam_discs_256_seconds": (0.2, 0.05, lambda o: jam_discs(256, o)),
    "jam_discs_1024_seconds": (2.0, 0.4, lambda o: jam_discs(1024, o)),
    "ellipses_96_newton_vs_fire": (50.0, 50.0, ellipses_newton_against_fire),
    "ellipses_1024_jam_seconds": (20.0, 5.0, ellipses_1024),
    "ellipsoids_512_jam_seconds": (60.0, 20.0, ellipsoids_512),
    "kernel_signs_discs_20000_seconds": (30.0, 8.0, kernel_signs_of_discs),
    "kernel_signs_ellipses_2048_seconds": (30.0, 8.0, kernel_signs_of_ellipses),
}


def main() -> None:
    """Print a table for people, then the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--starts", type=int, default=Options.starts)
    parser.add_argument("--growth", type=Path, metavar="FIGURE", help="time against n, and nothing else")
    arguments = parser.parse_args()
    options = Options(starts=arguments.starts)
    found: dict[str, float | list[str]] = {}
    skipped: list[str] = []
    with threadpool_limits(1):
        for key in [] if arguments.growth else arguments.only:
            floor, aim, measure = BENCHMARKS[key]
            print(key, flush=True)
            try:
                value = measure(options)
            except Missing as missing:
                print(f"    skipped: {missing}", flush=True)
                skipped.append(f"{key}: {missing}")
                continue
            met = value <= floor if key.endswith("_seconds") else value >= floor
            print(f"    {value:.3g} (floor {floor:g}, aim {aim:g}){'' if met else ': FAILS'}", flush=True)
            found[key] = float(f"{value:.4g}")
        if arguments.growth:
            descent_of_discs(1, 64)  # compiled
            grown = growth(descent_of_discs, arguments.growth)
            found |= {name: float(f"{value:.4g}") for name, value in grown.items()}
    if skipped:
        found["skipped"] = skipped
    print(json.dumps(found))


if __name__ == "__main__":
    main()
