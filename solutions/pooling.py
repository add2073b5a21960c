"""Section 6.5, pooling: max, average and what lies between, in several forms.

Belongs here: pooling layers without parameters, and what they cost. Does not belong
here: the shape of the output (`padding_stride`), convolution itself (`convolution`).
"""

from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from solutions.padding_stride import conv_output_shape
from solutions.shapes import IntOrPair, as_pair, require_layout, require_sizes

Pair = tuple[int, int]
MODES = ("max", "avg")


def pool2d(
    X: Float[Tensor, "h w"], kernel_size: IntOrPair, mode: str
) -> Float[Tensor, "o_h o_w"]:
    """Slide a window over one channel and keep its maximum or its average.

    The book's loop: stride 1, no padding.

    Args:
        X: one channel of an input, shape (h, w), floating point.
        kernel_size: height and width of the window, in pixels.
        mode: ``"max"`` or ``"avg"``.

    Returns:
        One number per window, shape (h - k_h + 1, w - k_w + 1).

    Raises:
        ValueError: if `X` is not a matrix of floating-point numbers, the window is
            larger than `X`, or `mode` is unknown.

    Source: D2L section 6.5, the function of section 6.5.1.

    >>> pool2d(torch.arange(9.0).reshape(3, 3), 2, "max")
    tensor([[4., 5.],
            [7., 8.]])
    """
    require_layout("X", X, "h w")
    _require_float(X)
    _require_mode(mode)
    k_h, k_w = as_pair("kernel_size", kernel_size, minimum=1)
    Y = X.new_zeros(conv_output_shape((X.shape[0], X.shape[1]), (k_h, k_w)))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + k_h, j : j + k_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


def avg_pool2d_as_conv(
    X: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    count_include_pad: bool = True,
) -> Float[Tensor, "n c o_h o_w"]:
    """Average pooling as a convolution: one constant kernel, each channel by itself.

    Args:
        X: the input, shape (n, c, h, w), floating point.
        kernel_size: height and width of the window, in pixels.
        stride: step between windows; None means the size of the window.
        padding: rows and columns of zeros on *each* side.
        count_include_pad: whether the zeros of the padding count in the average. If
            not, the result is the quotient of two convolutions: that of `X` and that
            of an image of ones.

    Returns:
        The averages, shape (n, c, o_h, o_w).

    Raises:
        ValueError: if `X` is not a 4-D tensor of floating-point numbers, the window is
            larger than the padded input, or the padding more than half the window.

    Source: D2L section 6.5, exercise 6.5.1.

    >>> X = torch.ones(1, 1, 2, 2)
    >>> avg_pool2d_as_conv(X, 2, stride=1, padding=1)[0, 0, 0]
    tensor([0.2500, 0.5000, 0.2500])
    >>> avg_pool2d_as_conv(X, 2, stride=1, padding=1, count_include_pad=False)[0, 0, 0]
    tensor([1., 1., 1.])
    """
    k, s, p = _check(X, kernel_size, stride, padding)
    channels = X.shape[1]
    weight = X.new_full((channels, 1, *k), 1 / prod(k))
    Y = F.conv2d(X, weight, stride=s, padding=p, groups=channels)
    if count_include_pad:
        return Y
    ones = torch.ones_like(X[:1, :1])
    return Y / F.conv2d(ones, weight[:1], stride=s, padding=p)


def tournament_kernels(
    kernel_size: IntOrPair, nonnegative: bool = False
) -> list[Tensor]:
    """Build the kernels that turn ReLU layers into max pooling of one channel.

    A knock-out tournament of the window's pixels. A match of a and b takes three
    channels, ``max(a, b) = ReLU(a - b) + ReLU(b) - ReLU(-b)``; a pixel without an
    opponent takes two, ``c = ReLU(c) - ReLU(-c)``. What adds up one round and what
    prepares the next are both linear, so one kernel does both.

    Args:
        kernel_size: height and width of the window, in pixels.
        nonnegative: whether the input has no negative numbers. Then the channels
            ``ReLU(-b)`` and ``ReLU(-c)`` would be zero, and are left out.

    Returns:
        The first kernel, shape (width, 1, k_h, k_w), then kernels of size 1×1, the
        last with one output channel. A ReLU stands between any two of them.

    Raises:
        ValueError: if `kernel_size` is not an int or a pair of ints, each at least 1.

    Source: D2L section 6.5, exercise 6.5.2; edition 1.0, exercise 7.5.3.

    >>> [tuple(K.shape) for K in tournament_kernels(2)]
    [(6, 1, 2, 2), (3, 6, 1, 1), (1, 3, 1, 1)]
    >>> [len(K) for K in tournament_kernels(3)]
    [14, 8, 5, 3, 1]
    >>> [tuple(K.shape) for K in tournament_kernels(2, nonnegative=True)]
    [(4, 1, 2, 2), (2, 4, 1, 1), (1, 2, 1, 1)]
    """
    k = as_pair("kernel_size", kernel_size, minimum=1)
    players = prod(k)
    kernels = []
    last_round = torch.eye(players)
    while players > 1:
        kernels.append(_compare(players, nonnegative) @ last_round)
        last_round = _winners(players, nonnegative)
        players = (players + 1) // 2
    kernels.append(last_round)
    first, *others = kernels
    return [first.reshape(-1, 1, *k), *(K[:, :, None, None] for K in others)]


def doubling_kernels(kernel_size: IntOrPair, nonnegative: bool = False) -> list[Tensor]:
    """Build ReLU layers of three channels each that are max pooling of one channel.

    Two windows of m pixels, d pixels apart with ``d <= m``, together are
    one of m + d. So windows of 2, 4, 8, ... and in the end of k pixels are made in a
    row, each from two of the last kind, and then likewise in a column. All steps are
    matches of two numbers: ``max(a, b) = ReLU(a - b) + ReLU(b) - ReLU(-b)``.

    Args:
        kernel_size: height and width of the window, in pixels.
        nonnegative: whether the input has no negative numbers. Then the channel
            ``ReLU(-b)`` would be zero, and is left out.

    Returns:
        Kernels of shape (channels, channels before, 1, d + 1), then (..., d + 1, 1),
        the last (1, channels, 1, 1), all for stride 1. A ReLU stands between any two of
        them. A stride of the pooling can be that of the last.

    Raises:
        ValueError: if `kernel_size` is not an int or a pair of ints, each at least 1.

    Source: D2L edition 1.0, section 7.5, exercise 7.5.3.

    >>> [tuple(K.shape) for K in doubling_kernels(2)]
    [(3, 1, 1, 2), (3, 3, 2, 1), (1, 3, 1, 1)]
    >>> [len(K) for K in doubling_kernels(9)]
    [3, 3, 3, 3, 3, 3, 3, 3, 1]
    """
    k = as_pair("kernel_size", kernel_size, minimum=1)
    a, b = _compare(2, nonnegative).T[:, :, None]  # a - b, b, -b: one column for each
    kernels = []
    winner = torch.ones(1, 1)  # what the channels of the last layer add up to
    for axis in (1, 0):
        size = 1
        while size < k[axis]:
            distance = min(size, k[axis] - size)
            shape = (distance + 1, 1) if axis == 0 else (1, distance + 1)
            K = torch.zeros(len(a), winner.shape[1], *shape)
            K[:, :, 0, 0], K[:, :, -1, -1] = a @ winner, b @ winner
            kernels.append(K)
            winner = _winners(2, nonnegative)
            size += distance
    return [*kernels, winner[:, :, None, None]]


def max_of_five_matrices(nonnegative: bool = False) -> list[Tensor]:
    """Build two ReLU layers that compute the maximum of five numbers.

    With ``ab`` for ``max(a, b)``, the maximum of x_1, ..., x_5 is ::

        (12 + x_5) / 2  +  ReLU(34 - 12)
        + ReLU(12 - x_5) / 2  +  ReLU(x_5 - 34) / 2
        + ReLU((15 + 35) - (25 + 45)) / 2
        - ReLU((34 + 15) - (12 + 45)) / 2
        - ReLU((12 + 35) - (34 + 25)) / 2

    The first layer computes x_5 and what the six pairs add to it, the second these six
    terms and the first summand.

    Args:
        nonnegative: whether the input has no negative numbers. Then x_5 and the first
            summand have no negative part, whose channels are left out.

    Returns:
        Three matrices: 10×5, 8×10 and 1×8, or 9×5, 7×9 and 1×7 without negative
        numbers. A ReLU stands between any two of them.

    Source: D2L edition 1.0, section 7.5, exercise 7.5.3.

    >>> x = torch.tensor([3.0, -1.0, 4.0, 1.0, -5.0])
    >>> first, second, third = max_of_five_matrices()
    >>> third @ (second @ (first @ x).relu()).relu()
    tensor([4.])
    """
    x_1, x_2, x_3, x_4, x_5 = torch.eye(5)
    over_5 = [x_1 - x_5, x_2 - x_5, x_3 - x_5, x_4 - x_5]
    first = [*over_5, x_1 - x_2, x_3 - x_4, x_5 - x_2, x_5 - x_4, x_5, -x_5]
    # What the channels are called after the ReLU: ReLU(x_1 - x_5) is `up_1`.
    channels = torch.eye(10)
    up_1, up_2, up_3, up_4, up_12, up_34, down_2, down_4, plus, minus = channels
    five = plus - minus
    m_12 = five + up_2 - down_2 + up_12
    m_34 = five + up_4 - down_4 + up_34
    m_15, m_25, m_35, m_45 = (five + up for up in (up_1, up_2, up_3, up_4))
    start = (m_12 + five) / 2
    second = [m_34 - m_12, m_12 - five, five - m_34, m_15 + m_35 - m_25 - m_45]
    second += [m_34 + m_15 - m_12 - m_45, m_12 + m_35 - m_34 - m_25, start, -start]
    third = torch.tensor([[1, 0.5, 0.5, 0.5, -0.5, -0.5, 1, -1]])
    if nonnegative:  # the last channel of each layer is zero
        first, second = first[:-1], [row[:-1] for row in second[:-1]]
        third = third[:, :-1]
    return [torch.stack(first), torch.stack(second), third]


def three_layer_kernels(nonnegative: bool = False) -> list[Tensor]:
    """Build 3×3 max pooling of one channel with three ReLU layers instead of four.

    One round of the tournament leaves five of nine pixels; the maximum of these takes
    two more layers.

    Args:
        nonnegative: whether the input has no negative numbers.

    Returns:
        The first kernel, shape (width, 1, 3, 3), then three kernels of size 1×1, the
        last with one output channel. A ReLU stands between any two of them.

    Source: D2L edition 1.0, section 7.5, exercise 7.5.3.

    >>> [len(K) for K in three_layer_kernels()]
    [14, 10, 8, 1]
    """
    first, second, third = max_of_five_matrices(nonnegative)
    others = (first @ _winners(9, nonnegative), second, third)
    round_1 = _compare(9, nonnegative).reshape(-1, 1, 3, 3)
    return [round_1, *(K[:, :, None, None] for K in others)]


def max_pool2d_relu(
    X: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
) -> Float[Tensor, "n c o_h o_w"]:
    """Max pooling computed by convolutions and ReLU alone.

    Max pooling pads with minus infinity, with which no convolution can compute. The
    padding here repeats the border pixel (`padding_mode="replicate"` of a convolution
    layer). The result is the same: a window that reaches over the border and holds at
    least one pixel holds the border pixel itself, so a copy of it changes no maximum.

    Args:
        X: the input, shape (n, c, h, w), floating point.
        kernel_size: height and width of the window, in pixels.
        stride: step between windows; None means the size of the window.
        padding: rows and columns on *each* side, at most half the window.

    Returns:
        The maxima, shape (n, c, o_h, o_w), up to rounding errors of the size of the
        largest magnitude in the window.

    Raises:
        ValueError: if `X` is not a 4-D tensor of floating-point numbers, the window is
            larger than the padded input, or the padding more than half the window.

    Source: D2L section 6.5, exercise 6.5.2.

    >>> X = torch.tensor([[-4.0, -1.0], [-2.0, -3.0]])
    >>> max_pool2d_relu(X[None, None], 2)
    tensor([[[[-1.]]]])
    """
    k, s, p = _check(X, kernel_size, stride, padding)
    # Channels never meet in a pooling layer: each is an image of its own.
    planes = X.flatten(0, 1).unsqueeze(1)
    planes = F.pad(planes, (p[1], p[1], p[0], p[0]), mode="replicate")
    first, *others = (K.to(X) for K in tournament_kernels(k))
    Y = F.conv2d(planes, first, stride=s)
    for K in others:
        Y = F.conv2d(F.relu(Y), K)
    return Y.reshape(*X.shape[:2], *Y.shape[2:])


def min_pool2d(
    X: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
) -> Float[Tensor, "n c o_h o_w"]:
    """Min pooling by max pooling: the smallest number is the largest, negated.

    Args:
        X: the input, shape (n, c, h, w), floating point.
        kernel_size: height and width of the window, in pixels.
        stride: step between windows; None means the size of the window.
        padding: rows and columns of plus infinity on *each* side.

    Returns:
        The minima, shape (n, c, o_h, o_w), exactly.

    Raises:
        ValueError: if `X` is not a 4-D tensor of floating-point numbers, the window is
            larger than the padded input, or the padding more than half the window.

    Source: D2L section 6.5, exercise 6.5.5.

    >>> min_pool2d(torch.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[0.]]]])
    """
    k, s, p = _check(X, kernel_size, stride, padding)
    return -F.max_pool2d(-X, k, s, p)


def softmax_pool2d(
    X: Float[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    beta: int | float = 1.0,
) -> Float[Tensor, "n c o_h o_w"]:
    """Average each window with the weights ``softmax(beta * window)``.

    The average of the window for ``beta = 0``; the maximum for ``beta`` to infinity,
    the minimum for ``beta`` to minus infinity. The padding has weight zero.

    Args:
        X: the input, shape (n, c, h, w), floating point.
        kernel_size: height and width of the window, in pixels.
        stride: step between windows; None means the size of the window.
        padding: rows and columns without weight on *each* side.
        beta: the inverse temperature, in units of 1 / X; finite in the type of `X`.

    Returns:
        The weighted averages, shape (n, c, o_h, o_w).

    Raises:
        ValueError: if `X` is not a 4-D tensor of floating-point numbers, the window is
            larger than the padded input, the padding more than half the window, or
            `beta` not finite in the type of `X`.

    Source: D2L section 6.5, exercise 6.5.6.

    >>> X = torch.tensor([1.0, 999.0]).reshape(1, 1, 1, 2)
    >>> [softmax_pool2d(X, (1, 2), beta=b).item() for b in (-1.0, 0.0, 1.0)]
    [1.0, 500.0, 999.0]
    """
    k, s, p = _check(X, kernel_size, stride, padding)
    if not abs(beta) <= torch.finfo(X.dtype).max:
        raise ValueError(
            f"beta is {beta}, but must be finite as {X.dtype}; the limit is max_pool2d"
        )
    if beta < 0:  # turned upside down, the smallest pixel is the heaviest
        return -softmax_pool2d(-X, k, s, p, -beta)
    # Relative to the maximum no exponent is positive, and the differences between
    # pixels are taken before the product with beta can round them away.
    peak = F.max_pool2d(X.detach(), k, s, p)
    below = _windows(X, k, s, p) - peak.unsqueeze(-1)
    logits = (beta * below).masked_fill(~_inside(X, k, s, p), float("-inf"))
    return peak + (logits.softmax(-1) * below).sum(-1)


@dataclass(frozen=True)
class PoolCost:
    """What one pooling layer does for one sample; every field is a number of things.

    Attributes:
        activations: numbers in the output.
        combinations: comparisons of max pooling, or additions of average pooling.
        useful_combinations: those of them that combine two pixels of the input, none
            of the padding.
        separable: combinations when the rows are pooled first, then the columns of the
            result.
        divisions: divisions by the size of the window.
    """

    activations: int
    combinations: int
    useful_combinations: int
    separable: int
    divisions: int


def pool_cost(
    input_shape: tuple[int, int, int],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    mode: str = "max",
) -> PoolCost:
    """Count what a pooling layer does, without running it.

    Args:
        input_shape: channels, height and width of the input, (c, h, w).
        kernel_size: height and width of the window, in pixels.
        stride: step between windows; None means the size of the window.
        padding: rows and columns on *each* side.
        mode: ``"max"`` or ``"avg"``.

    Returns:
        The counts, for one sample.

    Raises:
        ValueError: if `input_shape` is not three positive ints, the window is larger
            than the padded input, the padding more than half the window, or `mode` is
            unknown.

    Source: D2L section 6.5, exercise 6.5.3.

    >>> cost = pool_cost((1, 7, 7), kernel_size=2, stride=2, padding=1)
    >>> cost.combinations, cost.useful_combinations
    (48, 33)
    """
    _require_mode(mode)
    require_sizes("input_shape", input_shape, "c h w")
    c, size = input_shape[0], input_shape[1:]
    k, s, p = _read_window(size, kernel_size, stride, padding)
    o = conv_output_shape(size, k, s, p)
    outputs = prod(o)
    pixels = prod(_pixels_read(size[a], k[a], s[a], p[a], o[a]) for a in (0, 1))
    rows_used = (o[0] - 1) * min(s[0], k[0]) + k[0]
    separable = rows_used * o[1] * (k[1] - 1) + outputs * (k[0] - 1)
    return PoolCost(
        activations=c * outputs,
        combinations=c * outputs * (prod(k) - 1),
        useful_combinations=c * (pixels - outputs),
        separable=c * separable,
        divisions=0 if mode == "max" else c * outputs,
    )


def _pixels_read(n: int, k: int, s: int, p: int, outputs: int) -> int:
    """Count the pixels in each window on one axis of n pixels, and add them up."""
    starts = (i * s - p for i in range(outputs))
    return sum(min(start + k, n) - max(start, 0) for start in starts)


def _compare(players: int, nonnegative: bool) -> Tensor:
    """Return the rows a - b, b, -b for each match of a round, then c, -c for a bye.

    Without negative numbers the rows -b and -c are left out.
    """
    x = torch.eye(players)
    rows = []
    for i in range(0, players - 1, 2):
        rows += [x[i] - x[i + 1], *_carry(x[i + 1], nonnegative)]
    if players % 2:
        rows += _carry(x[-1], nonnegative)
    return torch.stack(rows)


def _carry(row: Tensor, nonnegative: bool) -> list[Tensor]:
    """Return the rows that bring a number through a ReLU."""
    return [row] if nonnegative else [row, -row]


def _winners(players: int, nonnegative: bool) -> Tensor:
    """Return the rows that add up one round, after its ReLU, to its winners."""
    carried = torch.ones(1, 1) if nonnegative else torch.tensor([[1.0, -1.0]])
    match = torch.cat([torch.ones(1, 1), carried], dim=1)
    matches, bye = divmod(players, 2)
    return torch.block_diag(*[match] * matches, *[carried] * bye)


def _windows(X: Tensor, k: Pair, s: Pair, p: Pair) -> Float[Tensor, "n c o_h o_w k"]:
    """Return the pixels of each window along a last axis, zeros for the padding."""
    padded = F.pad(X, (p[1], p[1], p[0], p[0]))
    return padded.unfold(2, k[0], s[0]).unfold(3, k[1], s[1]).flatten(-2)


def _inside(X: Tensor, k: Pair, s: Pair, p: Pair) -> Bool[Tensor, "1 1 o_h o_w k"]:
    """Return which entries of `_windows` are pixels of the input."""
    return _windows(torch.ones_like(X[:1, :1]), k, s, p) > 0


def _check(
    X: Tensor, kernel_size: IntOrPair, stride: IntOrPair | None, padding: IntOrPair
) -> tuple[Pair, Pair, Pair]:
    """Check the input of a pooling layer and read its window, stride and padding."""
    require_layout("X", X, "n c h w")
    _require_float(X)
    return _read_window((X.shape[2], X.shape[3]), kernel_size, stride, padding)


def _read_window(
    size: Pair, kernel_size: IntOrPair, stride: IntOrPair | None, padding: IntOrPair
) -> tuple[Pair, Pair, Pair]:
    """Read window, stride and padding, and check that every window holds a pixel."""
    k = as_pair("kernel_size", kernel_size, minimum=1)
    s = k if stride is None else as_pair("stride", stride, minimum=1)
    p = as_pair("padding", padding, minimum=0)
    if p[0] > k[0] // 2 or p[1] > k[1] // 2:
        raise ValueError(f"padding is {p}, but must be at most half the window {k}")
    conv_output_shape(size, k, s, p)  # refuses a window larger than the padded input
    return k, s, p


def _require_float(X: Tensor) -> None:
    """Refuse integers: their average would be rounded without a word."""
    if not X.is_floating_point():
        raise ValueError(f"X has dtype {X.dtype}, but must be floating point")


def _require_mode(mode: str) -> None:
    """Refuse a kind of pooling that is not there."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}, but must be one of {MODES}")
