"""Output shapes and receptive fields, against what PyTorch really computes."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.padding_stride import conv_output_shape, receptive_field


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


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


@given(layers=st.lists(pairs(1, 4), max_size=3))
def test_receptive_field_is_what_the_gradient_reaches(layers):
    size, jump = receptive_field(layers)
    X = torch.zeros(1, 1, size + 2 * jump, requires_grad=True)
    Y = X
    for kernel_size, stride in layers:
        Y = F.conv1d(Y, torch.ones(1, 1, kernel_size), stride=stride)
    for i, y in enumerate(Y[0, 0, :3]):
        (reached,) = torch.autograd.grad(y, X, retain_graph=True)
        where = reached[0, 0].nonzero().flatten()
        assert where[0] == i * jump
        assert where[-1] == i * jump + size - 1
    assert Y.shape[-1] == 3


def test_receptive_field_of_no_layer_is_the_pixel_itself():
    assert receptive_field([]) == (1, 1)


@pytest.mark.bad_input
@pytest.mark.parametrize("layer", [(0, 1), (3, 0), (3, 1, 1), (3, 1.5)])
def test_receptive_field_refuses(layer):
    with pytest.raises(ValueError, match=r"layers\[1\] is .*each at least 1"):
        receptive_field([(3, 1), layer])
