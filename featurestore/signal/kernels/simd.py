"""Eight numbers side by side in one register of the processor, as a type that kernels can compute with.

Compilers find such parallel work in plain loops now and then; transforms need it always. A value holds the same
quantity of eight frames (or of eight stretches of a signal), so that no step of a transform has to move numbers from
lane to lane. `+`, `-` and `*` act on each lane and round each result; `fma` rounds a product and a sum together, on
every processor. So results do not depend on how many lanes a register has, nor on what a compiler recognises.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model

LANES = 8
"""Numbers in a value: one AVX register of float32."""
_Object = Any
"""Numba's and LLVM's objects: the two libraries ship no types."""
Lanes = Any
"""Eight numbers, as signatures of kernels call them."""


def _instruction(generator: _Object) -> _Object:
    """Make a function that kernels can call of a generator.

    A generator returns the signature, and a function `generate` that emits the instructions, which Numba calls where a
    kernel is compiled.
    """
    return intrinsic(generator)


class _Lanes(types.Type):
    """Numba's name for eight numbers of one precision."""

    def __init__(self, element: _Object) -> None:
        self.element = element
        super().__init__(name=f"Lanes({element})")


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    """A vector in LLVM's sense."""

    def __init__(self, manager: _Object, kind: _Lanes) -> None:
        super().__init__(manager, kind, _vector(kind.element))  # type: ignore[no-untyped-call]


def _vector(element: _Object) -> _Object:
    return ir.VectorType(ir.FloatType() if element == types.float32 else ir.DoubleType(), LANES)


def _pointer(context: _Object, builder: _Object, array_type: _Object, array: _Object, index: _Object) -> _Object:
    """Return where eight numbers start in a contiguous array [size]."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector(array_type.dtype).as_pointer())


@_instruction
def load(typing: _Object, array: _Object, index: _Object) -> _Object:
    """Return array[index : index + 8]; the caller answers for the bounds."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        # Aligned to a single number only, since it may begin anywhere; so are all loads and stores here.
        return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)

    return _Lanes(array.dtype)(array, types.intp), generate


@_instruction
def store(typing: _Object, array: _Object, index: _Object, value: _Object) -> _Object:
    """Write array[index : index + 8]; the caller answers for the bounds."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_instruction
def store_narrow(typing: _Object, array: _Object, index: _Object, value: _Object) -> _Object:
    """Write array[index : index + 8], rounded to float32."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        value = arguments[2]
        if signature.args[2].element == types.float64:
            value = builder.fptrunc(value, _vector(types.float32))
        builder.store(value, _pointer(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_instruction
def load_rows(typing: _Object, array: _Object, start: _Object, stride: _Object) -> _Object:
    """Return eight values: the r-th is array[start + r * stride :][:8]."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        array, *place = arguments
        pointers = _row_pointers(context, builder, signature.args[0], array, *place)
        values = [builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8) for pointer in pointers]
        return context.make_tuple(builder, signature.return_type, values)

    kind: _Object = types.UniTuple
    return kind(_Lanes(array.dtype), LANES)(array, types.intp, types.intp), generate


@_instruction
def store_rows(typing: _Object, array: _Object, start: _Object, stride: _Object, rows: _Object) -> _Object:
    """Write eight values: the r-th to array[start + r * stride :][:8]."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        pointers = _row_pointers(context, builder, signature.args[0], *arguments[:3])
        for row, pointer in enumerate(pointers):
            value = builder.extract_value(arguments[3], row)
            builder.store(value, pointer, align=signature.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, rows), generate


@_instruction
def store_weighted(
    typing: _Object, array: _Object, start: _Object, rows: _Object, weights: _Object, first: _Object
) -> _Object:
    """Write eight values, in the array's precision, from array[start] on, the r-th times weights[first + r]."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        target, given = signature.args[0].dtype, signature.args[2].dtype.element
        pointers = _row_pointers(context, builder, signature.args[0], arguments[0], arguments[1], _word(LANES))
        weights = context.make_array(signature.args[3])(context, builder, arguments[3]).data
        for row, pointer in enumerate(pointers):
            value = builder.extract_value(arguments[2], row)
            value = value if given == target else builder.fpext(value, _vector(target))
            place = builder.add(arguments[4], _word(row))
            weight = _spread(builder, target, builder.load(builder.gep(weights, [place])))
            builder.store(builder.fmul(value, weight), pointer, align=target.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, rows, weights, types.intp), generate


def _word(number: int) -> _Object:
    return ir.Constant(ir.IntType(64), number)


def _row_pointers(
    context: _Object, builder: _Object, array_type: _Object, array: _Object, start: _Object, stride: _Object
) -> list[_Object]:
    places = [builder.add(start, builder.mul(stride, _word(row))) for row in range(LANES)]
    return [_pointer(context, builder, array_type, array, place) for place in places]


@_instruction
def spread(typing: _Object, number: _Object) -> _Object:
    """Return one number in every lane."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        return _spread(builder, signature.args[0], arguments[0])

    return _Lanes(number)(number), generate


def _spread(builder: _Object, element: _Object, number: _Object) -> _Object:
    word = ir.IntType(32)
    first = builder.insert_element(ir.Constant(_vector(element), ir.Undefined), number, word(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(word, LANES), [0] * LANES))


@_instruction
def transposed(typing: _Object, rows: _Object) -> _Object:
    """Return eight values of which the j-th holds the j-th lanes of the eight given."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        rows = [builder.extract_value(arguments[0], row) for row in range(LANES)]
        # Three rounds of shuffles: in each pair of rows `step` apart, blocks of `step` lanes beside the diagonal are
        # exchanged.
        for step in (1, 2, 4):
            first = [lane + LANES - step if lane & step else lane for lane in range(LANES)]
            second = [lane + LANES if lane & step else lane + step for lane in range(LANES)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), order) for order in (first, second)]
            for row in range(LANES):
                if not row & step:
                    pair = rows[row], rows[row + step]
                    rows[row], rows[row + step] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        return context.make_tuple(builder, signature.return_type, rows)

    return rows(rows), generate


@_instruction
def fma(typing: _Object, x: _Object, y: _Object, z: _Object) -> _Object:
    """Return x * y + z, rounded once, of eight numbers or of single ones of one precision.

    Where the processor has no such instruction (x86 before 2013), the system's library computes the same, slowly.
    """

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        kind = arguments[0].type
        element = kind.element if isinstance(kind, ir.VectorType) else kind
        name = f"{'v8' if element is not kind else ''}{'f32' if isinstance(element, ir.FloatType) else 'f64'}"
        fused = builder.module.declare_intrinsic(f"llvm.fma.{name}", fnty=ir.FunctionType(kind, [kind] * 3))
        return builder.call(fused, list(arguments))

    return (x(x, y, z) if x == y == z else None), generate


@_instruction
def sum_of_lanes(typing: _Object, value: _Object) -> _Object:
    """Return the sum of the eight numbers, in float32 or float64 as they are: lanes 4 apart first, then 2, then 1."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        parts = [builder.extract_element(arguments[0], ir.IntType(32)(lane)) for lane in range(LANES)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(parts[i], parts[i + half]) for i in range(half)]
        return parts[0]

    return value.element(value), generate


def _define(sign: _Object, instruction: str) -> None:
    """Give a sign of arithmetic its meaning between two values of one precision."""

    @_instruction
    def apply(typing: _Object, x: _Object, y: _Object) -> _Object:

        def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
            return getattr(builder, instruction)(*arguments)  # without flags, so that each result is rounded

        return x(x, y), generate

    @overload(sign)
    def choose(x: _Object, y: _Object) -> _Object:
        """Return the meaning of the sign between two values of one precision; None leaves other types to Numba."""

        def calculate(x: _Object, y: _Object) -> _Object:
            return apply(x, y)

        return calculate if isinstance(x, _Lanes) and x == y else None


@_instruction
def _negate(typing: _Object, x: _Object) -> _Object:
    """Change the sign of each lane."""

    def generate(context: _Object, builder: _Object, signature: _Object, arguments: _Object) -> _Object:
        return builder.fneg(arguments[0])

    return x(x), generate


@overload(operator.neg)
def _choose_negate(x: _Object) -> _Object:
    """Return the meaning of a minus sign before a value; None leaves other types to Numba."""

    def calculate(x: _Object) -> _Object:
        return _negate(x)

    return calculate if isinstance(x, _Lanes) else None


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
