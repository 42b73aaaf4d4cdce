"""Whole numbers that stay whole, and 64 bits wide, on every engine.

No choice between a number and a literal: Sail gives it the type of whatever comes first, and a literal has 32 bits.
"""

import ibis
import ibis.expr.types as ir


def total(column: ir.IntegerColumn) -> ir.IntegerScalar:
    """The sum as int64. What does not fit is an error, not another number."""
    return column.sum().cast("int64")


def floor_div(dividend: ir.IntegerValue, divisor: int | ir.IntegerValue) -> ir.IntegerValue:
    """`dividend` by a positive `divisor`, rounded down, also below zero; exact although `//` alone goes through a float."""
    by = ibis.literal(divisor, "int64") if isinstance(divisor, int) else divisor
    near = (dividend // by).cast("int64")
    return near + ((dividend - near * by) // by).cast("int64")


def one_if(condition: ir.BooleanValue) -> ir.IntegerValue:
    """1 where it holds, else 0."""
    return condition.cast("int64")


def not_below_zero(value: ir.IntegerValue) -> ir.IntegerValue:
    """`max(0, value)`."""
    return value * one_if(value > 0)
