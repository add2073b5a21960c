"""The inputs that checks are run on: small tensors and sizes, with hypothesis.

Belongs here: strategies and example tensors that more than one section uses. Does not
belong here: what is right for them (`section_1` to `section_6`).
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from solutions.notebook.reproducibility import generator

# What a composite strategy draws with; hypothesis' own type cannot be checked at run
# time, which the tests do.
Draw: TypeAlias = Callable[..., Any]
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


def image(draw: Draw, *shape: int) -> Tensor:
    """Draw a tensor: its numbers are all different, or all ones, or all zeros.

    Only the shapes are left to hypothesis, so that it finds the smallest ones. What
    stands in them is made simpler afterwards, see `simpler`.
    """
    kind = draw(st.integers(0, 4))
    if kind > 2:
        return torch.full(shape, kind - 3.0)
    return distinct(*shape, seed=kind)


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


def upto(draw: Draw, largest: int, smallest: int = 1) -> int:
    """Draw one size."""
    return draw(st.integers(smallest, largest))


@st.composite
def images_and_kernels(draw: Draw) -> tuple[Tensor, Tensor]:
    """Generate an image (h, w) and a kernel (k_h, k_w) that fits into it."""
    k_h, k_w = upto(draw, 3), upto(draw, 3)
    h, w = k_h + upto(draw, 3, 0), k_w + upto(draw, 3, 0)
    return image(draw, h, w), image(draw, k_h, k_w)


IMAGES_AND_KERNELS = (
    (distinct(2, 3), distinct(1, 1, seed=1)),
    (distinct(3, 4), distinct(1, 2, seed=1)),
    (distinct(4, 3), distinct(2, 1, seed=1)),
    (distinct(3, 5), distinct(2, 2, seed=1)),
    (distinct(6, 5), distinct(3, 2, seed=1)),
    (distinct(2, 3), distinct(2, 3, seed=1)),
)


@st.composite
def convolutions(draw: Draw) -> Arguments:
    """Generate X (n, c_i, h, w), W (c_o, c_i, k_h, k_w), stride and padding, as pairs.

    Strides may be larger than the kernel, the padding too.
    """
    n, c_i, c_o = upto(draw, 2), upto(draw, 3), upto(draw, 3)
    k = upto(draw, 3), upto(draw, 3)
    p = upto(draw, 2, 0), upto(draw, 2, 0)
    s = upto(draw, 3), upto(draw, 3)
    h, w = (max(1, k[a] - 2 * p[a]) + upto(draw, 3, 0) for a in (0, 1))
    return image(draw, n, c_i, h, w), image(draw, c_o, c_i, *k), s, p


def axes(padding: bool = True) -> Iterator[tuple[int, int, int, int]]:
    """Yield settings (n, k, p, s) of one axis that tell rounding mistakes apart."""
    for p in (0, 1, 2) if padding else (0,):
        for s in (1, 2, 3):
            for n, k in ((5, 1), (6, 3), (8, 3), (7, 4), (9, 5)):
                yield n, k, p, s


@st.composite
def axis_settings(draw: Draw, max_padding: int = 3) -> tuple[int, int, int, int]:
    """Generate a setting (n, k, p, s) of one axis for which the window fits."""
    k, p, s = upto(draw, 5), upto(draw, max_padding, 0), upto(draw, 4)
    return max(1, k - 2 * p) + upto(draw, 12, 0), k, p, s
