"""Decide exactly whether a kernel is the full convolution of two smaller ones.

Belongs here: the decision, for kernels of whole numbers, over the real numbers. Does
not belong here: finding good factors of an arbitrary kernel (`solutions.channels`).

A kernel is the polynomial whose coefficients are its taps, and a full convolution is a
product of polynomials. Trivial are only factors of one tap. For one axis, the quadratic
formula and the fundamental theorem of algebra decide. For two, sympy factors over the
rational numbers; what is irreducible there may still factor over the real ones. The
number of its factors over the complex numbers is the dimension of the space of the
polynomials g and h with ``f·∂g/∂y - g·∂f/∂y = f·∂h/∂x - h·∂f/∂x``, g of a lower degree
than f in x and h in y (Gao, Mathematics of Computation 72, 2003).
"""

from typing import Any

import numpy as np
import sympy
from sympy import Poly, Symbol
from sympy.polys.matrices import DomainMatrix

x, y, z = (Symbol(name) for name in "xyz")


def how_it_factors(kernel: list[list[int]]) -> str | None:
    """Say why a kernel is a full convolution of two real kernels of more than one tap.

    It has at least three taps in one direction, or two in each, all whole numbers. None
    if there are no such kernels.

    >>> how_it_factors([[1, 0, 1]])
    >>> how_it_factors([[1, 3, 2]])
    'it is [[1, 1]] * [[1, 2]]'
    """
    for axis, name in ((0, "row"), (1, "column")):
        for end, which in ((0, "first"), (-1, "last")):
            if not np.take(kernel, end, axis).any():
                return f"its {which} {name} is zero, so it is a smaller kernel, moved"
    f = _polynomial(kernel)
    _, factors = f.factor_list()
    if sum(power for _, power in factors) > 1:
        one = factors[0][0]
        return f"it is {_kernel(one)} * {_kernel(f.quo(one))}"
    if 1 in (len(kernel), len(kernel[0])):
        return _one_axis(f)
    count, g = _complex_factors(f)
    if count == 1 or (count == 2 and not _is_real(f, g)):
        return None
    return "it splits over the real numbers, with factors that are not rational"


def _polynomial(kernel: list[list[int]]) -> Any:
    """Return the polynomial with these coefficients."""
    taps = {(i, j): tap for i, row in enumerate(kernel) for j, tap in enumerate(row)}
    return Poly.from_dict(taps, x, y, domain="QQ")


def _kernel(f: Any) -> list[list[int]]:
    """Return the coefficients of a polynomial as rows."""
    rows, columns = f.degree(x) + 1, f.degree(y) + 1
    return [
        [int(f.coeff_monomial(x**i * y**j)) for j in range(columns)]
        for i in range(rows)
    ]


def _one_axis(f: Any) -> str | None:
    """Decide for a polynomial in one variable, irreducible over the rationals."""
    variable = x if f.degree(x) else y
    if f.degree(variable) == 2 and sympy.discriminant(f.as_expr(), variable) < 0:
        return None
    if f.degree(variable) == 2:
        return "its polynomial has two real roots, one for each factor"
    return (
        "every kernel of more than three taps in a row splits over the real numbers: "
        "complex roots come in pairs, and each pair makes a factor of three taps"
    )


def _complex_factors(f: Any) -> tuple[int, Any]:
    """Count the factors over the complex numbers; return a g besides ∂f/∂x too."""
    m, n = f.degree(x), f.degree(y)
    monomials = [x**i * y**j for i in range(m) for j in range(n + 1)]
    of_h = [x**i * y**j for i in range(m + 1) for j in range(n)]
    columns = [f * Poly(g, x, y).diff(y) - Poly(g, x, y) * f.diff(y) for g in monomials]
    columns += [Poly(h, x, y) * f.diff(x) - f * Poly(h, x, y).diff(x) for h in of_h]
    rows = [
        [column.coeff_monomial(x**i * y**j) for column in columns]
        for i in range(2 * m + 1)
        for j in range(2 * n + 1)
    ]
    matrix = DomainMatrix.from_Matrix(sympy.Matrix(rows)).to_field()
    solutions = matrix.nullspace().to_Matrix()
    found = [
        Poly(sum(solutions[k, i] * g for i, g in enumerate(monomials)), x, y)
        for k in range(solutions.rows)
    ]
    slope = f.diff(x)
    other = next((g for g in found if not _is_multiple(g, slope)), slope)
    return solutions.rows, other


def _is_multiple(g: Any, slope: Any) -> bool:
    """Say whether a polynomial is a constant times another one."""
    return (g * slope.LC() - slope * g.coeff_monomial(slope.LM().as_expr())).is_zero


def _is_real(f: Any, g: Any) -> bool:
    """Say whether the two complex factors of f are real.

    On the roots of one factor, g is a constant times ∂f/∂x; the two constants are real
    if the factors are, and conjugate if the factors are.
    """
    for place in range(100):
        at = [Poly(p.as_expr().subs(y, place), x) for p in (f, g, f.diff(x))]
        if at[0].degree() == f.degree(x) and at[0].is_sqf:
            constants = sympy.resultant(at[0], (at[1] - z * at[2]).as_expr(), x)
            return bool(Poly(constants, z).sqf_part().count_roots() > 0)
    raise AssertionError("some vertical line meets the factors in simple points")
