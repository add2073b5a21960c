"""Section 6.4, many channels: composing layers, taking them apart, their exact cost.

Belongs here: sums over channels, products and factors of kernels, counting. Does not
belong here: one channel and matrix products (`convolution`), pooling (`pooling`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64, Num
from torch import Tensor

from solutions.convolution import corr2d
from solutions.padding_stride import conv_output_shape
from solutions.shapes import (
    IntOrPair,
    as_pair,
    require_layout,
    require_one_dtype,
    require_sizes,
)

# A difference this small, relative to the largest tap, counts as rounding.
ROUNDING = 1e-12

Taps = npt.NDArray[np.floating]


def corr2d_multi_in(
    X: Num[Tensor, "c_i h w"], K: Num[Tensor, "c_i k_h k_w"]
) -> Num[Tensor, "o_h o_w"]:
    """Cross-correlate each channel with its own kernel and add, channel 0 first.

    Args:
        X: the input, any dtype.
        K: one kernel per input channel.

    Returns:
        The single output channel, o_h = h - k_h + 1 by o_w = w - k_w + 1.

    Raises:
        ValueError: if an argument is not 3-D, the numbers of channels differ, or the
            kernel is larger than the input.

    Source: D2L section 6.4.1.

    >>> X = torch.arange(18).reshape(2, 3, 3)
    >>> corr2d_multi_in(X, torch.tensor([[[0, 1], [2, 3]], [[1, 0], [0, 0]]]))
    tensor([[28, 35],
            [49, 56]])
    """
    require_layout("X", X, "c_i h w")
    require_layout("K", K, "c_i k_h k_w")
    if len(X) != len(K):
        raise ValueError(
            f"K has shape {tuple(K.shape)}, but must be ({len(X)}, k_h, k_w) "
            f"for the {len(X)} channels of X"
        )
    Y = corr2d(X[0], K[0])
    for x, k in zip(X[1:], K[1:], strict=True):
        # A loop, not `sum` over a stack: the order of the additions is part of 6.4.5.
        Y = Y + corr2d(x, k)
    return Y


def corr2d_multi_in_out(
    X: Num[Tensor, "c_i h w"], K: Num[Tensor, "c_o c_i k_h k_w"]
) -> Num[Tensor, "c_o o_h o_w"]:
    """Cross-correlate all input channels once for each output channel.

    Args:
        X: the input, any dtype.
        K: for each output channel, one kernel per input channel.

    Returns:
        The output channels, o_h = h - k_h + 1 by o_w = w - k_w + 1.

    Raises:
        ValueError: if an argument has the wrong number of axes or input channels, or
            the kernel is larger than the input.

    Source: D2L section 6.4.2.

    >>> K = torch.tensor([[[[1]], [[0]]], [[[1]], [[-1]]]])
    >>> corr2d_multi_in_out(torch.tensor([[[5, 6]], [[1, 2]]]), K)
    tensor([[[5, 6]],
    <BLANKLINE>
            [[4, 4]]])
    """
    require_layout("X", X, "c_i h w")
    require_layout("K", K, "c_o c_i k_h k_w")
    if K.shape[1] != len(X):
        raise ValueError(
            f"K has shape {tuple(K.shape)}, but must be (c_o, {len(X)}, k_h, k_w) "
            f"for the {len(X)} channels of X"
        )
    return torch.stack([corr2d_multi_in(X, k) for k in K])


def corr2d_multi_in_out_1x1(
    X: Num[Tensor, "c_i h w"], K: Num[Tensor, "c_o c_i 1 1"]
) -> Num[Tensor, "c_o h w"]:
    """Apply 1x1 kernels as one matrix product over the channels of every pixel.

    Args:
        X: the input, any dtype.
        K: the kernels, of the dtype of `X`; height and width are 1.

    Returns:
        The output channels, as high and as wide as the input.

    Raises:
        ValueError: if an argument has the wrong number of axes or input channels, the
            kernels are not 1x1, or the dtypes differ.

    Source: D2L section 6.4.3, exercise 6.4.5.

    >>> K = torch.tensor([[[[1]], [[0]]], [[[1]], [[-1]]]])
    >>> corr2d_multi_in_out_1x1(torch.tensor([[[5, 6]], [[1, 2]]]), K)
    tensor([[[5, 6]],
    <BLANKLINE>
            [[4, 4]]])
    """
    require_layout("X", X, "c_i h w")
    require_layout("K", K, "c_o c_i 1 1")
    (c_i, h, w), c_o = X.shape, K.shape[0]
    if K.shape[1:] != (c_i, 1, 1):
        raise ValueError(
            f"K has shape {tuple(K.shape)}, but must be (c_o, {c_i}, 1, 1) "
            f"for the {c_i} channels of X"
        )
    require_one_dtype(X=X, K=K)
    return (K.reshape(c_o, c_i) @ X.reshape(c_i, h * w)).reshape(c_o, h, w)


def compose_convs(
    W1: Num[Tensor, "c_m c_i a_h a_w"],
    b1: Num[Tensor, " c_m"] | None,
    W2: Num[Tensor, "c_o c_m b_h b_w"],
    b2: Num[Tensor, " c_o"] | None,
    stride1: IntOrPair = 1,
    stride2: IntOrPair = 1,
) -> tuple[Num[Tensor, "c_o c_i k_h k_w"], Num[Tensor, " c_o"] | None, tuple[int, int]]:
    """Find the one convolution layer that equals two without padding in a row.

    A step of one pixel in the output of layer 1 is a step of `stride1` pixels in its
    input, so tap (u, v) of layer 2 lays a copy of `W1` at (u, v) times `stride1`.

    Args:
        W1: kernels of the layer that sees the input, of any dtype, the same for all.
        b1: its bias, or None for no bias.
        W2: kernels of the layer that sees the output of the first.
        b2: its bias, or None for no bias.
        stride1: stride of the first layer.
        stride2: stride of the second layer.

    Returns:
        The kernels, k = a + (b - 1) * stride1 per axis; the bias, None if both are;
        the stride, stride1 * stride2 per axis.

    Raises:
        ValueError: if a tensor has the wrong number of axes, the channels between the
            layers or the biases do not fit, the dtypes differ, or a stride is below 1.

    Source: D2L section 6.4, exercise 6.4.1 a and b.

    >>> W1, W2 = torch.tensor([[[[1, 2]]]]), torch.tensor([[[[3, 5]]]])
    >>> compose_convs(W1, torch.tensor([1]), W2, None)
    (tensor([[[[ 3, 11, 10]]]]), tensor([8]), (1, 1))
    """
    require_layout("W1", W1, "c_m c_i a_h a_w")
    require_layout("W2", W2, "c_o c_m b_h b_w")
    s1_h, s1_w = as_pair("stride1", stride1, minimum=1)
    s2_h, s2_w = as_pair("stride2", stride2, minimum=1)
    (c_m, c_i, a_h, a_w), (c_o, c_m2, b_h, b_w) = W1.shape, W2.shape
    if c_m2 != c_m:
        raise ValueError(
            f"W2 has shape {tuple(W2.shape)}, but must be (c_o, {c_m}, b_h, b_w) "
            f"for the {c_m} channels that W1 writes"
        )
    for name, bias, channels in (("b1", b1, c_m), ("b2", b2, c_o)):
        if bias is not None and bias.shape != (channels,):
            raise ValueError(
                f"{name} has shape {tuple(bias.shape)}, but must be ({channels},)"
            )
    require_one_dtype(W1=W1, b1=b1, W2=W2, b2=b2)
    k_h, k_w = a_h + (b_h - 1) * s1_h, a_w + (b_w - 1) * s1_w
    W = W1.new_zeros(c_o, c_i, k_h, k_w)
    for u in range(b_h):
        for v in range(b_w):
            copy = torch.einsum("om,mihw->oihw", W2[:, :, u, v], W1)
            top, left = u * s1_h, v * s1_w
            W[:, :, top : top + a_h, left : left + a_w] += copy
    # What layer 1 adds everywhere, layer 2 multiplies by the sum of its taps.
    b = b2 if b1 is None else W2.sum((2, 3)) @ b1 + (0 if b2 is None else b2)
    return W, b, (s1_h * s2_h, s1_w * s2_w)


def split_by_axis(
    W: Num[Tensor, "c_o c_i k_h k_w"],
) -> tuple[Float64[Tensor, "c_m c_i k_h 1"], Float64[Tensor, "c_o c_m 1 k_w"]]:
    """Take a layer apart into one of columns and one of rows, with fewest channels.

    The two layers compose to ``W[o, i, u, v] = sum_m W1[m, i, u] W2[o, m, v]``. That is
    a product of matrices, with rows (i, u) and columns (o, v). So the fewest channels
    between the layers are the rank of this matrix, and the singular value decomposition
    gives such a product.

    Args:
        W: the kernels of the layer, real, not all zero.

    Returns:
        The kernels of the layer that sees the input, k_h pixels high, and those of the
        layer after it, k_w pixels wide. Singular values of less than 1e-12 times the
        largest count as zero.

    Raises:
        ValueError: if `W` has the wrong number of axes, is complex, not finite or zero.

    Source: D2L edition 1.0, section 7.4, exercise 7.4.1.

    >>> [tuple(K.shape) for K in split_by_axis(torch.tensor([[[[1, 2], [2, 4]]]]))]
    [(1, 1, 2, 1), (1, 1, 1, 2)]
    """
    require_layout("W", W, "c_o c_i k_h k_w")
    if W.is_complex() or not W.isfinite().all() or not W.any():
        raise ValueError("W must be real, finite and not zero throughout")
    c_o, c_i, k_h, k_w = W.shape
    matrix = W.double().permute(1, 2, 0, 3).reshape(c_i * k_h, c_o * k_w)
    U, sigma, V = torch.linalg.svd(matrix, full_matrices=False)
    rank = int((sigma > ROUNDING * sigma[0]).sum())
    root = sigma[:rank].sqrt()
    W1 = (U[:, :rank] * root).T.reshape(rank, c_i, k_h, 1)
    W2 = (root[:, None] * V[:rank]).reshape(rank, c_o, 1, k_w)
    return W1, W2.transpose(0, 1)


def factor_kernel_1d(
    k: Num[Tensor, " n"], sizes: IntOrPair
) -> tuple[Float64[Tensor, " k_1"], Float64[Tensor, " k_2"]]:
    """Write a real kernel as the full convolution of two real kernels.

    The taps are the coefficients of a polynomial, a convolution is a product of
    polynomials. Over the reals it splits into linear and quadratic factors, and the
    first kernel is a product of some of them. Which ones is not unique.

    Args:
        k: the kernel, n = sizes[0] + sizes[1] - 1 taps, real. Ends may be zero.
        sizes: numbers of taps of the two factors, (k_1, k_2).

    Returns:
        The two factors; each tap of their convolution is within 1e-9 times the largest
        tap of `k` of that of `k`. A root whose imaginary part is less than 1e-6 of its
        magnitude counts as real: rounding makes such pairs of a double real root.

    Raises:
        ValueError: if `k` has not that many taps, all of them real and finite, or no
            such factors exist: both have an odd degree, k_1 - 1 and k_2 - 1, and `k`
            has no real root, not even at 0 or infinity.
        ArithmeticError: if the roots are so ill-conditioned that rounding spoils the
            factors, which happens to long kernels and to roots of high order.

    Source: D2L section 6.4, exercise 6.4.1 c.

    >>> a, b = factor_kernel_1d(torch.tensor([1, 3, 2]), sizes=2)
    >>> torch.from_numpy(np.convolve(a, b).round(9))
    tensor([1., 3., 2.], dtype=torch.float64)
    >>> factor_kernel_1d(torch.tensor([1, 0, 1]), sizes=2)
    Traceback (most recent call last):
    ValueError: k is [1, 0, 1] and has no real root, but factors of 2 and 2 taps both \
have an odd degree, which needs one
    """
    require_layout("k", k, "n")
    k_1, k_2 = as_pair("sizes", sizes, minimum=1)
    if len(k) != k_1 + k_2 - 1:
        raise ValueError(
            f"k has {len(k)} taps, but factors of {k_1} and {k_2} taps make "
            f"{k_1 + k_2 - 1}"
        )
    if k.is_complex() or not k.isfinite().all():
        raise ValueError(f"k is {k.tolist()}, but its taps must be real and finite")
    taps: Taps = k.detach().cpu().double().numpy()
    largest = np.abs(taps).max()
    if largest == 0:
        return torch.zeros(k_1).double(), torch.zeros(k_2).double()
    taps = taps / largest
    used = np.flatnonzero(np.abs(taps) > ROUNDING)
    first, last = used[0], used[-1]
    roots = np.roots(taps[first : last + 1][::-1])
    real = np.isclose(roots.real, roots, rtol=1e-6, atol=0)
    # A zero tap at the front is a root at 0, one at the end a root at infinity.
    linear = [[0.0, 1.0]] * first + [[1.0, 0.0]] * (len(k) - 1 - last)
    linear += [[-z.real, 1.0] for z in roots[real]]
    quadratic = [[abs(z) ** 2, -2 * z.real, 1.0] for z in roots[~real] if z.imag > 0]
    num_quadratic = min((k_1 - 1) // 2, len(quadratic))
    num_linear = k_1 - 1 - 2 * num_quadratic
    if num_linear > len(linear):
        raise ValueError(
            f"k is {k.tolist()} and has no real root, but factors of {k_1} and "
            f"{k_2} taps both have an odd degree, which needs one"
        )
    chosen = [*linear[:num_linear], *quadratic[:num_quadratic]]
    a: Taps = np.ones(1)
    for factor in chosen:
        a = np.convolve(a, factor)
    # The other factor is the quotient: the best b for a * b = k.
    times_a = np.stack([np.convolve(a, unit) for unit in np.eye(k_2)], axis=1)
    b: Taps = np.linalg.lstsq(times_a, taps, rcond=None)[0]
    if np.abs(np.convolve(a, b) - taps).max() > 1e-9:
        raise ArithmeticError(f"k is {k.tolist()}: rounding spoils its factors")
    return torch.from_numpy(a), torch.from_numpy(b * largest)


def _height(z: complex) -> float:
    """Return how far a number is from the real line, infinity being a real point."""
    return abs(z.imag) / (1 + abs(z) ** 2)


def split_3x3(
    K: Num[Tensor, "3 3"],
) -> tuple[Float64[Tensor, "2 1 2 2"], Float64[Tensor, "1 2 2 2"]]:
    """Write a real 3x3 kernel as two 2x2 layers with two channels between them.

    Tap (u, v) is the coefficient of x^u y^v. Where the polynomial has a zero with both
    coordinates not real, it is A_1 B_1 + A_2 B_2, with A_1 and A_2 a basis of the real
    2x2 kernels that vanish there too. Where it has none it is a column times a row,
    both with real roots only, and one channel is enough.

    Args:
        K: the kernel, real.

    Returns:
        The kernels of the first layer, A, and of the second, B.

    Raises:
        ValueError: if `K` is not 3x3, or has taps that are not real and finite.
        ArithmeticError: if rounding spoils the factors by more than 1e-6 times the
            largest tap, which may happen very near to a separable kernel.

    Source: D2L section 6.4, exercise 6.4.1 c.

    >>> A, B = split_3x3(torch.tensor([[1, 0, 1], [0, 0, 0], [1, 0, 0]]))
    >>> W, _, _ = compose_convs(A, None, B, None)
    >>> W.round(decimals=9).abs()[0, 0]
    tensor([[1., 0., 1.],
            [0., 0., 0.],
            [1., 0., 0.]], dtype=torch.float64)
    """
    if K.shape != (3, 3) or K.is_complex() or not K.isfinite().all():
        raise ValueError(
            f"K has shape {tuple(K.shape)} and dtype {K.dtype}, but must be (3, 3), "
            "real and finite"
        )
    largest = K.abs().max().item() or 1.0
    taps = K.detach().cpu().double().numpy() / largest
    powers = np.arange(3)
    zeros = []
    for z in (1j, 2j, 1 + 1j):  # three are enough, by the proof in the book
        for row, turned in ((z**powers @ taps, False), (taps @ z**powers, True)):
            found = [1j] if np.abs(row).max() < ROUNDING else np.roots(row[::-1])
            points = [complex(root) for root in found]
            zeros += [(root, z) if turned else (z, root) for root in points]
    x, y = max(zeros, key=lambda zero: min(map(_height, zero)), default=(0j, 0j))
    if min(_height(x), _height(y)) > 1e-6:
        point = np.array([1, y, x, x * y])
        A = np.linalg.svd(np.stack([point.real, point.imag]))[2][2:]
    else:
        U, sigma, V = np.linalg.svd(taps)
        parts = [torch.from_numpy(part) for part in (sigma[0] * U[:, 0], V[0])]
        column, row = (factor_kernel_1d(part, 2)[0].numpy() for part in parts)
        A = np.outer(column, row).reshape(1, 4).repeat(2, axis=0) * [[1], [0]]
    # One column per tap of the second layer: where it lays the first kernel.
    laid = np.zeros((2, 2, 2, 3, 3))
    for u in range(2):
        for v in range(2):
            laid[:, u, v, u : u + 2, v : v + 2] = A.reshape(2, 2, 2)
    matrix = laid.reshape(8, 9).T
    B = np.linalg.lstsq(matrix, taps.flatten(), rcond=None)[0]
    if np.abs(matrix @ B - taps.flatten()).max() > 1e-6:
        raise ArithmeticError(f"K is {K.tolist()}: rounding spoils its factors")
    W1, W2 = torch.from_numpy(A).reshape(2, 1, 2, 2), torch.from_numpy(B * largest)
    return W1, W2.reshape(1, 2, 2, 2)


def corr2d_strips(
    X: Num[Tensor, "h w"], K: Num[Tensor, "k_h k_w"], delta: int
) -> tuple[Num[Tensor, "o_h o_w"], int]:
    """Cross-correlate in horizontal strips, and count the pixels that are read.

    For `delta` rows of the output, one strip of ``delta + k_h - 1`` rows of the input
    is walked from left to right. Only its last k_w columns are held in fast memory, so
    each pixel of the strip is read once.

    Args:
        X: the input, any dtype.
        K: the kernel.
        delta: rows of the output per strip; the last strip may have fewer.

    Returns:
        The output, o_h = h - k_h + 1 by o_w = w - k_w + 1, and the number of reads.

    Raises:
        ValueError: if an argument is not 2-D, the kernel is larger than the input, or
            `delta` below 1.

    Source: D2L edition 1.0, section 7.4, exercise 7.4.6.

    >>> X, K = torch.arange(12).reshape(4, 3), torch.tensor([[1], [1]])
    >>> [corr2d_strips(X, K, delta)[1] for delta in (1, 3)]
    [18, 12]
    """
    require_layout("X", X, "h w")
    require_layout("K", K, "k_h k_w")
    if delta < 1:
        raise ValueError(f"delta is {delta}, but must be at least 1")
    k_h, k_w = K.shape
    o_h, _ = conv_output_shape((X.shape[0], X.shape[1]), (k_h, k_w))
    strips, reads = [], 0
    for top in range(0, o_h, delta):
        rows = X[top : min(top + delta, o_h) + k_h - 1]
        window: list[Tensor] = []
        outputs = []
        for column in rows.T:
            reads += len(column)
            window = [*window, column][-k_w:]
            if len(window) == k_w:
                outputs.append(corr2d(torch.stack(window, dim=1), K))
        strips.append(torch.cat(outputs, dim=1))
    return torch.cat(strips), reads


@dataclass(frozen=True)
class Operations:
    """How much arithmetic one pass takes.

    Attributes:
        multiplications: number of products.
        useful: those of the products whose factors are a weight, a pixel of the image
            or a gradient of an output; the others meet a zero of the padding.
        additions: number of additions.
    """

    multiplications: int
    useful: int
    additions: int

    def __add__(self, other: "Operations") -> "Operations":
        """Add two counts."""
        return Operations(
            self.multiplications + other.multiplications,
            self.useful + other.useful,
            self.additions + other.additions,
        )


@dataclass(frozen=True)
class ConvCost:
    """What one convolution layer costs, for a whole batch.

    Attributes:
        forward: the output, bias included.
        weight_grad: the gradient of the kernels.
        input_grad: the gradient of the input; zero if it is not needed.
        bias_grad: the gradient of the bias; zero if there is none.
        inputs: how many numbers the input has.
        outputs: how many numbers the output has.
        parameters: how many numbers kernels and bias have.
        saved: how many numbers autograd keeps for the backward pass: the input and
            the kernels, neither the output nor the bias.
        gradients: how many numbers the gradients of output, input (if needed) and
            parameters have, which the backward pass reads or writes.
    """

    forward: Operations
    weight_grad: Operations
    input_grad: Operations
    bias_grad: Operations
    inputs: int
    outputs: int
    parameters: int
    saved: int
    gradients: int

    @property
    def backward(self) -> Operations:
        """The three gradients together."""
        return self.weight_grad + self.input_grad + self.bias_grad


def _pixels_seen(n: int, k: int, stride: int, padding: int, outputs: int) -> list[int]:
    """List the pixel that each tap of each window on one axis meets, padding left out.

    A pixel is listed once for each window that sees it.
    """
    taps = (i * stride + u - padding for i in range(outputs) for u in range(k))
    return [pixel for pixel in taps if 0 <= pixel < n]


def conv_cost(
    X_shape: tuple[int, int, int, int],
    c_o: int,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    bias: bool = True,
    input_grad: bool = True,
) -> ConvCost:
    """Count what the defining sums of a convolution layer cost.

    A sum of m products is m multiplications and m - 1 additions; adding the bias is
    one more. The forward sums run over the padded image, as dense code does. The
    gradient of the input is summed for the pixels of the image only.

    Args:
        X_shape: shape of the input, (n, c_i, h, w). All counts are for the n images
            together.
        c_o: number of output channels.
        kernel_size: height and width of the window.
        stride: step between neighbouring windows.
        padding: zeros added on each side.
        bias: whether a bias is added to each output channel.
        input_grad: whether the backward pass needs the gradient of the input.

    Returns:
        The counts: operations in pairs of numbers, sizes in numbers (4 bytes each in
        float32).

    Raises:
        ValueError: if a size is wrong, or the window does not fit.

    Source: D2L section 6.4, exercises 6.4.2 to 6.4.4.

    >>> cost = conv_cost((1, 1, 6, 7), 2, kernel_size=3, padding=1, bias=False)
    >>> cost.forward
    Operations(multiplications=756, useful=608, additions=672)
    """
    require_sizes("X_shape", X_shape, "n c_i h w")
    if not isinstance(c_o, int) or c_o < 1:
        raise ValueError(f"c_o is {c_o!r}, but must be an int of at least 1")
    n, c_i, h, w = X_shape
    k_h, k_w = as_pair("kernel_size", kernel_size, minimum=1)
    s_h, s_w = as_pair("stride", stride, minimum=1)
    p_h, p_w = as_pair("padding", padding, minimum=0)
    o_h, o_w = conv_output_shape((h, w), kernel_size, stride, padding)
    rows = _pixels_seen(h, k_h, s_h, p_h, o_h)
    columns = _pixels_seen(w, k_w, s_w, p_w, o_w)

    inputs, outputs = n * c_i * h * w, n * c_o * o_h * o_w
    weights, biases = c_o * c_i * k_h * k_w, c_o if bias else 0
    products = outputs * c_i * k_h * k_w
    useful = n * c_o * c_i * len(rows) * len(columns)
    touched = n * c_i * len(set(rows)) * len(set(columns))
    none = Operations(0, 0, 0)
    return ConvCost(
        forward=Operations(products, useful, products - (0 if bias else outputs)),
        weight_grad=Operations(products, useful, products - weights),
        input_grad=Operations(useful, useful, useful - touched) if input_grad else none,
        bias_grad=Operations(0, 0, outputs - biases) if bias else none,
        inputs=inputs,
        outputs=outputs,
        parameters=weights + biases,
        saved=inputs + weights,
        gradients=outputs + (inputs if input_grad else 0) + weights + biases,
    )
