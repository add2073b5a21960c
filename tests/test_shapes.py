"""What is accepted as a size or a shape, and how the rest is refused."""

import pytest
import torch

from solutions.channels import compose_convs, corr2d_multi_in_out_1x1
from solutions.convolution import conv2d_matmul
from solutions.padding_stride import fractional_stride_conv2d
from solutions.shapes import (
    as_pair,
    require_layout,
    require_one_dtype,
    require_sizes,
)
from solutions.why_conv import conv_layer, conv_layer_1d

a_list = pytest.param([2, 3], marks=pytest.mark.bad_input)  # not in the signature


@pytest.mark.parametrize("value", [(2, 3), a_list])
def test_a_pair_keeps_its_order(value):
    assert as_pair("stride", value, minimum=2) == (2, 3)


def test_an_int_stands_for_both():
    assert as_pair("padding", 0, minimum=0) == (0, 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "value", [0, -1, (1, 0), (0, 1), (1,), (1, 2, 3), 1.0, (1, 2.0), True, "12", None]
)
def test_other_pairs_are_refused(value):
    with pytest.raises(ValueError, match=r"^stride is .*each at least 1$"):
        as_pair("stride", value, minimum=1)


@pytest.mark.parametrize("value", [(1, 8, 9), (3, 1, 1)])
def test_sizes_of_at_least_1_are_accepted(value):
    require_sizes("input_shape", value, "c h w")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "value", [(8, 9), (1, 1, 8, 9), (0, 8, 9), (1, 8, -9), (1, 8, 9.0), (True, 8, 9), 3]
)
def test_other_sizes_are_refused(value):
    with pytest.raises(ValueError, match=r"must be \(c, h, w\), ints of at least 1$"):
        require_sizes("input_shape", value, "c h w")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_a_layout_is_a_rank(shape):
    require_layout("X", torch.zeros(shape), "h w")


@pytest.mark.bad_input
@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3), (0, 3), (3, 0)])
def test_other_layouts_are_refused(shape):
    with pytest.raises(ValueError, match=r"a 2-D tensor \(h, w\) without empty axes$"):
        require_layout("X", torch.zeros(shape), "h w")


def test_tensors_of_one_dtype_are_accepted():
    require_one_dtype(X=torch.zeros(2), bias=None, W=torch.ones(3))


X, W, LINE = torch.ones(1, 1, 3, 1), torch.ones(1, 1, 1, 1), torch.ones(1)


@pytest.mark.parametrize(
    ("function", "tensors"),
    [
        (conv_layer, (X[0], W, LINE)),
        (conv_layer_1d, (X[0, 0], W[0], LINE)),
        (conv2d_matmul, (X, W, LINE)),
        (corr2d_multi_in_out_1x1, (X[0], W)),
        (compose_convs, (X, LINE, W, LINE)),
        (lambda X, W: fractional_stride_conv2d(X, W, 2), (X, W)),
    ],
)
def test_each_tensor_must_have_the_dtype_of_the_first(function, tensors):
    function(*tensors)
    for i in range(1, len(tensors)):
        others = [t.double() if i == j else t for j, t in enumerate(tensors)]
        with pytest.raises(ValueError, match=r"has dtype torch.float64, but must"):
            function(*others)
