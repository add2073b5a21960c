"""Decide exactly whether a kernel is the full convolution of two smaller ones.

Belongs here: the decision, for kernels of whole numbers, over the real numbers. Does
not belong here: finding good factors of an arbitrary kernel (`solutions.channels`).

A kernel is the polynomial whose coefficients are its taps, and a full convolution is a
product of polynomials. Trivial are only factors of one tap. sympy factors over the
rational numbers; what is irreducible there may still factor over the real ones. Then
its factors over the complex numbers are all different; it is irreducible if there is
one, or two that are conjugate, since more of them can be put together to real factors.
"""

from itertools import count, product
from typing import Any

import numpy as np
import sympy
from sympy import Poly
from sympy.abc import x, y, z
from sympy.polys.matrices import DomainMatrix


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
    taps = {(i, j): tap for i, row in enumerate(kernel) for j, tap in enumerate(row)}
    f = Poly.from_dict(taps, x, y, domain="QQ")
    _, factors = f.factor_list()
    if sum(power for _, power in factors) > 1:
        one = factors[0][0]
        return f"it is {_kernel(one)} * {_kernel(f.quo(one))}"
    # A row is decided as a column is.
    constants = _constants(f if f.degree(x) else Poly(f.as_expr().subs(y, x), x, y))
    if constants.degree() < 2 or (
        constants.degree() == 2 and not constants.count_roots()
    ):
        return None
    return "it splits over the real numbers, with factors that are not rational"


def _kernel(f: Any) -> list[list[int]]:
    """Return the coefficients of a polynomial as rows."""
    rows, columns = (degree + 1 for degree in f.degree_list())
    return [
        [int(f.coeff_monomial(x**i * y**j)) for j in range(columns)]
        for i in range(rows)
    ]


def _constants(f: Any) -> Any:
    """Return a polynomial with a root for each complex factor of f, real if that is.

    Their number is the dimension of the space of the polynomials g, of a lower degree
    than f in x, for which there is an h, of a lower degree in y, with
    ``f·∂g/∂y - g·∂f/∂y = f·∂h/∂x - h·∂f/∂x``; on the zeros of one factor, each g is a
    constant times ∂f/∂x (Gao, Mathematics of Computation 72, 2003).
    """
    m, n = f.degree_list()
    of_g = [Poly(x**i * y**j, x, y) for i in range(m) for j in range(n + 1)]
    of_h = [Poly(x**i * y**j, x, y) for i in range(m + 1) for j in range(n)]
    columns = [f * g.diff(y) - g * f.diff(y) for g in of_g]
    columns += [h * f.diff(x) - f * h.diff(x) for h in of_h]
    places = list(product(range(2 * m + 1), range(2 * n + 1)))
    rows = [[column.nth(*place) for column in columns] for place in places]
    matrix = DomainMatrix.from_Matrix(sympy.Matrix(rows)).to_field()
    space = matrix.nullspace().to_Matrix()
    for place in count():
        weights = sympy.Matrix([[place**i for i in range(space.rows)]]) * space
        g = sum(
            (w * term for w, term in zip(weights, of_g, strict=False)), Poly(0, x, y)
        )
        f_at, g_at, slope = (p.eval(y, place) for p in (f, g, f.diff(x)))
        if f_at.degree() == m and f_at.is_sqf:
            ratio = g_at.as_expr() - z * slope.as_expr()
            found = Poly(sympy.resultant(f_at.as_expr(), ratio, x), z).sqf_part()
            if found.degree() == space.rows:
                return found
