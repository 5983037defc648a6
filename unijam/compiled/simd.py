"""Several numbers side by side in one vector register, for compiled code: arithmetic, and reading and writing of rows.

A compiler does not vectorise a loop over particles when each particle has its own number of partners. Here the loop
itself says which numbers go side by side, and LLVM translates this to the instructions of the processor. A processor
with narrower registers takes two or four instructions for each of these.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

_config: Any = config  # its attributes are made when it is read
_features = get_host_cpu_features() if _config.CPU_FEATURES is None else _config.CPU_FEATURES
# 512-bit registers hold eight doubles. All others take four: as one instruction with AVX, as two with SSE2 or NEON.
# An empty list of features (unknown processors, generic code) is one of "all others".
WIDTH = 8 if "+avx512f" in _features.split(",") else 4  # what fits into a register
# OWN[k] is the row in lane k, LANE its inverse. Rows (x, y), (x, y), … in two registers are taken apart into x and y by
# one shuffle each, in which no number crosses 256 bits. It leaves the rows in this order; a natural one costs more.
OWN = tuple(k // 2 + WIDTH // 2 * (k % 2) for k in range(WIDTH))
LANE = tuple(OWN.index(k) for k in range(WIDTH))
_DOUBLE, _INDEX, _INT = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_ALL, _FOUR, _TWO = (ir.VectorType(_DOUBLE, width) for width in (WIDTH, 4, 2))
# a product and a sum may be fused, a quotient may be a product with the inverse, −0 may be 0; no terms change places
_FLAGS = ("contract", "arcp", "nsz")
_intrinsic: Any = intrinsic
_Typed = tuple[Any, Callable[..., Any]]  # the signature of an intrinsic, and what writes its code


class Lanes(types.Type):
    """numba's type of `WIDTH` numbers. Operators take two of them, or one of them and one number for all lanes."""


lanes = Lanes("Lanes")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, _ALL)  # type: ignore[no-untyped-call]  # numba's


def _constant(value: float) -> Any:
    return ir.Constant(_ALL, [_DOUBLE(value)] * WIDTH)


def _shuffle(builder: Any, a: Any, b: Any, *lanes: int) -> Any:
    return builder.shuffle_vector(
        a, b, ir.Constant(ir.VectorType(_INT, len(lanes)), [_INT(k) for k in lanes])
    )


def _in_fours(builder: Any, a: Any, b: Any, *lanes: int) -> Any:
    """Shuffle within each four lanes of a and b alike (cheap: no lane crosses 256 bits); lanes of b count from four."""
    width = a.type.count
    fours = range(0, width, 4)
    return _shuffle(builder, a, b, *(k + at + (width - 4 if k > 3 else 0) for at in fours for k in lanes))


def _joined(builder: Any, vectors: list[Any]) -> Any:
    """One long vector of several short ones, whose number is a power of two."""
    while len(vectors) > 1:
        lanes = range(2 * vectors[0].type.count)
        vectors = [_shuffle(builder, *vectors[k : k + 2], *lanes) for k in range(0, len(vectors), 2)]
    return vectors[0]


def _fours(builder: Any, vector: Any) -> list[Any]:
    """The parts of a vector, of four lanes each."""
    return [_shuffle(builder, vector, vector, *range(k, k + 4)) for k in range(0, vector.type.count, 4)]


def _spread(builder: Any, value: Any) -> Any:
    """One number in all lanes; lanes as they are."""
    if value.type == _ALL:
        return value
    one = builder.insert_element(ir.Constant(_ALL, ir.Undefined), value, _INT(0))
    return _shuffle(builder, one, one, *[0] * WIDTH)


def _operation(function: Any, instruction: str) -> None:
    cases = [signature(lanes, lanes, other) for other in (lanes, types.float64)]
    infer_global(function)(type(instruction, (ConcreteTemplate,), {"cases": cases}))

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, instruction)(*(_spread(builder, v) for v in values), flags=_FLAGS)

    for case in cases:
        lower_builtin(function, *case.args)(lower)


for _operator, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operation(_operator, _instruction)


def _function(name: str, arity: int) -> Any:
    """LLVM's own function of this name, lane by lane."""
    kind = ir.FunctionType(_ALL, [_ALL] * arity)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f64")
        return builder.call(function, [_spread(builder, v) for v in values], fastmath=_FLAGS)

    if arity == 1:
        return _intrinsic(lambda context, a: (lanes(a), codegen))
    return _intrinsic(lambda context, a, b: (lanes(a, b), codegen))


root, whole = _function("sqrt", 1), _function("rint", 1)
larger, power = _function("maxnum", 2), _function("pow", 2)


@_intrinsic
def fill(context: Any, value: Any) -> _Typed:
    """One number in all lanes."""
    return lanes(types.float64), lambda context, builder, signature, values: _spread(builder, values[0])


@_intrinsic
def beyond(context: Any, a: Any, b: Any) -> _Typed:
    """0.0 where a ≤ b, else 1.0. NaN gives 1.0, so that a position that is NaN counts as too far."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        above = builder.fcmp_unordered(">", *(_spread(builder, v) for v in values))
        return builder.select(above, _constant(1.0), _constant(0.0))

    return lanes(a, b), codegen


@_intrinsic
def below(context: Any, a: Any, b: Any) -> _Typed:
    """An integer whose bit k is set where a < b in lane k."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<", *values), ir.IntType(WIDTH))
        return builder.zext(bits, _INDEX)

    return types.int64(a, b), codegen


@_intrinsic
def note(context: Any, array: Any, at: Any, first: Any, bits: Any) -> _Typed:
    """Write first + k to array[at:] for each bit k that is set, and return how many were written.

    It always stores `WIDTH` numbers, the last of them without meaning: a store without branches is faster, and the next
    call writes over them. The array must have room for that.
    """
    byte, several = ir.IntType(8), ir.VectorType(_INDEX, WIDTH)
    which = [[k for k in range(WIDTH) if code >> k & 1] for code in range(1 << WIDTH)]
    row = ir.VectorType(byte, WIDTH)
    # a table of 2^WIDTH rows: of each pattern of bits the places of those that are set
    rows = [ir.Constant(row, [byte(k) for k in (*w, *[0] * WIDTH)[:WIDTH]]) for w in which]
    table = ir.Constant(ir.ArrayType(row, len(rows)), rows)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, at, first, bits = values
        known = cgutils.global_constant(builder.module, "set_bits", table)
        ks = builder.zext(builder.load(builder.gep(known, [_INDEX(0), bits], inbounds=True)), several)
        one = builder.insert_element(ir.Constant(several, ir.Undefined), first, _INT(0))
        found = builder.add(ks, _shuffle(builder, one, one, *[0] * WIDTH))
        builder.store(found, _pointer(context, builder, signature.args[0], array, at, several), align=8)
        return builder.ctpop(bits)

    return types.int64(array, types.int64, types.int64, types.int64), codegen


@_intrinsic
def total(context: Any, a: Any) -> _Typed:
    """The sum over all lanes, in pairs: first 0 + 1, 2 + 3, …, then the sums of these."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        terms = [builder.extract_element(values[0], _INT(k)) for k in range(WIDTH)]
        while len(terms) > 1:
            terms = [builder.fadd(*terms[k : k + 2]) for k in range(0, len(terms), 2)]
        return terms[0]

    return types.float64(a), codegen


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, to: Any = None) -> Any:
    """A pointer to an entry of a contiguous array of one axis. The index is not checked and must not be negative."""
    pointer = builder.gep(context.make_array(kind)(context, builder, array).data, [index], inbounds=True)
    return pointer if to is None else builder.bitcast(pointer, to.as_pointer())


@_intrinsic
def several(context: Any, array: Any, index: Any) -> _Typed:
    """The numbers array[index:index + WIDTH]."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, index = values
        return builder.load(_pointer(context, builder, signature.args[0], array, index, _ALL), align=8)

    return lanes(array, types.intp), codegen


def _in_plane(signature: Any) -> bool:
    return isinstance(signature.args[-1], types.NoneType)


def _own_rows(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Pointers to consecutive rows of an array: one for each row in space, one for each half of them in a plane."""
    d = 2 if _in_plane(signature) else 3
    size = _ALL if d == 2 else _FOUR
    rows = (builder.add(values[1], _INDEX(k)) for k in (OWN[:2] if d == 2 else OWN))
    return [
        _pointer(context, builder, signature.args[0], values[0], builder.mul(row, _INDEX(d)), size)
        for row in rows
    ]


def _near_rows(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    d = 2 if _in_plane(signature) else 3
    pointers = []
    for k in range(WIDTH):
        entry = _pointer(context, builder, signature.args[1], values[1], builder.add(values[2], _INDEX(k)))
        row = builder.mul(builder.zext(builder.load(entry), _INDEX), _INDEX(d))
        pointers.append(
            _pointer(context, builder, signature.args[0], values[0], row, _TWO if d == 2 else _FOUR)
        )
    return pointers


def _columns(
    context: Any, builder: Any, signature: Any, values: Any, pointers: Callable[..., list[Any]]
) -> Any:
    """x, y, z of rows."""
    rows = [builder.load(p, align=8) for p in pointers(context, builder, signature, values)]
    size = rows[0].type.count
    if len(rows) == WIDTH:
        rows = [_joined(builder, rows[k::size]) for k in range(size)]
    (a, b), (c, d) = (
        [_in_fours(builder, *pair, k, k + 4, k + 2, k + 6) for k in (0, 1)] for pair in (rows[:2], rows[-2:])
    )
    if _in_plane(signature):
        x, y, z = a, b, _constant(0.0)
    else:
        x, y, z = (
            _in_fours(builder, a, c, 0, 1, 4, 5),
            _in_fours(builder, b, d, 0, 1, 4, 5),
            _in_fours(builder, a, c, 2, 3, 6, 7),
        )
    return context.make_tuple(builder, signature.return_type, (x, y, z))


@_intrinsic
def own(context: Any, y: Any, first: Any, space: Any) -> _Typed:
    """x, y, z of rows `first`, …, in the order `OWN`; the last row of space is followed by one more number."""
    return types.UniTuple(lanes, 3)(y, types.intp, space), partial(_columns, pointers=_own_rows)


@_intrinsic
def near(context: Any, y: Any, rows: Any, at: Any, space: Any) -> _Typed:
    """x, y, z of the rows named in rows[at:at + WIDTH]."""
    return types.UniTuple(lanes, 3)(y, rows, types.intp, space), partial(_columns, pointers=_near_rows)


@_intrinsic
def put(context: Any, g: Any, first: Any, x: Any, y: Any, z: Any, space: Any) -> _Typed:
    """Write what `own` reads; the number after the last row of space becomes zero."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, y, z = values[2:5]
        pointers = _own_rows(context, builder, signature, values)
        rows = [_in_fours(builder, x, y, k, k + 4, k + 2, k + 6) for k in (0, 1)]
        if not _in_plane(
            signature
        ):  # the fourth number of a row belongs to the next, which is written after it
            last = [_in_fours(builder, z, _constant(0.0), k, k + 4, k + 2, k + 6) for k in (0, 1)]
            rows = [_in_fours(builder, rows[k], last[k], 0, 1, 4, 5) for k in (0, 1)] + [
                _in_fours(builder, rows[k], last[k], 2, 3, 6, 7) for k in (0, 1)
            ]
            rows = [
                part for parts in zip(*(_fours(builder, row) for row in rows), strict=True) for part in parts
            ]
            rows, pointers = [rows[k] for k in LANE], [pointers[k] for k in LANE]
        for pointer, row in zip(pointers, rows, strict=True):
            builder.store(row, pointer, align=8)
        return context.get_dummy_value()

    return types.none(g, types.intp, lanes, lanes, lanes, space), codegen
