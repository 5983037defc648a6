"""The code blocks of README.md and docs/*.md run as they stand, in order, one namespace a file; docstrings print
what they say.

Blocks that take seconds are marked `py` instead of `python`, and are left to the slow tests.
"""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import unijam

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("README.md"), *sorted((ROOT / "docs").glob("*.md"))]
MODULES = [module.name for module in pkgutil.walk_packages(unijam.__path__, "unijam.")]
QUICK, ALL = (rf"^```{tag}[^\n]*\n(.*?)^```" for tag in ("python", "py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, tmp_path, monkeypatch):
    assert run(page, QUICK, tmp_path, monkeypatch) == opened(page, "```python")


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```py\n" in page.read_text("utf-8")], ids=lambda page: page.name
)
def test_long_blocks_run(page, tmp_path, monkeypatch):
    assert run(page, ALL, tmp_path, monkeypatch) == opened(page, "```py")


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def opened(page, fence):
    """How many blocks of code begin with a fence, indented or not."""
    return sum(line.strip().startswith(fence) for line in page.read_text(encoding="utf-8").splitlines())


def run(page, pattern, tmp_path, monkeypatch):
    """How many blocks of a page ran."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.chdir(tmp_path)  # figures and tables go there
    text, namespace = page.read_text(encoding="utf-8"), {"__name__": "page"}
    blocks = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    for match in blocks:
        line = text[: match.start(1)].count("\n")
        code = compile("\n" * line + match.group(1), str(page), "exec")  # errors name the line of the page
        exec(code, namespace)
    pyplot.close("all")
    return len(blocks)
