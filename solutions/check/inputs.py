"""The inputs that checks are run on: small tensors and sizes, with hypothesis.

Belongs here: strategies and tensors that more than one section uses. Does not
belong here: what is right for them (`section_1` to `section_6`).
"""

import itertools
import re
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from solutions.notebook.reproducibility import generator

Arguments: TypeAlias = tuple[Any, ...]


def distinct(*shape: int, seed: int = 0) -> Tensor:
    """Return a float32 tensor of whole numbers, of both signs, no two of them alike.

    >>> distinct(2, 3)
    tensor([[ 2., -6., -1.],
            [ 3.,  1., -2.]])
    """
    size = prod(shape)
    numbers = torch.randperm(2 * size, generator=generator(seed))[:size] - size
    return numbers.float().reshape(shape)


def simpler(arguments: tuple[object, ...]) -> st.SearchStrategy[tuple[object, ...]]:
    """Generate arguments of the same shapes whose tensors hold more zeros and ones."""

    def contents(value: object) -> st.SearchStrategy[object]:
        if not isinstance(value, Tensor):
            return st.just(value)
        numbers = sorted(
            {0.0, 1.0, *value.flatten().tolist()}, key=lambda x: (abs(x), -x)
        )
        elements = st.sampled_from(numbers)
        return arrays(np.float32, tuple(value.shape), elements=elements).map(
            torch.from_numpy
        )

    return st.tuples(*map(contents, arguments))


def tensors(
    shapes: str, largest: int = 3, **ranges: tuple[int, int]
) -> st.SearchStrategy[Arguments]:
    """Generate arguments of such shapes: tensors, sizes and numbers.

    Args:
        shapes: of each argument. An axis "o+k" has as many pixels as give o outputs
            with k taps; "(k_h k_w)" is a pair of sizes, "=n" a number.
        largest: what a size is at most; at least it is 1.
        ranges: the smallest and the largest of those sizes for which it is not so.
    """
    names = dict.fromkeys(re.findall(r"\w+", shapes))
    sizes = {name: st.integers(*ranges.get(name, (1, largest))) for name in names}
    kinds = st.tuples(*[st.integers(0, 9)] * (shapes.count(",") + 1))
    return st.builds(partial(_made, shapes), st.fixed_dictionaries(sizes), kinds)


def _made(shapes: str, sizes: dict[str, int], kinds: Any) -> Arguments:
    """Make arguments of such shapes, with sizes in place of their names.

    Tensors of kinds 8 and 9 are all zeros and all ones. Only the shapes are left to
    hypothesis, so that it finds the smallest ones; see `simpler` for what is in them.
    """
    found: list[Any] = []
    for shape, kind in zip(shapes.split(", "), kinds, strict=True):
        axes = [axis.split("+") for axis in shape.strip("()=").split()]
        values = tuple(1 + sum(sizes[name] - 1 for name in axis) for axis in axes)
        if "=" in shape:
            found += values
        elif "(" in shape:
            found.append(values)
        else:
            constant = torch.full(values, kind - 8.0)
            found.append(distinct(*values, seed=kind) if kind < 8 else constant)
    return tuple(found)


def whole(*largest: int | tuple[int, int]) -> st.SearchStrategy[Arguments]:
    """Generate sizes from 1, or the first of a pair, to the largest."""
    bounds = [(1, n) if isinstance(n, int) else n for n in largest]
    return st.tuples(*(st.integers(*pair) for pair in bounds))


def planes(axis: st.SearchStrategy[Arguments]) -> st.SearchStrategy[Arguments]:
    """Generate the sizes of a vertical and of a horizontal axis, in turn."""
    return st.tuples(axis, axis).map(
        lambda both: tuple(itertools.chain(*zip(*both, strict=True)))
    )


# Settings (n, k, p, s) of one axis for which the window fits.
AXES = whole(16, 5, (0, 3), 4).filter(lambda a: a[0] + 2 * a[2] >= a[1])
