"""uj.save and uj.load: every kind of result of every kind of system is the same again, bit for bit, and resumes."""

import dataclasses
import json
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import unijam as uj
from unijam.measurements import measure_jammed, measure_state


class Spring(uj.AutodiffSystem):
    """A user's class whose attributes are data, but for a function."""

    control = "stretch"

    def __init__(self, n: int = 4, *, power: int = 2, seed: int = 0) -> None:
        self.initial = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self.stretch, self.law = 1.5, lambda x: x**power

    def delta(self, x):
        return self.stretch - self.law(x)


class Unseeded(Spring):
    """Another system at each call of its constructor."""

    def __init__(self) -> None:
        super().__init__()
        away = torch.rand(4, dtype=torch.float64)
        self.law = lambda x: (x - away) ** 2


class Data(uj.AutodiffSystem):
    """A user's class of data alone; its constructor takes what the attributes do not keep."""

    def __init__(self, points: np.ndarray, names: dict) -> None:
        self.initial, self.points = [0.3, 0.4], torch.as_tensor(points)
        self.names, self.nothing = names, None

    def delta(self, x):
        return 0.8 - (x - self.points).norm(dim=1)


@dataclass(frozen=True)
class Cubic(uj.Potential):
    exponent = 3.0

    def energy(self, delta):
        return delta.clip(0) ** 3 / 3

    def force(self, delta):
        return delta.clip(0) ** 2

    def stiffness(self, delta):
        return 2 * delta.clip(0)


class Steep(uj.Potential):
    """No dataclass: its attributes are what it is."""

    def __init__(self, a: float) -> None:
        self.a = a

    def energy(self, delta):
        return delta.clip(0) ** self.a / self.a

    def force(self, delta):
        return delta.clip(0) ** (self.a - 1)

    def stiffness(self, delta):
        return (self.a - 1) * delta.clip(0) ** (self.a - 2)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class OwnDiscs(uj.SoftSpheres):
    colour: str = "red"


def corners() -> Data:
    return Data(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), {"a": (1, 2.5), 3: [None, True]})


def discs(n: int = 16, **changes) -> uj.SoftSpheres:
    return uj.SoftSpheres.random(n=n, packing_fraction=1.0, radii="uniform", seed=1).at(**changes)


def own_discs() -> OwnDiscs:
    plain = discs()
    return OwnDiscs(initial=plain.initial, radii=plain.radii, box_length=plain.box_length, colour="blue")


def relu(**changes) -> uj.FullyConnected:
    shape = {"depth": 1, "width": 4, "input_dimension": 4, "n_data": 30, "activation": "relu", "margin": 0.3}
    return uj.FullyConnected.random(**(shape | changes))


def classes() -> uj.FullyConnected:
    random = np.random.default_rng(0)
    return uj.FullyConnected.from_data(
        random.standard_normal((12, 3)), np.arange(12) % 3, depth=1, width=4, n_classes=3,
        potential=uj.CrossEntropy(3), dtype="float32",
    )  # fmt: skip


SYSTEMS = {
    "discs": discs,
    "spheres in a box": lambda: uj.SoftSpheres.random(
        n=40, dimension=3, packing_fraction=0.7, box=(1, 1, 1.2)
    ),
    "Hertzian discs": lambda: discs(potential=uj.Hertzian(2.5)),
    "discs of a user's potential": lambda: discs(potential=Cubic()),
    "discs of a user's plain potential": lambda: discs(potential=Steep(2.2)),
    "discs of a user's class": own_discs,
    "ellipses": lambda: uj.Ellipses.random(n=16, packing_fraction=1.0),
    "spheroids": lambda: uj.Ellipsoids.random(n=24, aspect_ratios=(1, 1, 0.8)),
    "ellipsoids": lambda: uj.Ellipsoids.random(n=24, aspect_ratios=(1, 1.1, 1.2)),
    "perceptron": lambda: uj.Perceptron.random(n=6, load=4.0),
    "tanh": lambda: relu(activation="tanh", weights="free"),
    "single precision": lambda: relu(activation="softplus", beta=3.0, dtype="float32"),
    "relu": relu,
    "linear hinge": lambda: relu(depth=0, weights="free").at(potential=uj.LinearHinge(0.1)),
    "classes": classes,
    "replicas": lambda: uj.FullyConnected.stack([relu(seed=seed) for seed in range(3)]),
    "a user's data": corners,
    "a user's function": lambda: Spring(5, power=4),
    "a user's function, changed": lambda: Spring(5, seed=2).at(stretch=1.25),
}


def same(a, b) -> bool:
    """Whether two results are equal to the last bit, systems and all."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.nan_to_num(7), b.nan_to_num(7))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return a.shape == b.shape and all(map(same, a.flat, b.flat))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if hasattr(a, "tocsc"):
        return a.shape == b.shape and all(
            same(getattr(a, k), getattr(b, k)) for k in ("data", "indices", "indptr")
        )
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, uj.ConstrainedSystem):
        return same(a.constraints(a.initial).delta, b.constraints(b.initial).delta)
    if isinstance(a, uj.Potential):
        return vars(a) == vars(b)
    return a == b or a != a


def again(result, tmp_path, **given):
    return uj.load(uj.save(result, tmp_path / "result.npz"), **given)


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_are_the_same_again(name, tmp_path):
    system = SYSTEMS[name]()
    found = again(system, tmp_path)
    assert same(system, found) and type(found) is type(system)
    assert same(system.initial, found.initial) and same(system.potential, found.potential)
    a, b = (s.evaluator()(s.initial) if name != "replicas" else (0.0, s.inputs) for s in (system, found))
    assert same(a[0], b[0]) and same(a[1], b[1])
    if system.control:
        moved = [s.at(scale=s.scale * 1.01) for s in (system, found)]
        assert same(*moved) and moved[0].scale == moved[1].scale


@pytest.mark.parametrize("name", ["discs", "ellipses", "perceptron", "tanh", "relu", "a user's data"])
def test_results_are_the_same_again_and_have_the_same_energy(name, tmp_path):
    result = uj.minimize(SYSTEMS[name]())
    found = again(result, tmp_path)
    assert same(result, found)
    assert found.system.evaluator()(found.x)[0] == result.system.evaluator()(result.x)[0]
    assert found.status == result.status and len(found.history) == len(result.history) > 0


@pytest.mark.parametrize(
    "solver", [uj.Adam(), uj.GradientDescent(), uj.Fire(), uj.ConjugateGradient()], ids=repr
)
def test_a_run_resumes_as_if_it_had_not_been_stopped(solver, tmp_path):
    few, many = (dataclasses.replace(solver, max_steps=k) for k in (20, 40))
    stopped = uj.minimize(SYSTEMS["tanh"](), None, few, watch=uj.Watch(keep=(5,)))
    found = again(stopped, tmp_path)
    whole, parts = uj.minimize(stopped.system, stopped, many), uj.minimize(found.system, found, many)
    assert torch.equal(whole.x, parts.x) and parts.n_steps == whole.n_steps
    assert [record.step for record in parts.history] == [record.step for record in whole.history]


def test_replicas_resume(tmp_path):
    system = SYSTEMS["replicas"]()
    stopped = uj.minimize(system, system.initial, uj.Adam(max_steps=10))
    found = again(stopped, tmp_path)
    assert same(stopped, found)
    ends = [uj.minimize(r.system, r, uj.Adam(max_steps=20)).x for r in (stopped, found)]
    assert torch.equal(*ends)


def test_what_is_jammed_followed_and_measured(tmp_path):
    packing = uj.jam(discs())
    held = uj.jam(relu(n_data=60))
    state = packing.settled()
    curve = uj.MarginCurve(
        "jam", 10, np.array([3, 4]), np.array([[0.1, np.nan], [0.0, 0.2]]), np.array([0.5, 0.5])
    )
    everything = {
        "packing": packing,
        "kinks": held,
        "state": measure_state(state.system, state.x),
        "hessian": uj.decompose_hessian(state.system, state.x),
        "count": uj.count_constraints(held.system, held.x),
        "sample": measure_jammed(discs()),
        "curve": curve,
        "laws": uj.delta_statistics([state.system.constraints(state.x).delta]),
        "numbers": (np.float32(0.1), np.int64(3), True, -0.0, float("inf"), "μ", [], (), {}, None),
    }
    found = again(everything, tmp_path)
    assert same(everything, found)
    assert found["packing"].system is found["packing"].states[-1].system  # one object, as before
    settled = packing.states.index(state)
    assert found["packing"].states[settled].system is found["state"].system
    assert (found["hessian"].eigenvalues() == everything["hessian"].eigenvalues()).all()
    assert found["kinks"].system.kinks is not None or not len(held.system.kinks or ())
    assert np.isnan(found["curve"].thresholds[0, 1]) and found["curve"].vanishes == curve.vanishes


def test_a_branch_and_a_transition(tmp_path):
    def linear(n_data, seed):
        return uj.FullyConnected.random(
            depth=0, input_dimension=6, n_data=n_data, weights="free", bias=False, seed=seed
        )

    branch = uj.follow(uj.minimize(linear(40, 0)))
    transition = uj.find_transition(linear, 3, 30, seeds=2)
    found = again([branch, transition], tmp_path)
    assert same([branch, transition], found) and found[1].seconds == transition.seconds


def test_memory_shares_what_was_shared(tmp_path):
    """The data of a network are written once, however many states hold them."""
    network = relu(n_data=400, activation="tanh")
    result = uj.minimize(network, None, uj.Adam(max_steps=3))
    one, many = (uj.save(r, tmp_path / f"{k}").stat().st_size for k, r in enumerate((result, (result,) * 5)))
    assert many < 1.1 * one
    found = uj.load(tmp_path / "1")
    assert found[0] is found[4]


def module(width: int = 5) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.BatchNorm1d(width).eval(), nn.Linear(width, 1))


def test_a_network_asks_for_its_module(tmp_path):
    data, labels = (
        torch.randn(20, 3, generator=torch.Generator().manual_seed(0)),
        torch.arange(20) % 2 * 2 - 1,
    )
    own = module()
    own[2].running_mean += 0.3  # a buffer
    for p in own[3].parameters():
        p.requires_grad_(False)  # held
    network = uj.Network(own, data, labels, margin=0.5)
    result = uj.minimize(network, None, uj.Adam(max_steps=20))
    path = uj.save(result, tmp_path / "net.npz")
    found = uj.load(path, module=module())  # of other weights
    assert torch.equal(found.x, result.x) and found.system.n_dof == network.n_dof
    assert found.system.evaluator()(found.x)[0] == result.system.evaluator()(result.x)[0]
    whole, parts = (uj.minimize(r.system, r, uj.Adam(max_steps=40)) for r in (result, found))
    assert torch.equal(whole.x, parts.x)
    for given, words in (
        (None, "module = None .* Sequential"),
        (module(6), "another Sequential"),
        (3, "module = 3"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            uj.load(path, module=given)
        assert "\n" not in str(caught.value)


def test_what_cannot_be_saved_is_refused_in_one_sentence(tmp_path):
    class Local(Spring):
        pass

    class Held(uj.AutodiffSystem):
        pass

    looped: list = []
    looped.append(looped)
    for wrong, words in (
        (object(), "result = <object"),
        ({"a": [lambda: 3]}, r"result\['a'\]\[0\] = <function"),
        (nn.Linear(2, 2), "result = Linear"),
        (Local(), "class = .*Local"),
        (Unseeded(), "constructor of Unseeded = 'another Δ'"),
        (Spring(power=np.add), "a Spring cannot be saved, by its attributes or its constructor: arguments"),
        (looped, "holds itself"),
        (np.array([object()]), r"result\[0\] = <object"),
        (torch.eye(2).to_sparse(), "layout torch.sparse_coo"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            uj.save(wrong, tmp_path / "wrong.npz")
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def rewritten(path, change) -> None:
    """The file with another tree."""
    with np.load(path) as file:
        arrays = dict(file)
    text = change(arrays["tree"].tobytes().decode())
    np.savez(path, **(arrays | {"tree": np.frombuffer(text.encode(), dtype=np.uint8)}))


def test_damaged_and_foreign_files_are_one_sentence(tmp_path):
    result = uj.minimize(discs())
    path = uj.save(result, tmp_path / "result.npz")
    whole = path.read_bytes()
    wrong = [
        b"",
        b"not a file",
        whole[:100],
        whole[:-30],
        whole[: len(whole) // 2],
        whole[200:],
        b"\x80\x04N.",
    ]
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a file that uj\.save wrote, whole") as caught:
            uj.load(path)
        assert "\n" not in str(caught.value)
    for place in range(30, len(whole), len(whole) // 25):  # one wrong byte: seen, or of no importance
        path.write_bytes(bytes(a ^ 255 if k == place else a for k, a in enumerate(whole)))
        try:
            assert same(uj.load(path), result)
        except ValueError as error:
            assert "a file that uj.save wrote, whole" in str(error)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match=r"a file that uj\.save wrote"):
        uj.load(path)
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"a file that uj\.save wrote"):
        uj.load(tmp_path / "plain.npy")
    with pytest.raises(FileNotFoundError):
        uj.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "unijam.particles.spheres:SoftSpheres",
            "no_such_module:Own",
            "no_such_module:Own is not to be found",
        ),
        (
            "unijam.particles.spheres:SoftSpheres",
            "unijam.particles.spheres:Gone",
            "SoftSpheres|holds no Gone",
        ),
        ("fields unijam.particles.spheres:SoftSpheres", "fields subprocess:Popen", "subprocess:Popen"),
        ("fields unijam.particles.spheres:SoftSpheres", "call os:system", "os:system"),
        ("fields unijam.particles.spheres:SoftSpheres", "tuple subprocess:Popen", "subprocess:Popen"),
        (
            "fields unijam.particles.spheres:SoftSpheres",
            "special unijam:SoftSpheres",
            "as it was when it was saved",
        ),
        ('"dimension": 2', '"dimension": 0', "dimension = 0"),
        ('"dimension": 2', '"size": 2', "a file that uj.save wrote"),
        ('"version": 1', '"version": 99', "version of .* = 99"),
        ('"format": "unijam"', '"format": "other"', "a file that uj.save wrote"),
        ('"!": "array"', '"!": "again"', "a file that uj.save wrote"),
    ],
)
def test_a_file_that_was_changed_makes_nothing_else(tmp_path, before, after, words):
    path = uj.save(discs(), tmp_path / "result.npz")
    with np.load(path) as file:
        assert before in file["tree"].tobytes().decode()
    rewritten(path, lambda text: text.replace(before, after))
    with pytest.raises(ValueError, match=words) as caught:
        uj.load(path)
    assert "\n" not in str(caught.value)


def test_files_hold_plain_arrays_and_json(tmp_path):
    path = uj.save(discs(), tmp_path / "result.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["result.npz"]
    with zipfile.ZipFile(path) as file:
        assert all(name.endswith(".npy") for name in file.namelist())
    with np.load(path, allow_pickle=False) as file:
        assert json.loads(file["tree"].tobytes())["version"] == 1


def test_memory_of_a_device_that_is_gone_comes_to_the_cpu(tmp_path):
    path = uj.save(torch.arange(3.0), tmp_path / "result.npz")
    rewritten(path, lambda text: text.replace('"cpu"', '"cuda:0"'))
    found = uj.load(path)
    assert found.tolist() == [0.0, 1.0, 2.0] and found.is_cuda == torch.cuda.is_available()


def test_resume_does_not_ask_how_a_system_was_called():
    a, b = Data(corners().points, {}), Data(points=corners().points, names={})
    first = uj.minimize(a, None, uj.Adam(max_steps=5))
    whole, parts = (uj.minimize(system, first, uj.Adam(max_steps=10)) for system in (a, b))
    assert whole.n_steps == parts.n_steps == 10 and torch.equal(whole.x, parts.x)
