"""Four numbers in one vector register, for compiled code: arithmetic, and rows of arrays brought in and pushed.

Compilers do not vectorise a loop in which one particle pushes another. Here it says itself what goes side by side;
LLVM makes of it what the processor has.
"""

import operator
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

OWN = (0, 2, 1, 3)  # which row each of the four is, where four rows follow each other: cheapest in a plane
_DOUBLE, _INDEX, _LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_VECTOR, _PAIR = ir.VectorType(_DOUBLE, 4), ir.VectorType(_DOUBLE, 2)
_FLAGS = ("contract", "arcp", "nsz")
_intrinsic: Any = intrinsic


class Quad(types.Type):
    """Of four numbers; they add, multiply and so on with quads only."""


quad = Quad("Quad")


@register_model(Quad)
class _QuadModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Quad) -> None:
        super().__init__(manager, kind, _VECTOR)


def _operation(function: Any, instruction: str) -> None:
    infer_global(function)(type(instruction, (ConcreteTemplate,), {"cases": [signature(quad, quad, quad)]}))

    def lower(context, builder, signature, values):
        return getattr(builder, instruction)(*values, flags=_FLAGS)

    lower_builtin(function, quad, quad)(lower)


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operation(_operator, _instruction)


def _shuffle(builder: Any, a: Any, b: Any, *lanes: int) -> Any:
    return builder.shuffle_vector(
        a, b, ir.Constant(ir.VectorType(_LANE, len(lanes)), [_LANE(k) for k in lanes])
    )


def _function(name: str, arity: int) -> Any:
    """A function of quads that LLVM knows by this name."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * arity)

    def codegen(context, builder, signature, values):
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v4f64")
        return builder.call(function, values, fastmath=_FLAGS)

    if arity == 1:
        return _intrinsic(lambda context, a: (quad(a), codegen))
    return _intrinsic(lambda context, a, b: (quad(a, b), codegen))


root, whole = _function("sqrt", 1), _function("rint", 1)
larger, power = _function("maxnum", 2), _function("pow", 2)


@_intrinsic
def fill(context, value):
    """One number four times."""

    def codegen(context, builder, signature, values):
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), values[0], _LANE(0))
        return _shuffle(builder, one, one, 0, 0, 0, 0)

    return quad(types.float64), codegen


@_intrinsic
def beyond(context, a, b):
    """Zero where a ≤ b, else one: where a is not a number, too."""

    def codegen(context, builder, signature, values):
        one, zero = (ir.Constant(_VECTOR, [_DOUBLE(v)] * 4) for v in (1.0, 0.0))
        return builder.select(builder.fcmp_unordered(">", *values), one, zero)

    return quad(quad, quad), codegen


@_intrinsic
def below(context, a, b):
    """Where a < b, as the bits of an integer, the first of the four lowest."""

    def codegen(context, builder, signature, values):
        bits = builder.bitcast(builder.fcmp_ordered("<", *values), ir.IntType(4))
        return builder.zext(bits, _INDEX)

    return types.int64(quad, quad), codegen


@_intrinsic
def total(context, a):
    """The sum of the four."""

    def codegen(context, builder, signature, values):
        a, b, c, d = (builder.extract_element(values[0], _LANE(k)) for k in range(4))
        return builder.fadd(builder.fadd(a, b), builder.fadd(c, d))

    return types.float64(quad), codegen


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, to: Any = None) -> Any:
    """To an entry of a contiguous one-dimensional array, whose index is not negative."""
    pointer = builder.gep(context.make_array(kind)(context, builder, array).data, [index], inbounds=True)
    return pointer if to is None else builder.bitcast(pointer, to.as_pointer())


@_intrinsic
def four(context, array, index):
    """Four numbers in a row of an array."""

    def codegen(context, builder, signature, values):
        return builder.load(
            _pointer(context, builder, signature.args[0], values[0], values[1], _VECTOR), align=8
        )

    return quad(array, types.intp), codegen


def _rows(context, builder, signature, values, own):
    """Pointers to what holds four rows of an array, two a pointer where they follow each other in a plane."""
    d = 2 if isinstance(signature.args[-1], types.NoneType) else 3
    kind, size = signature.args[0], _PAIR if d == 2 and not own else _VECTOR
    pointers = []
    for k in ((0, 2) if d == 2 else OWN) if own else range(4):
        row = builder.add(values[1 if own else 2], _INDEX(k))
        if not own:
            row = builder.zext(
                builder.load(_pointer(context, builder, signature.args[1], values[1], row)), _INDEX
            )
        pointers.append(_pointer(context, builder, kind, values[0], builder.mul(row, _INDEX(d)), size))
    return pointers


def _columns(context, builder, signature, values, own):
    rows = [builder.load(p, align=8) for p in _rows(context, builder, signature, values, own)]
    if len(rows) == 4 and rows[0].type == _PAIR:
        rows = [_shuffle(builder, rows[k], rows[k + 2], 0, 1, 2, 3) for k in (0, 1)]
    if len(rows) == 2:
        x, y = (_shuffle(builder, *rows, k, k + 4, k + 2, k + 6) for k in (0, 1))
        z = ir.Constant(_VECTOR, [_DOUBLE(0.0)] * 4)
    else:
        low, high = rows[:2], rows[2:]
        (a, b), (c, d) = (
            [_shuffle(builder, *pair, k, k + 4, k + 2, k + 6) for k in (0, 1)] for pair in (low, high)
        )
        x, y, z = (
            _shuffle(builder, a, c, 0, 1, 4, 5),
            _shuffle(builder, b, d, 0, 1, 4, 5),
            _shuffle(builder, a, c, 2, 3, 6, 7),
        )
    return context.make_tuple(builder, signature.return_type, (x, y, z))


def _push(context, builder, signature, values, own):
    pointers = _rows(context, builder, signature, values, own)
    x, y, z = values[-4:-1]
    changes = [_shuffle(builder, x, y, k, k + 4, k + 2, k + 6) for k in (0, 1)]
    if len(pointers) == 4 and pointers[0].type.pointee == _PAIR:
        changes = [
            _shuffle(builder, changes[k % 2], changes[k % 2], k - k % 2, k - k % 2 + 1) for k in range(4)
        ]
    elif len(pointers) == 4:  # the fourth number of a row belongs to the next
        nothing = ir.Constant(_VECTOR, [_DOUBLE(0.0)] * 4)
        last = [_shuffle(builder, z, nothing, k, k + 4, k + 2, k + 6) for k in (0, 1)]
        changes = [
            _shuffle(builder, changes[k % 2], last[k % 2], *((0, 1, 4, 5) if k < 2 else (2, 3, 6, 7)))
            for k in range(4)
        ]
    for pointer, change in zip(pointers, changes, strict=True):
        builder.store(builder.fadd(builder.load(pointer, align=8), change, flags=_FLAGS), pointer, align=8)
    return context.get_dummy_value()


@_intrinsic
def own(context, y, first, space):
    """x, y, z of rows `first`, …, in the order `OWN`; the last row of space is followed by one more number."""
    return types.UniTuple(quad, 3)(y, types.intp, space), partial(_columns, own=True)


@_intrinsic
def near(context, y, rows, at, space):
    """x, y, z of the four rows named in rows[at:at + 4]."""
    return types.UniTuple(quad, 3)(y, rows, types.intp, space), partial(_columns, own=False)


@_intrinsic
def push_own(context, g, first, x, y, z, space):
    """Add to what `own` takes."""
    return types.none(g, types.intp, quad, quad, quad, space), partial(_push, own=True)


@_intrinsic
def push_near(context, g, rows, at, x, y, z, space):
    """Add to what `near` takes, one after the other: a row may be named twice."""
    return types.none(g, rows, types.intp, quad, quad, quad, space), partial(_push, own=False)
