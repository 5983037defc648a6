"""`UNIJAM_COMPILED=0` and `NUMBA_DISABLE_JIT=1`: the same results from plain Python and NumPy."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import unijam as uj
from unijam.linalg.elimination import factor_sparse

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = {
    "discs": uj.SoftSpheres.random(n=16, seed=1),
    "spheres": uj.SoftSpheres.random(n=24, dimension=3, seed=1),
    "four": uj.SoftSpheres.random(n=40, dimension=4, packing_fraction=0.4, seed=1),
    "ellipses": uj.Ellipses.random(n=12, seed=1),
    "spheroids": uj.Ellipsoids.random(n=18, aspect_ratios=(1, 1, 0.8), packing_fraction=0.75, seed=1),
    "ellipsoids": uj.Ellipsoids.random(n=18, aspect_ratios=(1, 1.1, 1.2), packing_fraction=0.75, seed=1),
}
EVALUATED = """
import sys
import numpy as np
from tests.compiled.test_switch import SYSTEMS, evaluated
from unijam.compiled import COMPILED
assert not COMPILED
np.savez(sys.argv[1], **{f"{n} {k}": v for n in SYSTEMS for k, v in evaluated(SYSTEMS[n]).items()})
"""
REACHED = """
import sys
import numpy as np
import unijam as uj
from tests.compiled.test_switch import SYSTEMS, counted
found = {}
for name in ("discs", "ellipses"):
    minimum, jammed = uj.minimize(SYSTEMS[name]), uj.jam(SYSTEMS[name])
    assert minimum.status in ("converged", "satisfied") and jammed.status == "converged"
    found |= {f"{name} x": jammed.x, f"{name} phi": jammed.control, f"{name} count": counted(jammed.system, jammed.x)}
np.savez(sys.argv[1], **found)
"""


def evaluated(system):
    """U, ∇U, H and a solution with H + 1, all at the system's start."""
    energy, gradient, square, n_overlaps = system.evaluator()(system.initial)
    moved = system.scaled_evaluator()(system.initial, 1.01 * system.scale)
    c, potential = system.constraints(system.initial), system.potential
    whole = sp.csc_array(c.hessian(potential.stiffness(c.delta), potential.force(c.delta)))
    factor = factor_sparse(whole, 1e3)
    numbers = np.array([energy, square, n_overlaps, moved[0], *moved[2:], factor.n_negative])
    return {
        "numbers": numbers,
        "gradient": gradient,
        "h": whole.toarray(),
        "solution": factor.solve(gradient),
    }


def counted(system, x):
    count = uj.count_constraints(system, x)
    return [count.n_overlaps, count.n_effective]


def from_plain_python(code, switch, path):
    """What a process without compiled code finds."""
    environment = os.environ | dict([switch.split("=")]) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return np.load(path)


@pytest.mark.parametrize("switch", ["UNIJAM_COMPILED=0", "NUMBA_DISABLE_JIT=1"])
def test_evaluations_agree(switch, tmp_path):
    plain = from_plain_python(EVALUATED, switch, tmp_path / "plain.npz")
    for name, system in SYSTEMS.items():
        for key, value in evaluated(system).items():
            # both sum some hundred terms, in different orders
            assert plain[f"{name} {key}"] == pytest.approx(value, rel=1e-10, abs=1e-11 * abs(value).max()), (
                name,
                key,
            )


def test_jammed_without_compiled_code_is_jammed_with_it(tmp_path):
    plain = from_plain_python(REACHED, "UNIJAM_COMPILED=0", tmp_path / "plain.npz")
    for name in ("discs", "ellipses"):
        system = SYSTEMS[name].at(packing_fraction=float(plain[f"{name} phi"]))
        assert counted(system, plain[f"{name} x"]) == list(plain[f"{name} count"])


def test_the_switch_is_0_or_1():
    environment = os.environ | {"UNIJAM_COMPILED": "maybe"}
    run = subprocess.run(
        [sys.executable, "-c", "import unijam"], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert "UNIJAM_COMPILED = 'maybe' is not valid: it must be 0 or 1." in run.stderr
