"""What the other modules accept as sizes and shapes, and how they refuse the rest.

Belongs here: reading an int-or-pair argument, checking the rank and dtype of tensors.
Does not belong here: anything that computes with the values of a tensor.
"""

from typing import TypeAlias

from torch import Tensor

IntOrPair: TypeAlias = int | tuple[int, int]


def as_pair(name: str, value: IntOrPair, minimum: int) -> tuple[int, int]:
    """Read an argument that is given once for both axes or once per axis.

    Args:
        name: the argument's name, for the error message.
        value: an int, or a pair (vertical, horizontal), in pixels.
        minimum: the smallest value allowed on either axis.

    Returns:
        The pair (vertical, horizontal).

    Raises:
        ValueError: if `value` is not an int or a pair of ints, or is too small.

    >>> as_pair("stride", 2, minimum=1)
    (2, 2)
    >>> as_pair("stride", (3, 0), minimum=1)
    Traceback (most recent call last):
    ValueError: stride is (3, 0), but must be an int or a pair of ints, each at least 1
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    is_int = [isinstance(v, int) and not isinstance(v, bool) for v in pair]
    if len(pair) != 2 or not all(is_int) or min(pair) < minimum:
        raise ValueError(
            f"{name} is {value!r}, but must be an int or a pair of ints, "
            f"each at least {minimum}"
        )
    return pair[0], pair[1]


def require_sizes(name: str, value: tuple[int, ...], layout: str) -> None:
    """Check a shape given as numbers: one int per axis, each at least 1.

    Args:
        name: the argument's name, for the error message.
        value: the shape.
        layout: one name per axis, separated by blanks, such as ``"c h w"``.

    Raises:
        ValueError: if `value` has another number of axes, or one is no int or below 1.

    >>> require_sizes("input_shape", (0, 8, 8), "c h w")
    Traceback (most recent call last):
    ValueError: input_shape is (0, 8, 8), but must be (c, h, w), ints of at least 1
    """
    axes = layout.split()
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    is_int = all(isinstance(v, int) and not isinstance(v, bool) for v in sizes)
    if len(sizes) != len(axes) or not is_int or min(sizes) < 1:
        raise ValueError(
            f"{name} is {value!r}, but must be ({', '.join(axes)}), ints of at least 1"
        )


def require_layout(name: str, X: Tensor, layout: str) -> None:
    """Check the rank of a tensor, and that it has no empty axis.

    Args:
        name: the argument's name, for the error message.
        X: the tensor, of any shape and dtype.
        layout: one name per axis, separated by blanks, such as ``"n c h w"``.

    Raises:
        ValueError: if `X` has another number of axes, or an axis of length 0.

    >>> import torch
    >>> require_layout("X", torch.zeros(1, 1, 6, 8), "h w")
    Traceback (most recent call last):
    ValueError: X has shape (1, 1, 6, 8), but must be a 2-D tensor (h, w) without \
empty axes
    """
    axes = layout.split()
    if X.dim() != len(axes) or 0 in X.shape:
        raise ValueError(
            f"{name} has shape {tuple(X.shape)}, but must be a {len(axes)}-D tensor "
            f"({', '.join(axes)}) without empty axes"
        )


def require_one_dtype(**tensors: Tensor | None) -> None:
    """Check that tensors have one dtype, because matrix products convert nothing.

    Args:
        tensors: each under its name, of any shape; the first says which dtype it is,
            and None stands for a tensor that is left out.

    Raises:
        ValueError: if a tensor has another dtype than the first.

    >>> import torch
    >>> require_one_dtype(X=torch.zeros(2), W=torch.zeros(2).double(), bias=None)
    Traceback (most recent call last):
    ValueError: W has dtype torch.float64, but must have that of X, torch.float32
    """
    given = {name: X.dtype for name, X in tensors.items() if X is not None}
    first = next(iter(given))
    for name, dtype in given.items():
        if dtype != given[first]:
            raise ValueError(
                f"{name} has dtype {dtype}, but must have that of {first}, "
                f"{given[first]}"
            )
