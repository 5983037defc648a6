"""A data set for networks: training and test data, and ways to reduce both to a problem of given size."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import scipy.linalg
from pydantic import Field

from ...support.arrays import to_numpy
from ...support.memory import require_matrices
from ...support.printing import Brief
from ...support.validation import Count, Seed, Whole, checked, require, require_finite

Normalisation = Literal["sphere", "variance"]
Amount = Annotated[Whole, Field(ge=0)]


@dataclass(frozen=True, eq=False, repr=False)
class DataSet(Brief):
    """Inputs and labels to learn from and to test on.

    The arrays are read-only; an array that the caller could still write to is copied.

    Attributes
    ----------
    inputs, test_inputs : (P, d), (P', d) arrays
        Numbers; pixels may be bytes.
    labels, test_labels : (P,), (P',) arrays
        ±1 where n_classes = 2, else 0 … C − 1.
    name : str
        The source of the data, and what was done to them.
    n_classes : int
        C.
    classes : tuple of int
        The original labels of the C classes, where `arrays` numbered them anew; else ().

    Raises
    ------
    ValueError
        Where there is no datum, shapes do not fit, inputs are not finite, or a label is none of the C classes.

    Examples
    --------
    >>> import unijam as uj
    >>> data = uj.datasets.teacher(n_data=400, dimension=20, n_test=100, seed=1)
    >>> data.subset(100, seed=2).principal_components(5).inputs.shape
    (100, 5)
    """

    inputs: np.ndarray
    labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    name: str = "data"
    n_classes: int = 2
    classes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("inputs", "labels", "test_inputs", "test_labels"):
            object.__setattr__(self, name, _kept(getattr(self, name)))
        require(self.n_classes >= 2, "n_classes", self.n_classes, "at least 2")
        for prefix in ("", "test_"):
            inputs, labels = getattr(self, prefix + "inputs"), getattr(self, prefix + "labels")
            require(inputs.ndim == 2, f"the shape of {prefix}inputs", inputs.shape, "(P, d)")
            require(
                labels.shape == inputs.shape[:1],
                f"the shape of {prefix}labels",
                labels.shape,
                f"({len(inputs)},), one a datum",
            )
            if inputs.dtype != np.uint8:
                require_finite(inputs, f"{prefix}inputs")
            classes = np.arange(self.n_classes) if self.n_classes > 2 else np.array([-1, 1])
            wrong = labels[~np.isin(labels, classes)]
            wanted = f"0 to {self.n_classes - 1}" if self.n_classes > 2 else "+1 or −1"
            require(wrong.size == 0, f"{prefix}labels", wrong[:1].tolist(), f"{wanted} for every datum")
        require(len(self.inputs) >= 1, "n_data", len(self.inputs), "at least 1")
        same = self.inputs.shape[1] == self.test_inputs.shape[1]
        require(same, "the shape of test_inputs", self.test_inputs.shape, f"(P', {self.inputs.shape[1]})")

    @checked
    def subset(
        self, n_data: Count, n_test: Amount | None = None, *, seed: Seed = 0, balanced: bool = True
    ) -> Self:
        """Some of the data, drawn at random, and some of the test data (all of them by default).

        Parameters
        ----------
        n_data, n_test : int
            Numbers of data and test data to keep.
        seed : int
        balanced : bool
            Whether all labels are drawn equally often (to within one datum); else labels play no part.

        Returns
        -------
        DataSet

        Raises
        ------
        ValueError
            Where the data set has fewer data (of one label).
        """
        rng = np.random.default_rng(seed)
        kept = _draw(self.labels, n_data, balanced, rng, "n_data")
        changes = {"inputs": self.inputs[kept], "labels": self.labels[kept]}
        if n_test is not None:
            kept = _draw(self.test_labels, n_test, balanced, rng, "n_test")
            changes |= {"test_inputs": self.test_inputs[kept], "test_labels": self.test_labels[kept]}
        return replace(self, name=f"{self.name}, {n_data} data, seed {seed}", **changes)

    @checked
    def split(self, n_test: Count, *, seed: Seed = 0) -> Self:
        """A data set in which n_test data, equally many of each label, are test data, added to those already there.

        Raises
        ------
        ValueError
            Where n_test is not below the number of data, or a label has too few.
        """
        require(n_test < len(self.labels), "n_test", n_test, f"below {len(self.labels)}, the number of data")
        aside = _draw(self.labels, n_test, True, np.random.default_rng(seed), "n_test")
        kept = np.setdiff1d(np.arange(len(self.labels)), aside)
        return replace(
            self,
            inputs=self.inputs[kept],
            labels=self.labels[kept],
            test_inputs=np.concatenate([self.test_inputs, self.inputs[aside]]),
            test_labels=np.concatenate([self.test_labels, self.labels[aside]]),
        )

    @checked
    def binary(self, rule: Any = "even-odd") -> Self:
        """Two labels ±1 instead of C classes.

        Parameters
        ----------
        rule : "even-odd", "halves" or (int, int)
            +1 for even labels; +1 for the first half of the classes; or the two labels that become +1 and −1, data of
            other labels being left out. Labels are the original ones (`classes`).

        Returns
        -------
        DataSet

        Raises
        ------
        ValueError
            Where the data set has two classes already, or the rule is not one of these.
        """
        n = self.n_classes
        require(n > 2, "n_classes", n, "above 2: this data set has two labels already")
        names = np.array(self.classes or range(n))
        if isinstance(rule, tuple | list):
            valid = len(rule) == 2 and all(c in names for c in rule) and rule[0] != rule[1]
        else:
            valid = rule in ("even-odd", "halves")
        wanted = f"'even-odd', 'halves', or two different classes from {names[0]} to {names[-1]}"
        require(valid, "rule", rule, wanted)
        if isinstance(rule, str):
            chosen = names % 2 == 0 if rule == "even-odd" else np.arange(n) < n // 2
            plus, minus = np.flatnonzero(chosen).tolist(), np.flatnonzero(~chosen).tolist()
        else:
            plus, minus = (np.flatnonzero(names == c).tolist() for c in rule)
        parts: dict[str, Any] = {}
        for prefix in ("", "test_"):
            labels = getattr(self, prefix + "labels")
            kept = np.isin(labels, plus + minus)
            parts[prefix + "inputs"] = getattr(self, prefix + "inputs")[kept]
            parts[prefix + "labels"] = np.where(np.isin(labels[kept], plus), 1.0, -1.0)
        return replace(self, name=f"{self.name}, {rule}", n_classes=2, classes=(), **parts)

    @checked
    def principal_components(self, d: Count, normalisation: Normalisation = "sphere") -> Self:
        """Inputs in their d principal components, (P, d), which the training data define; then `normalised`.

        Raises
        ------
        ValueError
            Where d is above the number of inputs, of data, or of directions in which the data vary.
        """
        x = self.inputs - self.inputs.mean(axis=0, dtype=float)
        require(d <= min(x.shape), "d", d, f"at most {min(x.shape)}, the lesser of d and P")
        wide, least = x.shape[1] > x.shape[0], min(x.shape)
        require_matrices([(3 * least, least)], f"{d} principal components of {least} dimensions")
        gram = x @ x.T if wide else x.T @ x
        n = len(gram)
        values, vectors = scipy.linalg.eigh(gram, subset_by_index=(n - d, n - 1))
        require(  # smaller eigenvalues are rounding
            values[0] > 1e-12 * values[-1], "d", d, "at most the number of directions in which the data vary"
        )
        axes = (x.T @ vectors / np.sqrt(values) if wide else vectors)[:, ::-1]
        axes = axes * np.sign(
            axes[np.abs(axes).argmax(axis=0), np.arange(d)]
        )  # eigenvectors have no sign of their own
        projected = replace(
            self,
            inputs=x @ axes,
            test_inputs=(self.test_inputs - self.inputs.mean(axis=0, dtype=float)) @ axes,
            name=f"{self.name}, {d} principal components",
        )
        return projected.normalised(normalisation)

    @checked
    def normalised(self, normalisation: Normalisation = "sphere") -> Self:
        """Inputs less the mean of the training data, normalised as random data are.

        Parameters
        ----------
        normalisation : "sphere" or "variance"
            Every input gets the length √d; or all are divided by one number, so that a component of the training inputs
            has mean square 1.

        Returns
        -------
        DataSet

        Raises
        ------
        ValueError
            Where an input lies at the mean ("sphere"), or all inputs are the same ("variance").
        """
        centre = self.inputs.mean(axis=0, dtype=float)
        inputs, tests = self.inputs - centre, self.test_inputs - centre
        if normalisation == "variance":
            scale = np.sqrt((inputs * inputs).mean())
            require(scale > 0, "the variance of inputs", scale, "positive")
            return replace(self, inputs=inputs / scale, test_inputs=tests / scale)
        return replace(self, inputs=_on_sphere(inputs), test_inputs=_on_sphere(tests))


def _kept(array: Any) -> np.ndarray:
    """A read-only array: the array itself, or a copy of it where somebody could still write to its memory."""
    found = to_numpy(array)
    if found.flags.writeable or found.base is not None:  # a view: its base may be writeable
        found = found.copy()
        found.flags.writeable = False
    return found


def _on_sphere(inputs: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(inputs, axis=1, keepdims=True)
    zero = int((lengths == 0).sum())
    require(zero == 0, "inputs", f"{zero} at their mean", "different from it, to lie on a sphere")
    placed: np.ndarray = inputs * np.sqrt(inputs.shape[1]) / lengths
    return placed


def _draw(labels: np.ndarray, n: int, balanced: bool, rng: np.random.Generator, field: str) -> np.ndarray:
    """Indices, (n,), of data drawn in random order; `balanced`: equally many of each label (to within one)."""
    classes = np.unique(labels)
    if not balanced or not len(classes):
        require(n <= len(labels), field, n, f"at most {len(labels)}, as many as there are")
        return rng.permutation(len(labels))[:n]
    share = n // len(classes) + (rng.permutation(len(classes)) < n % len(classes))
    picked = []
    for label, count in zip(classes, share, strict=True):
        members = np.flatnonzero(labels == label)
        most = len(classes) * min(int((labels == c).sum()) for c in classes)
        require(count <= len(members), field, n, f"at most {most}, with as many of each label")
        picked.append(rng.permutation(members)[:count])
    return rng.permutation(np.concatenate(picked))
