"""The layers of section 6.1, against PyTorch's convolutions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.notebook.reproducibility import generator
from solutions.why_conv import conv_layer, conv_layer_1d

sizes = st.integers(1, 7)
channels = st.integers(1, 3)
deltas = st.integers(0, 3)


def integers(*shape, dtype=torch.float64):
    """Whole numbers: sums of their products are exact, in whatever order."""
    numbers = torch.randint(-9, 10, shape, generator=generator(sum(shape)))
    return numbers.to(dtype)


@given(h=sizes, w=sizes, c_i=channels, c_o=channels, delta=deltas)
def test_conv_layer_agrees_with_conv2d(h, w, c_i, c_o, delta):
    k = 2 * delta + 1
    X, V, u = integers(h, w, c_i), integers(k, k, c_i, c_o), integers(c_o)
    Y = F.conv2d(X.permute(2, 0, 1), V.permute(3, 2, 0, 1), u, padding=delta)
    assert torch.equal(conv_layer(X, V, u), Y.permute(1, 2, 0))


@given(t=sizes, c_i=channels, c_o=channels, delta=deltas)
def test_conv_layer_1d_agrees_with_conv1d(t, c_i, c_o, delta):
    X, V, u = integers(t, c_i), integers(2 * delta + 1, c_i, c_o), integers(c_o)
    Y = F.conv1d(X.T, V.permute(2, 1, 0), u, padding=delta)
    assert torch.equal(conv_layer_1d(X, V, u), Y.T)


@given(t=sizes, c_i=channels, c_o=channels, taps=st.integers(1, 6))
def test_causal_layer_agrees_with_conv1d_padded_on_the_left(t, c_i, c_o, taps):
    X, V, u = integers(t, c_i), integers(taps, c_i, c_o), integers(c_o)
    Y = F.conv1d(F.pad(X.T, (taps - 1, 0)), V.permute(2, 1, 0), u)
    assert torch.equal(conv_layer_1d(X, V, u, causal=True), Y.T)


def test_layers_keep_the_dtype():
    for dtype in (torch.int64, torch.float32):
        X, V, u = (integers(*s, dtype=dtype) for s in [(4, 3, 2), (3, 3, 2, 2), (2,)])
        assert conv_layer(X, V, u).dtype == dtype
        assert conv_layer_1d(X[0], V[0], u).dtype == dtype


def test_gradients():
    shapes = [(3, 4, 2), (3, 3, 2, 2), (2,)]
    X, V, u = (integers(*shape).requires_grad_() for shape in shapes)
    assert torch.autograd.gradcheck(conv_layer, (X, V, u))
    assert torch.autograd.gradcheck(conv_layer_1d, (X[0], V[0], u))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("X", "V", "u", "message"),
    [
        ((1, 4, 4, 2), (3, 3, 2, 1), (1,), r"X has shape \(1, 4, 4, 2\).*3-D"),
        ((4, 4, 2), (3, 3, 2), (1,), r"V has shape \(3, 3, 2\).*4-D"),
        ((4, 4, 2), (3, 1, 2, 1), (1,), r"V has shape \(3, 1, 2, 1\).*equal and odd"),
        ((4, 4, 2), (2, 2, 2, 1), (1,), r"V has shape \(2, 2, 2, 1\).*equal and odd"),
        ((4, 4, 2), (3, 3, 3, 1), (1,), "reads 3 channels, but X has 2"),
        ((4, 4, 2), (3, 3, 2, 3), (1,), r"u has shape \(1,\), but must be \(3,\)"),
    ],
)
def test_conv_layer_refuses(X, V, u, message):
    with pytest.raises(ValueError, match=message):
        conv_layer(torch.zeros(X), torch.zeros(V), torch.zeros(u))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("X", "V", "u", "message"),
    [
        ((4,), (3, 1, 1), (1,), r"X has shape \(4,\).*2-D"),
        ((4, 2), (3, 2), (1,), r"V has shape \(3, 2\).*3-D"),
        ((4, 2), (2, 2, 1), (1,), "V has 2 taps"),
        ((4, 2), (3, 1, 1), (1,), "reads 1 channels, but X has 2"),
        ((4, 2), (3, 2, 1), (1, 1), r"u has shape \(1, 1\)"),
    ],
)
def test_conv_layer_1d_refuses(X, V, u, message):
    with pytest.raises(ValueError, match=message):
        conv_layer_1d(torch.zeros(X), torch.zeros(V), torch.zeros(u))
