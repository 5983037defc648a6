"""numba's internals live in one room: no other module of the package imports numba or llvmlite."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "unijam"


def test_only_the_room_compiled_imports_numba():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] == "compiled":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            known = [name for name in names if name.partition(".")[0] in ("numba", "llvmlite")]
            found += [f"{path.relative_to(PACKAGE.parent)}:{node.lineno} imports {name}" for name in known]
    assert found == [], "take the decorators of unijam.compiled instead"
