"""What needs more memory than there is says so before it begins: one sentence with the number of bytes."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import unijam as uj
from unijam.linalg import (
    Operator,
    extreme_modes,
    factor_dense,
    factor_sparse,
    lanczos,
    null_space,
    orthonormal_rows,
    projection,
)
from unijam.spectra import decomposition
from unijam.support import memory
from unijam.support.arrays import gram, to_numpy

resource = pytest.importorskip("resource")  # not on Windows
SENTENCE = r"^[^.]* needs \d+ bytes \([^ ]* GB\) of memory, and there are 1000 \(1e-06 GB\)[^.]*\.$"


@pytest.fixture
def full(monkeypatch):
    """A machine on which 1000 bytes are left, from when it is called; nothing is too small to be asked for."""

    def fill():
        monkeypatch.setattr(memory, "SMALL", 0)
        monkeypatch.setattr(memory, "available_memory", lambda like=None: 1000)

    return fill


def packing():
    return uj.minimize(uj.Ellipses.random(n=24, aspect_ratio=1.4, packing_fraction=1.0))


def of_packing(call):
    def prepared():
        state = packing()
        hessian = uj.decompose_hessian(state.system, state.x)
        return lambda: call(hessian)

    return prepared


def of_state(call):
    def prepared():
        state = packing()
        return lambda: call(state.system, state.x)

    return prepared


def of_network(call):
    def prepared():
        system = uj.FullyConnected.random(depth=1, width=5, input_dimension=4, n_data=60)
        return lambda: call(system, system.constraints(system.initial))

    return prepared


def module():
    layers = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    return uj.Network(layers, torch.randn(60, 4), 2 * (torch.arange(60) % 2) - 1)


def of_module(call):
    def prepared():
        system = module()
        return lambda: call(system, system.constraints(system.initial))

    return prepared


def of_matrix(call):
    matrix = np.eye(40) + 0.1
    return lambda: lambda: call(matrix)


def of_data(call):
    def prepared():
        data = uj.datasets.random(100, 20)
        return lambda: call(data)

    return prepared


def of_classes(call):
    def prepared():
        random = np.random.default_rng(0)
        inputs, labels = random.standard_normal((60, 4)), np.arange(60) % 3
        system = uj.FullyConnected.from_data(inputs, labels, depth=1, width=5, n_classes=3)
        return lambda: call(system, system.constraints(system.initial))

    return prepared


ASKED = {
    "eigenvalues": of_packing(lambda h: h.eigenvalues()),
    "n_negative_hp": of_packing(lambda h: h.n_negative_hp),
    "self_stress": of_packing(lambda h: h.self_stress),
    "kernel": of_packing(lambda h: h.kernel),
    "kernel_prestress": of_packing(lambda h: h.kernel_prestress()),
    "jacobian": of_packing(lambda h: h.jacobian),
    "spectrum": of_packing(lambda h: h.spectrum()),
    "decompose_hessian of a network": of_network(lambda s, c: uj.decompose_hessian(s, c.x)),
    "certify": of_state(uj.certify),
    "vibrational_modes": of_state(uj.vibrational_modes),
    "J of a network": of_network(lambda s, c: c.jacobian()),
    "Hp of a network": of_network(lambda s, c: c.curvature(torch.ones(60))),
    "H0 of three classes": of_classes(lambda s, c: c.stiffness(torch.ones(len(c.delta)))),
    "J of a module": of_module(lambda s, c: c.jacobian()),
    "Hp of a module": of_module(lambda s, c: c.curvature(torch.ones(60))),
    "minimize of a network": of_network(lambda s, c: uj.minimize(s)),
    "null_space": of_matrix(null_space),
    "orthonormal_rows": of_matrix(orthonormal_rows),
    "projection": of_matrix(lambda m: projection(torch.from_numpy(m).to_sparse())),
    "gram": of_matrix(lambda m: gram(m, np.ones(40))),
    "factor_dense": of_matrix(lambda m: factor_dense(m, 0.0)),
    "factor_sparse": of_matrix(lambda m: factor_sparse(sp.csc_array(m), 0.0)),
    "to_numpy": of_matrix(lambda m: to_numpy(sp.csc_array(m))),
    "dense": of_matrix(lambda m: Operator(lambda v: m @ v, m[0]).dense()),
    "lanczos": of_matrix(lambda m: lanczos(Operator(lambda v: m @ v, m[0]), m[0], 10)),
    "extreme_modes": of_matrix(lambda m: extreme_modes(Operator(lambda v: m @ v, m[0]))),
    "a packing": lambda: lambda: uj.SoftSpheres.random(n=100),
    "ellipses": lambda: lambda: uj.Ellipses.random(n=100),
    "a perceptron": lambda: lambda: uj.Perceptron.random(n=30),
    "random data": lambda: lambda: uj.datasets.random(100, 20),
    "data of a teacher": lambda: lambda: uj.datasets.teacher(100, 20),
    "a network": lambda: lambda: uj.FullyConnected.random(depth=1, width=30, n_data=4, input_dimension=4),
    "principal components": of_data(lambda data: data.principal_components(5)),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_needs_more_than_there_is_says_so(name, full):
    call = ASKED[name]()
    full()
    with pytest.raises(MemoryError, match=SENTENCE):
        call()


def test_counts_of_a_large_state_ask_for_no_dense_matrix(monkeypatch, full):
    """With a megabyte, where a dense H would take 40."""
    state = uj.minimize(uj.SoftSpheres.random(n=1200, radii="uniform", packing_fraction=0.87))
    full()
    monkeypatch.setattr(memory, "available_memory", lambda like=None: 8 * 10**6)
    h = uj.decompose_hessian(state.system, state.x)
    assert h.hp.shape[0] > decomposition.SMALL
    signs = h.kernel_signs()
    assert signs.dimension == 0 == len(h.kernel_prestress())
    assert signs.n_self_stress == len(h.force) - signs.rank == h.n_self_stress
    with pytest.raises(MemoryError, match=r"^eigenvalues of total on \d+ degrees .*ask for kernel_signs\(\)"):
        h.eigenvalues()


def test_what_is_available_is_no_more_than_the_machine_has():
    found = memory.available_memory()
    assert found is None or 0 < found < 2**50


@pytest.fixture
def system_files(monkeypatch):
    """Files of a machine that does not exist, by their paths."""
    files = {}
    monkeypatch.setattr(memory, "_read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    files["/proc/meminfo"] = "MemTotal: 2000000 kB\nMemFree: 10 kB\nMemAvailable: 1000000 kB\n"
    return files


def test_the_least_of_all_limits_holds(system_files, monkeypatch):
    assert memory.available_memory() == 1000000 * 1024
    # version 2: the group above leaves least, and gives up what it keeps of files
    system_files["/proc/self/cgroup"] = "0::/jobs/one\n"
    top = "/sys/fs/cgroup"
    system_files |= {f"{top}/jobs/one/memory.max": "max\n", f"{top}/jobs/one/memory.current": "5\n"}
    assert memory.available_memory() == 1000000 * 1024
    system_files |= {f"{top}/jobs/memory.max": "600000000\n", f"{top}/jobs/memory.current": "200000000\n"}
    system_files[f"{top}/jobs/memory.stat"] = "anon 1\ninactive_file 50000000\n"
    assert memory.available_memory() == 450000000
    # version 1
    system_files["/proc/self/cgroup"] += "4:cpu,memory:/old\n"
    system_files |= {
        f"{top}/memory/old/memory.limit_in_bytes": "300000000\n",
        f"{top}/memory/old/memory.usage_in_bytes": "100000000\n",
    }
    assert memory.available_memory() == 200000000
    # ulimit -v
    monkeypatch.setattr(resource, "getrlimit", lambda which: (90000000, 90000000))
    system_files["/proc/self/statm"] = "1000 500 1 1 0 1 0\n"
    assert memory.available_memory() == 90000000 - 1000 * resource.getpagesize()
    with pytest.raises(
        MemoryError, match=r"^all of it needs 100000000 bytes \(0\.1 GB\) of memory, and there are \d+ "
    ):
        memory.require_memory(1e8, "all of it")


def test_what_is_small_is_not_asked_for(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda like=None: 0)
    memory.require_matrices([(1000, 1000), (10,)], "little")
    with pytest.raises(MemoryError, match=r"^much needs 128000000 bytes .*: take less\.$"):
        memory.require_matrices([(4000, 8000)], "much", "take less", np.zeros(1, np.float32))


def test_a_tensor_on_a_cuda_device_is_asked_of_that_device(monkeypatch):
    class There:
        device, dtype = torch.device("cuda"), torch.float64

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 2 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * 10**8)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * 10**8)
    assert memory.available_memory(There()) == 1_300_000_000
    with pytest.raises(MemoryError, match=r"^H needs 1352000000 bytes .* there are 1300000000 "):
        memory.require_matrices([(13000, 13000)], "H", like=There())
