"""What `import unijam` costs, and what it offers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unijam as uj

ROOT = Path(__file__).resolve().parents[1]


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs this code."""
    code += "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_neither_torch_nor_matplotlib():
    assert modules_after("import unijam") & {"torch", "matplotlib", "pandas"} == set()


def test_packings_need_no_torch():
    code = "import unijam as uj; uj.minimize(uj.SoftSpheres.random(n=20)); uj.Ellipses.random(n=20)"
    assert modules_after(code) & {"torch", "matplotlib"} == set()


def test_networks_load_torch_at_first_use():
    assert "torch" in modules_after("import unijam as uj; uj.FullyConnected")


@pytest.mark.parametrize("name", uj.__all__)
def test_public_names_exist_and_say_what_they_are(name):
    value = getattr(uj, name)
    assert value.__doc__ and value.__doc__.strip()[0].isprintable()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Cubes'"):
        uj.Cubes  # noqa: B018


def test_imports_run_one_way():
    """Each room imports those only that CONTRIBUTING names before it; types alone may be named from above."""
    rooms = re.search(r"Imports run one way.*?studies", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))[0]
    order = re.findall(r"`(\w+)`", rooms)
    package = ROOT / "unijam"
    assert sorted(order) == sorted({p.stem for p in package.iterdir()} - {"__init__", "__pycache__", "py"})
    for path in package.rglob("*.py"):
        inside = path.relative_to(package).with_suffix("").parts
        if inside == ("__init__",):
            continue
        for node in _run(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == len(inside):
                for name in [node.module.split(".")[0]] if node.module else [a.name for a in node.names]:
                    assert order.index(name) <= order.index(inside[0]), f"{path} imports {name}"


def _run(tree):
    """What runs: all but what is there for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _run(node)
