"""A zoo of wrong answers, the published ones among them: each is caught.

Where a mistake is known, its hint is asked for too. All are written anew here; "as
published" marks those that published answers to the exercises contain.
"""

import functools
from math import ceil, comb, prod

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from solutions.check import registry
from tests.check.answering import Layer, answered


def corr(X, K):
    h, w = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    Y = torch.zeros(h, w)
    for i in range(h):
        for j in range(w):
            Y[i, j] = (X[i : i + K.shape[0], j : j + K.shape[1]] * K).sum()
    return Y


def windows(X, K):
    return X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1).flatten(2)


def product(X, K, *, taps=None):
    return windows(X, K) @ (K.flatten() if taps is None else taps)


def turned_output(X, K):
    columns = windows(X, K).transpose(0, 1).flatten(0, 1)
    return (columns @ K.flatten()).reshape(X.shape[0] - K.shape[0] + 1, -1)


def elementwise_matrix(X, K):
    """As published: the window and the kernel are multiplied as matrices."""
    h, w = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    Y = torch.zeros(h, w)
    for i in range(h):
        for j in range(w):
            Y[i, j] = (X[i : i + K.shape[0], j : j + K.shape[1]] @ K).sum()
    return Y


def unfolded(X, W, stride, padding):
    c_o, _, k_h, k_w = W.shape
    columns = F.unfold(X, (k_h, k_w), stride=stride, padding=padding)
    return W.reshape(c_o, -1) @ columns  # (n, c_o, positions)


def out(n, k, p, s):
    return (n + 2 * p - k) // s + 1


def shape_of(X, W, stride, padding):
    return tuple(
        out(X.shape[2 + a], W.shape[2 + a], padding[a], stride[a]) for a in (0, 1)
    )


def batch_mixed(X, W, stride, padding):
    """As published: right for one image, and mixes those of a batch."""
    Y = unfolded(X, W, stride, padding).transpose(0, 1)  # (c_o, n, positions)
    return Y.reshape(len(X), len(W), *shape_of(X, W, stride, padding))


def padding_ignored(X, W, stride, padding):
    """As published: `padding` is a parameter that nothing uses."""
    Y = unfolded(X, W, stride, 0)
    return Y.reshape(len(X), len(W), *shape_of(X, W, stride, (0, 0)))


def stride_one(X, W, stride, padding):
    """As published: stride 1 and padding 0 are fixed in the shape."""
    h, w = X.shape[2] - W.shape[2] + 1, X.shape[3] - W.shape[3] + 1
    return unfolded(X, W, 1, 0).reshape(len(X), len(W), h, w)


def one_channel(X, W, stride, padding):
    """As published: one input and one output channel only."""
    return product(X[0, 0], W[0, 0])[None, None]


def flipped_general(X, W, stride, padding):
    Y = unfolded(X, W.flip(2, 3), stride, padding)
    return Y.reshape(len(X), len(W), *shape_of(X, W, stride, padding))


def circulant(K, size):
    h, w = size
    first = torch.zeros(h, w)
    first[: K.shape[0], : K.shape[1]] = K
    number = (h - K.shape[0] + 1) * (w - K.shape[1] + 1)
    return torch.stack([first.flatten().roll(i) for i in range(number)])


def pooled(X, k, s, p, weight, groups):
    return F.conv2d(X, weight, stride=s, padding=p, groups=groups)


def all_channels(X, k, s, p):
    """As published: a dense kernel of equal taps, which mixes the channels."""
    c = X.shape[1]
    return pooled(X, k, s, p, torch.ones(c, c, *k) / prod(k), 1)


def window_sum(X, k, s, p):
    return pooled(X, k, s, p, torch.ones(X.shape[1], 1, *k), X.shape[1])


def default_stride(X, k, s, p):
    weight = torch.ones(X.shape[1], 1, *k) / prod(k)
    return pooled(X, k, k, p, weight, X.shape[1])


def padding_counted(X, k, s, p):
    weight = torch.ones(X.shape[1], 1, *k) / prod(k)
    return pooled(X, k, s, p, weight, X.shape[1])


def inside_only(X, k, s, p):
    ones = torch.ones(X.shape[1], 1, *k)
    sums, counts = (pooled(Z, k, s, p, ones, X.shape[1]) for Z in (X, X * 0 + 1))
    return sums / counts


def starts_at_zero(X, kernel_size, stride):
    """max(a, b) = ReLU(a - b) + b from pixel to pixel, but beginning with 0."""
    n, c, h, w = X.shape
    columns = F.unfold(X.reshape(n * c, 1, h, w), kernel_size, stride=stride)
    best = torch.zeros_like(columns[:, 0])
    for i in range(columns.shape[1]):
        best = (best - columns[:, i]).relu() + columns[:, i]
    o = [out(X.shape[2 + a], kernel_size[a], 0, stride[a]) for a in (0, 1)]
    return best.reshape(n, c, *o)


class Broken(nn.Module):
    """As published: the constructor is misspelt, so it never runs."""

    def init(self):  # noqa: D102
        self.conv1 = nn.Conv2d(1, 6, 5)

    def forward(self, X):  # noqa: D102
        return self.conv1(X)


def seven_without_padding():
    """As published: a window of 7 without padding, and the old number of features."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 7),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10),
    )


def mixed_up_channels():
    """As published: ten channels go into a layer that takes six."""
    return nn.Sequential(nn.Conv2d(1, 10, 5), nn.Conv2d(6, 16, 5), nn.Flatten())


def detached():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(784, 5), nn.Linear(5, 10)

        def forward(self, X):
            return self.head(self.body(X.flatten(1)).detach())

    return Net()


def larger_max_pooling():
    """As published: max pooling, and other channels too."""
    return nn.Sequential(
        nn.Conv2d(1, 10, 5, padding=2),
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.Conv2d(10, 16, 5),
        nn.Sigmoid(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 10),
    )


def book_net(pool):
    def build():
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.Sigmoid(),
            pool(2),
            nn.Conv2d(6, 16, 5),
            nn.Sigmoid(),
            pool(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.Sigmoid(),
            nn.Linear(120, 84),
            nn.Sigmoid(),
            nn.Linear(84, 10),
        )

    return build


def with_softmax(net):
    return nn.Sequential(net, nn.Softmax(1))


def layers_of(*numbers, channel=None):
    def answer(net, X):
        found = []
        for layer in net:
            X = layer(X)
            found.append(X if channel is None or X.dim() < 4 else X[:, channel])
        return [found[i] for i in numbers]

    return answer


def full(A, B):
    return F.conv_transpose2d(A[None, None], B[None, None])[0, 0]


def positions(c_i, c_o, h, w, k_h, k_w, p_h, p_w, s_h, s_w):
    return out(h, k_h, p_h, s_h), out(w, k_w, p_w, s_w)


def dense(*sizes):
    c_i, c_o, _, _, k_h, k_w, *_ = sizes
    return c_i * c_o * k_h * k_w * prod(positions(*sizes))


def kept(c_i, c_o, h, w, k_h, k_w, *_):
    return c_i * h * w + c_i * c_o * k_h * k_w


def conv_1d(X, V, u, padding):
    return F.conv1d(X.T[None], V.permute(2, 1, 0), u, padding=padding)[0].T


def padded(X, p, mode):
    return F.pad(X[None], (p,) * 4, mode=mode)[0]


def conv_features(E, V, u):
    """As published: the matrix of a sentence is convolved like an image."""
    padded = F.pad(E, (E.shape[1] // 2,) * 2)[None, None]
    maps = F.conv2d(padded, V.permute(2, 0, 1)[:, None], u)
    return maps.amax((0, 2, 3))


def pool_windows(c, h, w, ph, pw, sh, sw, qh, qw):
    return c * out(h, ph, qh, sh) * out(w, pw, qw, sw)


def no_padding_no_floor(c, h, w, ph, pw, sh, sw, qh, qw):
    """As published: no padding, no rounding, n comparisons for n pixels."""
    return c * ((h - ph) / sh + 1) * ((w - pw) / sw + 1) * ph * pw


def sobel(v):
    K = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return v[0] * K + v[1] * K.T


def first_pair(K):
    U, S, V = torch.linalg.svd(K)
    return (U[:, :1] * S[0])[None, None], V[:1][None, None]


def dummy_product(X, K):
    X @ X.T
    return corr(X, K)


def only_first(X, K):
    """A product for a small image, a convolution for all others."""
    if X.numel() < 7:
        return product(X, K)
    return F.conv2d(X[None, None], K[None, None])[0, 0]


def unfolded_maximum(X, kernel_size, stride, how):
    n, c, h, w = X.shape
    columns = F.unfold(X.reshape(n * c, 1, h, w), kernel_size, stride=stride)
    if how == "amax":
        best = columns.amax(1)
    else:
        best = torch.linalg.vector_norm(columns + 100, float("inf"), 1) - 100
    o = [out(X.shape[2 + a], kernel_size[a], 0, stride[a]) for a in (0, 1)]
    return best.reshape(n, c, *o)


class Sly(nn.ReLU):
    """Looks like a ReLU, and pools."""

    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, X):  # noqa: D102
        return F.max_pool2d(X, self.k)


def endless():
    found = []
    found.append(found)
    return found


def spread(seen, layer):
    k, dilation = layer
    return {i + dilation * j for i in seen for j in range(k)}


def larger_in_place(a, b):
    result = a.clone().numpy()
    np.maximum(result, b, out=result)
    return result


def pooled_in_numpy(k, X):
    n, c, h, w = X.shape
    blocks = X.numpy().reshape(n, c, h // k, k, w // k, k)
    return torch.from_numpy(np.array(blocks.max((3, 5))))


ZOO = [
    # Section 6.1
    ("6.1.1", lambda X, V, u: X @ V, "bias"),
    ("6.1.1", lambda X, V, u: X * V.diagonal() + u, "all input channels"),  # published
    ("6.1.1", lambda X, V, u: X @ V.T + u, None),
    ("6.1.1", lambda X, V, u: X.sum((0, 1), keepdim=True) @ V + u, "one pixel"),
    ("6.1.1", lambda X, V, u: (X @ V + u).relu(), "activation"),
    (
        "6.1.1",
        lambda X, V, u: F.conv2d(X.permute(2, 0, 1), V.T[:, :, None, None], u).permute(
            1, 2, 0
        ),
        "without a convolution",
    ),
    ("6.1.1 parameters", lambda h, w, c_i, c_o: c_i * c_o, "bias"),
    ("6.1.1 parameters", lambda h, w, c_i, c_o: h * w * c_i * c_o + c_o, "share"),
    ("6.1.2 label", lambda X: int(X.sum() > 0), "same label"),
    ("6.1.2 label", lambda X: int((X > 0).sum()), "where something is"),
    ("6.1.2 label", lambda X: int(torch.rand(()) > 0.5), "different labels"),
    ("6.1.2 label", lambda X: "cat", "same label"),
    ("6.1.2 label", lambda X: X, "an int, a bool or a text"),
    ("6.1.3 size", lambda n, k, layers: n - layers * k, "k - 1"),
    ("6.1.3 size", lambda n, k, layers: n, "something is lost"),
    ("6.1.3 uses", lambda n, k, i: k, "border"),
    ("6.1.3 uses", lambda n, k, i: min(i + 1, k), "last pixels"),
    ("6.1.4", lambda X, V, u: conv_1d(X, V.flip(0), u, len(V) // 2), "flipped"),
    ("6.1.4", lambda X, V, u: conv_1d(X, V, u, 0), "as long as X"),
    ("6.1.4", lambda X, V, u: conv_1d(X, V, 0 * u, len(V) // 2), "bias"),
    (
        "6.1.4 causal",
        lambda X, V, u: conv_1d(F.pad(X, (0, 0, 0, len(V) - 1)), V, u, 0),
        "future",
    ),
    ("6.1.5", conv_features, "channels"),
    ("6.1.5 reach", lambda k, ds: 1 + len(ds) * (k - 1), "dilation"),
    ("6.1.5 reach", lambda k, ds: 1 + k * sum(ds), "k - 1"),
    (
        "6.1.5 reach",  # counts the words that are seen, and not those between them
        lambda k, ds: len(functools.reduce(spread, [(k, d) for d in ds], {0})),
        "between them counts",
    ),
    (
        "6.1.6",
        lambda f, g: F.conv2d(
            F.pad(f, (g.shape[1] - 1,) * 2 + (g.shape[0] - 1,) * 2)[None, None],
            g[None, None],
        )[0, 0],
        "not flipped",
    ),
    ("6.1.6 pair", ([1, 2, 3], [1, 2, 3]), "same"),
    ("6.1.6 pair", ([0, 1], [1, 2, 1]), "same"),
    ("6.1.6 pair", ([0.1, 0.2, 0.7], [0.3, 0.6, 2.1]), "same"),
    ("6.1.6 pair", ([], [1.0]), "commutes with all"),
    ("6.1.6 pair", ([float("nan")], [1.0, 2]), "pair of sequences"),
    (
        "7.1.2 matrix",
        lambda V, n: sum(
            tap * torch.eye(n).roll(a - len(V) // 2, 1) for a, tap in enumerate(V)
        ),
        "start again",
    ),
    ("7.1.4 sentences", ("a dog bit the man", "the man bit a dog"), "Only one of them"),
    ("7.1.4 sentences", ("the same words here", "the same words here"), "the same"),
    ("7.1.4 sentences", ("too short", "short"), "fewer than four"),
    ("7.1.5 response", lambda k, out: k * k, "not seen"),
    ("7.1.5 response", lambda k, out: (k - out) ** 2, "one axis"),
    # Section 6.2
    ("6.2.1 a", lambda X: X[:, 1:] - X[:, :-1], "sign"),
    ("6.2.1 b", lambda X: X[:, :-1] - X[:, 1:], "symmetric"),  # published
    ("6.2.1 b", lambda X: torch.zeros(X.shape[1], X.shape[0] - 1), "zero"),  # published
    ("6.2.1 c", lambda X: (X[:, :-1] - X[:, 1:]).T, "symmetric"),  # published
    ("6.2.2 error", "grad can be implicitly created only for scalar outputs", "sum()"),
    (
        "6.2.2 error",  # published
        "The size of tensor a (0) must match the size of tensor b (7) at non-singleton "
        "dimension 3",
        "four axes",
    ),
    (
        "6.2.2 error",  # published
        "Inplace operations (+=, -=, x[:]=, etc) are not supported when recording",
        "MXNet",
    ),
    ("6.2.3", lambda X, K: product(X, K.flip(0, 1)), "flipped"),
    ("6.2.3", lambda X, K: product(X, K, taps=K.T.flatten()), "instead of reshape"),
    ("6.2.3", turned_output, "instead of reshape"),
    ("6.2.3", elementwise_matrix, None),  # published
    ("6.2.3", lambda X, K: product(X, K).flatten(), "not reshaped"),
    ("6.2.3", corr, "No matrix product"),
    (
        "6.2.3",
        lambda X, K: F.conv2d(X[None, None], K[None, None])[0, 0],
        "calls convolution",
    ),
    ("6.2.3", lambda X, K: X @ K, "raises RuntimeError"),
    ("6.2.3 windows", lambda X, size: F.unfold(X[None, None], size)[0], "transposed"),
    (
        "6.2.3 windows",
        lambda X, size: (
            X.unfold(0, size[0], 1).unfold(1, size[1], 1).mT.flatten(2).flatten(0, 1)
        ),
        "column by column",
    ),
    ("6.2.3 matrix", circulant, "next row"),
    ("6.2.4 second_derivative", [-1, 2, -1], "sign"),  # published
    (
        "6.2.4 second_derivative",  # published
        [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
        "3 times",
    ),
    ("6.2.4 second_derivative", [1, -1], "ramp"),
    ("6.2.4 second_derivative", [[1, 0, -1], [2, 0, -2], [1, 0, -1]], "ramp"),
    ("6.2.4 second_derivative", [1, 1, 1], "constant"),
    ("6.2.4 second_derivative", "[1, -2, 1]", "should be a kernel"),
    ("6.2.4 integral", lambda n, h: [1.0] * n, "step h"),  # published
    ("6.2.4 integral", lambda n, h: [1 / n] * n, "mean"),  # published
    ("6.2.4 integral", lambda n, h: [h] * (n + 1), "taps"),
    ("6.2.4 size", lambda d: 2 * d + 1, "not the smallest"),  # published
    ("6.2.4 size", lambda d: 2, "one difference"),  # published
    ("6.2.4 size", lambda d: d, "two values"),
    (
        "6.2.4 derivative",  # published
        lambda d: [(-1) ** k * comb(d, k) for k in range(d + 1)],
        "flipped",
    ),
    ("6.2.4 derivative", lambda d: [-1, 1], "fewer than"),
    (
        "7.2.2 edge",  # published: Roberts' kernel
        lambda v: [[v[0], v[1]], [-v[1], -v[0]]],
        None,
    ),
    ("7.2.2 edge", lambda v: [[0, -v[0], 0], [-v[1], 0, v[1]], [0, v[0], 0]], "down"),
    ("7.2.2 edge", lambda v: [[0, v[1], 0], [-v[0], 0, v[0]], [0, -v[1], 0]], "down"),
    ("7.2.2 edge", lambda v: [[0, v[1], 0], [v[0], 0, -v[0]], [0, -v[1], 0]], "sign"),
    ("7.2.2 edge", sobel, "8 times the slope"),
    (
        "6.2.4 integral",
        lambda n, h: [50] + [(n * h - 100) / (n - 2 or 1)] * (n - 2) + [50],
        None,
    ),
    ("6.2.4 integral", lambda n, h: [h * (n - 1) / n] * n, "misses more"),
    ("6.2.4 derivative", lambda d: [float("nan")] * (d + 1), "finite"),
    ("6.2.3", lambda X, K: endless(), "not"),
    (
        "6.2.3",
        lambda X, K: torch.einsum("ijk,k->ijk", windows(X, K), K.flatten()).sum(2),
        None,
    ),
    ("6.2.3", dummy_product, "No matrix product"),
    ("6.2.3", only_first, "calls convolution"),
    ("7.2.2 blur", [1, 1, 1], "becomes 3"),
    ("7.2.2 blur", [-0.5, 2, -0.5], "negative"),
    ("7.2.2 blur", [0.75, 0.25], "moved"),
    ("7.2.2 blur", [0, 1, 0], "changes nothing"),
    # Section 6.3
    ("6.3.1 shape", (3, 3), "round down"),
    ("6.3.1 shape", (1, 1, 2, 2), "only height"),
    ("6.3.1 shape", "2x2", "several values"),
    ("6.3.1", lambda n, k, p, s: (n - k + p + s) // s, "counted once"),
    ("6.3.1", lambda n, k, p, s: ceil((n - k + 2 * p) / s) + 1, "round down"),
    ("6.3.1", lambda n, k, p, s: (n - k + 2 * p) // s, "first position"),
    ("6.3.1", lambda n, k, p, s: (n - k + 2 * p) // (s + 1) + 1, "divide by s"),
    ("6.3.1", lambda n, k, p, s: (n - k + 2 * p) / s + 1, "whole"),
    (
        "6.3.2",
        lambda h, w, kh, kw, ph, pw, sh, sw: (
            (h - kh + ph) // sh + 1,
            (w - kw + pw) // sw + 1,
        ),
        "counted once",
    ),
    ("6.3.1", lambda n, k, p, s: int((n + 2 * p - k) / s) + 1, "No window fits"),
    ("6.3.1 shape", (2, 1), "padding is missing"),
    ("6.3.2 own", (8, 3, 1, 2, 5), "round down"),
    ("6.3.2 own", (8, 3, 1, 2), "should be sizes (input, "),
    ("6.3.2 same", (3, 2, 1), "both sides"),
    ("7.3.5 correlation", lambda k, j: max(0, (k - j + 1) / k), "k - j"),
    ("6.3.2 same", (3, 0, 1), "another size"),
    ("6.3.2 same", (2, 1, 1), "another size"),
    ("6.3.2 halving", (3, 0, 2), "not the half"),
    ("6.3.3", lambda f, rate: 2 * f, "faster"),
    ("6.3.3", lambda f, rate: f, "stay"),
    (
        "6.3.4 multiplications",
        lambda c_i, c_o, h, w, k, s: (
            2 * c_i * c_o * k * k * ((h - k) // s + 1) * ((w - k) // s + 1)
        ),
        "FLOPs",
    ),
    (
        "6.3.4 parameters",  # published
        lambda c_i, c_o, k, s: c_i * c_o * k * k / s**2,
        "does not change",
    ),
    ("6.3.4 receptive_field", lambda ks, ss: 1 + sum(k - 1 for k in ks), "steps"),
    ("7.3.3 reflect", lambda X, p: padded(X, p, "replicate"), "only the border pixel"),
    ("7.3.3 reflect", lambda X, p: padded(X, p, "circular"), "no mirror"),
    ("7.3.3 symmetric", lambda X, p: padded(X, p, "reflect"), "repeated here"),
    ("7.3.5 correlation", lambda k, j: 1 - j / k, "share no pixel"),
    ("7.3.5 correlation", lambda k, j: 0 if j else 1, "overlap"),
    (
        "7.3.6",
        lambda x, K, s: F.conv_transpose1d(x[None], K.flip(0)[None, None], stride=s)[0],
        "K reversed",
    ),
    (
        "7.3.6",
        lambda x, K, s: F.conv_transpose1d(x.repeat_interleave(s)[None], K[None, None])[
            0
        ],
        "repeated",
    ),
    # Section 6.4
    ("6.4.1", corr, "every overlap"),
    ("6.4.1", lambda K1, K2: K1 + K2, "side by side"),  # published
    ("6.4.1", lambda K1, K2: full(K1, K2.flip(0, 1)), "one kernel is flipped"),
    ("6.4.1", lambda K1, K2: torch.kron(K1, K2), "added up"),
    (
        "6.4.1 layers",
        lambda W1, b1, W2, b2: (
            F.conv_transpose2d(W2, W1),
            b2,
        ),
        "passes through",
    ),
    ("6.4.1 size", lambda k1, k2: k1 + k2, "not added"),  # published
    ("6.4.1 size", lambda k1, k2: k1 + k2 + 1, "middle"),  # published
    ("6.4.2 total", lambda *a: 2 * dense(*a), None),
    ("6.4.2 total", lambda *a: kept(*a) + a[1] * prod(positions(*a)), "still there"),
    ("6.4.2 total", kept, "gradients need memory"),
    ("6.4.2 saved", lambda *a: kept(*a) + a[1] * prod(positions(*a)), "its output"),
    ("7.4.7 layers", lambda c, b: 2, "two layers"),
    ("6.4.2 additions", lambda *a: dense(*a) // (a[0] * a[4] * a[5]), "not one"),
    ("6.4.1 size", lambda k1, k2: k1 * k2, "not multiplied"),  # published
    ("6.4.1 size", max, "side by side"),
    ("6.4.1 kernel", [1, 3, 2], "[[1, 1]] * [[1, 2]]"),
    ("6.4.1 kernel", [1, 0, 0, 0, 1], "splits over the real numbers"),
    ("6.4.1 kernel", [1, 0, -2], "splits over the real"),
    ("6.4.1 kernel", [[0, 0, -2], [0, 0, 0], [1, 0, 0]], "splits over the real"),
    ("6.4.1 kernel", [[1, 2, 1], [2, 4, 2], [1, 2, 1]], "can be written as two"),
    ("6.4.1 kernel", [1, -1], "at least three"),
    ("6.4.1 kernel", [0, 1, 1], "moved"),
    ("6.4.1 kernel", [0.1, 0, 0.1], "whole numbers"),
    ("6.4.2 multiplications", lambda *a: 2 * dense(*a), "FLOPs"),
    (
        "6.4.2 multiplications",
        lambda c_i, c_o, h, w, kh, kw, ph, pw, sh, sw: (
            c_i * c_o * kh * kw * ((h - kh + ph) // sh + 1) * ((w - kw + pw) // sw + 1)
        ),
        "counted once",
    ),
    ("6.4.2 multiplications", lambda *a: dense(*a) // a[0], "every input channel"),
    ("6.4.2 additions", dense, "one addition less"),
    ("6.4.2 additions", lambda *a: 0, None),  # published: no additions at all
    (
        "6.4.2 memory",  # published
        lambda c_i, c_o, h, w, kh, kw, ph, pw, sh, sw: (
            c_i * h * w
            + (c_i + c_o) * kh * kw
            + c_o * out(h, kh, ph, sh) * out(w, kw, pw, sw)
        ),
        "multiply the numbers",
    ),
    ("6.4.2 saved", lambda c_i, c_o, h, w, *_: c_i * h * w, "needs the kernels"),
    ("6.4.2 backward", 1, "how many gradients"),  # published
    ("6.4.2 backward", 3, "forward pass"),
    ("6.4.3 ratio", 2, "both"),
    ("6.4.3 ratio", 5, "to so many times"),  # published
    ("6.4.3 ratio", 3, "divide the new number by the old one"),
    ("6.4.3 ratio", "four", "should be a number"),
    ("6.4.3 padding", lambda *a: 2, "no factor"),  # published
    ("6.4.3 padding", lambda *a: 1, "output grows"),
    ("6.4.3 padding", 2, "should be a function"),
    (
        "6.4.4",  # published
        lambda c_i, c_o, h, w, ph, pw, sh, sw: (
            c_i * c_o * (h - ph) / sh * (w - pw) / sw
        ),
        "larger, not smaller",
    ),
    ("6.4.4", lambda c_i, c_o, h, w, *_: c_i * c_o * h * w, "missing"),
    ("6.4.5 numbers", (1.0, 2.0, 3.0), "Both orders"),
    ("6.4.5 numbers", (1.0, 2.0), "3 values"),
    ("6.4.5 numbers", (1e8, 1, -1e8), "0 in float32 and 1 in float64"),
    ("6.4.6", batch_mixed, "batch"),
    ("6.4.6", padding_ignored, "padding is missing"),
    ("6.4.6", stride_one, "padding and the stride"),
    ("6.4.6", one_channel, None),
    ("6.4.6", flipped_general, "flipped"),
    ("7.4.1 kernel", [1, 1, 1, 1], "can be written as two"),
    (
        "7.4.1 split",
        first_pair,
        "not enough",
    ),
    ("7.4.1 split", lambda K: K, "pair of tensors"),
    ("7.4.6 reads", lambda k, delta: (k + delta) / delta, "k + delta - 1"),
    ("7.4.6 reads", lambda k, delta: k, "wider strip"),
    ("7.4.7 factor", lambda c, b: b * b, "b blocks"),
    ("7.4.7 factor", lambda c, b: c / b, "size of a block"),
    # Section 6.5
    ("6.5.1", F.avg_pool2d, "calls avg_pool2d"),  # published
    ("6.5.1", all_channels, "by itself, not added up"),
    ("6.5.1", lambda X, *a: all_channels(X, *a) / X.shape[1], "not averaged"),
    ("6.5.1", window_sum, "sum of the window"),
    ("6.5.1", default_stride, "not always"),
    ("6.5.1", inside_only, "leaves out the padding"),
    ("6.5.1 inside", padding_counted, "including the padding"),
    ("6.5.2 windows", ([1, 2], [3, 4]), "as for a convolution"),
    ("6.5.2", F.max_pool2d, "calls max_pool2d"),  # published
    ("6.5.2", lambda X, k, s: unfolded_maximum(X, k, s, "amax"), "calls amax"),
    (
        "6.5.2",
        lambda X, k, s: unfolded_maximum(X, k, s, "norm"),
        "calls linalg_vector_norm",
    ),
    ("6.5.2", starts_at_zero, "negative"),
    (
        "6.5.2",
        lambda X, k, s: F.conv2d(
            X, torch.ones(X.shape[1], 1, *k) / prod(k), stride=s, groups=X.shape[1]
        ),
        "average pooling",
    ),
    ("6.5.3", lambda *a: pool_windows(*a) * a[3] * a[4], "n - 1"),
    ("6.5.3", no_padding_no_floor, "round down"),  # published
    (
        "6.5.3",
        lambda c, h, w, ph, pw, sh, sw, qh, qw: (
            c * ((h - ph + qh) // sh + 1) * ((w - pw + qw) // sw + 1) * (ph * pw - 1)
        ),
        "counted once",
    ),
    ("6.5.3", lambda *a: pool_windows(*a) // a[0] * (a[3] * a[4] - 1), "every channel"),
    ("6.5.3 divisions", lambda *a: pool_windows(*a) * a[3] * a[4], "one division"),
    ("6.5.4 windows", ([1, 2], [2, 1]), "Both maxima"),
    ("6.5.4 windows", ([1, 2], [4, 5]), "averages differ"),
    ("6.5.4 max_gradient", lambda x: torch.ones_like(x) / len(x), "only one pixel"),
    ("6.5.4 mean_gradient", lambda x: (x == x.max()).float(), "all pixels"),
    (
        "6.5.5",
        lambda X, k, s, p: 1 - F.max_pool2d(1 - X, k, s, p),
        "rounding",
    ),
    ("6.5.5", lambda X, k, s, p: F.max_pool2d(-X, k, s, p), "sign"),
    (
        "6.5.5",
        lambda X, k, s, p: -F.max_pool2d(-F.pad(X, (p[1], p[1], p[0], p[0])), k, s),
        "zeros of the padding",
    ),
    (
        "6.5.6",
        lambda x, beta: ((beta * x).exp() / (beta * x).exp().sum() * x).sum().item(),
        "overflow",
    ),
    ("6.5.6", lambda x, beta: x.mean().item(), "large beta"),
    ("6.5.6", lambda x, beta: x.max().item(), "near 0"),
    ("6.5.6 softmax", lambda x, beta: F.softmax(beta * x, 0), "weights"),
    ("6.5.6 softmax", lambda x, beta: (F.softmax(x, 0) * x).sum(), "beta is missing"),
    ("7.5.2 windows", ([1, 2], [3, 4]), "as for a convolution"),
    ("7.5.2 windows", ([1, 0], [0, 1], [5, 5]), "two windows"),
    ("7.5.3 maximum", torch.maximum, "calls maximum"),
    ("7.5.3 maximum", lambda a, b: a.clamp(min=b), "calls clamp"),
    ("7.5.3 maximum", lambda a, b: torch.where(a > b, a, b), "calls gt"),
    ("7.5.3 maximum", lambda a, b: (a > b) * a + (a <= b) * b, "ReLU only"),
    ("7.5.3 maximum", lambda a, b: (a + b + ((a - b) ** 2).sqrt()) / 2, "ReLU only"),
    ("7.5.3 maximum", lambda a, b: np.maximum(a.numpy(), b.numpy()), "ReLU only"),
    ("7.5.3 maximum", larger_in_place, "ReLU only"),
    (
        "7.5.3 maximum",
        lambda a, b: np.sort(torch.stack([a, b]).numpy(), 0)[1],
        "ReLU only",
    ),
    (
        "7.5.3 maximum",
        lambda a, b: [max(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)],
        "calls tolist",
    ),
    ("7.5.3 net", lambda k: functools.partial(pooled_in_numpy, k), "calls numpy"),
    ("7.5.3 maximum", lambda a, b: [max(x, y) for x, y in zip(a, b)], "ReLU only"),  # noqa: B905
    ("7.5.3 net", lambda k: Sly(k), "calls max_pool2d"),
    ("7.5.3 channels", lambda k: (Sly(k), [1]), None),
    ("6.5.5", lambda X, k, s, p: 1 / F.max_pool2d(1 / X, k, s, p), "inverses"),
    ("7.5.3 maximum", lambda a, b: (a - b).relu() + b.relu(), "b may be negative"),
    ("7.5.3 maximum", lambda a, b: (a + b + (a - b).abs()) / 2, "calls abs"),
    ("7.5.3 net", nn.MaxPool2d, "ReLU only"),
    ("7.5.3 net", lambda k: nn.Conv2d(1, 1, k, stride=k), "not the maximum"),
    ("7.5.3 net", lambda k: nn.Conv2d(1, 1, k), "should be"),
    # Section 6.6
    ("6.6.1 net", larger_max_pooling, "only the pooling"),
    ("6.6.1 net", book_net(nn.AvgPool2d), "average pooling"),
    ("6.6.1 net", book_net(lambda k: nn.MaxPool2d(3, 2, 1)), "2×2"),
    ("6.6.1 net", lambda: with_softmax(book_net(nn.MaxPool2d)()), "softmax"),
    ("6.6.2 net", lambda: with_softmax(book_net(nn.MaxPool2d)()), "softmax"),
    ("7.6.1 net", book_net(nn.MaxPool2d), "Sigmoid"),
    ("6.6.3 counts", [6000] * 10, "clothes"),
    (
        "7.6.5 saturated",
        lambda net, X: [(A < 0.05).float().mean() for A in layers_of(1, 4)(net, X)],
        "near 1",
    ),
    ("6.6.1 parameters", 61706 - 226 - 10, None),
    ("6.6.1 parameters", 61470, "biases"),
    ("6.6.2 net", Broken, "raises AttributeError"),  # published
    ("6.6.2 net", lambda: nn.Cov2d(1, 6, 5), "raises AttributeError"),  # published
    ("6.6.2 net", lambda: nn.Conv2d(1, 6, 5).ReLU(), "AttributeError"),  # published
    ("6.6.2 net", seven_without_padding, "cannot be multiplied"),
    ("6.6.2 net", mixed_up_channels, "raises RuntimeError"),
    ("6.6.2 net", detached, "No gradient reaches"),
    ("6.6.2 net", lambda: nn.Flatten(), "not (4, 10)"),
    ("6.6.2 features", lambda *a: 25 * a[4], "windows"),
    (
        "6.6.2 features",
        lambda k1, p1, k2, p2, c2: (
            (((28 + 2 * p1 - k1 + 1) // 2 + 2 * p2 - k2 + 1) // 2) ** 2
        ),
        "every channel",
    ),
    ("6.6.4", layers_of(0, 3), "comes out of the sigmoid"),
    ("6.6.4", layers_of(1, 4, channel=0), "one channel"),  # published
    ("6.6.4", layers_of(2, 5), "after the pooling"),
]


def name(case):
    return f"{case[0]} {case[2] or ''}".strip()


@pytest.mark.parametrize(("label", "answer", "hint"), ZOO, ids=map(name, ZOO))
def test_a_wrong_answer_is_caught(label, answer, hint):
    report = answered(label, answer)
    assert not report
    assert report.results[0].status == "wrong", report
    assert hint is None or hint in str(report), report
    lines = dict(line.strip().partition(":")[::2] for line in str(report).split("\n"))
    expected, got = lines.get("Expected", ""), lines.get("Got", "").strip()
    assert not got or expected.strip() != got or "in place of" in str(report), report


def test_the_zoo_is_large_and_covers_every_question():
    assert len(ZOO) >= 200
    assert {label for label, _, _ in ZOO} == {q.label for q in registry.QUESTIONS}


@pytest.mark.parametrize("question", registry.QUESTIONS, ids=lambda q: q.label)
def test_every_hint_is_given_to_a_wrong_answer(question):
    """Each that a question has is asked for above: no other one is worth its lines."""
    asked = [hint for label, _, hint in ZOO if label == question.label and hint]
    for hint in getattr(question, "mistakes", ()):
        assert any(text in hint for text in asked), hint


def as_list(answer, *arguments):
    """Answer with a result in another form."""

    def plain(value):
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return value.tolist() if isinstance(value, torch.Tensor) else value

    return plain(answer(*arguments))


WRONG = {label: answer for label, answer, _ in ZOO if callable(answer)}
NETS = ("net", "channels", "label")


@pytest.mark.parametrize("label", [w for w in WRONG if not w.endswith(NETS)])
def test_a_wrong_function_is_wrong_in_another_form(label):
    assert not answered(label, Layer(functools.partial(as_list, WRONG[label])))
