"""A digest of the source code that a sample depends on.

The source is every module of the user and of this package that the sample's class and its measurement import, directly
or indirectly. Comments, docstrings and layout are left out, and so are modules that only display measurements, and code
under ``if __name__ == "__main__"``.
"""

import ast
import hashlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .names import SHOWING

OWN = __name__.partition(".")[0]
INSTALLED = {"site-packages", "dist-packages"}  # folders of installed packages: these are not the user's code
UNKNOWN = ""  # the digest of something without source; it counts as different from every digest, itself too


def source_digest(things: Iterable[Any]) -> str:
    """A digest of the modules that classes and functions are defined in and import; "" if one has no source.

    Parameters
    ----------
    things : classes and functions

    Returns
    -------
    str
        20 hexadecimal digits. They change with any line of code of these modules, but not with comments.
    """
    trees: dict[str, str] = {}
    todo: list[str] = []
    for thing in things:
        place = sys.modules[thing.__module__]
        if not _is_own(place.__name__):
            continue
        if _path(place.__name__) is not None:
            todo.append(place.__name__)
            continue
        # `thing` comes from an interactive session: there is no file, and its globals stand for its imports
        text = _source_of(thing)
        if text is None:
            return UNKNOWN
        trees[f"{place.__name__}:{thing.__qualname__}"] = _digest(ast.parse(text))
        todo += _modules_of(vars(place).values())
    while todo:
        name = todo.pop()
        if name not in trees:
            trees[name], imported = _read(name, str(_path(name)), _stamp(name))
            todo += imported
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(trees.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def _read(name: str, path: str, stamp: tuple[int, int]) -> tuple[str, tuple[str, ...]]:
    """The digest of a module's syntax tree, and the modules of the user and of this package that it imports.

    `stamp`, the time and the size of the file, makes a changed file a new entry of the cache.
    """
    try:
        tree = ast.parse(Path(path).read_bytes())
    except SyntaxError as error:  # the file was changed after it was imported
        raise ValueError(f"{path} is not valid: line {error.lineno} is not Python ({error.msg}).") from None
    tree.body = [node for node in tree.body if not _is_guard(node, "'__main__'")]
    return _digest(tree), tuple(sorted(set(_imported(name, tree))))


def _stamp(name: str) -> tuple[int, int]:
    state = Path(str(_path(name))).stat()
    return state.st_mtime_ns, state.st_size


def _is_guard(node: ast.AST, word: str) -> bool:
    return isinstance(node, ast.If) and word in ast.unparse(node.test)


def _imported(name: str, tree: ast.Module) -> Iterator[str]:
    """Modules of the user and of this package that a tree imports anywhere, except under `if TYPE_CHECKING`."""
    package = name if _is_package(name) else name.rpartition(".")[0]
    aliases: dict[str, str] = {}
    uses: dict[str, set[str]] = {}
    bare: Counter[str] = Counter()  # uses of a name without an attribute, as in getattr(unijam, name)
    for node in _run(tree):
        if isinstance(node, ast.Import):
            for found in node.names:
                aliases[found.asname or found.name] = found.name
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from _offered(base, {found.name for found in node.names})
        elif isinstance(node, ast.Attribute) and (dotted := _dotted(node.value)):
            uses.setdefault(dotted, set()).add(node.attr)
            bare[dotted] -= 1
        elif isinstance(node, ast.Name):
            bare[node.id] += 1
    for alias, module in aliases.items():
        names = uses.get(alias, set()) | ({"*"} if bare[alias] > 0 else set())
        yield from _offered(module, names)
        top = module.partition(".")[0]
        if alias == module != top:  # import a.b binds a
            yield from _offered(top, uses.get(top, set()))


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a node, without those under `if TYPE_CHECKING`, which never run."""
    for child in ast.iter_child_nodes(node):
        if _is_guard(child, "TYPE_CHECKING"):
            continue
        yield child
        yield from _run(child)


def _dotted(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return f"{before}.{node.attr}"
    return None


def _offered(module: str, names: set[str]) -> Iterator[str]:
    """The modules in which the names that are imported from `module` are defined.

    The `__init__` of a package re-exports what other modules define. Only the modules that define the names count, not
    everything that the `__init__` imports. If a name is neither a module, a class nor a function (a constant, or
    ``*``), the `__init__` itself counts.
    """
    if not _is_own(module):
        return
    if _path(module) is not None and not _is_package(module):
        yield from _counted(module)
        return
    for name in names:
        if _path(f"{module}.{name}") is not None and not hasattr(sys.modules.get(module), name):
            yield from _counted(f"{module}.{name}")
            continue
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, ModuleType):
            yield from _counted(found.__name__)
        elif inspect.isclass(found) or inspect.isroutine(found):
            yield from _counted(found.__module__ or module)
        else:
            yield from _counted(module)


def _counted(name: str) -> Iterator[str]:
    """The name of a module, if its source counts; nothing otherwise."""
    shows = any(name == package or name.startswith(f"{package}.") for package in SHOWING)
    if not shows and _is_own(name) and _path(name) is not None:
        yield name


def _modules_of(values: Iterable[Any]) -> Iterator[str]:
    """The modules that the values of an interactive session come from."""
    for value in list(values):
        module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(module, str) and module in sys.modules:
            yield from _counted(module)


def _is_own(name: str) -> bool:
    """Whether a module belongs to this package or to the user, not to Python or an installed package."""
    top = name.partition(".")[0]
    if top == OWN or top in ("__main__", "__mp_main__"):
        return True
    if not top or top in sys.stdlib_module_names:
        return False
    path = _path(name)
    return path is None or not INSTALLED & set(path.parts)


def _is_package(name: str) -> bool:
    path = _path(name)
    return path is not None and path.name == "__init__.py"


def _path(name: str) -> Path | None:
    """The file of a module; None if it has no Python source."""
    place = getattr(sys.modules.get(name), "__file__", None)
    if place is None and name not in sys.modules:
        place = _found(name)
    return Path(place) if place and str(place).endswith(".py") else None


@cache
def _found(name: str) -> str | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec else None


def _source_of(thing: Any) -> str | None:
    try:
        return inspect.cleandoc("\n" + inspect.getsource(thing))
    except (OSError, TypeError, IndentationError):
        return None


def _digest(tree: ast.AST) -> str:
    return hashlib.sha256("".join(_written(tree)).encode()).hexdigest()[:20]


def _written(node: Any) -> Iterator[str]:
    """The text of a syntax tree, in parts, without positions, docstrings and empty fields.

    New versions of Python add fields that are mostly empty: without them the digest stays the same.
    """
    if isinstance(node, list):
        yield "["
        for part in node:
            yield from _written(part)
            yield ","
        yield "]"
    elif isinstance(node, ast.AST):
        yield type(node).__name__ + "("
        for field in node._fields:
            value = getattr(node, field, None)
            if field == "body" and isinstance(value, list):
                value = _without_docstring(node, value)
            if value is not None and value != []:
                yield field + "="
                yield from _written(value)
        yield ")"
    else:
        yield repr(node)


def _without_docstring(node: ast.AST, body: list[Any]) -> list[Any]:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    first = body[0] if body and documented else None
    text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if text and isinstance(first.value.value, str) else body  # type: ignore[union-attr]
