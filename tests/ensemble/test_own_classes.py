"""Recipes of the user's own classes: in modules, in scripts, in processes; what cannot be found again is refused."""

import dataclasses
import subprocess
import sys
import textwrap

import pytest
import torch

import unijam as uj


class Own(uj.AutodiffSystem):
    def __init__(self, n: int, seed: int, *, far: float = 1.0) -> None:
        self.initial = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self.far = far

    def delta(self, x):
        return self.far - x**2


class WithRandom(Own):
    @classmethod
    def random(cls, n: int = 5, seed: int = 0) -> "WithRandom":
        return cls(n, seed)


class Seedless(uj.AutodiffSystem):
    initial = torch.zeros(2, dtype=torch.float64)

    def delta(self, x):
        return 1 - x


class Anything(Own):
    def __init__(self, **options) -> None:
        super().__init__(options.pop("n", 3), options.pop("seed"), **options)


class NoSystem:
    @staticmethod
    def random(seed: int = 0) -> int:
        return seed


class Outer:
    class Inner(Own):
        pass


@dataclasses.dataclass(frozen=True, eq=False)
class First(uj.Sample):
    x: float


def measure_first(system: uj.ConstrainedSystem) -> First:
    return First(float(system.initial[0]))


@pytest.mark.parametrize("kind", [Own, WithRandom, Anything, Outer.Inner])
def test_a_class_is_drawn_by_its_constructor_or_random(kind, tmp_path):
    recipe = uj.Recipe(kind, {"n": 7})
    assert recipe.kind == f"{__name__}:{kind.__qualname__}"
    assert uj.Recipe(recipe.kind, {"n": 7}) == recipe
    system = recipe.system(3)
    assert type(system) is kind and torch.equal(system.initial, Own(7, 3).initial)
    (sample,) = uj.run_ensemble(recipe, measure_first, [3], store=tmp_path, n_workers=1, progress=False)
    assert sample.x == float(system.initial[0])


def test_short_full_and_class_names_are_one_recipe():
    names = ["SoftSpheres", "unijam:SoftSpheres", "unijam.particles.spheres:SoftSpheres", uj.SoftSpheres]
    recipes = [uj.Recipe(name, {"n": 16}) for name in names]
    assert {recipe.kind for recipe in recipes} == {"SoftSpheres"}
    assert len({recipe.identity(0, measure_first) for recipe in recipes}) == 1
    assert uj.Recipe(uj.Perceptron, {"n": 10}).system(1).n_dof == 10


def test_identity_is_class_parameters_seed_and_measurement():
    recipe = uj.Recipe(Own, {"n": 7})
    others = [uj.Recipe(Outer.Inner, {"n": 7}), recipe.at(n=8), recipe.at(far=2.0)]
    names = {r.identity(0, measure_first) for r in [recipe, *others]} | {recipe.identity(1, measure_first)}
    assert len(names) == 5
    potentials = [
        recipe.at(far=potential).identity(0, measure_first) for potential in (uj.Hertzian(), uj.Hertzian(3.0))
    ]
    assert len(set(potentials)) == 2
    assert recipe.at(far=uj.Hertzian(2.5)).identity(0, measure_first) == potentials[0]
    with pytest.raises(ValueError, match="to be part of an identity"):
        recipe.at(far=object()).identity(0, measure_first)


def test_parameters_are_copied():
    given = {"n": 7}
    recipe = uj.Recipe(Own, given)
    given["n"] = 9
    assert recipe.system(0).n_dof == 7


def test_what_cannot_be_drawn_is_refused_in_one_sentence(tmp_path):
    class Local(Own):
        pass

    def ensemble(recipe):
        uj.run_ensemble(recipe, measure_first, 1, store=tmp_path, n_workers=1, progress=False)

    for call, sentence in (
        (lambda: uj.Recipe(Local, {"n": 3}), "class = .*Local.* not defined inside a function"),
        (lambda: uj.Recipe(Seedless), "takes a seed"),
        (lambda: uj.Recipe(Own, {"m": 3}), "parameter = 'm' is not valid: it must be one of far, n"),
        (lambda: uj.Recipe(Own, {"seed": 3}), "parameter = 'seed'"),
        (lambda: uj.Recipe(measure_first), "kind = "),
        (lambda: uj.Recipe(torch.nn.Linear), "kind = "),
        (lambda: ensemble(uj.Recipe(Own)), "missing a required argument: 'n'"),
        (lambda: uj.Recipe(NoSystem).system(0), "what .*NoSystem draws = 0"),
        (lambda: uj.Recipe(Own, {"n": 3}, replicas=2).system(0), "cannot stack"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


MAIN = """
    import dataclasses, numpy as np, unijam as uj
    class Own(uj.SoftSpheres):
        @classmethod
        def random(cls, n, seed): return cls(initial=np.full(2 * n, 0.1 * seed), radii=np.ones(n), box_length=9.0)
    @dataclasses.dataclass(frozen=True, eq=False)
    class First(uj.Sample):
        x: float
    def measure(system) -> First:
        if system.initial[0] > 0.25:
            raise Odd("a", "b")
        return First(float(system.initial[0]))
    class Odd(Exception):
        def __init__(self, one, two): super().__init__(one)  # cannot be pickled
    if __name__ == "__main__":
        recipe = uj.Recipe(Own, {"n": 2})
        try:
            uj.run_ensemble(recipe, measure, 4, store="s", n_workers=2, progress=False)
        except uj.EnsembleError as error:
            print(error)
        print(recipe.kind, [s.x for s in uj.run_ensemble(recipe, measure, 3, store="s", n_workers=2, progress=False)])
"""


def test_a_script_measures_its_own_class_in_processes(tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(MAIN))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    error, last = done.stdout.splitlines()
    assert (
        error.startswith("1 of 4 systems could not be measured (3 samples are in s)")
        and "seed 3: Odd: a" in error
    )
    assert last == "script:Own [0.0, 0.1, 0.2]"


def test_an_interactive_class_is_refused_for_processes_and_measured_in_this_one(tmp_path):
    text = textwrap.dedent(MAIN).partition("    if __name__")[0].partition("if __name__")[0]
    text += textwrap.dedent("""
        recipe = uj.Recipe(Own, {"n": 2})
        try:
            uj.run_ensemble(recipe, measure, 2, store="s", n_workers=2, progress=False)
        except ValueError as error:
            print(error)
        print([s.x for s in uj.run_ensemble(recipe, measure, 2, store="s", n_workers=1, progress=False)])
    """)
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    error, last = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert "interactive session" in error and "n_workers=1" in error and last == "[0.0, 0.1]"
