"""Docstrings hold what a caller must know: each exported name its sections, each public method some sentence."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from enum import EnumMeta
from pathlib import Path
from types import ModuleType

import pytest

import unijam as uj

EXPORTED = {name: getattr(uj, name) for name in uj.__all__}
CLASSES = {name: thing for name, thing in EXPORTED.items() if inspect.isclass(thing)}
FUNCTIONS = {name: thing for name, thing in EXPORTED.items() if inspect.isfunction(thing)}


def sections(thing) -> set[str]:
    """The headings of a docstring in NumPy's style: words that are underlined."""
    return set(re.findall(r"^(\w[\w ]*)\n-{3,}$", inspect.getdoc(thing) or "", re.MULTILINE))


def refuses(function) -> bool:
    """Whether the body of a function raises, or requires something, itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    required = any(isinstance(call, ast.Name) and call.id.startswith("require") for call in calls)
    checked = inspect.unwrap(function) is not function  # `checked` refuses arguments
    return required or checked or any(isinstance(node, ast.Raise) for node in ast.walk(tree))


def test_every_export_is_a_class_a_function_or_a_module():
    rest = set(EXPORTED) - set(CLASSES) - set(FUNCTIONS)
    assert all(isinstance(EXPORTED[name], ModuleType) for name in rest)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_it_takes_and_returns(name):
    function = FUNCTIONS[name]
    wanted = {"Examples"}
    wanted |= {"Parameters"} if inspect.signature(function).parameters else set()
    wanted |= {"Returns"} if inspect.signature(function).return_annotation is not None else set()
    wanted |= {"Raises"} if refuses(function) else set()
    assert wanted - sections(function) == set()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_of_a_function_is_named(name):
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    described = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n---|\Z)", text, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"^(\S[^:\n]*?)(?: :|$)", described.group(1), re.MULTILINE) if described else []
    named = {word.strip(" *") for line in listed for word in line.split(",")}
    assert set(inspect.signature(FUNCTIONS[name]).parameters) - named == set()


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_says_what_it_holds(name):
    found = sections(CLASSES[name])
    fields = [p for p in inspect.signature(CLASSES[name]).parameters if not p.startswith("_")]
    assert "Examples" in found
    assert not fields or found & {"Parameters", "Attributes"}


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_of_an_exported_class_is_described(name):
    """A method that overrides a described one inherits its docstring."""
    kind, missing = CLASSES[name], []
    for attribute in dir(kind):
        member = inspect.getattr_static(kind, attribute)
        ours = inspect.isfunction(inspect.unwrap(getattr(member, "__func__", member)))
        if attribute.startswith("_") or not (ours or isinstance(member, property)):
            continue
        if not (getattr(kind, attribute).__doc__ if ours else member.__doc__ or inspect.getdoc(member)):
            missing += [] if inspect.getdoc(getattr(kind, attribute)) else [attribute]
    assert missing == []


def public_things():
    """Every public class and function of the package, where it is defined."""
    for module in pkgutil.walk_packages(uj.__path__, "unijam."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            defined_here = getattr(thing, "__module__", None) == module.name
            if defined_here and not name.startswith("_") and callable(thing):
                yield f"{module.name}.{name}", thing


def test_everything_public_has_a_docstring():
    kinds = (type, EnumMeta, type(test_everything_public_has_a_docstring))
    missing = [
        name for name, thing in public_things() if isinstance(thing, kinds) and not inspect.getdoc(thing)
    ]
    assert missing == []


def test_a_statistical_test_says_where_its_bound_comes_from():
    silent = []
    for path in Path(__file__).parent.rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        whole = any(
            isinstance(node, ast.Assign) and "mark.statistical" in ast.unparse(node) for node in tree.body
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marked = whole or any("mark.statistical" in ast.unparse(d) for d in node.decorator_list)
                silent += [f"{path.name}: {node.name}"] if marked and not ast.get_docstring(node) else []
    assert silent == []
