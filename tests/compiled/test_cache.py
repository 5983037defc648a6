"""The cache on disk: notices every change behind a function, serves several processes, and is never in the way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from unijam.compiled import cache, loop

ROOT = Path(__file__).resolve().parents[2]
INNER = """
from unijam.compiled import inline, loop, overload
FACTOR = 2.0
@loop
def scaled(x):
    return 1.0 * x
@inline
def moved(x):
    return x + 10.0
def turned(x):
    raise NotImplementedError
overload(turned)(lambda x: lambda x: x + 100.0)
"""
OUTER = """
from unijam.compiled import loop
from . import inner
from .inner import FACTOR, moved, scaled
@loop
def whole(x):
    return FACTOR * moved(scaled(x)) + inner.turned(x)
"""
RUN = "from jams.outer import whole; print(whole(1.0), sum(whole.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path):
    """A small package whose compiled function reaches another file in every way there is."""
    folder = tmp_path / "jams"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "inner.py").write_text(INNER)
    (folder / "outer.py").write_text(OUTER)
    return folder


def started(package, code=RUN, **changed):
    path = os.pathsep.join((str(package.parent), str(ROOT)))
    # no bytecode: Python compares the times of source files in whole seconds
    own = {
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(package.parent / "cache"),
    }
    environment = os.environ | own | changed
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=-1, stderr=-1, text=True)


def answers(process):
    out, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]
    return [float(word) for word in out.split()]


def test_every_change_of_a_callee_is_seen(package):
    assert answers(started(package)) == [123.0, 0]
    assert answers(started(package)) == [123.0, 1]
    source = package / "inner.py"
    for old, new, right in (
        ("1.0 * x", "3.0 * x", 127.0),  # a compiled function
        ("x + 10.0", "x + 20.0", 147.0),  # an inlined one
        ("FACTOR = 2.0", "FACTOR = 4.0", 193.0),  # a constant
        ("x + 100.0", "x + 200.0", 293.0),  # what stands in for a stub, taken from a module
    ):
        source.write_text(source.read_text().replace(old, new))
        assert answers(started(package)) == [right, 0]
    assert answers(started(package)) == [293.0, 1]


def test_a_change_elsewhere_costs_no_compilation(package):
    (package / "other.py").write_text("A = 1\n")
    assert answers(started(package)) == [123.0, 0]
    (package / "other.py").write_text("A = 2\n")
    assert answers(started(package)) == [123.0, 1]


def test_the_order_of_sets_costs_no_compilation(package):
    """Flags are a set of words, whose order is another one in each process."""
    source = package / "inner.py"
    flags = '@loop(fastmath={"nsz", "arcp", "contract", "nnan"})'
    source.write_text(source.read_text().replace("@loop\ndef scaled", f"{flags}\ndef scaled"))
    hits = [answers(started(package, PYTHONHASHSEED=str(seed))) for seed in range(4)]
    assert hits == [[123.0, float(seed > 0)] for seed in range(4)]


def test_old_code_is_removed(package):
    answers(started(package))
    kept = len(list(package.parent.glob("cache/**/*.nbc")))
    source = package / "inner.py"
    source.write_text(source.read_text().replace("1.0 * x", "3.0 * x"))
    answers(started(package))
    assert len(list(package.parent.glob("cache/**/*.nbc"))) == kept


def test_processes_at_once_get_their_own_types(package):
    """Each compiles `whole` for another type of argument, into one index."""
    code = "import numpy as np; from jams.outer import whole; print(whole(np.{}(1)))"
    kinds = ("float64", "float32", "int64", "int32")
    for _ in range(2):
        processes = [started(package, code.format(kind)) for kind in kinds]
        assert [answers(process) for process in processes] == [[123.0]] * len(kinds)


def test_nowhere_to_write(package, tmp_path):
    """Neither where the user says, nor beside the source, nor at home: files stand where folders would be."""
    (package / "__pycache__").touch()
    blocked = str(tmp_path / "file")
    Path(blocked).touch()
    homes = {"NUMBA_CACHE_DIR": blocked, "HOME": blocked, "XDG_CACHE_HOME": blocked, "LOCALAPPDATA": blocked}
    assert answers(started(package, **homes)) == [123.0, 0]


def test_damaged_files_are_replaced(package):
    answers(started(package))
    for path in package.parent.glob("cache/**/*.nb?"):
        path.write_bytes(path.read_bytes()[:20])
    assert answers(started(package)) == [123.0, 0]
    assert answers(started(package)) == [123.0, 1]


def test_full_disk(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache._Files, "save", full)

    @loop
    def tripled(x):
        return 3.0 * x

    assert tripled(2.0) == 6.0 and tripled(2) == 6.0


def test_no_home_is_no_folder_named_tilde(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    locator = cache._Home(test_full_disk, __file__)
    if not os.path.isabs(locator.get_cache_path()):
        with pytest.raises(OSError, match="no home directory"):
            locator.ensure_cache_path()
    assert not Path("~").exists()


def test_typed_in_code_runs():
    space: dict = {"loop": loop}
    exec("@loop\ndef halved(x):\n    return 0.5 * x\n", space)
    assert space["halved"](3.0) == 1.5


def test_a_stamp_holds_for_one_set_of_stand_ins():
    """A process that knows fewer evaluators has a file of its own, so that neither compiles in turns."""

    def stub(x):
        raise NotImplementedError

    def caller(x):
        return stub(x)

    assert cache.stamp(caller)[1] == ""
    cache.note_stand_in(stub, answers)
    first = cache.stamp(caller)
    cache.note_stand_in(stub, test_full_disk)
    second = cache.stamp(caller)
    assert first[1] and second[1] and first[1] != second[1]
