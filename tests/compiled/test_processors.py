"""Code for other processors than this one: no name and no list of features is taken for granted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unijam.compiled.noalias import _gathers_slowly

ROOT = Path(__file__).resolve().parents[2]
EVALUATIONS = """
import unijam as uj
for system in uj.Ellipses.random(n=12), uj.SoftSpheres.random(n=20):
    energy, gradient, *_ = system.evaluator()(system.initial)
    c = system.constraints(system.initial)
    force = system.potential.force(c.delta)
    assert abs(energy - system.potential.energy(c.delta).sum()) < 1e-12 * energy
    assert abs(gradient - c.vjp(force)).max() < 1e-12 * abs(gradient).max()
"""
OTHERS = [
    # "generic" is numba's word for the least features of an architecture; .ci/run runs the physics with it
    pytest.param("generic", None, marks=pytest.mark.slow),
    pytest.param("generic", "+sse2,+sse4.1", marks=pytest.mark.slow),
    pytest.param(
        None, "", marks=pytest.mark.slow
    ),  # an empty list, as where LLVM does not know the processor
]


@pytest.mark.parametrize(("name", "features"), OTHERS)
def test_packings_on_other_instructions(name, features, tmp_path):
    asked = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    kept = {key: value for key, value in os.environ.items() if key not in asked}
    kept |= {key: value for key, value in asked.items() if value is not None}
    run = subprocess.run(
        [sys.executable, "-c", EVALUATIONS], env=kept, cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_only_processors_that_gather_are_told_not_to():
    assert _gathers_slowly("znver3", "+avx,+avx2,+fma")
    for name, features in (
        ("znver1", ""),
        ("generic", "+avx2"),
        ("apple-m1", "+neon"),
        ("", ""),
        ("znver4", "-avx2"),
    ):
        assert not _gathers_slowly(name, features)
