"""Section 6.3, padding and stride: how large the output is, and what it sees.

Belongs here: the arithmetic of output shapes and receptive fields. Does not belong
here: computing the output (`convolution`, `pooling`), counting its cost (`channels`).
"""

from collections.abc import Sequence

from solutions.shapes import IntOrPair, as_pair


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


def receptive_field(layers: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return how much of the input one output sees, and how far apart outputs look.

    One more layer of window `k` reaches ``k - 1`` of its inputs further, and these
    lie `jump` pixels apart in the first input: the product of the strides before it.

    Args:
        layers: (kernel_size, stride) of each layer on one axis, the first layer first.

    Returns:
        The pair (size, jump), in pixels of the first input: from the first to the
        last pixel that one output depends on, and from one output to the next.

    Raises:
        ValueError: if a layer is not a pair of ints, each at least 1.

    Source: D2L section 6.3, exercise 6.3.4.

    >>> receptive_field([(3, 2), (3, 2)])  # 1 + 2 + 2 * 2 pixels
    (7, 4)
    """
    size, jump = 1, 1
    for number, layer in enumerate(layers):
        kernel_size, stride = as_pair(f"layers[{number}]", layer, minimum=1)
        size += (kernel_size - 1) * jump
        jump *= stride
    return size, jump
