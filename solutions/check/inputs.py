"""The inputs that checks are run on: small tensors and sizes, with hypothesis.

Belongs here: strategies and example tensors that more than one section uses. Does not
belong here: what is right for them (`section_1` to `section_6`).
"""

import itertools
import re
from collections.abc import Callable
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


def image(kind: int, *shape: int) -> Tensor:
    """Return a tensor: its numbers are all different, or all ones, or all zeros.

    Only the shapes are left to hypothesis, so that it finds the smallest ones. What
    stands in them is made simpler afterwards, see `simpler`.
    """
    return distinct(*shape, seed=kind) if kind < 3 else torch.full(shape, kind - 3.0)


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


def _names(shapes: str) -> list[str]:
    """Return the sizes that shapes are made of, in the order in which they appear."""
    return list(dict.fromkeys(re.findall(r"\w+", shapes)))


def _made(shapes: str, sizes: dict[str, int], tensor: Callable[..., Any]) -> Arguments:
    """Make each of some arguments, with sizes in place of their names."""

    def size(axis: str) -> int:
        return 1 + sum(sizes[name] - 1 for name in axis.split("+"))

    found = []
    for number, shape in enumerate(shapes.split(", ")):
        values = tuple(map(size, shape.strip("()= ").split()))
        if "(" in shape or "=" in shape:
            found.append(values if "(" in shape else values[0])
        else:
            found.append(tensor(*values, seed=number))
    return tuple(found)


def shaped(shapes: str, *sizes: tuple[int, ...]) -> list[Arguments]:
    """Return arguments whose tensors have `distinct` numbers.

    Args:
        shapes: of each argument. An axis "o+k" has as many pixels as give o outputs
            with k taps; "(k_h k_w)" is a pair of sizes, "=n" a number.
        sizes: of each example, in the order in which the names appear.

    Returns:
        The arguments of each example.

    >>> shaped("o+k, k, (k s), =s", (2, 2, 1))
    [(tensor([-1.,  2.,  0.]), tensor([-1.,  1.]), (2, 1), 1)]
    """
    names = _names(shapes)
    return [
        _made(shapes, dict(zip(names, one, strict=True)), distinct) for one in sizes
    ]


def tensors(
    shapes: str, largest: int = 3, **ranges: tuple[int, int]
) -> st.SearchStrategy[Arguments]:
    """Generate arguments of such shapes, see `shaped`.

    Args:
        shapes: of each argument.
        largest: what a size is at most; at least it is 1.
        ranges: the smallest and the largest of those sizes for which it is not so.
    """
    sizes = {
        name: st.integers(*ranges.get(name, (1, largest))) for name in _names(shapes)
    }
    kinds = st.tuples(*[st.integers(0, 4)] * (shapes.count(",") + 1))

    def made(sizes: Any, kinds: Any) -> Arguments:
        return _made(shapes, sizes, lambda *shape, seed: image(kinds[seed], *shape))

    return st.builds(made, st.fixed_dictionaries(sizes), kinds)


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
