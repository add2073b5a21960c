"""Pooling in all its forms, against torch.nn.functional and against counting."""

from dataclasses import FrozenInstanceError
from functools import reduce
from itertools import pairwise, product
from math import prod

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.pooling import (
    avg_pool2d_as_conv,
    doubling_kernels,
    max_of_five_matrices,
    max_pool2d_relu,
    min_pool2d,
    pool2d,
    pool_cost,
    softmax_pool2d,
    three_layer_kernels,
    tournament_kernels,
)


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def axes(draw):
    """One axis that PyTorch accepts: pixels, window, stride, padding."""
    k, s = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    p = draw(st.integers(0, k // 2))
    # Windows first, then pixels: else there is rarely more than one window.
    outputs, unused = draw(st.integers(1, 3)), draw(st.integers(0, s - 1))
    return max((outputs - 1) * s + k - 2 * p + unused, 1), k, s, p


@st.composite
def layers(draw):
    """Input shape and (window, stride, padding) that PyTorch accepts."""
    (h, w), k, s, p = zip(draw(axes()), draw(axes()), strict=True)
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), h, w)
    if draw(st.booleans()):
        s = None
    return shape, (k, s, p)


def whole(shape, seed=0):
    """Whole numbers from -8 to 8: sums of them are exact, and ties are common."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(-8, 9, shape, generator=source).double()


def gaussian(*shape, seed=0):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


@given(size=pairs(1, 7), k=pairs(1, 4))
def test_loop_agrees_with_pytorch(size, k):
    assume(k[0] <= size[0] and k[1] <= size[1])
    X = gaussian(*size)
    assert torch.equal(pool2d(X, k, "max")[None], F.max_pool2d(X[None], k, 1))
    torch.testing.assert_close(pool2d(X, k, "avg")[None], F.avg_pool2d(X[None], k, 1))


@given(layer=layers(), include=st.booleans())
def test_average_pooling_is_a_convolution(layer, include):
    shape, (k, s, p) = layer
    X = gaussian(*shape)
    Y = avg_pool2d_as_conv(X, k, s, p, count_include_pad=include)
    torch.testing.assert_close(
        Y, F.avg_pool2d(X, k, s, p, count_include_pad=include), rtol=0, atol=1e-13
    )


@given(layer=layers(), shift=st.integers(-20, 20))
def test_max_pooling_of_convolutions_and_relu(layer, shift):
    shape, (k, s, p) = layer
    X = whole(shape) + shift  # also all negative, where zero padding would show
    assert torch.equal(max_pool2d_relu(X, k, s, p), F.max_pool2d(X, k, s, p))


@given(layer=layers())
def test_max_pooling_of_relu_has_the_gradient_of_max_pooling(layer):
    shape, (k, s, p) = layer
    X = gaussian(*shape).requires_grad_()  # no ties, so the gradient is unique
    Y = F.max_pool2d(X, k, s, p)
    G = gaussian(*Y.shape, seed=1)
    expected = torch.autograd.grad(Y, X, G)
    got = torch.autograd.grad(max_pool2d_relu(X, k, s, p), X, G)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_max_pooling_of_relu_in_float32_and_beyond_the_border():
    X = gaussian(2, 3, 9, 11).float()
    Y = max_pool2d_relu(X, 3, 2, 1)
    assert Y.dtype == torch.float32
    torch.testing.assert_close(Y, F.max_pool2d(X, 3, 2, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("k", "widths"),
    [
        (1, ()),
        ((1, 2), (3,)),
        (2, (6, 3)),
        (3, (14, 8, 5, 3)),
        (4, (24, 12, 6, 3)),
        ((2, 3), (9, 5, 3)),
    ],
)
def test_widths_of_the_tournament(k, widths):
    assert tuple(len(K) for K in tournament_kernels(k)[:-1]) == widths


@given(k=pairs(1, 6))
def test_the_tournament_has_as_many_rounds_as_doublings(k):
    kernels = tournament_kernels(k)
    assert len(kernels) - 1 == (prod(k) - 1).bit_length()  # ceil(log2(n))
    assert kernels[0].shape[1:] == (1, *k) and len(kernels[-1]) == 1
    for left, right in pairwise(kernels):
        assert right.shape[1:] == (len(left), 1, 1)


def run(kernels, X, k, s):
    """Apply kernels with ReLU between them to each channel of an input."""
    channels = X.shape[1]
    first, *others = (K.double().repeat(channels, 1, 1, 1) for K in kernels)
    Y = F.conv2d(X, first, stride=s or k, groups=channels)
    for K in others:
        Y = F.conv2d(F.relu(Y), K, groups=channels)
    return Y


@given(layer=layers(), nonnegative=st.booleans())
def test_the_tournament_with_and_without_negative_numbers(layer, nonnegative):
    shape, (k, s, _) = layer
    assume(k[0] <= shape[2] and k[1] <= shape[3])
    X = whole(shape).abs() if nonnegative else whole(shape)
    kernels = tournament_kernels(k, nonnegative)
    assert torch.equal(run(kernels, X, k, s), F.max_pool2d(X, k, s))


@given(k=pairs(1, 6))
def test_input_without_negative_numbers_takes_one_channel_per_player(k):
    widths = [len(K) for K in tournament_kernels(k, nonnegative=True)]
    assert widths[0] == prod(k)
    for players, left in pairwise(widths):
        assert left == (players + 1) // 2


def small_kernels(kernels, X, s):
    """Apply kernels with ReLU between them, the stride in the last."""
    channels = X.shape[1]
    *others, last = (K.double().repeat(channels, 1, 1, 1) for K in kernels)
    for K in others:
        X = F.relu(F.conv2d(X, K, groups=channels))
    return F.conv2d(X, last, stride=s, groups=channels)


@given(k=pairs(1, 9), s=pairs(1, 10), nonnegative=st.booleans())
def test_three_channels_are_enough_for_any_window(k, s, nonnegative):
    X = whole((2, 3, 11, 10))
    X = X.abs() if nonnegative else X
    kernels = doubling_kernels(k, nonnegative)
    assert torch.equal(small_kernels(kernels, X, s), F.max_pool2d(X, k, s))
    widths = [len(K) for K in kernels[:-1]]
    layers = sum((side - 1).bit_length() for side in k)  # ceil(log2(side))
    assert widths == [2 if nonnegative else 3] * layers


def test_doubling_without_the_negative_channel_loses_a_negative_maximum():
    X = torch.full((1, 1, 3, 3), -1.0).double()
    assert small_kernels(doubling_kernels(3, True), X, 1) != F.max_pool2d(X, 3)


@pytest.mark.parametrize(
    ("k", "kernels"),
    [(2, tournament_kernels(2, True)), (3, three_layer_kernels(True))],
)
def test_without_the_negative_channels_a_negative_maximum_is_lost(k, kernels):
    X = torch.full((1, 1, k, k), -1.0).double()
    assert run(kernels, X, k, None) != F.max_pool2d(X, k)


@pytest.mark.parametrize("nonnegative", [False, True])
def test_maximum_of_five_in_two_layers(nonnegative):
    low = 0 if nonnegative else -3
    x = torch.cartesian_prod(*[torch.arange(low, 4.0)] * 5)
    first, second, third = max_of_five_matrices(nonnegative)
    y = F.relu(F.relu(x @ first.T) @ second.T) @ third.T
    assert torch.equal(y, x.amax(1, keepdim=True))
    widths = (9, 7) if nonnegative else (10, 8)
    assert (len(first), len(second)) == widths


@given(layer=layers(), nonnegative=st.booleans())
def test_three_relu_layers_for_three_by_three(layer, nonnegative):
    shape, (_, s, _) = layer
    assume(min(shape[2:]) >= 3)
    X = whole(shape).abs() if nonnegative else whole(shape)
    kernels = three_layer_kernels(nonnegative)
    assert len(kernels) == 4
    assert torch.equal(run(kernels, X, (3, 3), s), F.max_pool2d(X, 3, s))


@given(layer=layers())
def test_min_pooling_against_the_least_of_each_window(layer):
    shape, (k, s, p) = layer
    X = gaussian(*shape)
    padded = F.pad(X, (p[1], p[1], p[0], p[0]), value=float("inf"))
    step = s or k
    windows = padded.unfold(2, k[0], step[0]).unfold(3, k[1], step[1])
    assert torch.equal(min_pool2d(X, k, s, p), windows.amin((-2, -1)))


@given(layer=layers())
def test_softmax_pooling_between_its_limits(layer):
    shape, (k, s, p) = layer
    X = whole(shape)  # distinct numbers differ by 1 at least: weight below exp(-400)
    mean = F.avg_pool2d(X, k, s, p, count_include_pad=False)
    near = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(softmax_pool2d(X, k, s, p, beta=0.0), mean, **near)
    most = softmax_pool2d(X, k, s, p, beta=400.0)
    least = softmax_pool2d(X, k, s, p, beta=-400.0)
    torch.testing.assert_close(most, F.max_pool2d(X, k, s, p), **near)
    torch.testing.assert_close(least, min_pool2d(X, k, s, p), **near)


@given(layer=layers(), beta=st.floats(-3, 3))
def test_softmax_pooling_against_its_definition(layer, beta):
    shape, (k, s, p) = layer
    X = gaussian(*shape)

    def total(values):  # sums over each window; divisor_override=1 is PyTorch's sum
        return F.avg_pool2d(values, k, s, p, divisor_override=1)

    expected = total(X * (beta * X).exp()) / total((beta * X).exp())
    Y = softmax_pool2d(X, k, s, p, beta)
    torch.testing.assert_close(Y, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("beta", [1.0, 1e4, 3e38, -1.0, -1e4, -3e38])
@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_softmax_pooling_does_not_overflow(beta, size):
    X = torch.tensor([[-size, 0.0], [size / 2, size]])[None, None].requires_grad_()
    Y = softmax_pool2d(X, 2, 1, 1, beta=beta)
    assert torch.equal(Y[0, 0, 1, 1], X.max() if beta > 0 else X.min())
    Y.sum().backward()
    assert X.grad.isfinite().all()


@pytest.mark.parametrize("beta", [-2.0, 0.0, 0.5, 3.0])
def test_gradient_of_softmax_pooling(beta):
    X = gaussian(2, 2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda X: softmax_pool2d(X, 3, 2, 1, beta), X)


class Entry:
    """An entry of a padded plane that counts how often two of them are combined."""

    combined = useful = 0

    def __init__(self, pixel):
        self.pixel = pixel

    def __or__(self, other):
        Entry.combined += 1
        Entry.useful += self.pixel and other.pixel
        return Entry(self.pixel or other.pixel)


def combine(entries):
    return reduce(Entry.__or__, entries)


@given(layer=layers())
def test_cost_against_a_count(layer):
    shape, (k, s, p) = layer
    size, s = shape[2:], s or k
    rows, columns = (range(-p[a], size[a] + p[a]) for a in (0, 1))
    plane = [
        [Entry(i in range(size[0]) and j in range(size[1])) for j in columns]
        for i in rows
    ]
    tops, lefts = (range(0, size[a] + 2 * p[a] - k[a] + 1, s[a]) for a in (0, 1))
    cost = pool_cost((1, *size), k, s, p)

    Entry.combined = Entry.useful = outputs = 0
    for i, j in product(tops, lefts):
        window = [entry for row in plane[i : i + k[0]] for entry in row[j : j + k[1]]]
        combine(window)
        outputs += 1
    assert cost.combinations == Entry.combined
    assert cost.useful_combinations == Entry.useful
    average = pool_cost((1, *size), k, s, p, mode="avg")
    assert cost.activations == average.activations == outputs
    assert (cost.divisions, average.divisions) == (0, outputs)

    Entry.combined = Entry.useful = 0
    pooled = {}
    for i, j in product(tops, lefts):
        for r in range(i, i + k[0]):
            if (r, j) not in pooled:
                pooled[r, j] = combine(plane[r][j : j + k[1]])
        combine([pooled[r, j] for r in range(i, i + k[0])])
    assert cost.separable == Entry.combined


def test_cost_of_channels_adds_up():
    one, three = (pool_cost((c, 7, 6), 3, 2, 1, "avg") for c in (1, 3))
    assert all(3 * getattr(one, f) == getattr(three, f) for f in vars(one))
    with pytest.raises(FrozenInstanceError):
        one.divisions = 1


POOLINGS = [
    avg_pool2d_as_conv,
    max_pool2d_relu,
    min_pool2d,
    softmax_pool2d,
]


@pytest.mark.bad_input
@pytest.mark.parametrize("pool", POOLINGS)
@pytest.mark.parametrize(
    ("X", "arguments", "message"),
    [
        (torch.zeros(4, 4), {}, r"X has shape \(4, 4\)"),
        (torch.zeros(1, 1, 4, 4).long(), {}, "X has dtype torch.int64"),
        (torch.zeros(1, 1, 4, 2), {"kernel_size": 3}, r"kernel_size is \(3, 3\)"),
        (torch.zeros(1, 1, 4, 4), {"kernel_size": 0}, "kernel_size is 0"),
        (torch.zeros(1, 1, 4, 4), {"stride": (1, 0)}, r"stride is \(1, 0\)"),
        (torch.zeros(1, 1, 4, 4), {"padding": (2, 1)}, r"padding is \(2, 1\).* half"),
        (torch.zeros(1, 1, 4, 4), {"padding": (1, 2)}, r"padding is \(1, 2\).* half"),
        (torch.zeros(1, 1, 4, 4), {"padding": -1}, "padding is -1"),
    ],
)
def test_refuses(pool, X, arguments, message):
    with pytest.raises(ValueError, match=message):
        pool(X, **{"kernel_size": 2} | arguments)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X: pool2d(X, 2, "max"), r"X has shape \(1, 1, 4, 4\)"),
        (lambda X: pool2d(X[0, 0].int(), 2, "avg"), "X has dtype torch.int32"),
        (lambda X: pool2d(X[0, 0], (5, 1), "avg"), r"kernel_size is \(5, 1\)"),
        (lambda X: pool2d(X[0, 0], 2, "min"), "mode is 'min'"),
        (lambda X: softmax_pool2d(X, 2, beta=float("inf")), "beta is inf"),
        (lambda X: softmax_pool2d(X, 2, beta=float("nan")), "beta is nan"),
        (lambda X: softmax_pool2d(X, 2, beta=1e39), "finite as torch.float32"),
        (lambda X: tournament_kernels((2, 0)), r"kernel_size is \(2, 0\)"),
        (lambda X: doubling_kernels((2, 0)), r"kernel_size is \(2, 0\)"),
        (lambda X: pool_cost((1, 4), 2), r"input_shape is \(1, 4\)"),
        (lambda X: pool_cost((1, 0, 4), 2), r"input_shape is \(1, 0, 4\)"),
        (lambda X: pool_cost((1.0, 4, 4), 2), r"input_shape is \(1.0, 4, 4\)"),
        (lambda X: pool_cost((1, 4, 4), 5), r"kernel_size is \(5, 5\)"),
        (lambda X: pool_cost((1, 4, 4), 2, padding=2), r"padding is \(2, 2\)"),
        (lambda X: pool_cost((1, 4, 4), 2, mode="min"), "mode is 'min'"),
    ],
)
def test_refuses_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(1, 1, 4, 4))
