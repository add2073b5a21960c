"""Section 6.3, padding and stride: how large the output is, and what it sees.

Belongs here: the arithmetic of output shapes and receptive fields, mirror padding,
strides below 1. Does not belong here: layers of stride 1 and above (`convolution`,
`pooling`), counting the cost of a layer (`channels`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Num
from torch import Tensor

from solutions.shapes import (
    IntOrPair,
    as_pair,
    require_layout,
    require_one_dtype,
)


def conv_output_shape(
    input_shape: tuple[int, int],
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> tuple[int, int]:
    """Predict the height and width of the output of a convolution or pooling layer.

    A dilated window of `k` taps spans ``d(k - 1) + 1`` pixels. It fits at
    ``⌊(n + 2p - d(k - 1) - 1) / s⌋ + 1`` places on an axis of `n` pixels.

    Args:
        input_shape: height and width of the input, (n_h, n_w), in pixels.
        kernel_size: height and width of the window.
        stride: step between neighbouring windows.
        padding: pixels added on *each* side, as PyTorch counts them. The book's
            formula counts both sides together: its p_h is twice this number.
        dilation: distance between neighbouring taps of the window.

    Returns:
        Height and width of the output, (o_h, o_w).

    Raises:
        ValueError: if an argument is not an int or a pair, is too small, or the
            window is larger than the padded input.

    Source: D2L section 6.3, exercise 6.3.1; `torch.nn.Conv2d` for the dilation.

    >>> conv_output_shape((8, 8), kernel_size=(3, 5), stride=(3, 4), padding=(0, 1))
    (2, 2)
    """
    n = as_pair("input_shape", input_shape, minimum=1)
    k = as_pair("kernel_size", kernel_size, minimum=1)
    s = as_pair("stride", stride, minimum=1)
    p = as_pair("padding", padding, minimum=0)
    d = as_pair("dilation", dilation, minimum=1)
    padded = (n[0] + 2 * p[0], n[1] + 2 * p[1])
    span = (d[0] * (k[0] - 1) + 1, d[1] * (k[1] - 1) + 1)
    if span[0] > padded[0] or span[1] > padded[1]:
        raise ValueError(
            f"kernel_size is {k} and spans {span} pixels with dilation {d}, "
            f"but the padded input has only {padded}"
        )
    return (padded[0] - span[0]) // s[0] + 1, (padded[1] - span[1]) // s[1] + 1


def receptive_field(
    layers: Sequence[tuple[int, int] | tuple[int, int, int]],
) -> tuple[int, int, int]:
    """Return how much of the input an output sees, how far apart, and from where.

    One more layer of window `k` reaches ``k - 1`` of its inputs further, and these
    lie `jump` pixels apart in the first input: the product of the strides before it.
    Its padding moves the fields to the left, by so many of these jumps.

    Args:
        layers: (kernel_size, stride) or (kernel_size, stride, padding) of each layer
            on one axis, the first layer first. Without padding it is 0.

    Returns:
        The triple (size, jump, start), in pixels of the first input: from the first
        to the last pixel that can change one output, from one output to the next,
        and where the first output begins to see, below 0 if in the padding.

    Raises:
        ValueError: if a layer is no pair or triple of ints, at least 1, 1 and 0.

    Source: D2L section 6.3, exercise 6.3.4.

    >>> receptive_field([(3, 2), (3, 2)])  # 1 + 2 + 2 * 2 pixels
    (7, 4, 0)
    >>> receptive_field([(3, 2, 1), (3, 2, 1)])  # from -1 - 2 * 1
    (7, 4, -3)
    """
    _require_layers(layers)
    size, jump, start = 1, 1, 0
    for layer in layers:
        kernel_size, stride, padding = (*layer, 0)[:3]
        start -= padding * jump
        size += (kernel_size - 1) * jump
        jump *= stride
    return size, jump, start


def _require_layers(layers: Sequence[tuple[int, ...]]) -> None:
    """Raise a ValueError if a layer is no (kernel_size, stride) or with a padding."""
    for number, layer in enumerate(layers):
        sizes = tuple(layer) if isinstance(layer, (tuple, list)) else (layer,)
        is_int = all(isinstance(v, int) and not isinstance(v, bool) for v in sizes)
        if (
            len(sizes) not in (2, 3)
            or not is_int
            or min(sizes[:2]) < 1
            or min(sizes) < 0
        ):
            raise ValueError(
                f"layers[{number}] is {layer!r}, but must be (kernel_size, stride) or "
                "(kernel_size, stride, padding), ints of at least 1, 1 and 0"
            )


def mirror_index(n: int, padding: int, repeat_edge: bool) -> Tensor:
    """Return, for each place of a padded axis, the pixel that it copies.

    Args:
        n: pixels of the axis, at least 1.
        padding: places added on each side, at least 0; it may exceed `n`.
        repeat_edge: whether the border pixel is repeated, as in `mirror_pad`.

    Returns:
        The pixels, integers from 0 to n - 1, shape (n + 2 * padding,).

    >>> mirror_index(4, 2, repeat_edge=False)
    tensor([2, 1, 0, 1, 2, 3, 2, 1])
    """
    # Once there and back; without a second copy of the two ends, two fewer.
    period = 2 * n if repeat_edge else max(2 * n - 2, 1)
    place = torch.arange(-padding, n + padding) % period
    return torch.minimum(place, period - int(repeat_edge) - place)


def mirror_pad(
    X: Num[Tensor, "n c h w"], padding: IntOrPair, repeat_edge: bool = False
) -> Num[Tensor, "n c p_h p_w"]:
    """Pad images with their own mirror images.

    Args:
        X: the images, any dtype.
        padding: pixels added on each side. It may exceed the size of the image, which
            is then mirrored again and again.
        repeat_edge: whether the mirror stands between two pixels, so that the border
            pixel is repeated (`numpy.pad` calls this ``symmetric``), or on the border
            pixel (``reflect`` in NumPy and PyTorch).

    Returns:
        The padded images, p_h = h + 2 * padding and likewise p_w.

    Raises:
        ValueError: if `X` is not 4-D, or `padding` is no int or pair, or negative.

    Source: D2L edition 1.0, exercise 7.3.3.

    >>> X = torch.tensor([[[[1, 2, 3, 4]]]])
    >>> mirror_pad(X, (0, 2)).flatten()
    tensor([3, 2, 1, 2, 3, 4, 3, 2])
    >>> mirror_pad(X, (0, 2), repeat_edge=True).flatten()
    tensor([2, 1, 1, 2, 3, 4, 4, 3])
    """
    require_layout("X", X, "n c h w")
    p_h, p_w = as_pair("padding", padding, minimum=0)
    h, w = X.shape[2:]
    rows = mirror_index(h, p_h, repeat_edge)
    columns = mirror_index(w, p_w, repeat_edge)
    return X[:, :, rows][:, :, :, columns]


def fractional_stride_conv2d(
    X: Num[Tensor, "n c_i h w"], W: Num[Tensor, "c_i c_o k_h k_w"], factor: IntOrPair
) -> Num[Tensor, "n c_o o_h o_w"]:
    """Convolve with the stride ``1 / factor``: each pixel stamps a scaled kernel.

    Pixel (i, j) adds ``X[i, j] * W`` to the window of the output that begins at
    ``(i * factor, j * factor)``. Where windows overlap, their values add up.

    Args:
        X: the images, any dtype.
        W: the kernels, of the dtype of `X`. As in `torch.nn.ConvTranspose2d`, the
            input channels come first, and the kernel is not flipped.
        factor: step between the windows of neighbouring pixels, in output pixels.

    Returns:
        The output, o_h = (h - 1) * factor + k_h and likewise o_w.

    Raises:
        ValueError: if a tensor is not 4-D, the channels or dtypes do not match, or
            `factor` is no int or pair, or below 1.

    Source: D2L edition 1.0, exercise 7.3.6.

    >>> X, W = torch.tensor([[[[1, 2]]]]), torch.tensor([[[[1, 1, 1]]]])
    >>> fractional_stride_conv2d(X, W, factor=2).flatten()
    tensor([1, 1, 3, 2, 2])
    """
    require_layout("X", X, "n c_i h w")
    require_layout("W", W, "c_i c_o k_h k_w")
    f_h, f_w = as_pair("factor", factor, minimum=1)
    (n, c_i, h, w), (c_w, c_o, k_h, k_w) = X.shape, W.shape
    if c_i != c_w:
        raise ValueError(
            f"W has shape {tuple(W.shape)} and reads {c_w} channels, but X has {c_i}"
        )
    require_one_dtype(X=X, W=W)
    end_h, end_w = (h - 1) * f_h + 1, (w - 1) * f_w + 1
    Y = X.new_zeros(n, c_o, end_h + k_h - 1, end_w + k_w - 1)
    for a in range(k_h):
        for b in range(k_w):
            stamp = torch.einsum("nchw,cd->ndhw", X, W[:, :, a, b])
            Y[:, :, a : a + end_h : f_h, b : b + end_w : f_w] += stamp
    return Y
