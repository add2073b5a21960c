"""Convolutions and kernels, against PyTorch, SciPy and the code of the book."""

import math
from fractions import Fraction

import pytest
import scipy.signal
import torch
from d2l import torch as d2l
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.convolution import (
    Conv2D,
    blur_kernel,
    conv2d_full,
    conv2d_matmul,
    corr2d,
    directional_kernel,
    im2col,
    learn_kernel,
    smallest_derivative_kernel,
    toeplitz_matrix,
)
from solutions.notebook.reproducibility import generator

IMAGE = torch.ones(6, 8, dtype=torch.float64)
IMAGE[:, 2:6] = 0
EDGES = F.conv2d(IMAGE[None, None], torch.tensor([[[[1.0, -1.0]]]]).double())[0, 0]


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def integers(*shape, seed=0):
    return torch.randint(-9, 10, shape, generator=generator(seed))


def conv2d_of_integers(X, W, *args):
    return F.conv2d(X.double(), W.double(), *args).long()


@given(n=pairs(1, 7), k=pairs(1, 4), seed=st.integers(0, 99))
def test_corr2d_is_conv2d_and_keeps_integers(n, k, seed):
    assume(k[0] <= n[0] and k[1] <= n[1])
    X, K = integers(*n, seed=seed), integers(*k, seed=seed + 1)
    Y = corr2d(X, K)
    assert torch.equal(Y, conv2d_of_integers(X[None, None], K[None, None])[0, 0])
    assert torch.equal(
        Y,
        torch.from_numpy(scipy.signal.correlate2d(X.numpy(), K.numpy(), "valid")),
    )


def test_corr2d_of_the_book_agrees():
    X, K = integers(6, 8).float(), integers(3, 2, seed=1).float()
    assert torch.equal(corr2d(X, K), d2l.corr2d(X, K))


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.int32, torch.float16, torch.double]
)
def test_corr2d_keeps_dtype(dtype):
    X, K = torch.ones(3, 3, dtype=dtype), torch.ones(2, 2, dtype=dtype)
    assert torch.equal(corr2d(X, K), torch.full((2, 2), 4, dtype=dtype))
    assert corr2d(X, K).dtype == dtype


@given(n=pairs(1, 6), k=pairs(1, 6), seed=st.integers(0, 99))
def test_conv2d_full_is_scipy_s(n, k, seed):
    X, K = integers(*n, seed=seed), integers(*k, seed=seed + 1)
    expected = scipy.signal.convolve2d(X.numpy(), K.numpy())
    assert torch.equal(conv2d_full(X, K), torch.from_numpy(expected))
    assert torch.equal(conv2d_full(X, K), conv2d_full(K, X))


def test_layer_has_the_gradient_of_conv2d():
    layer = Conv2D((3, 2)).double()
    X = torch.rand(
        6, 8, dtype=torch.float64, generator=generator(1), requires_grad=True
    )
    ours = torch.autograd.grad((layer(X) ** 2).sum(), [X, layer.weight, layer.bias])
    Y = F.conv2d(X[None], layer.weight[None, None], layer.bias)
    expected = torch.autograd.grad((Y**2).sum(), [X, layer.weight, layer.bias])
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_layer_passes_gradcheck():
    layer = Conv2D((2, 3)).double()
    X = torch.rand(
        4, 4, dtype=torch.float64, generator=generator(2), requires_grad=True
    )

    def call(X, weight, bias):
        parameters = {"weight": weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, X)

    assert torch.autograd.gradcheck(call, (X, layer.weight, layer.bias))
    assert torch.autograd.gradgradcheck(call, (X, layer.weight, layer.bias))


SETTINGS = {
    "n": pairs(1, 7),
    "k": pairs(1, 4),
    "s": pairs(1, 5),
    "p": pairs(0, 4),
    "d": pairs(1, 3),
    "batch": st.integers(1, 3),
}


def fits(n, k, p, d):
    return all(d[i] * (k[i] - 1) < n[i] + 2 * p[i] for i in (0, 1))


@given(**SETTINGS, c=st.integers(1, 3))
def test_im2col_is_unfold(n, k, s, p, d, batch, c):
    assume(fits(n, k, p, d))
    X = torch.rand(batch, c, *n, generator=generator(0))
    expected = F.unfold(X, k, dilation=d, padding=p, stride=s)
    assert torch.equal(im2col(X, k, s, p, d), expected)


@given(
    **SETTINGS, per_group=pairs(1, 2), groups=st.integers(1, 3), biased=st.booleans()
)
def test_conv2d_matmul_is_conv2d(n, k, s, p, d, batch, per_group, groups, biased):
    assume(fits(n, k, p, d))
    c_g, c_o = per_group[0], groups * per_group[1]
    X, W = integers(batch, groups * c_g, *n), integers(c_o, c_g, *k, seed=1)
    bias = integers(c_o, seed=2) if biased else None
    float_bias = bias.double() if biased else None
    expected = conv2d_of_integers(X, W, float_bias, s, p, d, groups)
    assert torch.equal(conv2d_matmul(X, W, bias, s, p, d, groups), expected)


def test_conv2d_matmul_passes_gradcheck():
    X, W, bias = (
        torch.rand(shape, dtype=torch.float64, generator=generator(3)).requires_grad_()
        for shape in [(2, 4, 5, 4), (2, 2, 2, 3), (2,)]
    )

    def call(X, W, bias):
        return conv2d_matmul(X, W, bias, (2, 1), (1, 2), (2, 1), groups=2)

    assert torch.autograd.gradcheck(call, (X, W, bias))


@given(n=pairs(1, 6), k=pairs(1, 4), s=pairs(1, 5), p=pairs(0, 4))
def test_toeplitz_matrix_is_conv2d_and_its_transpose_the_gradient(n, k, s, p):
    assume(fits(n, k, p, (1, 1)))
    X, K = integers(*n), integers(*k, seed=1)
    Y = conv2d_of_integers(X[None, None], K[None, None], None, s, p)[0, 0]
    T = toeplitz_matrix(K, n, s, p)
    assert torch.equal(T @ X.flatten(), Y.flatten())

    G = integers(*Y.shape, seed=2)
    image = X.double().requires_grad_()
    output = F.conv2d(image[None, None], K.double()[None, None], None, s, p)[0, 0]
    (gradient,) = torch.autograd.grad(output, image, G.double())
    assert torch.equal(T.T @ G.flatten(), gradient.long().flatten())


@given(n=pairs(1, 5), k=pairs(1, 3), s=pairs(1, 3))
def test_transposed_toeplitz_matrix_is_conv_transpose2d(n, k, s):
    G, K = integers(*n), integers(*k, seed=1)
    expected = F.conv_transpose2d(
        G.double()[None, None], K.double()[None, None], None, s
    )[0, 0].long()
    T = toeplitz_matrix(K, tuple(expected.shape), s)
    assert torch.equal(T.T @ G.flatten(), expected.flatten())


def test_toeplitz_matrix_is_differentiable_in_the_kernel():
    K = torch.rand(
        2, 3, dtype=torch.float64, generator=generator(4), requires_grad=True
    )
    X = torch.rand(20, dtype=torch.float64, generator=generator(5))
    assert torch.autograd.gradcheck(
        lambda K: toeplitz_matrix(K, (4, 5), padding=(1, 0)) @ X, (K,)
    )


@given(
    offsets=st.lists(
        st.fractions(-5, 5, max_denominator=4), min_size=1, max_size=6, unique=True
    )
)
def test_smallest_kernel_is_exact_on_polynomials(offsets):
    # Entrywise residuals of the conditions, relative to the size of their terms.
    order = len(offsets) - 1
    kernel = [Fraction(w) for w in smallest_derivative_kernel(offsets).tolist()]
    for m in range(order + 1):
        terms = [w * x**m for w, x in zip(kernel, offsets, strict=True)]
        wanted = math.factorial(order) if m == order else 0
        size = sum(abs(term) for term in terms) + wanted
        assert abs(sum(terms) - wanted) <= size * 2**-52


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ([0], [1]),
        ([-1, 1], [-0.5, 0.5]),
        ([3, 2, 1, 0], [1, -3, 3, -1]),
        ([-2, -1, 1, 2], [-0.5, 1, -1, 0.5]),
        ([-1.5, -0.5, 0.5, 1.5], [-1, 3, -3, 1]),
    ],
)
def test_known_derivative_kernels(offsets, expected):
    assert smallest_derivative_kernel(offsets).tolist() == expected


@given(angle=st.floats(0, 6.3), length=st.floats(0.01, 100))
def test_directional_kernel_is_exact_on_planes(angle, length):
    v_1, v_2 = math.cos(angle), math.sin(angle)
    K = directional_kernel((length * v_1, length * v_2))
    y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
    for a, b in [(1, 0), (0, 1), (-2, 3)]:
        plane = (a * x + b * y + 7).double()
        slope = F.conv2d(plane[None, None], K[None, None])
        expected = torch.full_like(slope, a * v_1 + b * v_2)
        torch.testing.assert_close(slope, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_blur_kernel_is_repeated_averaging_of_neighbours(size):
    row = torch.ones(1, 1, 1, dtype=torch.float64)
    for _ in range(size - 1):
        row = F.conv1d(F.pad(row, (1, 1)), torch.full((1, 1, 2), 0.5).double())
    K = blur_kernel(size)
    assert torch.equal(K, torch.outer(row[0, 0], row[0, 0]))
    assert K.sum() == 1
    assert (K > 0).all()


@pytest.mark.parametrize("update_bias", [False, True])
def test_learn_kernel_does_what_a_loop_with_conv2d_does(update_bias):
    X, start = IMAGE + 0.1 * torch.eye(6, 8), torch.tensor([[0.4, 0.1]]).double()
    learned = learn_kernel(
        X, EDGES, start, lr=0.01, num_steps=9, update_bias=update_bias
    )
    net = torch.nn.Conv2d(1, 1, (1, 2), bias=update_bias).double()
    with torch.no_grad():
        net.weight.copy_(start)
        if update_bias:
            net.bias.zero_()
    losses = []
    for _ in range(9):
        loss = ((net(X[None]) - EDGES) ** 2).sum()
        for parameter in net.parameters():
            (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True)
            parameter.grad = gradient
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.01 * parameter.grad
        losses.append(loss.item())
    assert learned.losses == pytest.approx(losses)
    torch.testing.assert_close(learned.weight, net.weight[0, 0].detach())
    assert learned.bias == pytest.approx(net.bias.item() if update_bias else 0.0)
    assert start.tolist() == torch.tensor([[0.4, 0.1]]).double().tolist()


@given(w0=st.floats(-2, 2), w1=st.floats(-2, 2), lr=st.floats(0.001, 0.05))
def test_losses_have_a_closed_form(w0, w1, lr):
    # The Hessian [[36, 24], [24, 36]] has the eigenvalues 60 and 12.
    weight = torch.tensor([[w0, w1]], dtype=torch.float64)
    losses = learn_kernel(IMAGE, EDGES, weight, lr=lr, num_steps=8).losses
    expected = [
        3 * (w0 - w1 - 2) ** 2 * (1 - 12 * lr) ** (2 * t)
        + 15 * (w0 + w1) ** 2 * (1 - 60 * lr) ** (2 * t)
        for t in range(8)
    ]
    assert losses == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("update_bias", "limit"), [(False, 1 / 30), (True, 2 / (72 + math.sqrt(2736)))]
)
def test_largest_stable_learning_rate(update_bias, limit):
    def last_over_first(lr):
        weight = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
        losses = learn_kernel(
            IMAGE, EDGES, weight, lr=lr, num_steps=200, update_bias=update_bias
        ).losses
        return losses[-1] / losses[0]

    assert last_over_first(0.98 * limit) < 0.01
    assert last_over_first(1.02 * limit) > 10


MATMUL = conv2d_matmul
LINE, SQUARE, BATCH = torch.zeros(3), torch.zeros(3, 3), torch.zeros(2, 4, 3, 3)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corr2d(BATCH, SQUARE), r"X has shape \(2, 4, 3, 3\), .* 2-D"),
        (lambda: corr2d(SQUARE, LINE), r"K has shape \(3,\), .* 2-D"),
        (lambda: corr2d(SQUARE, torch.ones(4, 1)), r"kernel_size is \(4, 1\)"),
        (lambda: corr2d(torch.ones(0, 3), SQUARE), r"X has shape \(0, 3\)"),
        (lambda: conv2d_full(LINE, SQUARE), r"X has shape \(3,\)"),
        (lambda: conv2d_full(SQUARE, LINE), r"K has shape \(3,\)"),
        (lambda: Conv2D((1, 0)), r"kernel_size is \(1, 0\)"),
        (lambda: Conv2D((1, 2))(torch.ones(1, 1, 6, 8)), r"X has shape \(1, 1, 6, 8\)"),
        (lambda: im2col(SQUARE, 2), r"X has shape \(3, 3\), .* 4-D"),
        (lambda: im2col(BATCH, 4), r"kernel_size is \(4, 4\)"),
        (lambda: im2col(BATCH, 2, padding=-1), "padding is -1"),
        (lambda: MATMUL(SQUARE, BATCH), r"X has shape \(3, 3\)"),
        (lambda: MATMUL(BATCH, SQUARE), r"W has shape \(3, 3\)"),
        (lambda: MATMUL(BATCH, BATCH, groups=2), r"groups is 2, .*\(2, 4, 3, 3\)"),
        (lambda: MATMUL(BATCH, torch.ones(3, 2, 1, 1), groups=2), "groups is 2"),
        (lambda: MATMUL(BATCH, BATCH, groups=0), "groups is 0"),
        (lambda: MATMUL(BATCH, BATCH, LINE), r"bias has shape \(3,\), .* \(2,\)"),
        (lambda: MATMUL(BATCH, BATCH, dilation=2), r"spans \(5, 5\)"),
        (lambda: toeplitz_matrix(LINE, (3, 3)), r"K has shape \(3,\)"),
        (lambda: toeplitz_matrix(SQUARE, (2, 3)), r"kernel_size is \(3, 3\)"),
        (lambda: toeplitz_matrix(SQUARE, (0, 3)), r"input_shape is \(0, 3\)"),
        (lambda: smallest_derivative_kernel([]), "must have at least one"),
        (lambda: smallest_derivative_kernel([0, 1, 0.0]), "must be different"),
        (lambda: smallest_derivative_kernel([math.inf]), "all finite"),
        (lambda: directional_kernel((0, 0)), r"v is \(0, 0\), .* not zero"),
        (lambda: directional_kernel((1, math.inf)), r"v is \(1, inf\)"),
        (lambda: directional_kernel((1, 0, 5)), r"v is \(1, 0, 5\), .* a pair"),
        (lambda: blur_kernel(4), "size is 4, but must be odd"),
        (lambda: blur_kernel(-1), "size is -1"),
        (
            lambda: learn_kernel(IMAGE, IMAGE, torch.ones(1, 2), lr=1, num_steps=1),
            r"Y has shape \(6, 8\), but must be \(6, 7\)",
        ),
        (
            lambda: learn_kernel(IMAGE, EDGES, torch.ones(2), lr=1, num_steps=1),
            r"weight has shape \(2,\)",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
