"""Shapes, mirror padding and strides below 1, against what PyTorch really computes."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.notebook.reproducibility import generator
from solutions.padding_stride import (
    conv_output_shape,
    fractional_stride_conv2d,
    mirror_pad,
    receptive_field,
)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def integers(*shape, seed=0):
    return torch.randint(-9, 10, shape, generator=generator(seed))


@given(n=pairs(1, 12), k=pairs(1, 5), s=pairs(1, 6), p=pairs(0, 4), d=pairs(1, 3))
def test_agrees_with_conv2d(n, k, s, p, d):
    assume(all(d[i] * (k[i] - 1) < n[i] + 2 * p[i] for i in (0, 1)))
    Y = F.conv2d(torch.zeros(1, 1, *n), torch.zeros(1, 1, *k), None, s, p, d)
    assert conv_output_shape(n, k, s, p, d) == Y.shape[2:]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, r"kernel_size is \(4, 4\) .* padded input has only"),
        ({"kernel_size": (4, 1)}, r"kernel_size is \(4, 1\) .* padded input has only"),
        ({"kernel_size": (1, 4)}, r"kernel_size is \(1, 4\) .* padded input has only"),
        ({"kernel_size": 2, "dilation": 3}, r"spans \(4, 4\) pixels"),
        ({"kernel_size": 2, "stride": 0}, "stride is 0, .* at least 1"),
        ({"kernel_size": 2, "padding": (1, -1)}, r"padding is \(1, -1\)"),
        ({"kernel_size": (1, 2, 3)}, r"kernel_size is \(1, 2, 3\)"),
        ({"kernel_size": 1.5}, "kernel_size is 1.5"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        conv_output_shape((3, 3), **arguments)


layers_of_chains = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3)), max_size=3
)


@given(layers=layers_of_chains, n=st.integers(1, 90))
def test_receptive_field_is_what_the_gradient_reaches(layers, n):
    size, jump, start = receptive_field(layers)
    X = torch.zeros(1, 1, n, requires_grad=True)
    Y = X
    for kernel_size, stride, padding in layers:
        assume(Y.shape[2] + 2 * padding >= kernel_size)
        Y = F.conv1d(Y, torch.ones(1, 1, kernel_size), stride=stride, padding=padding)
    for i, y in enumerate(Y[0, 0, :9]):
        (reached,) = torch.autograd.grad(
            y, X, retain_graph=True, materialize_grads=True
        )
        where = reached[0, 0].nonzero().flatten().tolist()
        first, last = start + i * jump, start + i * jump + size - 1
        assert all(first <= place <= last for place in where)
        if first >= 0 and last < n:
            assert (where[0], where[-1]) == (first, last)


@given(layers=st.lists(pairs(1, 4), max_size=3))
def test_receptive_field_of_layers_without_padding(layers):
    with_padding = [(*layer, 0) for layer in layers]
    assert receptive_field(layers) == receptive_field(with_padding)
    assert receptive_field(layers)[2] == 0


def test_receptive_field_of_no_layer_is_the_pixel_itself():
    assert receptive_field([]) == (1, 1, 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "layer", [(0, 1), (3, 0), (3, 1, -1), (3, 1, 1, 1), (3,), (3, 1.5), (True, 1), 3]
)
def test_receptive_field_refuses(layer):
    with pytest.raises(ValueError, match=r"layers\[1\] is .*\(kernel_size, stride\)"):
        receptive_field([(3, 1), layer])


@given(n=pairs(1, 6), p=pairs(0, 15), repeat_edge=st.booleans())
def test_mirror_pad_is_numpy_s_for_any_padding(n, p, repeat_edge):
    X = integers(2, 3, *n)
    mode = "symmetric" if repeat_edge else "reflect"
    widths = [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])]
    expected = torch.from_numpy(np.pad(X.numpy(), widths, mode=mode))
    assert torch.equal(mirror_pad(X, p, repeat_edge), expected)


@given(n=pairs(1, 6), p=pairs(0, 5))
def test_mirror_pad_is_pytorch_s_reflect_where_that_exists(n, p):
    assume(p[0] < n[0] and p[1] < n[1])
    X = integers(2, 3, *n).double()
    expected = F.pad(X, (p[1], p[1], p[0], p[0]), mode="reflect")
    assert torch.equal(mirror_pad(X, p), expected)


@pytest.mark.parametrize("repeat_edge", [False, True])
def test_mirror_pad_passes_gradcheck(repeat_edge):
    X = integers(1, 2, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda X: mirror_pad(X, (5, 2), repeat_edge), X)


@given(n=pairs(1, 5), k=pairs(1, 4), f=pairs(1, 5), c=pairs(1, 3))
def test_fractional_stride_is_a_transposed_convolution(n, k, f, c):
    X, W = integers(2, c[0], *n), integers(*c, *k, seed=1)
    expected = F.conv_transpose2d(X.double(), W.double(), stride=f)
    Y = fractional_stride_conv2d(X, W, f)
    assert Y.dtype == torch.int64
    assert torch.equal(Y.double(), expected)


@given(n=pairs(1, 9), k=pairs(1, 4), f=pairs(1, 4))
def test_fractional_stride_is_the_gradient_of_the_stride(n, k, f):
    assume(k[0] <= n[0] and k[1] <= n[1])
    X = integers(1, 2, *n).double().requires_grad_()
    W = integers(3, 2, *k, seed=1).double()
    Y = F.conv2d(X, W, stride=f)
    G = integers(*Y.shape, seed=2).double()
    Y.backward(G)
    stamped = fractional_stride_conv2d(G, W, f)
    h, w = stamped.shape[2:]
    assert torch.equal(X.grad[:, :, :h, :w], stamped)
    # Pixels behind the last window are never read, so their gradient is zero.
    assert X.grad.abs().sum() == stamped.abs().sum()


def test_fractional_stride_passes_gradcheck():
    X = integers(1, 2, 2, 3).double().requires_grad_()
    W = integers(2, 1, 2, 3, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda X, W: fractional_stride_conv2d(X, W, (2, 3)), (X, W)
    )


IMAGES, KERNELS = torch.zeros(1, 2, 3, 3), torch.zeros(2, 1, 2, 2)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mirror_pad(IMAGES[0], 1), r"X has shape \(2, 3, 3\), .* 4-D"),
        (lambda: mirror_pad(IMAGES, -1), "padding is -1, .* at least 0"),
        (lambda: mirror_pad(IMAGES[:, :, :0], 1), r"X has shape \(1, 2, 0, 3\)"),
        (
            lambda: fractional_stride_conv2d(IMAGES[0], KERNELS, 2),
            r"X has shape \(2, 3, 3\)",
        ),
        (lambda: fractional_stride_conv2d(IMAGES, KERNELS, 0), "factor is 0, .* 1"),
        (
            lambda: fractional_stride_conv2d(IMAGES, KERNELS[:1], 2),
            r"W has shape \(1, 1, 2, 2\) and reads 1 channels, but X has 2",
        ),
        (lambda: fractional_stride_conv2d(IMAGES, KERNELS[0], 2), "W has shape"),
        (lambda: fractional_stride_conv2d(IMAGES, KERNELS, 0.5), "factor is 0.5"),
    ],
)
def test_pads_and_strides_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
