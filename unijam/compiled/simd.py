"""Vector registers in compiled code: arithmetic on several numbers at once, and reading and writing of rows.

A compiler does not vectorise a loop over particles if each particle has its own number of partners. Here the loop
itself says which numbers share a register, and LLVM translates this to the instructions of the processor. A processor
with narrower registers uses two or four instructions for each operation.

The `WIDTH` numbers of a register are called lanes. The functions below can be called only from compiled code.
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
WIDTH = 8 if "+avx512f" in _features.split(",") else 4
# OWN[k] is the row in lane k; LANE is the inverse. One shuffle each separates rows (x, y), (x, y), … in two registers
# into x and y, and no number crosses a border of 256 bits in it. The rows are then in this order; the natural order
# costs more.
OWN = tuple(k // 2 + WIDTH // 2 * (k % 2) for k in range(WIDTH))
LANE = tuple(OWN.index(k) for k in range(WIDTH))
_DOUBLE, _INDEX, _INT = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_ALL, _FOUR, _TWO = (ir.VectorType(_DOUBLE, width) for width in (WIDTH, 4, 2))
# Compiler flags: a product and a sum may be fused, a quotient may be a product with the inverse, and −0 may be 0. The
# order of terms in a sum stays as written.
_FLAGS = ("contract", "arcp", "nsz")
_intrinsic: Any = intrinsic
_Typed = tuple[Any, Callable[..., Any]]  # the signature of an intrinsic, and what writes its code


class Lanes(types.Type):
    """numba's type of `WIDTH` numbers. Operators take two `Lanes`, or `Lanes` and one number for all lanes."""


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
    """The same shuffle within each group of four lanes of a and b; the lanes of b are numbered from four.

    It is cheap, because no number crosses a border of 256 bits.
    """
    width = a.type.count
    fours = range(0, width, 4)
    return _shuffle(builder, a, b, *(k + at + (width - 4 if k > 3 else 0) for at in fours for k in lanes))


def _joined(builder: Any, vectors: list[Any]) -> Any:
    """Several short vectors, a power of two of them, joined to a long one."""
    while len(vectors) > 1:
        lanes = range(2 * vectors[0].type.count)
        vectors = [_shuffle(builder, *vectors[k : k + 2], *lanes) for k in range(0, len(vectors), 2)]
    return vectors[0]


def _fours(builder: Any, vector: Any) -> list[Any]:
    """The parts of a vector, each of four lanes."""
    return [_shuffle(builder, vector, vector, *range(k, k + 4)) for k in range(0, vector.type.count, 4)]


def _spread(builder: Any, value: Any) -> Any:
    """A number copied to all lanes; `Lanes` are returned as they are."""
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
    """LLVM's built-in function of this name with one or two arguments, applied to each lane."""
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
    """Lanes that all hold one number."""
    return lanes(types.float64), lambda context, builder, signature, values: _spread(builder, values[0])


@_intrinsic
def beyond(context: Any, a: Any, b: Any) -> _Typed:
    """Lanes with 0.0 where a ≤ b and 1.0 elsewhere. NaN gives 1.0, so that a position that is NaN counts as too far."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        above = builder.fcmp_unordered(">", *(_spread(builder, v) for v in values))
        return builder.select(above, _constant(1.0), _constant(0.0))

    return lanes(a, b), codegen


@_intrinsic
def below(context: Any, a: Any, b: Any) -> _Typed:
    """An integer whose bit k is set if a < b in lane k."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = builder.bitcast(builder.fcmp_ordered("<", *values), ir.IntType(WIDTH))
        return builder.zext(bits, _INDEX)

    return types.int64(a, b), codegen


@_intrinsic
def note(context: Any, array: Any, at: Any, first: Any, bits: Any) -> _Typed:
    """Write first + k to array[at:] for each bit k that is set, and return the number of these.

    It always stores `WIDTH` numbers, because a store without branches is faster. The surplus ones have no meaning, and
    the next call overwrites them. The array must have room for them.
    """
    byte, several = ir.IntType(8), ir.VectorType(_INDEX, WIDTH)
    which = [[k for k in range(WIDTH) if code >> k & 1] for code in range(1 << WIDTH)]
    row = ir.VectorType(byte, WIDTH)
    # a table of 2^WIDTH rows: for each pattern of bits the places of the bits that are set
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
    """The sum over all lanes, one number: first 0 + 1, 2 + 3, …, then the sums of these in pairs."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        terms = [builder.extract_element(values[0], _INT(k)) for k in range(WIDTH)]
        while len(terms) > 1:
            terms = [builder.fadd(*terms[k : k + 2]) for k in range(0, len(terms), 2)]
        return terms[0]

    return types.float64(a), codegen


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, to: Any = None) -> Any:
    """A pointer to an entry of a contiguous array of one axis. The index is not checked, and must not be negative.

    Loads and stores by it say `align=8`: an entry is aligned to one double, not to a register.
    """
    pointer = builder.gep(context.make_array(kind)(context, builder, array).data, [index], inbounds=True)
    return pointer if to is None else builder.bitcast(pointer, to.as_pointer())


@_intrinsic
def several(context: Any, array: Any, index: Any) -> _Typed:
    """Lanes with the numbers array[index:index + WIDTH]."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array, index = values
        return builder.load(_pointer(context, builder, signature.args[0], array, index, _ALL), align=8)

    return lanes(array, types.intp), codegen


def _in_plane(signature: Any) -> bool:
    return isinstance(signature.args[-1], types.NoneType)


def _own_rows(context: Any, builder: Any, signature: Any, values: Any) -> list[Any]:
    """Pointers to `WIDTH` consecutive rows: in space one for each row, in a plane one for each half of the rows."""
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
    """x, y and z of rows, three `Lanes`; z is zero in a plane."""
    rows = [builder.load(p, align=8) for p in pointers(context, builder, signature, values)]
    size = rows[0].type.count
    if len(rows) == WIDTH:
        rows = [_joined(builder, rows[k::size]) for k in range(size)]
    # k = 0 takes the even lanes of two registers, k = 1 the odd ones: in a plane x and y, in the order OWN
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
    """x, y, z of the `WIDTH` rows from `first` on, three `Lanes` in the order `OWN`.

    y holds the rows one after the other: (x, y) if `space` is None, else (x, y, z). In space a row is read as four
    numbers, so y needs one more number after the last row.
    """
    return types.UniTuple(lanes, 3)(y, types.intp, space), partial(_columns, pointers=_own_rows)


@_intrinsic
def near(context: Any, y: Any, rows: Any, at: Any, space: Any) -> _Typed:
    """x, y, z of the rows whose numbers are rows[at:at + WIDTH], three `Lanes`; y and `space` as in `own`."""
    return types.UniTuple(lanes, 3)(y, rows, types.intp, space), partial(_columns, pointers=_near_rows)


@_intrinsic
def put(context: Any, g: Any, first: Any, x: Any, y: Any, z: Any, space: Any) -> _Typed:
    """Write x, y, z into the rows of g that `own` would read. In space the number after the last row becomes zero."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, y, z = values[2:5]
        pointers = _own_rows(context, builder, signature, values)
        rows = [_in_fours(builder, x, y, k, k + 4, k + 2, k + 6) for k in (0, 1)]
        # In space four numbers are stored for each row. The fourth belongs to the next row, which is stored later.
        if not _in_plane(signature):
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
