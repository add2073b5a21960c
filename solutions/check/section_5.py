"""Questions of section 6.5, pooling.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.pooling`), which must stay unseen and untrusted.
"""

from functools import partial
from math import inf
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.forms import Call
from solutions.check.inputs import Arguments, tensors, whole
from solutions.check.operations import BY_CONVOLUTION, RELU_ONLY, relu_channels, watch
from solutions.check.parts import FunctionQuestion, ValueQuestion, WrongError, demand
from solutions.check.section_3 import positions

_average_inside = partial(F.avg_pool2d, count_include_pad=False)


def _added_up(X: Tensor, k: Any, s: Any, p: Any) -> Tensor:
    """Add up all channels in each output channel, as a kernel of equal taps does."""
    return F.avg_pool2d(X, k, s, p).sum(1, keepdim=True).expand(-1, X.shape[1], -1, -1)


def _minimum(X: Tensor, k: Any, s: Any, p: Any, fill: float = inf) -> Tensor:
    """Take the smallest pixel of each window; the padding never is."""
    X = F.pad(X, (p[1], p[1], p[0], p[0]), value=fill)
    return X.unfold(2, k[0], s[0]).unfold(3, k[1], s[1]).amin((-1, -2))


def _has_room(arguments: Arguments) -> bool:
    """Say whether the padding is at most half of the window."""
    _, k, _, p = arguments
    return 2 * p[0] <= k[0] and 2 * p[1] <= k[1]


UNPADDED = "n c o_h+k_h o_w+k_w, (k_h k_w), (s_h s_w)"
STRIDES: Any = {"s_h": (1, 4), "s_w": (1, 4)}
IMAGES = tensors(f"{UNPADDED}, (p_h p_w)", p_h=(0, 1), p_w=(0, 1), **STRIDES).filter(
    _has_room
)
WINDOW = ("X", "kernel_size", "stride", "padding")
_of_images = partial(FunctionQuestion, named=WINDOW, inputs=IMAGES)


def _pooled(pool: Call, *windows: Tensor) -> list[float]:
    """Pool each of some windows to one number."""
    return [float(pool(x[None, None], len(x))) for x in windows]


def _judge_affine(value: Any) -> str:
    """Check two windows halfway between which an affine function has another value."""
    A, B = forms.windows(value)
    a, b, halfway = _pooled(F.max_pool1d, A, B, A / 2 + B / 2)
    text = f"The maxima are {a:g} and {b:g}, and {halfway:g} halfway between A and B"
    demand(
        abs(halfway - a / 2 - b / 2) > 1e-9 * max(1, abs(a), abs(b)),
        f"{text}, as for a convolution with a bias.",
    )
    return f"{text}: no affine function can do that."


def _windows(c: int, h: int, w: int, *rest: int) -> int:
    """Count the windows."""
    ph, pw, sh, sw, qh, qw = rest
    return c * positions(h, ph, qh, sh) * positions(w, pw, qw, sw)


def _combinations(*sizes: int) -> int:
    """Count what it takes to combine the pixels of each window to one."""
    return _windows(*sizes) * (sizes[3] * sizes[4] - 1)


def _fits(sizes: Arguments) -> bool:
    _, h, w, ph, pw, _, _, qh, qw = sizes
    return all(2 * q <= p <= n + 2 * q for n, p, q in ((h, ph, qh), (w, pw, qw)))


_of_layers = partial(
    FunctionQuestion,
    named=("c", "h", "w", "ph", "pw", "sh", "sw", "qh", "qw"),
    inputs=whole(3, 13, 13, 4, 4, 4, 4, (0, 2), (0, 2)).filter(_fits),
)


def _judge_windows(value: Any) -> str:
    """Check two windows that the average cannot tell apart, but the maximum can."""
    A, B = forms.windows(value)
    means, peaks = (_pooled(pool, A, B) for pool in (F.avg_pool1d, F.max_pool1d))
    demand(
        abs(means[0] - means[1]) <= 1e-9,
        f"The averages differ: {means[0]:g} and {means[1]:g}.",
    )
    demand(abs(peaks[0] - peaks[1]) > 1e-9, f"Both maxima are {peaks[0]:g}.")
    return f"Both averages are {means[0]:g}, the maxima differ."


def _gradient(pool: Call, x: Tensor) -> Tensor:
    """Let autograd differentiate the pooling of one window."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(pool(x[None, None], len(x)).sum(), x)[0]


_max_gradient = partial(_gradient, F.max_pool1d)
_mean_gradient = partial(_gradient, F.avg_pool1d)
NUMBERS = st.lists(st.integers(-9, 9), min_size=2, max_size=5, unique=True)
_of_gradient = partial(
    FunctionQuestion,
    named=("x",),
    inputs=NUMBERS.map(lambda pixels: (torch.tensor(pixels).float(),)),
    keeps_values=True,
)
SMALL_BETA, LARGE_BETA = 1e-4, 1e3
SLACK = 0.02


def _judge_between(value: Any, x: Tensor, beta: float) -> None:
    """Check that the result lies between average and maximum, and reaches both."""
    try:
        found = float(forms.number(value))
    except TypeError as error:
        hint = "\nHint: does an exponential overflow?" if "finite" in str(error) else ""
        raise WrongError(f"The result {error}.{hint}") from None
    mean, peak = float(x.mean()), float(x.max())
    text = f"Average {mean:g}, maximum {peak:g}, but the result is {found:g}."
    demand(mean - SLACK <= found <= peak + SLACK, text)
    for extreme, limit, where in (
        (SMALL_BETA, mean, "for beta near 0 it should come near the average."),
        (LARGE_BETA, peak, "for a large beta it should come near the maximum."),
    ):
        demand(beta != extreme or abs(found - limit) <= SLACK, text, where)


def _softmax_pool(x: Tensor, beta: float) -> Tensor:
    """Average with the weights of a softmax."""
    return (F.softmax(beta * x, dim=0) * x).sum()


def _tempered(*betas: float) -> st.SearchStrategy[Arguments]:
    """Generate a window and a beta."""
    halves = tensors("n", 4).map(lambda a: a[0] / 2)
    return st.tuples(halves, st.sampled_from(betas))


def _larger(a: Tensor, b: Tensor) -> Tensor:
    """Take the larger of two numbers, place by place."""
    return F.max_pool1d(torch.stack([a, b], -1)[None], 2)[0, :, 0]


def _pooled_by_net(function: Call, k: int) -> object:
    """Let the reader's net pool some images; this runs in the sandbox."""
    made = function(k)
    net, *claimed = made if isinstance(made, (tuple, list)) and made else (made,)
    if not callable(net) or isinstance(net, type):
        return (
            f"The function returns an object of type {type(net).__name__}, not a net.",
        )
    weights = [*net.parameters()] if isinstance(net, nn.Module) else []
    dtype = weights[0].dtype if weights else torch.float32
    X = torch.randint(-9, 10, (9, 1, 2 * k, 3 * k)).to(dtype)
    X[0] = -1  # and one image that is negative throughout
    right = F.max_pool2d(X, k)
    return "", right, net(watch(X)), relu_channels(), *claimed


def _judge_max_net(found: Any, k: int) -> None:
    """Expect a net that pools."""
    demand(not found[0], found[0])
    fault = forms.difference(found[1], found[2])
    demand(fault is None, fault or "For some images the output is not the maximum.")


def _judge_channels(found: Any, k: int) -> None:
    """Expect such a net, and the numbers of channels that its ReLU layers have."""
    _judge_max_net(found, k)
    demand(
        len(found) > 4,
        "The result should be a pair: the net, and its numbers of channels.",
    )
    claimed = [forms.whole(x) for x in forms.sequence(found[4])]
    demand(
        claimed == found[3],
        f"The ReLU layers of this net have {found[3]} channels, not {claimed}.",
    )


_of_affine = partial(
    ValueQuestion,
    asks="two windows (A, B) that show, with the one halfway between them, that max "
    "pooling is not affine",
    judge=_judge_affine,
    answer="([...], [...])",
)
_of_net = partial(
    FunctionQuestion, inputs=whole((2, 3)), call=_pooled_by_net, rule=RELU_ONLY
)


QUESTIONS = (
    _of_images(
        "6.5.1",
        "average pooling of X (n, c, h, w), zeros of the padding included, by a "
        "convolution; sizes are pairs",
        oracle=F.avg_pool2d,
        mistakes={
            "each channel is pooled by itself, not added up: use groups, or zeros.": (
                _added_up
            ),
            "each channel is pooled by itself, not averaged: use groups, or zeros.": (
                lambda X, k, s, p: _added_up(X, k, s, p) / X.shape[1]
            ),
            "this is the sum of the window, not its average.": lambda X, k, s, p: (
                F.avg_pool2d(X, k, s, p) * k[0] * k[1]
            ),
            "it leaves out the padding, which a convolution cannot.": _average_inside,
            "the stride is not always the size of the window.": lambda X, k, s, p: (
                F.avg_pool2d(X, k, k, p)
            ),
        },
        rule=BY_CONVOLUTION,
    ),
    _of_images(
        "6.5.1 inside",
        "average pooling that leaves the padding out, by convolutions",
        oracle=_average_inside,
        mistakes={"this is the average including the padding.": F.avg_pool2d},
        rule=BY_CONVOLUTION,
    ),
    _of_affine("6.5.2 windows"),
    FunctionQuestion(
        "6.5.2",
        "max pooling of X (n, c, h, w), no padding, by convolutions and ReLU alone; "
        "sizes are pairs",
        inputs=tensors(UNPADDED, **STRIDES),
        oracle=F.max_pool2d,
        mistakes={
            "this is average pooling.": F.avg_pool2d,
            "for negative numbers this is wrong: ReLU(b) alone is not b.": (
                lambda X, k, s: F.max_pool2d(X, k, s).relu()
            ),
        },
        rule=RELU_ONLY,
        named=WINDOW[:3],
    ),
    _of_layers(
        "6.5.3",
        "the comparisons of max pooling, one sample; window p, stride s, padding q on "
        "each side, -inf compared like a pixel",
        oracle=_combinations,
        mistakes={
            "a window of n pixels takes n - 1 comparisons.": lambda *a: (
                _windows(*a) * a[3] * a[4]
            ),
            "every channel is pooled.": lambda *a: _combinations(1, *a[1:]),
            "positions are whole: round down; n pixels take n - 1 comparisons.": (
                lambda c, h, w, ph, pw, sh, sw, qh, qw: (
                    c * ((h - ph) / sh + 1) * ((w - pw) / sw + 1) * ph * pw
                )
            ),
        },
    ),
    _of_layers(
        "6.5.3 divisions",
        "the divisions of average pooling, one sample",
        oracle=_windows,
        mistakes={
            "one division for each window, not for each of its pixels.": lambda *a: (
                _windows(*a) * a[3] * a[4]
            ),
        },
    ),
    ValueQuestion(
        "6.5.4 windows",
        "two windows (A, B) with the same average, but different maxima",
        _judge_windows,
        answer="([...], [...])",
    ),
    _of_gradient(
        "6.5.4 max_gradient",
        "the gradient of max pooling one window x (n,) of distinct numbers",
        oracle=_max_gradient,
        mistakes={"only one pixel decides about the maximum.": _mean_gradient},
    ),
    _of_gradient(
        "6.5.4 mean_gradient",
        "the gradient of average pooling one window x (n,)",
        oracle=_mean_gradient,
        mistakes={"all pixels count in the average.": _max_gradient},
    ),
    _of_images(
        "6.5.5",
        "min pooling of X (n, c, h, w), exactly; sizes are pairs, the padding is never "
        "the smallest",
        # Tenths are numbers that most operations round.
        inputs=IMAGES.map(lambda a: (a[0] / 10, *a[1:])),
        oracle=_minimum,
        mistakes={
            "the zeros of the padding are smaller than some pixels.": (
                partial(_minimum, fill=0.0)
            ),
            "one sign is missing.": lambda X, k, s, p: F.max_pool2d(-X, k, s, p),
            "the minimum of the inverses is an inverse only if all are positive.": (
                lambda X, k, s, p: 1 / F.max_pool2d(1 / X, k, s, p)
            ),
            "it is right up to rounding, but the smallest pixel needs none.": (
                lambda X, k, s, p: _minimum(X, k, s, p) * (1 + 1e-6)
            ),
        },
        is_exact=True,
    ),
    FunctionQuestion(
        "6.5.6",
        "one number for the window x (n,): near the average for beta near 0, near the "
        "maximum for a large beta, never outside",
        inputs=_tempered(1.0, 0.5, SMALL_BETA, LARGE_BETA),
        judge=_judge_between,
    ),
    FunctionQuestion(
        "6.5.6 softmax",
        "the average of x (n,) with the weights softmax(beta x), a tensor without axes",
        inputs=_tempered(1.0, 0.0, -2.0, 3.0),
        oracle=_softmax_pool,
        mistakes={
            "these are the weights; add up the weighted pixels.": lambda x, beta: (
                F.softmax(beta * x, dim=0)
            ),
            "beta is missing.": lambda x, beta: _softmax_pool(x, 1.0),
        },
    ),
    _of_affine("7.5.2 windows"),
    FunctionQuestion(
        "7.5.3 maximum",
        "part a: max(a, b), place by place, for rows a (n,), b (n,), by ReLU, sums and "
        "differences",
        inputs=tensors("n, n"),
        oracle=_larger,
        mistakes={
            "b may be negative: what does ReLU(b) make of it?": lambda a, b: (
                (a - b).relu() + b.relu()
            ),
        },
        rule=RELU_ONLY,
    ),
    _of_net(
        "7.5.3 net",
        "part b: a net of convolutions and ReLU that pools images (n, 1, h, w) with a "
        "k×k window, stride k",
        judge=_judge_max_net,
    ),
    _of_net(
        "7.5.3 channels",
        "part c: (net, [c1, c2, ...]), such a net and the numbers of channels of its "
        "ReLU layers, in order",
        judge=_judge_channels,
    ),
)
