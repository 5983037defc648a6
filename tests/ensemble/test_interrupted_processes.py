"""Ctrl-C on an ensemble in processes, wherever it is pressed: nothing finished is lost, the next call does the rest.

A terminal sends Ctrl-C to all processes of a group. Here a script of its own group measures one ensemble again and
again, each time with one press: by a worker, at the beginning and the end of each job; by the parent, while it starts
a process and while it writes a sample; by a clock.
"""

import json
import subprocess
import sys

import pytest

N_JOBS = 6
IN_WORKERS = [*(f"begin {job}" for job in range(N_JOBS)), "end 0", f"end {N_JOBS - 1}"]
IN_PARENT = ["start 1", "start 2", "write 1", f"write {N_JOBS}"]
CLOCK = ["after 0.37", "after 2.13"]  # s, drawn once: while processes begin, or later

SCRIPT = '''
import json
import multiprocessing.context
import os
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import unijam as uj

FOLDER = Path(__file__).parent
SMALLEST = 8  # a job's number is that of its discs beyond these


@dataclass(frozen=True, eq=False)
class Packing(uj.Sample):
    threshold: float
    x: np.ndarray


def press(here):
    if os.environ["PRESS"] == here:
        time.sleep(0.5)  # what was finished before has reached the parent
        note("press")
        os.killpg(0, signal.SIGINT)


def note(*what):
    with open(os.environ["NOTES"], "a") as file:
        print(*what, file=file)


def measure(system) -> Packing:
    job = system.n - SMALLEST
    press(f"begin {job}")
    packing = uj.jam(system)
    note("measured", job)
    press(f"end {job}")
    return Packing(packing.threshold, packing.x)


JOBS = {
    job: (uj.Recipe("SoftSpheres", {"n": SMALLEST + job, "radii": "uniform", "packing_fraction": 0.9}), 1)
    for job in range(6)
}


def run(store, n_workers, where, notes):
    os.environ["PRESS"], os.environ["NOTES"] = where, str(notes)
    if where.startswith("after"):
        threading.Timer(float(where.split()[1]), lambda: os.killpg(0, signal.SIGINT)).start()
    said = ""
    try:
        uj.run_ensemble(JOBS, measure, store=store, n_workers=n_workers, progress=False)
        time.sleep(2 if where.startswith("after") else 0)
    except KeyboardInterrupt as error:
        said = str(error) or "interrupted"
    return said


def alone(number):
    """To the parent only, as `kill` sends it."""
    os.kill(os.getpid(), number)


def counted(call, name):
    """`call`, with a press within its k-th."""
    made = [0]

    def other(*arguments, **options):
        made[0] += 1
        found = call(*arguments, **options)
        if os.environ["PRESS"] == f"{name} {made[0]}":
            note("press")
            alone(signal.SIGINT) if name == "start" else os.killpg(0, signal.SIGINT)
        return found

    return made, other


def table(store):
    """What a store holds: of each job every number, bit by bit."""
    held = {}
    for job, (recipe, _) in JOBS.items():
        sample = Packing.load(store / f"{recipe.identity(0, measure)}.npz")
        if sample is not None:
            held[job] = [sample.threshold.hex(), sample.x.tobytes().hex()]
    return held


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell ignore it
    process = multiprocessing.context.SpawnProcess
    started, process.start = counted(process.start, "start")
    written, Packing.save = counted(Packing.save, "write")
    found = {}
    for number, where in enumerate(["never", *json.loads(sys.argv[1])]):
        started[0] = written[0] = 0
        store, notes = FOLDER / f"store {number}", [FOLDER / f"notes {number} {k}" for k in (0, 1)]
        said = run(store, 2, where, notes[0])
        kept, files = table(store), sorted(file.suffix for file in store.iterdir())
        end = time.monotonic() + 60
        while (children := len(multiprocessing.active_children())) and time.monotonic() < end:
            time.sleep(0.05)
        again = run(store, 1, "never", notes[1])
        lines = [file.read_text().splitlines() if file.exists() else [] for file in notes]
        found[where] = {
            "said": said, "kept": kept, "files": files, "again": again, "whole": table(store),
            "notes": lines[0], "rest": lines[1], "children": children,
        }
    (FOLDER / "found").write_text(json.dumps(found))
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the script saw, by where it was pressed."""
    folder = tmp_path_factory.mktemp("interrupted")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, json.dumps(IN_WORKERS + IN_PARENT + CLOCK)]
    said = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, start_new_session=True
    )
    assert said.returncode == 0, said.stderr[-3000:]
    return json.loads((folder / "found").read_text())


def measured(lines):
    return [line.split()[1] for line in lines if line.startswith("measured")]


def test_undisturbed_each_job_is_measured_once(found):
    one = found["never"]
    assert one["said"] == one["again"] == "" and one["rest"] == []
    assert sorted(measured(one["notes"])) == sorted(one["kept"]) == [str(job) for job in range(N_JOBS)]


@pytest.mark.parametrize("where", IN_WORKERS + IN_PARENT + CLOCK)
def test_what_is_finished_is_kept_and_the_next_call_measures_the_rest(found, where):
    one, whole = found[where], found["never"]["whole"]
    n_kept = len(one["kept"])
    if where not in CLOCK or one["said"]:  # a clock may be late
        assert one["said"].startswith(f"interrupted: {n_kept} of {N_JOBS} samples are in ")
        assert one["said"].endswith("the same call goes on from there.")
    assert one["files"] == [".npz"] * n_kept and one["children"] == 0
    assert all(one["kept"][job] == whole[job] for job in one["kept"])
    if where in IN_WORKERS:  # half a second before the press
        before = set(measured(one["notes"][: one["notes"].index("press")]))
        assert before - {where.split()[1]} <= set(one["kept"])
    if where.startswith("write"):
        assert n_kept >= int(where.split()[1])
    assert one["again"] == "" and one["whole"] == whole
    assert sorted(measured(one["rest"])) == sorted(set(whole) - set(one["kept"]))
