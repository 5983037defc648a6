"""Objects as data, and back: a tree of plain JSON and the arrays that it refers to. No code, and no pickle.

Numbers, strings, lists, dicts, arrays of NumPy and torch and sparse matrices are handled here. Other objects are taken
apart, and made again, by functions that the caller passes. An object that occurs twice is written once, and is one
object again after reading.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from .arrays import is_torch
from .printing import brief

TAG = "!"  # a dict with this key is not a JSON object of the user: its value says what the node stands for
DEEPEST = 200  # levels of nesting at most: an error is raised before Python's own limit of recursion
Parts = tuple[str, dict[str, Any]]  # a word that says how the object is made again, and its parts by name


class Writer:
    """Turns objects into a tree of plain JSON and a dict of arrays.

    Parameters
    ----------
    take_apart : function of an object
        Returns `Parts`: its kind, a word, and its parts by name; None if it does not know the object.

    Attributes
    ----------
    arrays : dict of str to array
        All arrays written so far, by the names that the tree refers to.
    """

    def __init__(self, take_apart: Callable[[Any], Parts | None]) -> None:
        self.take_apart = take_apart
        self.arrays: dict[str, np.ndarray] = {}
        # by the id of an object: its number, and the object itself, so that no other object gets this id
        self.met: dict[int, tuple[int, Any]] = {}

    def write(self, value: Any, place: str) -> Any:
        """The tree of a value; `place` is the name that an error gives it.

        Raises
        ------
        ValueError
            Some part of it cannot be written, or it is nested too deeply.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
        if type(value) is list:
            return [self.write(part, f"{place}[{k}]") for k, part in enumerate(value)]
        if id(value) in self.met:
            return {TAG: "again", "number": self.met[id(value)][0]}
        if place.count(".") + place.count("[") > DEEPEST:
            raise ValueError(f"{place[:60]}… is nested too deeply to be saved.")
        node = self._node(value, place)
        if node[TAG] not in ("tuple", "dict"):  # a tuple or a dict that occurs twice is written twice
            self.met[id(value)] = (len(self.met), value)
            node["number"] = self.met[id(value)][0]
        return node

    def _node(self, value: Any, place: str) -> dict[str, Any]:
        if type(value) is tuple:
            return {TAG: "tuple", "items": [self.write(v, f"{place}[{k}]") for k, v in enumerate(value)]}
        if type(value) is dict:
            items = [
                [self.write(key, f"a key of {place}"), self.write(part, f"{place}[{key!r}]")]
                for key, part in value.items()
            ]
            return {TAG: "dict", "items": items}
        if type(value) is np.ndarray and value.dtype == object:
            parts = [self.write(part, f"{place}[{k}]") for k, part in enumerate(value.flat)]
            return {TAG: "objects", "shape": list(value.shape), "items": parts}
        if type(value) is np.ndarray or isinstance(value, np.generic):
            kind = "array" if type(value) is np.ndarray else "number"
            return {TAG: kind, "at": self._kept(np.asarray(value))}
        if is_torch(value):
            return self._tensor(value, place)
        if sp.issparse(value):
            return self._sparse(value, place)
        found = self.take_apart(value)
        if found is None:
            wanted = "numbers, strings, arrays, lists, dicts and what is made of them"
            raise ValueError(f"{place} = {brief(value)} cannot be saved: a file holds {wanted}.")
        kind, fields = found
        made_of = {name: self.write(part, f"{place}.{name}") for name, part in fields.items()}
        return {TAG: kind, "parts": made_of}

    def _kept(self, array: np.ndarray) -> str:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name

    def _tensor(self, value: Any, place: str) -> dict[str, Any]:
        import torch

        if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout != torch.strided:
            raise ValueError(f"{place}, a {type(value).__name__} of layout {value.layout}, cannot be saved.")
        plain, dtype = value.detach().cpu(), str(value.dtype).removeprefix("torch.")
        node = {TAG: "tensor", "dtype": dtype, "device": str(value.device)}
        if value.dtype == torch.bfloat16:  # NumPy has no bfloat16: the bits are kept as integers
            plain = plain.view(torch.int16)
        return node | {"at": self._kept(plain.resolve_conj().resolve_neg().numpy())}

    def _sparse(self, value: Any, place: str) -> dict[str, Any]:
        if value.format not in ("csc", "csr"):
            raise ValueError(
                f"{place}, a sparse matrix of format {value.format}, cannot be saved: csc and csr can."
            )
        parts = [self._kept(part) for part in (value.data, value.indices, value.indptr)]
        return {
            TAG: "sparse",
            "at": parts,
            "shape": list(value.shape),
            "class": type(value).__name__,
            "canonical": bool(value.has_canonical_format),
        }


class Reader:
    """Makes objects from a tree and its arrays; the inverse of `Writer`.

    Parameters
    ----------
    arrays : dict of str to array
    make : function of a kind and parts
        Returns the object that `take_apart` took apart.
    """

    def __init__(self, arrays: dict[str, np.ndarray], make: Callable[[str, dict[str, Any]], Any]) -> None:
        self.arrays, self.make = arrays, make
        self.met: dict[int, Any] = {}

    def read(self, node: Any) -> Any:
        """The object that a tree stands for.

        Raises
        ------
        KeyError, TypeError, ValueError, IndexError
            The tree is not one that a `Writer` made.
        """
        if isinstance(node, list):
            return [self.read(part) for part in node]
        if not isinstance(node, dict):
            return node
        if node[TAG] == "again":
            return self.met[node["number"]]
        found = self._made(node)
        if "number" in node:
            self.met[node["number"]] = found
        return found

    def _made(self, node: dict[str, Any]) -> Any:
        kind = node[TAG]
        if kind == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[node["value"]]
        if kind == "tuple":
            return tuple(self.read(part) for part in node["items"])
        if kind == "dict":
            return {self.read(key): self.read(part) for key, part in node["items"]}
        if kind == "objects":
            array = np.empty(tuple(node["shape"]), dtype=object)
            array.reshape(-1)[:] = [self.read(part) for part in node["items"]] or None
            return array
        if kind == "array":
            return self.arrays[node["at"]]
        if kind == "number":
            return self.arrays[node["at"]][()]
        if kind == "tensor":
            return self._tensor(node)
        if kind == "sparse":
            return self._sparse(node)
        return self.make(kind, {name: self.read(part) for name, part in node["parts"].items()})

    def _tensor(self, node: dict[str, Any]) -> Any:
        import torch

        found = torch.from_numpy(self.arrays[node["at"]])
        if node["dtype"] == "bfloat16":
            found = found.view(torch.bfloat16)
        there = str(node["device"])
        gone = there.startswith("cuda") and not torch.cuda.is_available()
        return found if gone or there == "cpu" else found.to(there)

    def _sparse(self, node: dict[str, Any]) -> Any:
        kinds = {"csc_array": sp.csc_array, "csr_array": sp.csr_array}
        kinds |= {"csc_matrix": sp.csc_matrix, "csr_matrix": sp.csr_matrix}
        parts = tuple(self.arrays[name] for name in node["at"])
        found = kinds[node["class"]](parts, shape=tuple(node["shape"]))
        found.has_canonical_format = node["canonical"]
        return found
