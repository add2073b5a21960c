"""The right answers: what `solutions` computes passes every check."""

import functools
import itertools
import zlib
from fractions import Fraction
from math import acos, comb, cos, log, pi

import numpy as np
import pytest
import sympy
import torch
from torch import nn
from torch.nn import functional as F

from solutions import channels, convolution, lenet, padding_stride, pooling, why_conv
from solutions.check import check, registry
from tests.check.answering import NO_NUMBERS, QUESTIONS, VALUES, Layer, answered

# The answers run where solutions is imported without jaxtyping's run-time check.


def per_axis(n, k, p, s):
    return padding_stride.conv_output_shape((n, n), k, s, p)[0]


def plane(h, w, k_h, k_w, p_h, p_w, s_h, s_w):
    return padding_stride.conv_output_shape((h, w), (k_h, k_w), (s_h, s_w), (p_h, p_w))


def cost(c_i, c_o, h, w, k_h, k_w, p_h, p_w, s_h, s_w):
    return channels.conv_cost(
        (1, c_i, h, w), c_o, (k_h, k_w), (s_h, s_w), (p_h, p_w), bias=False
    )


def pool(c, h, w, ph, pw, sh, sw, qh, qw, mode="max"):
    return pooling.pool_cost((c, h, w), (ph, pw), (sh, sw), (qh, qw), mode)


def uses(n, k, i):
    return sum(0 <= i - start < k for start in range(n - k + 1))


def text_features(E, V, u):
    windows = E.unfold(0, len(V), 1)  # (positions, e, k)
    return (torch.einsum("pek,keo->po", windows, V) + u).amax(0)


def folded(f, rate):
    new = rate // 2
    return min(f % new, -f % new)


def two_kernels(K1, K2):
    return channels.compose_convs(K1[None, None], None, K2[None, None], None)[0][0, 0]


def matrix_product(X, K):
    return convolution.conv2d_matmul(X[None, None], K[None, None])[0, 0]


def growth(h, w, k_h, k_w, p_h, p_w, s_h, s_w):
    before, after = (plane(h, w, k_h, k_w, f * p_h, f * p_w, s_h, s_w) for f in (1, 2))
    return after[0] * after[1] / (before[0] * before[1])


def max_gradient(x):
    return (x == x.max()).float()


def softmax_window(x, beta):
    return pooling.softmax_pool2d(x.reshape(1, 1, 1, -1), (1, len(x)), beta=beta)[
        0, 0, 0, 0
    ]


def lenet_with_max_pooling():
    return lenet.build(lenet.LeNetSpec(pooling="max"), seed=0)


def max_net(k):
    first, *others = pooling.tournament_kernels(k)
    layers = []
    for i, K in enumerate([first, *others]):
        layer = nn.Conv2d(
            K.shape[1], K.shape[0], tuple(K.shape[2:]), stride=1 if i else k, bias=False
        )
        layer.weight = nn.Parameter(K)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def features(k1, p1, k2, p2, c2):
    side = (28 + 2 * p1 - k1 + 1) // 2
    return c2 * ((side + 2 * p2 - k2 + 1) // 2) ** 2


def activations_of(net, X):
    found = []
    for layer in net:
        X = layer(X)
        if isinstance(layer, nn.Sigmoid):
            found.append(X)
    return found[:2]


def shares(activations):
    return [((A < 0.05) | (A > 0.95)).float().mean() for A in activations]


MNIST = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]

RIGHT = {
    "6.1.1": lambda X, V, u: why_conv.conv_layer(X, V[None, None], u),
    "6.1.1 parameters": lambda h, w, c_i, c_o: (c_i + 1) * c_o,
    "6.1.2 label": lambda X: "left" if X[:, :3].sum() > X[:, 3:].sum() else "right",
    "6.1.3 size": lambda n, k, layers: n - layers * (k - 1),
    "6.1.3 uses": uses,
    "6.1.4": why_conv.conv_layer_1d,
    "6.1.4 causal": lambda X, V, u: why_conv.conv_layer_1d(X, V, u, causal=True),
    "6.1.5": text_features,
    "6.1.5 reach": lambda k, dilations: 1 + (k - 1) * sum(dilations),
    "6.1.6": convolution.conv2d_full,
    "6.1.6 pair": ([1, 2], [3, 5]),
    "7.1.2 matrix": lambda V, n: sum(
        tap * torch.diag(torch.ones(n - abs(a)), a)
        for tap, a in zip(V, range(-(len(V) // 2), len(V) // 2 + 1), strict=True)
        if abs(a) < n
    ),
    "7.1.4 sentences": (
        "the dog bit the man because the dog bit the man",
        "the dog bit the man because the dog bit the man because the dog bit the man",
    ),
    "7.1.5 response": lambda k, out: k * (k - out),
    "6.2.1 a": lambda X: X[:, :-1] - X[:, 1:],
    "6.2.1 b": lambda X: (X[:-1] - X[1:]).T,
    "6.2.1 c": lambda X: X[:-1] - X[1:],
    "6.2.2 error": "",
    "6.2.3": matrix_product,
    "6.2.3 windows": lambda X, size: convolution.im2col(X[None, None], size)[0].T,
    "6.2.3 matrix": convolution.toeplitz_matrix,
    "6.2.4 second_derivative": [1, -2, 1],
    "6.2.4 integral": lambda n, h: [h] * n,
    "6.2.4 size": lambda d: d + 1,
    "6.2.4 derivative": lambda d: [(-1) ** (d - k) * comb(d, k) for k in range(d + 1)],
    "7.2.2 edge": lambda v: convolution.directional_kernel(v),
    "7.2.2 blur": convolution.blur_kernel(3),
    "6.3.1 shape": (2, 2),
    "6.3.1": per_axis,
    "6.3.2": plane,
    "6.3.2 own": (8, (3, 5), (0, 1), (3, 4), (2, 2)),
    "6.3.2 same": (3, 1, 1),
    "6.3.2 halving": (2, 0, 2),
    "6.3.3": folded,
    "6.3.4 multiplications": lambda c_i, c_o, h, w, k, s: (
        channels.conv_cost((1, c_i, h, w), c_o, k, s).forward.multiplications
    ),
    "6.3.4 parameters": lambda c_i, c_o, k, s: c_i * c_o * k * k,
    "6.3.4 receptive_field": lambda ks, ss: padding_stride.receptive_field(
        list(zip(ks, ss, strict=True))
    )[0],
    "7.3.3 reflect": lambda X, p: padding_stride.mirror_pad(X[None, None], p)[0, 0],
    "7.3.3 symmetric": lambda X, p: padding_stride.mirror_pad(
        X[None, None], p, repeat_edge=True
    )[0, 0],
    "7.3.5 correlation": lambda k, j: max(0, 1 - j / k),
    "7.3.6": lambda x, K, s: padding_stride.fractional_stride_conv2d(
        x.reshape(1, 1, 1, -1), K.reshape(1, 1, 1, -1), (1, s)
    )[0, 0, 0],
    "6.4.1": two_kernels,
    "6.4.1 layers": lambda W1, b1, W2, b2: channels.compose_convs(W1, b1, W2, b2)[:2],
    "6.4.1 size": lambda k1, k2: k1 + k2 - 1,
    "6.4.1 kernel": [[1, 0, 1], [0, 0, 0], [1, 0, 0]],
    "6.4.2 multiplications": lambda *a: cost(*a).forward.multiplications,
    "6.4.2 additions": lambda *a: cost(*a).forward.additions,
    "6.4.2 memory": lambda *a: cost(*a).inputs + cost(*a).outputs + cost(*a).parameters,
    "6.4.2 saved": lambda *a: cost(*a).saved,
    "6.4.2 total": lambda *a: (
        2 * (cost(*a).inputs + cost(*a).parameters) + cost(*a).outputs
    ),
    "6.4.2 backward": 2,
    "6.4.3 ratio": 4,
    "6.4.3 padding": growth,
    "6.4.4": lambda c_i, c_o, h, w, p_h, p_w, s_h, s_w: (
        cost(c_i, c_o, h, w, 1, 1, p_h, p_w, s_h, s_w).forward.multiplications
    ),
    "6.4.5 numbers": (0.1, 0.2, 0.3),
    "6.4.6": lambda X, W, stride, padding: convolution.conv2d_matmul(
        X, W, stride=stride, padding=padding
    ),
    "7.4.1 kernel": [1, 0, 1],
    "7.4.1 split": lambda K: channels.split_by_axis(K[None, None]),
    "7.4.6 reads": lambda k, delta: (k + delta - 1) / delta,
    "7.4.7 factor": lambda c, b: b,
    "7.4.7 layers": lambda c, b: round(log(c) / log(c // b)),
    "6.5.1": pooling.avg_pool2d_as_conv,
    "6.5.1 inside": lambda X, k, s, p: pooling.avg_pool2d_as_conv(
        X, k, s, p, count_include_pad=False
    ),
    "6.5.2 windows": ([1, 0, 0, 0], [0, 1, 0, 0]),
    "6.5.2": pooling.max_pool2d_relu,
    "6.5.3": lambda *a: pool(*a).combinations,
    "6.5.3 divisions": lambda *a: pool(*a, "avg").divisions,
    "6.5.4 windows": ([4, 0, 0, 0], [1, 1, 1, 1]),
    "6.5.4 max_gradient": max_gradient,
    "6.5.4 mean_gradient": lambda x: torch.full_like(x, 1 / len(x)),
    "6.5.5": pooling.min_pool2d,
    "6.5.6": lambda x, beta: softmax_window(x, beta).item(),
    "6.5.6 softmax": softmax_window,
    "7.5.2 windows": ([1, 0], [0, 1]),
    "7.5.3 maximum": lambda a, b: (a - b).relu() + b.relu() - (-b).relu(),
    "7.5.3 net": max_net,
    "7.5.3 channels": lambda k: (
        max_net(k),
        [len(K) for K in pooling.tournament_kernels(k)[:-1]],
    ),
    "6.6.1 net": lenet_with_max_pooling,
    "6.6.1 parameters": 61706,
    "6.6.2 net": lambda: lenet.build(lenet.LeNetSpec(), seed=0),
    "6.6.2 features": features,
    "6.6.3 counts": MNIST,
    "6.6.4": activations_of,
    "7.6.1 net": lambda: lenet.build(
        lenet.LeNetSpec(pooling="max", activation="relu"), seed=0
    ),
    "7.6.5 saturated": lambda net, X: shares(activations_of(net, X)),
}


# Other ways to be right, which a check must not refuse.
class Holder:
    """A callable object, with NumPy inside."""

    def __call__(self, X, K):  # noqa: D102
        h, w = K.shape
        rows = range(X.shape[0] - h + 1)
        windows = np.array(
            [
                np.asarray(X)[i : i + h, j : j + w].ravel()
                for i in rows
                for j in range(X.shape[1] - w + 1)
            ]
        )
        return (windows @ np.asarray(K).ravel()).reshape(len(rows), -1)


def sparse_product(X, K):
    T = convolution.toeplitz_matrix(K, tuple(X.shape)).to_sparse()
    Y = torch.sparse.mm(T, X.reshape(-1, 1))
    return Y.reshape(len(X) - len(K) + 1, -1)


def general_in_numpy(X, W, stride, padding):
    A = F.unfold(X, W.shape[2:], stride=stride, padding=padding).numpy()
    Y = W.numpy().reshape(len(W), -1) @ A
    shape = [
        (X.shape[2 + a] + 2 * padding[a] - W.shape[2 + a]) // stride[a] + 1
        for a in (0, 1)
    ]
    return Y.reshape(len(X), len(W), *shape)


def d2l_relu(X):
    return torch.max(X, torch.zeros_like(X))


class Pooling(nn.Module):
    """LeNet in another style: functions in `forward`, pooling once."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = (
            nn.Linear(400, 120),
            nn.Linear(120, 84),
            nn.Linear(84, 10),
        )
        nn.init.zeros_(self.f3.weight)

    def forward(self, X):  # noqa: D102
        for layer in (self.c1, self.c2):
            X = F.max_pool2d(self.activation(layer(X)), 2)
        X = self.activation(self.f1(X.flatten(1)))
        return self.f3(self.activation(self.f2(X)))


ALSO_RIGHT = [
    ("6.1.1", lambda X, V, u: X @ V + u),
    ("6.1.2 label", lambda X: int(X[0, 0] > 0)),
    (
        "6.2.3",
        lambda X, K: torch.mv(
            F.unfold(X[None, None], K.shape)[0].T, K.flatten()
        ).reshape(len(X) - len(K) + 1, -1),
    ),
    ("6.2.4 second_derivative", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    ("6.2.4 second_derivative", [[1.0, -1.0], [-1.0, 1.0]]),
    ("6.2.4 second_derivative", torch.tensor([[1], [-2], [1]])),
    ("6.2.4 second_derivative", [-1 / 12, 16 / 12, -30 / 12, 16 / 12, -1 / 12]),
    ("6.2.4 integral", lambda n, h: [h / 2] + [h] * (n - 2) + [h / 2]),
    ("6.3.1 shape", torch.Size([2, 2])),
    ("6.3.2 same", (5, 2, 1)),
    ("6.3.2 halving", (4, 1, 2)),
    ("6.4.1 kernel", [1, 0, 1]),
    ("6.4.1 kernel", [[1, 0, 0], [0, 0, 0], [0, 0, 1]]),
    ("6.4.1 kernel", torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])),
    ("6.4.3 ratio", 4.0),
    ("6.4.3 ratio", "4"),
    ("6.4.3 ratio", sympy.Integer(4)),
    ("6.4.2 backward", np.float32(2)),
    (
        "6.1.3 size",
        functools.partial(lambda one, n, k, layers: n - layers * (k - one), 1),
    ),
    ("6.1.5 reach", lambda dilations, k: 1 + (k - 1) * sum(dilations)),
    ("6.1.6 pair", ([1], [1, 1])),
    ("6.2.1 a", lambda X: X.numpy()[:, :-1] - X.numpy()[:, 1:]),
    ("6.2.1 a", lambda X: F.conv2d(X, torch.tensor([[[[1.0, -1]]]]))),
    ("6.2.2 error", "no error"),
    ("6.2.3", Holder()),
    ("6.2.3", sparse_product),
    ("6.2.4 second_derivative", torch.tensor([-1.0, 16, -30, 16, -1]) / 12),
    ("6.2.4 second_derivative", [[0.5, 0, 0], [0, -1, 0], [0, 0, 0.5]]),
    ("6.2.4 second_derivative", sympy.Matrix([[1, -2, 1]])),
    ("6.2.4 integral", lambda n, h: [h / 3, 4 * h / 3, h / 3] if n == 3 else [h] * n),
    ("6.3.2 same", ((3, 3), (1, 1), (1, 1))),
    ("6.3.3", lambda hz, rate: rate * min(hz / rate, 0.5 - hz / rate)),
    (
        "6.3.3",
        lambda hz, rate: acos(cos(4 * pi * hz / rate)) / (4 * pi) * rate,
    ),
    ("6.4.5 numbers", (1e8, -1e8, 1.0)),
    ("6.4.6", general_in_numpy),
    (
        "6.4.6",
        lambda X, W, padding, stride: convolution.conv2d_matmul(
            X, W, stride=stride, padding=padding
        ),
    ),
    ("6.5.4 max_gradient", lambda x: [int(v == max(x)) for v in x]),
    ("6.5.4 max_gradient", lambda x: x == x.max()),
    ("7.5.2 windows", ([1, 0], [0, 1], [0.5, 0.5])),
    ("7.5.3 maximum", lambda a, b: d2l_relu(a - b) + d2l_relu(b) - d2l_relu(-b)),
    ("7.5.3 net", lambda k: max_net(k).double()),
    ("6.6.1 net", lambda: Pooling(torch.sigmoid)),
    ("7.6.1 net", lambda: Pooling(torch.relu)),
    ("6.6.2 net", lambda: Pooling(d2l_relu)),
    (
        "6.6.4",
        lambda net, X: [A.detach().numpy() for A in activations_of(net, X)],
    ),
    # Found by answers in unusual forms.
    ("6.1.2 label", lambda X: X[0, 0] > 0),
    ("6.2.2 error", "There is no error."),
    (
        "6.2.3",
        lambda X, K: torch.einsum(
            "ijkl,kl->ij",
            X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1),
            K,
        ),
    ),
    ("6.3.1 shape", sympy.Matrix([[2, 2]])),
    (
        "6.3.1",
        lambda n, kernel_size, padding, stride: len(
            range(0, n + 2 * padding - kernel_size + 1, stride)
        ),
    ),
    ("6.4.5 numbers", np.array([1e8, -1e8, 1])),
    ("6.6.1 net", lambda: Pooling(torch.sigmoid).double()),
    ("6.6.3 counts", dict(enumerate(MNIST))),
    (
        "7.4.1 split",
        lambda K: [
            np.asarray(W) for W in channels.split_by_axis(K.double()[None, None])
        ],
    ),
    ("7.5.2 windows", ([1, 0], [0.5, 0.5], [0, 1])),
    (
        "7.5.3 maximum",
        lambda a, b: [float(x) for x in b + F.relu(a - b)],
    ),
    (
        "7.5.3 maximum",
        lambda a, b: np.array((b + torch.clamp(a - b, min=0)).tolist()),
    ),
    ("7.5.3 net", lambda k: lambda X: max_net(k)(X).detach().numpy()),
    ("7.6.5 saturated", lambda net, X: np.array(shares(activations_of(net, X)))),
    ("6.4.5 numbers", (1e16, -1e16, 1.0)),
    ("6.5.2 windows", ([-1, 0], [1, 0])),
    ("6.5.6", lambda x, beta: (x.mean() + beta * x.max()) / (1 + beta)),
    ("6.6.2 net", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10))),
]


class Same:
    """A callable object."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):  # noqa: D102
        return self.function(*arguments)


def converted(value, form):
    """Give each number and tensor of a result another form."""
    if isinstance(value, (tuple, list)):
        return type(value)(converted(item, form) for item in value)
    return form(value)


def array(value):
    return np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)


def plain(value):
    return array(value).tolist()


def symbol(value):
    found = plain(value)
    return sympy.nsimplify(found) if isinstance(found, (int, float)) else found


def text(value):
    return str(value) if isinstance(value, (int, float, Fraction)) else value


def double(value):
    return value.double() if isinstance(value, torch.Tensor) else np.float64(value)


FORMS = {
    "array": array,
    "list": plain,
    "tuple": lambda value: (
        tuple(plain(value)) if np.ndim(array(value)) else plain(value)
    ),
    "tensor": lambda value: torch.as_tensor(array(value)),
    "double": double,
    "symbol": symbol,
    "text": text,
}


def test_there_is_an_answer_to_every_question():
    assert list(RIGHT) == [question.label for question in registry.QUESTIONS]


@pytest.mark.parametrize(("label", "answer"), RIGHT.items(), ids=RIGHT)
def test_our_answer_is_right(label, answer):
    report = answered(label, answer)
    assert report, report
    assert str(report).startswith(f"{label}: right")


@pytest.mark.parametrize(
    ("label", "answer"), ALSO_RIGHT, ids=[label for label, _ in ALSO_RIGHT]
)
def test_other_right_answers_are_right(label, answer):
    report = answered(label, answer)
    assert report, report


def test_no_check_uses_our_solutions():
    """The oracle must be independent, and nothing of ours can leak into a message."""
    allowed = {"check", "notebook", "system"}
    folder = check.__class__.__module__  # solutions.check
    assert folder == "solutions.check"
    import ast
    from pathlib import Path

    import solutions.check as package

    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{a.name}" for a in node.names]
            elif isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            ours = [n.split(".")[1] for n in names if n.startswith("solutions.")]
            assert set(ours) <= allowed, (path.name, ours)


def test_every_exercise_with_a_checkable_answer_has_a_question():
    wanted = [
        f"6.{section}.{n}"
        for section, number in ((1, 6), (2, 4), (3, 4), (4, 6), (5, 6), (6, 4))
        for n in range(1, number + 1)
    ]
    missing = [e for e in wanted if e not in registry.exercises()]
    assert missing == []
    assert len(list(itertools.chain(*registry.exercises().values()))) == len(RIGHT)


def returned(turn, answer, *arguments):
    """Answer with a result in one of three forms, which depends on the arguments."""
    which = (zlib.crc32(repr(arguments).encode()) + turn) % 3
    return converted(answer(*arguments), FORMS[("array", "list", "double")[which]])


NETS = {label for label, q in QUESTIONS.items() if q.name in ("net", "channels")}


@pytest.mark.parametrize("label", [v for v in VALUES if v not in NO_NUMBERS])
@pytest.mark.parametrize("form", FORMS)
def test_a_right_value_is_right_in_every_form(label, form):
    assert answered(label, converted(RIGHT[label], FORMS[form]))


FUNCTIONS = [label for label in QUESTIONS if label not in VALUES]
CALLED = (Layer, functools.partial, Same)


@pytest.mark.parametrize(
    ("label", "called"), list(zip(FUNCTIONS, itertools.cycle(CALLED))), ids=FUNCTIONS
)
def test_a_right_function_is_right_in_every_form(label, called):
    answer = RIGHT[label]
    if label in NETS | NO_NUMBERS:
        assert answered(label, Same(answer))
        return
    # One check has results in all three forms, unless it has fewer inputs than that.
    for turn in range(3 if len(QUESTIONS[label].examples) < 3 else 1):
        report = answered(label, called(functools.partial(returned, turn, answer)))
        assert report, (turn, report)


def is_plane(value):
    return not isinstance(value, torch.Tensor) or value.dim() == 2


def takes_planes(question):
    """Say whether its first argument is a matrix, and all tensors are."""
    if question.oracle is None or not isinstance(question.examples[0][0], torch.Tensor):
        return False
    return all(map(is_plane, question.examples[0]))


def with_batch(answer, *arguments):
    """Take 4-D tensors where 2-D are asked for, and return one."""
    planes = [a[0, 0] if isinstance(a, torch.Tensor) else a for a in arguments]
    return torch.as_tensor(answer(*planes))[None, None]


@pytest.mark.parametrize(
    "label", [label for label in FUNCTIONS if takes_planes(QUESTIONS[label])]
)
def test_a_right_function_may_take_batch_and_channel(label):
    answer = functools.partial(with_batch, RIGHT[label])
    assert answered(label, functools.partial(returned, 0, answer))
