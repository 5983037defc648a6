"""Ensembles: each sample computed once, kept under an identity that its measurement is part of, interruptible."""

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import unijam
from unijam.core.system import ConstrainedSystem
from unijam.ensemble import EnsembleError, Recipe, Sample, run_ensemble
from unijam.measurements.jammed import JammedSample, common_kind, measure_jammed

DISCS = Recipe(kind="SoftSpheres", parameters={"n": 16, "radii": "uniform", "packing_fraction": 1.0})


@dataclasses.dataclass(frozen=True, eq=False)
class Start(Sample):
    name: str
    n: int
    pressure: float
    x: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Unkept(Sample):
    anything: object


measured = []  # in this process


def measure_start(system: ConstrainedSystem, factor: float = 1.0) -> Start:
    measured.append(system)
    c = system.constraints(system.initial)
    return Start("start", system.n_dof, factor * system.pressure(c), system.initial)


def measure_nothing(system: ConstrainedSystem) -> Unkept:
    return Unkept(object())


def measure_badly(system: ConstrainedSystem) -> Start:
    raise ValueError("no.")


def measure_without_annotation(system):
    return None


def test_samples_are_kept_and_only_what_is_missing_or_broken_is_computed(tmp_path):
    measured.clear()
    first = run_ensemble({"discs": (DISCS, 3)}, measure_start, store=tmp_path, n_workers=1, progress=False)[
        "discs"
    ]
    assert len(measured) == 3  # one worker: this process
    for seed, sample in enumerate(first):
        assert (sample.x == DISCS.system(seed).initial).all() and (sample.name, sample.n) == ("start", 32)
    broken = tmp_path / f"{DISCS.identity(1, measure_start)}.npz"
    broken.write_bytes(broken.read_bytes()[:-40])
    more = run_ensemble(
        {"discs": (DISCS, 4)}, measure_start, store=str(tmp_path), n_workers=1, progress=False
    )["discs"]
    assert all((a.initial == more[k].x).all() for a, k in zip(measured[3:], (1, 3), strict=True))
    for a, b in zip(first, more, strict=False):
        assert (a.x == b.x).all() and a.pressure == b.pressure
        assert type(b.n) is int and type(b.name) is str


def measure_jammed_interrupted(system: ConstrainedSystem) -> JammedSample:
    """The third is, on its way."""
    measured.append(system)
    if len(measured) == 3:
        signal.raise_signal(signal.SIGINT)
    return measure_jammed(system)


def test_an_interrupt_in_this_process_keeps_what_is_done(tmp_path):
    measured.clear()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match=r"2 of 9 samples are in .* the same call goes on"):
            run_ensemble(
                {"discs": (DISCS, 9)}, measure_jammed_interrupted, store=tmp_path, n_workers=1, progress=False
            )
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    kept = [JammedSample.load(file) for file in tmp_path.iterdir()]
    assert len(measured) == 3 and [s.status for s in kept] == ["converged"] * 2


def measure_pressed(system: ConstrainedSystem, at: int) -> Start:
    """Ctrl-C while the sample number `at` is measured."""
    measured.append(system)
    if len(measured) == at:
        signal.raise_signal(signal.SIGINT)
    return Start("start", system.n_dof, 0.0, system.initial)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_anywhere_stops_says_so_and_loses_nothing_finished(tmp_path, at):
    """Not even at the last one, and not in a loop of ensembles; what comes after goes on from there."""
    measured.clear()
    measure = functools.partial(measure_pressed, at=at)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt, match=f"{at - 1} of 3 samples"):
            for _ in range(10):
                run_ensemble(DISCS, measure, 3, store=tmp_path, n_workers=1, progress=False)
        assert len(measured) == at and len(list(tmp_path.iterdir())) == at - 1
        assert len(run_ensemble(DISCS, measure, 3, store=tmp_path, n_workers=1, progress=False)) == 3
        assert len(measured) == 4
    finally:
        signal.signal(signal.SIGINT, before)


def test_recipe_seed_measurement_and_options_are_the_identity():
    other = Recipe(kind="SoftSpheres", parameters=DISCS.parameters | {"n": 17})
    ellipses = Recipe(kind="Ellipses", parameters={"n": 16})
    half = functools.partial(measure_start, factor=0.5)
    names = [
        DISCS.identity(0, measure_start),
        DISCS.identity(1, measure_start),
        other.identity(0, measure_start),
        ellipses.identity(0, measure_start),
        DISCS.identity(0, half),
        DISCS.identity(0, functools.partial(measure_start, factor=0.6)),
        DISCS.identity(0, measure_jammed),
    ]
    assert len(set(names)) == len(names)
    assert DISCS.identity(0, half) == DISCS.identity(0, functools.partial(measure_start, factor=0.5))


def test_recipes_take_numbers_of_numpy_and_refuse_typos():
    parameters = {"n": np.int64(16), "radii": np.ones(16)}
    assert Recipe("SoftSpheres", parameters).identity(0, measure_start) == Recipe(
        "SoftSpheres", {"n": 16, "radii": [1.0] * 16}
    ).identity(0, measure_start)
    for wrong, sentence in (
        ({"kind": "Foo"}, "kind = 'Foo'"),
        ({"kind": "datasets"}, "kind = 'datasets'"),
        ({"kind": "unijam:Foo"}, "unijam holds no Foo"),
        ({"kind": "no_such_module:Foo"}, "no_such_module"),
        ({"kind": dict}, "kind = .*dict"),
        ({"kind": 3}, "kind = 3 is"),
        ({"kind": "SoftSpheres", "parameters": {"m": 3}}, "parameter = 'm' .* dimension, n,"),
        ({"kind": "SoftSpheres", "parameters": {"seed": 3}}, "parameter = 'seed'"),
        ({"kind": "SoftSpheres", "replicas": 0}, "replicas = 0"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            Recipe(**wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="n_workers = -1 "):
        run_ensemble({"discs": (DISCS, 1)}, measure_start, store="nowhere", n_workers=-1)


def test_what_is_no_measurement_is_refused_in_one_sentence(tmp_path):
    for wrong in (lambda system: None, measure_without_annotation, functools.partial(measure_start, 1), 3):
        with pytest.raises(ValueError, match="is not valid: it must be") as caught:
            run_ensemble({"discs": (DISCS, 1)}, wrong, store=tmp_path, progress=False)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def measure_even(system: ConstrainedSystem) -> Start:
    """Fails on every second system."""
    measured.append(system)
    if len(measured) % 2 == 0:
        raise KeyError("no\nluck")
    return Start("start", system.n_dof, 0.0, system.initial)


def measure_wrongly(system: ConstrainedSystem) -> Start:
    return None  # type: ignore[return-value]


def test_what_fails_is_named_at_the_end_and_the_others_are_kept(tmp_path):
    measured.clear()
    with pytest.raises(EnsembleError) as caught:
        run_ensemble({"some discs": (DISCS, 5)}, measure_even, store=tmp_path, n_workers=1, progress=False)
    said = str(caught.value)
    assert said.startswith("2 of 5 systems could not be measured (3 samples") and "\n" not in said
    assert "some discs" in said and "seed 1: KeyError" in said and "seed 3: KeyError" in said
    assert [(f.name, f.recipe, f.seed) for f in caught.value.failures] == [
        ("some discs", DISCS, k) for k in (1, 3)
    ]
    assert "measure_even" in caught.value.failures[0].traceback
    assert len(list(tmp_path.iterdir())) == 3
    measured.clear()  # the next is odd, so only the first of the missing ones is measured
    with pytest.raises(EnsembleError, match="1 of 5"):
        run_ensemble({"some discs": (DISCS, 5)}, measure_even, store=tmp_path, n_workers=1, progress=False)
    assert len(measured) == 2


@pytest.mark.parametrize("measure", [measure_badly, measure_nothing, measure_wrongly])
def test_an_error_leaves_nothing_half_written(tmp_path, measure):
    with pytest.raises(EnsembleError, match="seed 0"):
        run_ensemble(DISCS, measure, 1, store=tmp_path, n_workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_recipes_and_seeds_come_in_several_forms(tmp_path):
    def options(**more):
        return {"store": tmp_path, "n_workers": 1, "progress": False} | more

    one = run_ensemble(DISCS, measure_start, [2, 0], **options())
    assert [(s.x == DISCS.system(k).initial).all() for s, k in zip(one, (2, 0), strict=True)] == [True, True]
    two = run_ensemble({"a": DISCS, "b": (DISCS, range(1, 3))}, measure_start, 1, **options())
    assert {name: len(samples) for name, samples in two.items()} == {"a": 1, "b": 2}
    for wrong, sentence in (
        ({"seeds": None}, "seeds = None"),
        ({"seeds": 0}, "seeds = 0"),
        ({"seeds": [1, 1]}, "seeds = "),
        ({"seeds": [-1]}, "seeds = "),
        ({"seeds": "ab"}, "seeds = "),
        ({"recipes": {}}, "recipes = "),
        ({"recipes": {"a": 3}}, "a recipe = 3"),
        ({"stale": "ask"}, "stale = 'ask'"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            run_ensemble(**({"recipes": DISCS, "measurement": measure_start, "seeds": 1} | options() | wrong))
        assert "\n" not in str(caught.value)


def test_processes_measure_what_a_call_measures_and_pass_options_on(tmp_path):
    half = functools.partial(measure_start, factor=0.5)
    (halved,) = run_ensemble({"discs": (DISCS, 1)}, half, store=tmp_path, n_workers=1, progress=False)[
        "discs"
    ]
    assert halved.pressure == pytest.approx(0.5 * measure_start(DISCS.system(0)).pressure, rel=1e-15)
    here = [measure_jammed(DISCS.system(seed)) for seed in range(2)]
    apart = run_ensemble({"discs": (DISCS, 2)}, measure_jammed, store=tmp_path, n_workers=2, progress=False)[
        "discs"
    ]
    for a, b in zip(here, apart, strict=True):
        for field in {f.name for f in dataclasses.fields(JammedSample)} - {"seconds"}:
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


@dataclasses.dataclass(frozen=True, eq=False)
class Grown(Start):
    """`Start` with a number that was added later."""

    later: float = float("nan")


def test_a_stored_sample_lacks_a_field_that_was_added_with_a_default(tmp_path):
    Start("start", 2, 1.0, np.ones(2)).save(tmp_path / "sample.npz")
    assert np.isnan(Grown.load(tmp_path / "sample.npz").later)
    Grown("start", 2, 1.0, np.ones(2), 3.0).save(tmp_path / "sample.npz")
    assert Grown.load(tmp_path / "sample.npz").later == 3.0


def test_kinks_count_in_what_is_called_isostatic():
    """Independent of the count: one state of self stress, and nothing in the kernel of H0."""
    network = {"depth": 1, "width": 8, "input_dimension": 8, "n_data": 120, "margin": 0.3}
    sample = measure_jammed(unijam.FullyConnected.random(activation="relu", **network))
    assert sample.n_kinks > 0 and sample.self_stresses == 1 and sample.kernel_prestress.size == 0
    assert common_kind([sample]) == "isostatic" and sample.n_overlaps < sample.n_effective


def test_an_interrupt_ends_processes_at_once_and_keeps_what_is_done(tmp_path):
    """The script runs for minutes unless Ctrl-C ends it; what it leaves are whole samples that converged."""
    script = tmp_path / "script.py"
    script.write_text(
        "import signal\n"
        "from unijam.ensemble import Recipe, run_ensemble\nfrom unijam.measurements import measure_jammed\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it\n"
        "if __name__ == '__main__':\n"
        "    discs = Recipe(kind='SoftSpheres', parameters={'n': 64, 'packing_fraction': 1.0})\n"
        f"    run_ensemble({{'discs': (discs, 4000)}}, measure_jammed, store={str(tmp_path / 's')!r},"
        " n_workers=2, progress=False)\n"
    )
    run = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while len(list((tmp_path / "s").glob("*.npz"))) < 3 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert run.returncode != 0 and "KeyboardInterrupt" in said
    files = list((tmp_path / "s").iterdir())
    assert all(f.suffix == ".npz" for f in files) and 3 <= len(files) < 100
    assert all(JammedSample.load(f).status == "converged" for f in files)


def test_a_script_without_the_guard_is_told_so_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from unijam.ensemble import Recipe, run_ensemble\nfrom unijam.measurements import measure_jammed\n"
        "run_ensemble({'discs': (Recipe('SoftSpheres', {'n': 16}), 2)}, measure_jammed, store='s', n_workers=2)\n"
    )
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.stderr.count("Traceback") == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError") and 'if __name__ == "__main__":' in last and "n_workers=1" in last
