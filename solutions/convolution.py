"""Section 6.2, convolutions for images: four ways to compute one, and its kernels.

Belongs here: cross-correlation, convolution, both as matrix products, kernels for
derivatives and blurs, learning a kernel. Does not belong here: output shapes
(`padding_stride`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, hypot, isfinite, prod

import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.padding_stride import conv_output_shape
from solutions.shapes import IntOrPair, as_pair, require_layout, require_one_dtype


def corr2d(X: Num[Tensor, "h w"], K: Num[Tensor, "k_h k_w"]) -> Num[Tensor, "o_h o_w"]:
    """Cross-correlate one channel with one kernel, output by output.

    ``Y[i, j]`` is the sum of the window of `X` at (i, j) times `K`, element by
    element. Autograd can differentiate it with respect to both arguments.

    Args:
        X: the input, any dtype.
        K: the kernel, any dtype.

    Returns:
        The output, o_h = h - k_h + 1 by o_w = w - k_w + 1, in the dtype to which
        PyTorch promotes `X` and `K`: integers stay integers, uint8 wraps at 256.

    Raises:
        ValueError: if an argument is not 2-D, or the kernel is larger than the input.

    Source: D2L section 6.2, equation (6.2.1).

    >>> corr2d(torch.arange(9).reshape(3, 3), torch.tensor([[0, 1], [2, 3]]))
    tensor([[19, 25],
            [37, 43]])
    """
    require_layout("X", X, "h w")
    require_layout("K", K, "k_h k_w")
    (h, w), (k_h, k_w) = X.shape, K.shape
    o_h, o_w = conv_output_shape((h, w), (k_h, k_w))
    Y = torch.zeros(o_h, o_w, dtype=torch.result_type(X, K), device=X.device)
    for i in range(o_h):
        for j in range(o_w):
            Y[i, j] = (X[i : i + k_h, j : j + k_w] * K).sum()
    return Y


def conv2d_full(
    X: Num[Tensor, "h w"], K: Num[Tensor, "k_h k_w"]
) -> Num[Tensor, "o_h o_w"]:
    """Convolve one channel with one kernel: the flipped kernel at every overlap.

    Args:
        X: the input, any dtype.
        K: the kernel, any dtype; it may be larger than the input.

    Returns:
        The output, o_h = h + k_h - 1 by o_w = w + k_w - 1; exact for integers, as
        long as the sums fit into their dtype: uint8 wraps around at 256.

    Raises:
        ValueError: if an argument is not 2-D.

    Source: D2L section 6.1, equation (6.1.6), and section 6.2.5.

    >>> conv2d_full(torch.tensor([[1, 2]]), torch.tensor([[3, 5]]))
    tensor([[ 3, 11, 10]])
    """
    require_layout("X", X, "h w")
    require_layout("K", K, "k_h k_w")
    k_h, k_w = K.shape
    padded = F.pad(X, (k_w - 1, k_w - 1, k_h - 1, k_h - 1))
    return corr2d(padded, K.flip(0, 1))


class Conv2D(nn.Module):
    """The convolution layer of the book: one channel, a learnable kernel and bias.

    Args:
        kernel_size: height and width of the kernel, which starts as uniform random
            numbers from [0, 1). The bias starts at zero.

    Raises:
        ValueError: if `kernel_size` is not an int or a pair, or is below 1.

    Source: D2L section 6.2.2.

    >>> Conv2D((1, 2))(torch.ones(6, 8)).shape
    torch.Size([6, 7])
    """

    def __init__(self, kernel_size: IntOrPair) -> None:
        super().__init__()
        size = as_pair("kernel_size", kernel_size, minimum=1)
        self.weight = nn.Parameter(torch.rand(size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X: Num[Tensor, "h w"]) -> Float[Tensor, "o_h o_w"]:
        """Cross-correlate `X`, which must be 2-D, with the kernel and add the bias."""
        return corr2d(X, self.weight) + self.bias


def im2col(
    X: Num[Tensor, "n c h w"],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Num[Tensor, "n taps positions"]:
    """Copy every window of a batch of images into a column.

    Args:
        X: the images, any dtype.
        kernel_size: height and width of the window, (k_h, k_w).
        stride: step between neighbouring windows.
        padding: zeros added on each side.
        dilation: distance between neighbouring taps of the window.

    Returns:
        For each image the matrix of its windows: one column per output position,
        row by row, so o_h * o_w columns; in each column c * k_h * k_w values, the
        window of channel 0 first. `torch.nn.functional.unfold` has the same order.

    Raises:
        ValueError: if `X` is not 4-D, a size is wrong, or the window does not fit.

    Source: D2L section 6.2, exercise 6.2.3.

    >>> im2col(torch.arange(9).reshape(1, 1, 3, 3), kernel_size=2)
    tensor([[[0, 1, 3, 4],
             [1, 2, 4, 5],
             [3, 4, 6, 7],
             [4, 5, 7, 8]]])
    """
    require_layout("X", X, "n c h w")
    k_h, k_w = as_pair("kernel_size", kernel_size, minimum=1)
    s_h, s_w = as_pair("stride", stride, minimum=1)
    p_h, p_w = as_pair("padding", padding, minimum=0)
    d_h, d_w = as_pair("dilation", dilation, minimum=1)
    n, c, h, w = X.shape
    o_h, o_w = conv_output_shape((h, w), kernel_size, stride, padding, dilation)
    X = F.pad(X, (p_w, p_w, p_h, p_h))
    # Over all windows at once, tap (a, b) sees a strided piece of the image.
    end_h, end_w = s_h * (o_h - 1) + 1, s_w * (o_w - 1) + 1
    seen = [
        X[:, :, a : a + end_h : s_h, b : b + end_w : s_w]
        for a in range(0, d_h * k_h, d_h)
        for b in range(0, d_w * k_w, d_w)
    ]
    return torch.stack(seen, dim=2).reshape(n, c * k_h * k_w, o_h * o_w)


def conv2d_matmul(
    X: Num[Tensor, "n c_i h w"],
    W: Num[Tensor, "c_o c_g k_h k_w"],
    bias: Num[Tensor, " c_o"] | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Num[Tensor, "n c_o o_h o_w"]:
    """Cross-correlate a batch with many kernels: one matrix product per group.

    Args:
        X: the images, any dtype.
        W: the kernels, of the dtype of `X`; c_g = c_i / groups.
        bias: one number per output channel, of the dtype of `X`; None for no bias.
        stride: step between neighbouring windows.
        padding: zeros added on each side.
        dilation: distance between neighbouring taps of the window.
        groups: number of groups into which both kinds of channels are divided.

    Returns:
        The output of `torch.nn.functional.conv2d` for the same arguments.

    Raises:
        ValueError: if a tensor has the wrong number of axes or channels, or another
            dtype than `X`, a size is wrong, or the window does not fit.

    Source: D2L section 6.2, exercise 6.2.3; section 6.4, exercise 6.4.6.

    >>> X = torch.arange(9).reshape(1, 1, 3, 3)
    >>> conv2d_matmul(X, torch.tensor([[[[0, 1], [2, 3]]]]))
    tensor([[[[19, 25],
              [37, 43]]]])
    """
    require_layout("X", X, "n c_i h w")
    require_layout("W", W, "c_o c_i/groups k_h k_w")
    (n, c_i, h, w), (c_o, c_g, k_h, k_w) = X.shape, W.shape
    if groups < 1 or c_g * groups != c_i or c_o % groups:
        raise ValueError(
            f"groups is {groups}, but must divide the {c_o} output channels of W and "
            f"make {c_i} input channels of X: W has shape {tuple(W.shape)}"
        )
    if bias is not None and bias.shape != (c_o,):
        raise ValueError(
            f"bias has shape {tuple(bias.shape)}, but must be ({c_o},), "
            "one number per output channel"
        )
    require_one_dtype(X=X, W=W, bias=bias)
    o_h, o_w = conv_output_shape((h, w), (k_h, k_w), stride, padding, dilation)
    columns = im2col(X, (k_h, k_w), stride, padding, dilation)
    columns = columns.reshape(n, groups, c_g * k_h * k_w, o_h * o_w)
    kernels = W.reshape(groups, c_o // groups, c_g * k_h * k_w)
    Y = (kernels @ columns).reshape(n, c_o, o_h, o_w)
    return Y if bias is None else Y + bias.reshape(c_o, 1, 1)


def toeplitz_matrix(
    K: Num[Tensor, "k_h k_w"],
    input_shape: tuple[int, int],
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
) -> Num[Tensor, "outputs inputs"]:
    """Write cross-correlation with `K` as the matrix of a linear map.

    Args:
        K: the kernel, any dtype.
        input_shape: height and width of the input, (h, w).
        stride: step between neighbouring windows.
        padding: zeros added on each side of the input.

    Returns:
        T, shape (o_h * o_w, h * w), so that ``T @ X.flatten()`` is the flattened
        output. Row i * o_w + j is the kernel, laid into a zero image at the place
        of window (i, j), flattened.

    Raises:
        ValueError: if `K` is not 2-D, a size is wrong, or the kernel does not fit.

    Source: D2L section 6.2, exercise 6.2.3.

    >>> toeplitz_matrix(torch.tensor([[0, 1], [2, 3]]), (3, 3))
    tensor([[0, 1, 0, 2, 3, 0, 0, 0, 0],
            [0, 0, 1, 0, 2, 3, 0, 0, 0],
            [0, 0, 0, 0, 1, 0, 2, 3, 0],
            [0, 0, 0, 0, 0, 1, 0, 2, 3]])
    """
    require_layout("K", K, "k_h k_w")
    k_h, k_w = K.shape
    h, w = as_pair("input_shape", input_shape, minimum=1)
    s_h, s_w = as_pair("stride", stride, minimum=1)
    p_h, p_w = as_pair("padding", padding, minimum=0)
    o_h, o_w = conv_output_shape((h, w), (k_h, k_w), stride, padding)
    T = K.new_zeros(o_h, o_w, h + 2 * p_h, w + 2 * p_w)
    for i in range(o_h):
        for j in range(o_w):
            top, left = i * s_h, j * s_w
            T[i, j, top : top + k_h, left : left + k_w] = K
    # A tap on the padding meets a zero there, so its column can be left out.
    return T[:, :, p_h : p_h + h, p_w : p_w + w].reshape(o_h * o_w, h * w)


def smallest_derivative_kernel(
    offsets: Sequence[int | float | Fraction],
) -> Float64[Tensor, " taps"]:
    """Find the kernel of d + 1 taps that computes the derivative of order d.

    The values of a function at the offsets fix one polynomial of degree d. Its d-th
    derivative, a constant, is a weighted sum of the values; these are the weights.
    They are computed as fractions and rounded once, at the end.

    Args:
        offsets: the d + 1 places of the taps, in grid steps from the point at which
            the derivative is taken; they need not be integers or neighbours.

    Returns:
        The weights, in the order of `offsets`, to be applied by cross-correlation
        and divided by the d-th power of the grid step.

    Raises:
        ValueError: if there is no offset, one is not finite, or two are equal.

    Source: D2L section 6.2, exercise 6.2.4.

    >>> smallest_derivative_kernel([-1, 0, 1])
    tensor([ 1., -2.,  1.], dtype=torch.float64)
    """
    if not offsets or not all(isfinite(offset) for offset in offsets):
        raise ValueError(
            f"offsets is {list(offsets)}, but must have at least one, all finite"
        )
    places = [Fraction(offset) for offset in offsets]
    if len(set(places)) != len(places):
        raise ValueError(f"offsets is {list(offsets)}, but all must be different")
    weights = [
        factorial(len(places) - 1) / prod(o - other for other in places if other != o)
        for o in places
    ]
    return torch.tensor([float(w) for w in weights], dtype=torch.float64)


def directional_kernel(v: tuple[float | int, float | int]) -> Float64[Tensor, "3 3"]:
    """Find the kernel that differentiates along a direction.

    It is the combination ``v_1 K_x + v_2 K_y`` of Sobel's two kernels, divided by 8 so
    that a slope of 1 per pixel gives 1. It answers most to edges that are orthogonal
    to `v`, and not to edges along `v`.

    Args:
        v: the direction (v_1, v_2), of any length but zero: v_1 to the right, along a
            row of the image, and v_2 down, along a column.

    Returns:
        The kernel, to be applied by cross-correlation.

    Raises:
        ValueError: if `v` is no pair, is zero, or is not finite.

    Source: D2L edition 1.0, exercise 7.2.2.

    >>> directional_kernel((0, 1)) * 8
    tensor([[-1., -2., -1.],
            [ 0.,  0.,  0.],
            [ 1.,  2.,  1.]], dtype=torch.float64)
    """
    length = hypot(*v)
    if len(v) != 2 or not isfinite(length) or length == 0:
        raise ValueError(f"v is {v}, but must be a pair, finite and not zero")
    smooth = torch.tensor([1, 2, 1], dtype=torch.float64) / 4
    difference = torch.tensor([-1, 0, 1], dtype=torch.float64) / 2
    K_x = torch.outer(smooth, difference)
    return (v[0] * K_x + v[1] * K_x.T) / length


def blur_kernel(size: int) -> Float64[Tensor, "k k"]:
    """Find the binomial kernel, which blurs alike in both directions.

    It is the outer product of row ``size - 1`` of Pascal's triangle, divided by its
    sum, with itself.

    Args:
        size: height and width of the kernel, in pixels; odd, so that it has a centre.

    Returns:
        The weights, all positive, with the sum 1.

    Raises:
        ValueError: if `size` is even or below 1.

    Source: D2L edition 1.0, exercise 7.2.2.

    >>> blur_kernel(3) * 16
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]], dtype=torch.float64)
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size is {size}, but must be odd and at least 1")
    row = torch.tensor([comb(size - 1, k) for k in range(size)], dtype=torch.float64)
    return torch.outer(row, row) / 4 ** (size - 1)


@dataclass(frozen=True)
class LearnedKernel:
    """What `learn_kernel` found.

    Attributes:
        losses: the loss before each step.
        weight: the kernel after the last step, shape (k_h, k_w).
        bias: the bias after the last step.
    """

    losses: tuple[float, ...]
    weight: Float[Tensor, "k_h k_w"]
    bias: float


def learn_kernel(
    X: Float[Tensor, "h w"],
    Y: Float[Tensor, "o_h o_w"],
    weight: Float[Tensor, "k_h k_w"],
    *,
    lr: float,
    num_steps: int,
    update_bias: bool = False,
) -> LearnedKernel:
    """Learn the kernel that turns `X` into `Y`, by gradient descent.

    The loss is the sum, not the mean, of the squared errors, as in the book.

    Args:
        X: the input of the hand-written layer.
        Y: the output wanted.
        weight: the kernel to start from. The bias starts at zero.
        lr: the learning rate.
        num_steps: number of steps, each on the whole of `X`.
        update_bias: whether the bias is learned too; the book leaves it at zero.

    Returns:
        The losses, and what was learned, in the dtype of `weight`.

    Raises:
        ValueError: if a tensor is not 2-D, or `Y` has not the shape of the output.

    Source: D2L section 6.2.4.

    >>> X = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    >>> learned = learn_kernel(
    ...     X, X[:, :3] - X[:, 1:], torch.zeros(1, 2), lr=0.25, num_steps=3
    ... )
    >>> learned.losses, learned.weight
    ((2.0, 0.5, 0.125), tensor([[ 0.8750, -0.8750]]))
    """
    require_layout("weight", weight, "k_h k_w")
    layer = Conv2D((weight.shape[0], weight.shape[1]))
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(weight.new_zeros(1), requires_grad=update_bias)
    optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr)
    losses = []
    for _ in range(num_steps):
        Y_hat = layer(X)
        if Y.shape != Y_hat.shape:
            raise ValueError(
                f"Y has shape {tuple(Y.shape)}, but must be {tuple(Y_hat.shape)}, "
                "the shape of the output"
            )
        loss = ((Y_hat - Y) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return LearnedKernel(tuple(losses), layer.weight.detach(), layer.bias.item())
