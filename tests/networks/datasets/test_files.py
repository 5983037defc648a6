"""IDX, CIFAR and npz files: tiny ones are written and read back; truncated, corrupt and missing ones are answered."""

import gzip
import tarfile

import numpy as np
import pytest

import unijam as uj
from unijam.networks.datasets.cifar10 import TEST, TRAIN
from unijam.networks.datasets.mnist import PARTS


def digits(seed=0):
    random = np.random.default_rng(seed)
    sizes = {"train": 30, "test": 20}
    arrays = {f"x_{k}": random.integers(256, size=(n, 28, 28), dtype=np.uint8) for k, n in sizes.items()}
    return arrays | {f"y_{k}": random.integers(10, size=n, dtype=np.uint8) for k, n in sizes.items()}


def idx(array):
    """The bytes of an IDX file, as its format says."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def write_mnist(folder, arrays, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for field, name in PARTS.items():
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(arrays[field])))
        else:
            (folder / name).write_bytes(idx(arrays[field]))


def write_cifar(folder, seed=0):
    """Six batches of four images, as their format says: label, red, green, blue; images (4, 32, 32, 3)."""
    random, made = np.random.default_rng(seed), {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*TRAIN, TEST):
        images = random.integers(256, size=(4, 32, 32, 3), dtype=np.uint8)
        labels = random.integers(10, size=4, dtype=np.uint8)
        planes = [b"".join(image[:, :, colour].tobytes() for colour in range(3)) for image in images]
        (folder / name).write_bytes(b"".join(bytes([y]) + p for y, p in zip(labels, planes, strict=True)))
        made[name] = images, labels
    return made


def same_as(data, arrays):
    for field, prefix in (("train", ""), ("test", "test_")):
        x, y = arrays[f"x_{field}"], arrays[f"y_{field}"]
        np.testing.assert_array_equal(getattr(data, prefix + "inputs"), x.reshape(len(x), -1))
        np.testing.assert_array_equal(getattr(data, prefix + "labels"), y)
    assert data.n_classes == 10


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("sub", ["", "mnist", "MNIST/raw"])
def test_idx_files_are_read_back(tmp_path, monkeypatch, compress, sub):
    arrays = digits()
    write_mnist(tmp_path / sub, arrays, compress)
    same_as(uj.datasets.mnist(tmp_path), arrays)
    monkeypatch.setenv("UNIJAM_DATA", str(tmp_path))
    same_as(uj.datasets.mnist(), arrays)


def test_archives_are_read_back(tmp_path):
    arrays = digits()
    np.savez(tmp_path / "mnist_some.npz", **arrays)
    same_as(uj.datasets.mnist(tmp_path), arrays)
    same_as(uj.datasets.mnist(tmp_path / "mnist_some.npz"), arrays)
    same_as(uj.datasets.npz(tmp_path / "mnist_some.npz", n_classes=10), arrays)
    images = digits() | {
        f"x_{k}": np.zeros((n, 32, 32, 3), np.uint8) for k, n in (("train", 30), ("test", 20))
    }
    np.savez(tmp_path / "cifar10.npz", **images)
    same_as(uj.datasets.cifar10(tmp_path), images)


@pytest.mark.parametrize("sub", ["", "cifar-10-batches-bin"])
def test_cifar_batches_are_read_back(tmp_path, sub):
    made = write_cifar(tmp_path / sub)
    data = uj.datasets.cifar10(tmp_path)
    assert data.inputs.shape == (20, 3072) and data.test_inputs.shape == (4, 3072)
    images = np.concatenate([made[name][0] for name in TRAIN])
    np.testing.assert_array_equal(data.inputs.reshape(20, 32, 32, 3), images)
    np.testing.assert_array_equal(data.labels, np.concatenate([made[name][1] for name in TRAIN]))
    np.testing.assert_array_equal(data.test_labels, made[TEST][1])


def named(file):
    """What a message says of a file: where a path is too long, its middle is missing."""
    return f"file = '{str(file)[:30]}", f"{file.name}' is not valid: "


def refused(call, error, *parts):
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".") and message.count(". ") == 0
    for part in parts:
        assert part in message


def test_missing_data_are_named_with_the_place_to_put_them(tmp_path, monkeypatch):
    monkeypatch.delenv("UNIJAM_DATA", raising=False)
    where = "into a folder, and name it by data= or the environment variable UNIJAM_DATA"
    refused(
        uj.datasets.mnist, FileNotFoundError, "data = None", "train-images-idx3-ubyte", "mnist.npz", where
    )
    refused(uj.datasets.cifar10, FileNotFoundError, "data_batch_1.bin", "cifar10.npz", where)
    for load in (uj.datasets.mnist, uj.datasets.cifar10):
        refused(lambda load=load: load(tmp_path), FileNotFoundError, str(tmp_path), where)
        refused(lambda load=load: load(tmp_path / "no"), FileNotFoundError, str(tmp_path / "no"), where)
    refused(lambda: uj.datasets.npz(tmp_path / "a.npz"), FileNotFoundError, "a.npz", "no such file")
    write_mnist(tmp_path, digits())
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    refused(lambda: uj.datasets.mnist(tmp_path), FileNotFoundError, "put t10k-labels-idx1-ubyte into")
    write_cifar(tmp_path)
    (tmp_path / "data_batch_3.bin").unlink()
    refused(lambda: uj.datasets.cifar10(tmp_path), FileNotFoundError, "put data_batch_3.bin into")


@pytest.mark.parametrize("kept", [0, 3, 10, 100, -1])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_truncated_idx_files(tmp_path, kept, suffix):
    write_mnist(tmp_path, digits(), compress=bool(suffix))
    file = tmp_path / ("train-images-idx3-ubyte" + suffix)
    file.write_bytes(file.read_bytes()[:kept])
    refused(lambda: uj.datasets.mnist(tmp_path), ValueError, *named(file), "it must be")


@pytest.mark.parametrize(("place", "value"), [(2, 13), (3, 9), (3, 1), (7, 31)])
def test_corrupt_idx_headers(tmp_path, place, value):
    write_mnist(tmp_path, digits())
    file = tmp_path / "train-images-idx3-ubyte"
    raw = bytearray(file.read_bytes())
    raw[place] = value
    file.write_bytes(raw)
    refused(lambda: uj.datasets.mnist(tmp_path), ValueError, *named(file), "it must be")


def test_corrupt_cifar_batches(tmp_path):
    write_cifar(tmp_path)
    file = tmp_path / "data_batch_2.bin"
    whole = file.read_bytes()
    for raw, part in (
        (whole[:-1], "records of 3073 bytes"),
        (b"", "0 bytes"),
        (b"\x0a" + whole[1:], "holds 10"),
    ):
        file.write_bytes(raw)
        refused(lambda: uj.datasets.cifar10(tmp_path), ValueError, *named(file), part)


@pytest.mark.parametrize("kept", [0, 3, 200, -100])
def test_truncated_archives(tmp_path, kept):
    np.savez_compressed(tmp_path / "mnist.npz", **digits())
    file = tmp_path / "mnist.npz"
    file.write_bytes(file.read_bytes()[:kept])
    refused(lambda: uj.datasets.mnist(tmp_path), ValueError, *named(file), "truncated or corrupt")


def test_archives_of_other_arrays(tmp_path):
    file, arrays = tmp_path / "mnist.npz", digits()
    wrong = [
        ({k: arrays[k] for k in ("x_train", "y_train")}, "x_test"),
        (arrays | {"x_train": arrays["x_train"].astype(float)}, "uint8"),
        (arrays | {"y_train": arrays["y_train"][:-1]}, "shape of y_train"),
        (arrays | {"y_test": arrays["y_test"] + np.uint8(10)}, "0 to 9"),
        (
            arrays | {"x_train": arrays["x_train"][:, 1:], "x_test": arrays["x_test"][:, 1:]},
            "images of 784 bytes, not 756",
        ),
        (arrays | {"y_train": np.array([object()])}, "truncated or corrupt"),
    ]
    for content, part in wrong:
        np.savez(file, **content)
        refused(lambda: uj.datasets.mnist(tmp_path), ValueError, part)


def test_flipped_bytes_of_an_archive_are_noticed(tmp_path):
    file = tmp_path / "mnist.npz"
    np.savez_compressed(file, **digits())
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.write_bytes(raw)
    refused(lambda: uj.datasets.npz(file), ValueError, "truncated or corrupt")


@pytest.mark.parametrize("packed", [frozenset(), frozenset(PARTS), frozenset({"x_train", "y_test"})])
def test_idx_files_are_unpacked_by_their_first_two_bytes(tmp_path, packed):
    """Half of them have a name that says the opposite."""
    arrays = digits()
    for k, (field, name) in enumerate(PARTS.items()):
        raw = gzip.compress(idx(arrays[field])) if field in packed else idx(arrays[field])
        (tmp_path / (name + (".gz" if k % 2 else ""))).write_bytes(raw)
    same_as(uj.datasets.mnist(tmp_path), arrays)
    (tmp_path / PARTS["x_train"]).write_bytes(gzip.compress(idx(arrays["x_train"]))[:-9])
    refused(lambda: uj.datasets.mnist(tmp_path), ValueError, "a whole gzip file", PARTS["x_train"])


def test_other_files_packed_by_gzip(tmp_path):
    made = write_cifar(tmp_path)
    for k, name in enumerate((*TRAIN, TEST)):
        raw = gzip.compress((tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
        (tmp_path / (name + (".gz" if k % 2 else ""))).write_bytes(raw)
    np.testing.assert_array_equal(uj.datasets.cifar10(tmp_path).test_labels, made[TEST][1])
    np.savez(tmp_path / "a.npz", **digits())
    (tmp_path / "mnist.npz").write_bytes(gzip.compress((tmp_path / "a.npz").read_bytes()))
    same_as(uj.datasets.mnist(tmp_path / "mnist.npz"), digits())


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_of_the_files_is_to_be_unpacked(tmp_path, mode):
    write_cifar(tmp_path / "cifar-10-batches-bin")
    file = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(file, mode) as archive:
        archive.add(tmp_path / "cifar-10-batches-bin", "cifar-10-batches-bin")
    refused(lambda: uj.datasets.cifar10(file), ValueError, str(file), "unpacked")
