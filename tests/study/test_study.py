"""The command line that studies share: options, the report written, one sentence where it fails."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from unijam.study.record import check, write_study
from unijam.study.reports.images import ImagesReport
from unijam.study.reports.talk_scale import TalkScaleReport
from unijam.study.run import quick, run_study, seeds


class Report:
    """Of a study that measures nothing."""

    def print_table(self):
        print("the table")

    def write(self, output, configuration, seconds):
        figures = {"one": plt.figure(), "": plt.figure()}
        checks = [check("θ", 0.4, 0.3, 0.5, 0.423, "nobody")]
        return write_study(output, "nothing", figures, configuration, seconds, checks, more=3)


def run(monkeypatch, study, *arguments, **options):
    monkeypatch.setattr(sys, "argv", ["study.py", *map(str, arguments)])
    run_study(study, "What it is.\n\nMore.", **options)


def test_a_study_writes_figures_and_json_and_says_where(monkeypatch, tmp_path, capsys):
    given = []

    def study(arguments):
        given.append(arguments)
        return Report(), {"n": 3}

    options = {"quick": quick("small"), "seeds": seeds("of all", default=4), "device": {"default": "cpu"}}
    run(monkeypatch, study, "--quick", "--device", "cuda", "--output", tmp_path / "new", **options)
    assert (given[0].quick, given[0].seeds, given[0].device) == (True, 4, "cuda")
    printed = capsys.readouterr().out
    assert "the table" in printed and "nothing_one.png" in printed and "nothing.png" in printed
    record = json.loads((tmp_path / "new" / "nothing.json").read_text())
    assert record["configuration"] == {"n": 3} and record["more"] == 3
    assert record["checks"][0]["verdict"] == "agrees" and record["seconds"] >= 0
    assert {p.name for p in (tmp_path / "new").glob("*.png")} == {"nothing_one.png", "nothing.png"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("n = 0 is not valid"), "error: n = 0"),
        (OSError("no room"), "error: no room"),
        (KeyboardInterrupt(), "interrupted: what was done is kept; run again to go on"),
    ],
)
def test_what_ends_a_study_is_one_sentence(monkeypatch, tmp_path, error, words):
    def study(arguments):
        raise error

    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, study, "--output", tmp_path)
    assert str(ended.value).startswith(words) and "\n" not in str(ended.value)


def test_too_few_seeds_are_refused(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, lambda _: None, "--seeds", 1, least_seeds=2, seeds=seeds("of all"))
    assert "--seeds = 1 is not valid: it must be at least 2." in capsys.readouterr().err


def test_the_report_of_images_compares_depths(tmp_path, capsys):
    report = ImagesReport({(1, 500): [(400, 500)], (3, 500): [(450, 550)]}, "adam")
    report.print_table()
    assert "400–500" in capsys.readouterr().out
    (found,) = report.checks
    assert (found["value"], found["low"], found["high"]) == (1000 / 900, 450 / 500, 550 / 400)
    (path,) = report.write(tmp_path, {}, 0.0)
    assert path.exists() and json.loads(path.with_suffix(".json").read_text())["brackets"][0]["P"] == 500


def test_the_report_of_the_homotopy_finds_its_bracket(tmp_path):
    class Fit:
        def __init__(self, load, loss):
            self.p_over_n, self.loss, self.ratio, self.n_steps, self.seconds = load, loss, 0.5, 10, 1.0

    samples = {"a": [Fit(2.8, 0), Fit(2.8, 1e-25)], "b": [Fit(3.0, 0), Fit(3.0, 0.1)], "c": [Fit(3.3, 0.1)]}
    report = TalkScaleReport(samples, "title", finite=True)
    assert report.bracket == (2.8, 3.3) and report.checks[0]["verdict"] == "finite-size"
    assert TalkScaleReport({"a": [Fit(2.8, 0)]}, "", finite=True).bracket == (2.8, np.inf)
    report.print_table()
    (path,) = report.write(tmp_path, {}, 0.0)
    assert path.name == "talk_scale_on_gpu.png" and path.exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [("spheres_vs_nets", {"quick": True, "seeds": 1}), ("talk_scale_on_gpu", {"seeds": 1})],
)
def test_a_study_says_what_it_was_configured_for(name, options, monkeypatch, tmp_path):
    """The recipes that were measured, as JSON can hold them."""
    path = Path(__file__).parents[2] / "studies" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, script)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "Comparison", dict, raising=False)
    monkeypatch.setattr(script, "run_ensemble", lambda recipes, *_, **__: dict.fromkeys(recipes, ()))
    _, chosen = script.study(argparse.Namespace(device="cpu", output=tmp_path, **options))
    assert chosen == json.loads(json.dumps(chosen)) and all(c["seeds"] == 1 for c in chosen.values())
    assert all(c["kind"] and c["parameters"] for c in chosen.values())
