"""Objects as trees and arrays: the same again for whatever numbers Hypothesis draws."""

import json
import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unijam.support.saving import Reader, Writer

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TREES = st.recursive(
    NUMBERS | arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(max_dims=3, max_side=3)),
    lambda part: (
        st.lists(part) | st.lists(part).map(tuple) | st.dictionaries(st.text() | st.integers(), part)
    ),
    max_leaves=12,
)


def again(value):
    writer = Writer(lambda _: None)
    tree = json.loads(json.dumps(writer.write(value, "value"), allow_nan=False))
    return Reader(dict(writer.arrays), lambda kind, parts: None).read(tree)


def same(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


@given(TREES)
def test_whatever_is_written_is_read(value):
    assert same(value, again(value))


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "int64", "bool", "complex128"]
)
def test_tensors_keep_their_kind(dtype):
    value = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)).T
    found = again(value)
    assert found.dtype == value.dtype and torch.equal(found, value) and found.stride() == value.stride()
    assert again(torch.tensor(2.5)).shape == () and not again(torch.ones(2, requires_grad=True)).requires_grad


@pytest.mark.parametrize("kind", [sp.csc_array, sp.csr_array, sp.csc_matrix, sp.csr_matrix])
def test_sparse_matrices_keep_their_kind(kind):
    value = kind(np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]))
    found = again(value)
    assert type(found) is kind and found.shape == (3, 2) and (found != value).nnz == 0


def test_numpy_numbers_and_arrays_of_objects():
    for value in (np.float32(0.1), np.int8(3), np.bool_(True), np.str_("a")):
        found = again(value)
        assert type(found) is type(value) and found == value
    value = np.empty((2, 2), dtype=object)
    value[:] = [[1, None], ["a", (2.0,)]]
    found = again(value)
    assert found.shape == (2, 2) and found.tolist() == value.tolist()


def test_what_is_shared_is_shared_again():
    array = np.arange(3.0)
    writer = Writer(lambda _: None)
    writer.write([array, (array, {"a": array})], "value")
    assert len(writer.arrays) == 1
    first, (second, third) = again([array, (array, {"a": array})])
    assert first is second is third["a"]


def test_what_is_unknown_is_named():
    for value, words in (
        ({"a": [object()]}, r"value\['a'\]\[0\]"),
        (sp.coo_array((2, 2)), "format coo"),
        (1j, "1j"),
    ):
        with pytest.raises(ValueError, match=words):
            Writer(lambda _: None).write(value, "value")
