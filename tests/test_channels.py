"""Channels: against PyTorch, the book's loops, sympy's root counts, and counting."""

import itertools
import math

import numpy as np
import pytest
import sympy
import torch
from d2l import torch as d2l
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from solutions.channels import (
    Operations,
    compose_convs,
    conv_cost,
    corr2d_multi_in,
    corr2d_multi_in_out,
    corr2d_multi_in_out_1x1,
    corr2d_strips,
    factor_kernel_1d,
    split_3x3,
    split_by_axis,
)
from solutions.notebook.reproducibility import generator


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def integers(*shape, seed=0):
    """Integers in float64: every sum of products of a few of them is exact."""
    return torch.randint(-9, 10, shape, generator=generator(seed)).double()


# Sums over channels


@given(c=pairs(1, 3), n=pairs(1, 6), k=pairs(1, 3), seed=st.integers(0, 99))
def test_multi_in_out_is_conv2d(c, n, k, seed):
    assume(k[0] <= n[0] and k[1] <= n[1])
    X, K = integers(c[0], *n, seed=seed), integers(c[1], c[0], *k, seed=seed + 1)
    Y = F.conv2d(X[None], K)[0]
    assert torch.equal(corr2d_multi_in_out(X, K), Y)
    assert torch.equal(corr2d_multi_in(X, K[0]), Y[0])


@given(c=pairs(1, 5), n=pairs(1, 5), seed=st.integers(0, 99))
def test_1x1_is_conv2d_and_a_linear_layer_per_pixel(c, n, seed):
    X, K = integers(c[0], *n, seed=seed), integers(c[1], c[0], 1, 1, seed=seed + 1)
    Y = corr2d_multi_in_out_1x1(X, K)
    assert torch.equal(Y, F.conv2d(X[None], K)[0])
    per_pixel = F.linear(X.permute(1, 2, 0), K[:, :, 0, 0])
    assert torch.equal(Y, per_pixel.permute(2, 0, 1))


def test_integer_dtypes_stay_integer():
    X, K = integers(2, 3, 3).long(), integers(3, 2, 1, 1).long()
    expected = F.conv2d(X[None].double(), K.double())[0].long()
    assert torch.equal(corr2d_multi_in_out(X, K), expected)
    assert torch.equal(corr2d_multi_in_out_1x1(X, K), expected)


def test_the_book_of_d2l_agrees():
    X, K = integers(3, 5, 4).float(), integers(2, 3, 2, 3, seed=1).float()
    Y = torch.stack(
        [sum(d2l.corr2d(x, k) for x, k in zip(X, K_o, strict=True)) for K_o in K]
    )
    assert torch.equal(corr2d_multi_in_out(X, K), Y)


def test_gradients():
    X = integers(2, 4, 4).requires_grad_()
    K = integers(2, 2, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(corr2d_multi_in_out, (X, K))
    K_1x1 = integers(3, 2, 1, 1).requires_grad_()
    assert torch.autograd.gradcheck(corr2d_multi_in_out_1x1, (X, K_1x1))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("f", "X", "K", "message"),
    [
        (corr2d_multi_in, (2, 3, 3), (3, 1, 1), r"K .*\(3, 1, 1\).* \(2, k_h, k_w\)"),
        (corr2d_multi_in, (3, 3), (3, 1, 1), r"X has shape \(3, 3\)"),
        (corr2d_multi_in, (2, 3, 3), (2, 4, 1), "padded input has only"),
        (corr2d_multi_in_out, (2, 3, 3), (2, 1, 1), r"K has shape \(2, 1, 1\)"),
        (corr2d_multi_in_out, (3, 3), (1, 3, 1, 1), r"X has shape \(3, 3\)"),
        (corr2d_multi_in_out, (2, 3, 3), (1, 3, 1, 1), r"\(1, 3, 1, 1\).* \(c_o, 2,"),
        (corr2d_multi_in_out_1x1, (2, 3, 3), (4, 3, 1, 1), r"\(c_o, 2, 1, 1\)"),
        (corr2d_multi_in_out_1x1, (2, 3, 3), (4, 2, 1, 2), r"\(4, 2, 1, 2\)"),
    ],
)
def test_multi_channel_refuses(f, X, K, message):
    with pytest.raises(ValueError, match=message):
        f(torch.zeros(X), torch.zeros(K))


# Composition


@given(
    c=st.tuples(*[st.integers(1, 3)] * 3),
    a=pairs(1, 3),
    b=pairs(1, 3),
    s1=pairs(1, 4),
    s2=pairs(1, 3),
    biases=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 99),
)
def test_composition_is_both_layers(c, a, b, s1, s2, biases, seed):
    W1 = integers(c[1], c[0], *a, seed=seed)
    W2 = integers(c[2], c[1], *b, seed=seed + 1)
    b1 = integers(c[1], seed=seed + 2) if biases[0] else None
    b2 = integers(c[2], seed=seed + 3) if biases[1] else None
    X = integers(2, c[0], 14, 17, seed=seed + 4)
    W, bias, stride = compose_convs(W1, b1, W2, b2, s1, s2)
    Y = F.conv2d(F.conv2d(X, W1, b1, s1), W2, b2, s2)
    assert torch.equal(F.conv2d(X, W, bias, stride), Y)
    assert (bias is None) == (biases == (False, False))
    assert torch.equal(W, F.conv_transpose2d(W2, W1, stride=s1))


def test_composition_of_single_channels_commutes():
    W1, W2 = integers(1, 1, 2, 3), integers(1, 1, 3, 2, seed=1)
    W = compose_convs(W1, None, W2, None)[0]
    assert torch.equal(W, compose_convs(W2, None, W1, None)[0])


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("W1", "b1", "W2", "b2", "stride", "message"),
    [
        ((2, 1, 3, 3), None, (4, 3, 1, 1), None, 1, r"W2 .*\(4, 3, 1, 1\).*\(c_o, 2,"),
        ((1, 3, 3), None, (4, 1, 1, 1), None, 1, r"W1 has shape \(1, 3, 3\)"),
        ((2, 1, 3, 3), 1, (4, 2, 1, 1), None, 1, r"b1 has shape \(1,\).* \(2,\)"),
        ((2, 1, 3, 3), 2, (4, 2, 1, 1), 2, 1, r"b2 has shape \(2,\).* \(4,\)"),
        ((2, 1, 3, 3), 2, (4, 2, 1, 1), 4, 0, "stride1 is 0"),
    ],
)
def test_composition_refuses(W1, b1, W2, b2, stride, message):
    biases = [None if b is None else torch.zeros(b) for b in (b1, b2)]
    with pytest.raises(ValueError, match=message):
        compose_convs(torch.zeros(W1), biases[0], torch.zeros(W2), biases[1], stride)


# Columns, then rows


@given(c=pairs(1, 3), k=pairs(1, 4), rank=st.integers(1, 3), seed=st.integers(0, 99))
def test_split_by_axis_has_the_fewest_channels(c, k, rank, seed):
    rows, columns = c[0] * k[0], c[1] * k[1]
    matrix = integers(rows, rank, seed=seed) @ integers(rank, columns, seed=seed + 1)
    W = matrix.reshape(c[0], k[0], c[1], k[1]).permute(2, 0, 1, 3)
    fewest = sympy.Matrix(matrix.long().tolist()).rank()
    assume(fewest > 0)
    W1, W2 = split_by_axis(W)
    assert W1.shape == (fewest, c[0], k[0], 1) and W2.shape == (c[1], fewest, 1, k[1])
    X = integers(2, c[0], 6, 7, seed=seed + 2)
    Y = F.conv2d(F.conv2d(X, W1), W2)
    torch.testing.assert_close(Y, F.conv2d(X, W), rtol=0, atol=1e-7)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("W", "message"),
    [
        (torch.ones(3, 3), r"W has shape \(3, 3\)"),
        (torch.zeros(1, 1, 2, 2), "not zero"),
        (torch.full((1, 1, 2, 2), float("nan")), "finite"),
        (torch.ones(1, 1, 2, 2) * 1j, "real"),
    ],
)
def test_split_by_axis_refuses(W, message):
    with pytest.raises(ValueError, match=message):
        split_by_axis(W)


# Strips


@given(n=pairs(1, 8), k=pairs(1, 4), delta=st.integers(1, 9))
def test_strips_are_corr2d_and_read_each_row_as_often_as_strips_hold_it(n, k, delta):
    assume(k[0] <= n[0] and k[1] <= n[1])
    X, K = integers(*n), integers(*k, seed=1)
    Y, reads = corr2d_strips(X, K, delta)
    assert torch.equal(Y, F.conv2d(X[None, None], K[None, None])[0, 0])
    tops = range(0, n[0] - k[0] + 1, delta)
    held = [range(top, min(top + delta + k[0] - 1, n[0])) for top in tops]
    assert reads == n[1] * sum(map(len, held))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("X", "K", "delta", "message"),
    [
        ((4, 4), (2, 2), 0, "delta is 0"),
        ((1, 4, 4), (2, 2), 1, r"X has shape \(1, 4, 4\)"),
        ((4, 4), (2,), 1, r"K has shape \(2,\)"),
        ((4, 4), (5, 1), 1, "padded input has only"),
    ],
)
def test_strips_refuse(X, K, delta, message):
    with pytest.raises(ValueError, match=message):
        corr2d_strips(torch.zeros(X), torch.zeros(K), delta)


# Factors


def assert_factors(k, sizes):
    a, b = factor_kernel_1d(k, sizes)
    assert (len(a), len(b)) == sizes
    error = np.abs(np.convolve(a.numpy(), b.numpy()) - k.double().numpy()).max()
    assert error <= 1e-9 * k.abs().max()


def count_real_roots(taps):
    """Count, with sympy and multiplicities, the real roots incl. 0 and infinity."""
    form = sympy.Poly(taps[::-1], sympy.Symbol("t"))
    at_infinity = len(taps) - 1 - form.degree()
    return at_infinity + sum(m * len(f.real_roots()) for f, m in form.factor_list()[1])


@given(
    taps=st.lists(st.integers(-5, 5), min_size=1, max_size=7).filter(any),
    data=st.data(),
)
def test_fails_exactly_without_real_root_and_odd_degrees(taps, data):
    k_1 = data.draw(st.integers(1, len(taps)))
    sizes = (k_1, len(taps) + 1 - k_1)
    odd = k_1 % 2 == 0 and sizes[1] % 2 == 0
    if odd and count_real_roots(taps) == 0:
        with pytest.raises(ValueError, match="no real root"):
            factor_kernel_1d(torch.tensor(taps), sizes)
    else:
        assert_factors(torch.tensor(taps), sizes)


def test_a_double_real_root_that_rounding_makes_complex():
    for root in np.linspace(-8, 8, 50):
        k = np.convolve([-root, 1.0], [-root, 1.0])
        assert_factors(torch.from_numpy(np.convolve(k, [1.0, 0.5, 1.0])), (2, 4))


@pytest.mark.parametrize("n", [5, 21, 61])
def test_factors_are_right_or_refused(n):
    for seed in range(20):
        k = torch.randn(2 * n - 1, generator=generator(seed)).double()
        try:
            assert_factors(k, (n, n))
        except ArithmeticError as error:
            assert n > 5 and "rounding spoils" in str(error)


@pytest.mark.parametrize("exponent", [-60, 0, 60])
@pytest.mark.parametrize(
    ("taps", "sizes"),
    [
        ([0, 1, 0], (2, 2)),  # roots at 0 and infinity
        ([1, 0, 0], (2, 2)),  # infinity twice
        ([0, 0, 3], (2, 2)),  # 0 twice
        ([0, 1, 0, 1], (2, 3)),  # 0 and a complex pair
        ([1, 0, 1, 0], (2, 3)),  # infinity and a complex pair
        ([0, 0, 0], (2, 2)),
        ([5], (1, 1)),
        ([1, 0, 1], (1, 3)),
        ([1, 0, 0, 0, 1], (3, 3)),
        ([1, -2, 3, -2, 1], (3, 3)),  # a double complex pair
        ([1, 20, 1], (2, 2)),
    ],
)
def test_special_kernels(taps, sizes, exponent):
    assert_factors(torch.tensor(taps).double() * 2.0**exponent, sizes)


@pytest.mark.parametrize(
    ("taps", "sizes"),
    [
        ([1, 0, 1], (2, 2)),
        ([1.0, 0.0, 1e-7], (2, 2)),
        ([1.0, -2.0, 1.0 + 1e-9], (2, 2)),
        ([1, 0, 0, 0, 1], (2, 4)),
        ([1, 0, 2, 0, 1], (4, 2)),
    ],
)
def test_kernels_without_real_factors(taps, sizes):
    with pytest.raises(ValueError, match="no real root"):
        factor_kernel_1d(torch.tensor(taps, dtype=torch.float64), sizes)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("shape", "sizes", "message"),
    [
        ((4,), (2, 2), "k has 4 taps, but factors of 2 and 2 taps make 3"),
        ((3, 3), (2, 2), r"k has shape \(3, 3\)"),
        ((3,), (0, 4), r"sizes is \(0, 4\)"),
    ],
)
def test_factor_refuses(shape, sizes, message):
    with pytest.raises(ValueError, match=message):
        factor_kernel_1d(torch.ones(shape), sizes)


@pytest.mark.bad_input
@pytest.mark.parametrize("tap", [float("nan"), float("inf"), 1j])
def test_factor_refuses_taps_that_are_not_real_numbers(tap):
    with pytest.raises(ValueError, match=r"k is .* real and finite"):
        factor_kernel_1d(torch.tensor([1, tap, 1]), (2, 2))


# Two channels


def assert_split(K):
    W1, W2 = split_3x3(K)
    assert W1.shape == (2, 1, 2, 2) and W2.shape == (1, 2, 2, 2)
    X = integers(1, 1, 5, 6)
    Y, tolerance = F.conv2d(X, K[None, None]), 1e-11 * K.abs().max().item()
    two = F.conv2d(F.conv2d(X, W1), W2)
    torch.testing.assert_close(two, Y, rtol=0, atol=100 * tolerance)


def test_two_channels_reach_kernels_with_taps_of_minus_one_zero_and_one():
    every = list(itertools.product((-1.0, 0.0, 1.0), repeat=9))
    for taps in every[::11]:
        assert_split(torch.tensor(taps).double().reshape(3, 3))


@given(seed=st.integers(0, 999))
def test_two_channels_reach_random_kernels(seed):
    assert_split(torch.randn(3, 3, generator=generator(seed)).double())


@given(roots=st.tuples(*[st.integers(-4, 4)] * 4), turned=st.booleans())
def test_two_channels_reach_kernels_without_a_zero_that_is_not_real(roots, turned):
    a, b, c, d = map(float, roots)
    column, row = np.convolve([a, 1.0], [b, 1.0]), np.convolve([c, 1.0], [1.0, d])
    K = torch.from_numpy(np.outer(column, row))
    assert_split(K.T.contiguous() if turned else K)


@pytest.mark.parametrize("at", [0, 1])
def test_two_channels_reach_a_zero_in_one_coordinate_alone(at):
    # (1 + x^2) y^2: no row of taps but the last, and roots of one factor not real.
    K = torch.outer(torch.tensor([1.0, 0, 1]), torch.tensor([0, 0, 1.0])).double()
    assert_split(K if at == 0 else K.T.contiguous())


def test_split_near_a_separable_kernel_is_right_or_refused():
    binomial = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1]))
    for seed, eps in itertools.product(range(20), (1e-3, 1e-5, 1e-7, 1e-9)):
        K = binomial + eps * torch.randn(3, 3, generator=generator(seed))
        try:
            W1, W2 = split_3x3(K)
        except ArithmeticError:
            continue
        W, _, _ = compose_convs(W1, None, W2, None)
        torch.testing.assert_close(W[0, 0], K.double(), rtol=0, atol=1e-5)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "K", [torch.ones(2, 3), torch.ones(3, 3) * 1j, torch.full((3, 3), float("nan"))]
)
def test_split_3x3_refuses(K):
    with pytest.raises(ValueError, match=r"must be \(3, 3\), real and finite"):
        split_3x3(K)


# Cost


def count_by_loops(n, c_i, c_o, h, w, k, s, p, bias):
    """Walk through every product of a layer and note which sum it belongs to."""
    o_h, o_w = F.conv2d(
        torch.zeros(1, 1, h, w), torch.zeros(1, 1, *k), None, s, p
    ).shape[2:]
    outputs, weights, pixels, useful = {}, {}, {}, 0
    for m, o, i, j in itertools.product(*map(range, (n, c_o, o_h, o_w))):
        for c, u, v in itertools.product(*map(range, (c_i, *k))):
            y, x = i * s[0] + u - p[0], j * s[1] + v - p[1]
            for sums, key in ((outputs, (m, o, i, j)), (weights, (o, c, u, v))):
                sums[key] = sums.get(key, 0) + 1
            if 0 <= y < h and 0 <= x < w:
                useful += 1
                pixels[m, c, y, x] = pixels.get((m, c, y, x), 0) + 1

    def operations(sums):
        return sum(sums.values()), useful, sum(terms - 1 for terms in sums.values())

    forward = operations(outputs)
    return (
        Operations(*forward[:2], forward[2] + (len(outputs) if bias else 0)),
        Operations(*operations(weights)),
        Operations(*operations(pixels)),
        Operations(0, 0, c_o * (n * o_h * o_w - 1) if bias else 0),
    )


layers = {
    "n": st.integers(1, 2),
    "c": pairs(1, 2),
    "hw": pairs(1, 6),
    "k": pairs(1, 3),
    "s": pairs(1, 4),
    "p": pairs(0, 3),
    "bias": st.booleans(),
}


def fits(hw, k, p):
    return all(k[axis] <= hw[axis] + 2 * p[axis] for axis in (0, 1))


@given(**layers)
def test_operations_are_those_of_the_loops(n, c, hw, k, s, p, bias):
    assume(fits(hw, k, p))
    cost = conv_cost((n, c[0], *hw), c[1], k, s, p, bias)
    counted = (cost.forward, cost.weight_grad, cost.input_grad, cost.bias_grad)
    assert counted == count_by_loops(n, *c, *hw, k, s, p, bias)


@pytest.mark.parametrize(
    ("case", "expected", "touched"),
    [
        # c_i, c_o, (h, w), kernel_size, padding, stride; all by hand
        ((1, 2, (6, 7), (3, 3), (1, 1), (1, 1)), (756, 608, 672), 42),
        ((2, 3, (8, 8), (3, 5), (0, 1), (3, 4)), (360, 324, 348), 96),
    ],
)
def test_two_layers_counted_by_hand(case, expected, touched):
    c_i, c_o, hw, k, p, s = case
    cost = conv_cost((1, c_i, *hw), c_o, k, s, p, bias=False)
    assert cost.forward == Operations(*expected)
    assert cost.input_grad.multiplications - cost.input_grad.additions == touched


@given(**layers)
def test_pytorch_counts_and_saves_the_same(n, c, hw, k, s, p, bias):
    assume(fits(hw, k, p))
    for input_grad in (False, True):
        cost = conv_cost((n, c[0], *hw), c[1], k, s, p, bias, input_grad)
        layer = torch.nn.Conv2d(c[0], c[1], k, s, p, bias=bias)
        X = torch.zeros(n, c[0], *hw, requires_grad=input_grad)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
            Y = layer(X)
        assert sum(t.numel() for t in saved) == cost.saved
        assert (X.numel(), Y.numel()) == (cost.inputs, cost.outputs)
        assert sum(q.numel() for q in layer.parameters()) == cost.parameters
        with FlopCounterMode(display=False) as flops:
            Y = layer(X)
        # PyTorch counts two operations per product, and no bias.
        assert flops.get_total_flops() == 2 * cost.forward.multiplications
        with FlopCounterMode(display=False) as flops:
            Y.sum().backward()
        gradients = [t.grad for t in (X, *layer.parameters()) if t.grad is not None]
        assert Y.numel() + sum(g.numel() for g in gradients) == cost.gradients
        # It counts the gradient of the padding too, which the sums leave out.
        passes = 2 if input_grad else 1
        assert flops.get_total_flops() == 2 * passes * cost.weight_grad.multiplications
        if p == (0, 0):
            assert flops.get_total_flops() == 2 * cost.backward.multiplications


def test_backward_is_the_sum_and_input_gradient_can_be_left_out():
    cost = conv_cost((2, 1, 28, 28), 6, 5, padding=2)
    parts = (cost.weight_grad, cost.input_grad, cost.bias_grad)
    total = [
        sum(getattr(part, field) for part in parts)
        for field in ("multiplications", "useful", "additions")
    ]
    assert cost.backward == Operations(*total)
    first = conv_cost((2, 1, 28, 28), 6, 5, padding=2, input_grad=False)
    assert first.input_grad == Operations(0, 0, 0)
    assert cost.gradients - first.gradients == math.prod((2, 1, 28, 28))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("X_shape", "c_o", "kernel_size", "message"),
    [
        ((1, 2, 3), 1, 1, r"X_shape is \(1, 2, 3\).* \(n, c_i, h, w\)"),
        ((0, 2, 3, 3), 1, 1, r"X_shape is \(0, 2, 3, 3\)"),
        ((1, 2, 3, 3), 0, 1, "c_o is 0"),
        ((1, 2, 3, 3), (4, 5), 1, r"c_o is \(4, 5\)"),
        ((1, 2, 3, 3), 1, 4, "padded input has only"),
    ],
)
def test_cost_refuses(X_shape, c_o, kernel_size, message):
    with pytest.raises(ValueError, match=message):
        conv_cost(X_shape, c_o, kernel_size)
