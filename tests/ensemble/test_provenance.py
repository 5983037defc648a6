"""What makes a sample old: code that its class or measurement imports, near or far; nothing else."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import unijam as uj
from unijam.ensemble.provenance import source_digest
from unijam.measurements import measure_jammed, measure_kernel_energies

SCRIPT = {
    "own.py": """
        import numpy as np
        import unijam as uj
        from helpers import near
        class Own:  # draws discs: nothing here takes long to import
            @staticmethod
            def random(n, seed):
                return uj.SoftSpheres(initial=near.start(2 * n, seed), radii=np.full(n, 0.1), box_length=2.0)
    """,
    "helpers/__init__.py": "from . import pictures",
    "helpers/near.py": """
        import numpy as np
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import types_alone
        def start(n, seed):
            '''A start.'''
            from helpers.far import factor  # only when it is called
            return factor() * np.random.default_rng(seed).random(n)
    """,
    "helpers/far.py": "def factor():\n    return 0.5\n",
    "helpers/pictures.py": "COLOUR = 'red'\n",
    "types_alone.py": "X = 1\n",
    "measure.py": """
        from dataclasses import dataclass
        import unijam as uj
        @dataclass(frozen=True, eq=False)
        class Size(uj.Sample):
            n: int
        def measure(system) -> Size:
            print("measured")
            return Size(system.n)
    """,
    "main.py": """
        import sys
        import unijam as uj
        from unijam.study.record import check
        from own import Own
        from measure import measure
        if __name__ == "__main__":
            found = uj.run_ensemble(
                uj.Recipe(Own, {"n": 4}), measure, 2, store="store", n_workers=1, progress=False, stale=sys.argv[1]
            )
            assert [s.n for s in found] == [4, 4]
    """,
}


@pytest.fixture
def project(tmp_path):
    for name, text in SCRIPT.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def run(project: Path, stale: str = "recompute") -> tuple[int, str]:
    """How many were measured, and what else was printed."""
    done = subprocess.run(
        [sys.executable, "main.py", stale], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.count("measured\n"), done.stdout.replace("measured\n", "")


def test_lines_of_code_make_samples_old_and_comments_do_not(project):
    def change(name: str, before: str, after: str) -> None:
        text = (project / name).read_text()
        assert before in text
        (project / name).write_text(text.replace(before, after))

    assert run(project) == (2, "")
    assert run(project) == (0, "")
    change("helpers/near.py", "'''A start.'''", "'''Where it\n    begins.'''\n")
    change("helpers/far.py", "return 0.5", "return 0.5  # a half")
    change("own.py", "np.full(n, 0.1)", "np.full(n,\n                0.1)")
    change("helpers/pictures.py", "red", "blue")  # nobody uses it
    change("types_alone.py", "1", "2")
    change("main.py", "stale=sys.argv[1]", "stale=sys.argv[-1]")  # what only starts the measurement
    assert run(project) == (0, "")
    change("helpers/far.py", "0.5", "0.25")  # two imports away, inside a function
    count, said = run(project, "keep")
    assert (
        count == 0
        and said.startswith("2 of 2 samples in store were measured by other source")
        and "kept" in said
    )
    count, said = run(project)
    assert count == 2 and "measured again" in said and said.count("\n") == 1
    change("measure.py", "Size(system.n)", "Size(int(system.n))")
    assert run(project)[0] == 2


def test_samples_of_an_earlier_version_are_measured_again_and_said(project):
    run(project)
    store = project / "store"
    for k, path in enumerate(sorted(store.iterdir())):
        with np.load(path) as file:
            fields = {name: file[name] for name in file if not name.startswith("_")}
        np.savez(path, **fields)  # without provenance
        path.with_name(f"{k:016x}.npz").write_bytes(path.read_bytes())
    count, said = run(project)
    assert (
        count == 2 and "2 of 2 samples" in said and "2 files in store" in said and "earlier version" in said
    )
    assert run(project) == (0, "")


def test_a_digest_holds_what_is_imported_and_no_more():
    """Particles and networks do not depend on each other, nor on what shows them."""
    from unijam.ensemble import provenance

    def modules(*things):
        seen, todo = set(), [thing.__module__ for thing in things]
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                path = str(provenance._path(name))
                todo += provenance._read(name, path, provenance._stamp(name))[1]
        return seen

    discs, net = modules(uj.SoftSpheres, measure_jammed), modules(uj.FullyConnected, measure_jammed)
    for name in (
        "core.system",
        "branches.jam",
        "solvers.loop",
        "spectra.decomposition",
        "linalg.multifrontal",
    ):
        assert f"unijam.{name}" in discs & net
    assert "unijam.networks.layered.passes" in net - discs
    assert "unijam.particles.kernels.neighbours" in discs - net
    assert not [name for name in discs | net if name.split(".")[1] in ("figures", "study", "ensemble")][1:]
    assert "unijam" not in discs | net
    assert source_digest([uj.SoftSpheres, measure_jammed]) == source_digest([uj.SoftSpheres, measure_jammed])
    assert source_digest([uj.Ellipses, measure_kernel_energies]) != source_digest(
        [uj.Ellipses, measure_jammed]
    )


def test_what_has_no_source_has_no_digest():
    made: dict = {"__name__": "__main__"}
    exec("def f(): pass", made)
    assert source_digest([made["f"]]) == "" or hasattr(sys.modules["__main__"], "__file__")
