"""What `import unijam` costs, and what it offers."""

import subprocess
import sys

import pytest

import unijam as uj


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs this code."""
    code += "; import sys; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_neither_torch_nor_matplotlib():
    assert modules_after("import unijam") & {"torch", "matplotlib", "pandas"} == set()


def test_import_loads_no_distributions():
    """scipy.stats takes as long as all the rest; its quantiles are in scipy.special."""
    code = "import sys, unijam; print('scipy.special' in sys.modules, 'scipy.stats' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split()[1] == "False"


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
