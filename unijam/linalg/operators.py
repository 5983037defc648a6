"""Symmetric matrices that are known only by their products: H0, Hp and H of systems too large for a matrix."""

from collections.abc import Callable
from typing import NoReturn

from ..support.arrays import Array, namespace
from ..support.memory import require_matrices

MEMORY = 2**30  # default of the bytes that a basis of vectors may use: 1 GiB


class Operator:
    """A symmetric (n, n) matrix A known by v -> A v.

    Attributes
    ----------
    product : function
        v -> A v, (n,) -> (n,).
    like : (n,) array
        Any vector with the array library, precision and device of the vectors that the operator takes and returns.
    memory : int
        Bytes that a basis of such vectors may use.
    """

    def __init__(self, product: Callable[[Array], Array], like: Array, memory: int = MEMORY) -> None:
        self.product, self.like, self.memory = product, like, memory

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return (len(self.like), len(self.like))

    def __matmul__(self, v: Array) -> Array:
        """A v of a vector, (n,), or of the columns of (n, k), one product for each."""
        if v.ndim == 1:
            return self.product(v)
        return namespace(v).stack([self.product(column) for column in v.T], axis=1)

    def __add__(self, other: "Operator") -> "Operator":
        return Operator(lambda v: self.product(v) + other.product(v), self.like, self.memory)

    def shifted(self, shift: float) -> "Operator":
        """A + shift × 1, an operator; `shift` is a number or (n,)."""
        return Operator(lambda v: self.product(v) + shift * v, self.like, self.memory) if shift else self

    def dense(self) -> Array:
        """The matrix, (n, n), from n products."""
        n, xp = len(self.like), namespace(self.like)
        require_matrices([(2 * n, n)], f"H as a dense matrix on {n} degrees of freedom", like=self.like)
        return self @ xp.eye(len(self.like), dtype=self.like.dtype, device=self.like.device)


def refuse_operator(name: str, size: int, instead: str) -> NoReturn:
    """Raise a `ValueError`: `name` needs matrices; the sentence advises to ask for `instead`, or raise dense_limit."""
    raise ValueError(
        f"{name} needs matrices, and H of {size} degrees of freedom is known by its products alone: "
        f"ask for {instead}, or raise dense_limit."
    )


def is_operator(matrix: Array) -> bool:
    """Whether a matrix is an `Operator`, known only by its products."""
    return isinstance(matrix, Operator)
