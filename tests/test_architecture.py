"""The rooms of docs/architecture.md: imports run one way, and no modules import each other in a circle."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "unijam"
# from the ground up: a room imports rooms named before it; `docs/architecture.md` draws the same order
ROOMS = (
    "support compiled linalg theory core particles networks statistics spectra solvers branches "
    "ensemble measurements figures study"
).split()
MODULES = {
    ".".join(("unijam", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports(module: str, typed: bool = True) -> list[tuple[str, int]]:
    """The modules of the package that a module imports, anywhere in its text, with the line.

    Without `typed`, imports under `if TYPE_CHECKING` are left out: they never run.
    """
    path, found = MODULES[module], []
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text("utf-8"))
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    hidden = set() if typed else {node for guard in guards for line in guard.body for node in ast.walk(line)}
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(name.name, node.lineno) for name in node.names if name.name in MODULES]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{name.name}" for name in node.names]
            found += [(name if name in MODULES else base, node.lineno) for name in names]
    return [(name, line) for name, line in found if name in MODULES]


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_every_room_is_drawn():
    assert sorted(ROOMS) == sorted({room(module) for module in MODULES} - {""})
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    drawn = re.findall(r"^  (\w+)/", page, re.MULTILINE)
    assert [name for name in drawn if name in ROOMS] == ROOMS


def test_imports_run_one_way():
    upward = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {name}"
        for module in MODULES
        if room(module)
        for name, line in imports(module)
        if not room(name) or ROOMS.index(room(name)) > ROOMS.index(room(module))
    ]
    assert upward == []


def test_no_modules_import_each_other():
    graph = {module: {name for name, _ in imports(module, typed=False)} - {module} for module in MODULES}
    circle = ""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " imports ".join(reversed(error.args[1]))
    assert circle == ""
