"""Whole numbers that stay whole on every engine."""

import ibis
import ibis.expr.types as ir


def total(column: ir.IntegerColumn) -> ir.IntegerScalar:
    """The sum as int64. (An engine may widen it to a decimal; what does not fit is an error, not another number.)"""
    return column.sum().coalesce(0).cast("int64")


def floor_div(dividend: ir.IntegerValue, divisor: int | ir.IntegerValue) -> ir.IntegerValue:
    """`dividend` by a positive `divisor`, rounded down, also below zero; exact although `//` alone goes through a float."""
    by = ibis.literal(divisor, "int64") if isinstance(divisor, int) else divisor
    near = (dividend // by).cast("int64")
    return near + ((dividend - near * by) // by).cast("int64")


def not_below_zero(value: ir.IntegerValue) -> ir.IntegerValue:
    """`max(0, value)`."""
    return (value > 0).ifelse(value, ibis.literal(0, "int64"))
