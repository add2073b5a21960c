"""Questions of section 6.5, pooling.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.pooling`), which must stay unseen and untrusted.
"""

from math import inf
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.forms import Call
from solutions.check.inputs import Arguments, Draw, distinct, image, upto
from solutions.check.operations import BY_CONVOLUTION, RELU_ONLY, relu_channels, watch
from solutions.check.parts import FunctionQuestion, Mistakes, ValueQuestion, Verdict
from solutions.check.section_3 import NO_ONE, PADDING_ONCE, ROUNDED_UP, positions

WINDOW = ("X", "kernel_size", "stride", "padding")


def _unfolded(X: Tensor, k: Any, s: Any, p: Any, fill: int | float) -> Tensor:
    """Return the windows of (n, c, h, w) as (n, c, o_h, o_w, pixels)."""
    X = F.pad(X, (p[1], p[1], p[0], p[0]), value=fill)
    n, c, h, w = X.shape
    o_h, o_w = (h - k[0]) // s[0] + 1, (w - k[1]) // s[1] + 1
    columns = F.unfold(X.reshape(n * c, 1, h, w), k, stride=s)
    return columns.mT.reshape(n, c, o_h, o_w, -1)


def _average(X: Tensor, k: Any, s: Any, p: Any) -> Tensor:
    """Average with the zeros of the padding."""
    return F.avg_pool2d(X, k, s, p)


def _average_inside(X: Tensor, k: Any, s: Any, p: Any) -> Tensor:
    """Average without them."""
    return F.avg_pool2d(X, k, s, p, count_include_pad=False)


def _mixed(X: Tensor, k: Any, s: Any, p: Any) -> Tensor:
    """Add up all channels in each output channel, as a kernel of equal taps does."""
    return _average(X, k, s, p).sum(1, keepdim=True).expand(-1, X.shape[1], -1, -1)


def _maximum(X: Tensor, k: Any, s: Any) -> Tensor:
    """Pool without padding."""
    return F.max_pool2d(X, k, s)


def _minimum(X: Tensor, k: Any, s: Any, p: Any) -> Tensor:
    """Take the smallest pixel of each window; the padding never is."""
    return _unfolded(X, k, s, p, inf).amin(-1)


@st.composite
def _pooled(draw: Draw, padding: bool = True) -> Arguments:
    """Generate X, kernel_size, stride and, up to half of the window, padding."""
    k = upto(draw, 3), upto(draw, 3)
    s = upto(draw, 4), upto(draw, 4)
    p = (upto(draw, k[0] // 2, 0), upto(draw, k[1] // 2, 0)) if padding else (0, 0)
    n, c = upto(draw, 2), upto(draw, 3)
    h, w = (max(1, k[a] - 2 * p[a]) + upto(draw, 3, 0) for a in (0, 1))
    X = image(draw, n, c, h, w)
    return (X, k, s, p) if padding else (X, k, s)


def _tenths(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replace whole numbers by tenths, which most operations round."""
    return (value[0] / 10, *value[1:])


SHAPES = (
    ((1, 1, 2, 2), (2, 2), (2, 2), (0, 0)),
    ((1, 1, 3, 4), (2, 1), (1, 1), (0, 0)),
    ((1, 3, 4, 4), (2, 2), (2, 2), (0, 0)),
    ((2, 2, 5, 4), (3, 2), (2, 1), (0, 0)),
    ((1, 1, 3, 3), (2, 2), (1, 1), (1, 1)),
    ((2, 3, 4, 5), (3, 2), (1, 2), (1, 0)),
    ((1, 2, 3, 5), (1, 1), (2, 3), (0, 0)),
)
POOLED = [(distinct(*shape), k, s, p) for shape, k, s, p in SHAPES]
UNPADDED = [(distinct(*shape), k, s) for shape, k, s, p in SHAPES if p == (0, 0)]


def _judge_affine(value: Any) -> Verdict:
    """Check two windows that no affine function with max pooling's values allows."""
    A, B = forms.windows(value)

    def pool(window: Tensor) -> float:
        return float(F.max_pool1d(window.flatten()[None, None], window.numel()))

    apart = pool(A) + pool(B)
    together = pool(A + B) + pool(torch.zeros_like(A))
    text = f"max(A) + max(B) is {apart:g}, and max(A + B) + max(0) is {together:g}"
    if abs(apart - together) > 1e-9 * max(1, abs(apart)):
        return Verdict(True, f"{text}: no affine function can do that.")
    return Verdict(False, f"{text}, as for a convolution with a bias.")


SIZES = ("c", "h", "w", "ph", "pw", "sh", "sw", "qh", "qw")


def _windows(c: int, h: int, w: int, *rest: int) -> int:
    """Count the windows of all channels."""
    ph, pw, sh, sw, qh, qw = rest
    return c * positions(h, ph, qh, sh) * positions(w, pw, qw, sw)


def _combinations(c: int, h: int, w: int, *rest: int) -> int:
    """Count what it takes to combine the pixels of each window to one."""
    return _windows(c, h, w, *rest) * (rest[0] * rest[1] - 1)


def _count(
    c: int, h: int, w: int, *rest: int, q: int = 2, up: bool = False, one: int = 1
) -> int:
    """Count combinations with another rule for the number of windows."""
    ph, pw, sh, sw, qh, qw = rest
    rows, columns = h + q * qh - ph, w + q * qw - pw
    if up:
        rows, columns = rows + sh - 1, columns + sw - 1
    return c * (rows // sh + one) * (columns // sw + one) * (ph * pw - 1)


@st.composite
def _pool_sizes(draw: Draw) -> Arguments:
    """Generate the nine sizes of a pooling layer."""
    p, s = (upto(draw, 4), upto(draw, 4)), (upto(draw, 4), upto(draw, 4))
    q = upto(draw, p[0] // 2, 0), upto(draw, p[1] // 2, 0)
    h, w = (max(1, p[a] - 2 * q[a]) + upto(draw, 9, 0) for a in (0, 1))
    return upto(draw, 3), h, w, *p, *s, *q


POOLS = [
    (1, 4, 4, 3, 3, 3, 3, 0, 0),
    (1, 10, 10, 3, 3, 2, 2, 0, 0),
    (1, 7, 7, 2, 2, 2, 2, 1, 1),
    (3, 5, 8, 2, 3, 1, 2, 0, 1),
    (2, 6, 5, 4, 2, 3, 1, 2, 1),
    (2, 6, 6, 1, 1, 2, 2, 0, 0),
]

FULL = "a window of n pixels takes n - 1 comparisons."


COUNTING_MISTAKES: Mistakes = {
    FULL: lambda *a: _windows(*a) * a[3] * a[4],
    PADDING_ONCE: lambda *a: _count(*a, q=1),
    "the padding is missing.": lambda *a: _count(*a, q=0),
    ROUNDED_UP: lambda *a: _count(*a, up=True),
    NO_ONE: lambda *a: _count(*a, one=0),
    "every channel is pooled.": lambda *a: _combinations(1, *a[1:]),
    (
        "positions are whole: round down; and a window of n pixels takes n - 1 "
        "comparisons."
    ): (
        lambda c, h, w, ph, pw, sh, sw, qh, qw: (
            c * ((h - ph) / sh + 1) * ((w - pw) / sw + 1) * ph * pw
        ),
        lambda c, h, w, ph, pw, sh, sw, qh, qw: c * h * w * ph * pw / (sh * sw),
    ),
    "there are fewer windows than pixels.": lambda *a: (
        a[0] * a[1] * a[2] * (a[3] * a[4] - 1)
    ),
    "these are the comparisons of one window.": lambda *a: a[3] * a[4] - 1,
    "a square window is two-dimensional: the rows are compared too.": lambda *a: (
        _windows(*a) * (a[3] - 1) * (a[4] - 1)
    ),
}


def _judge_windows(value: Any) -> Verdict:
    """Check two windows that the average cannot tell apart, but the maximum can."""
    A, B = forms.windows(value)
    means = [float(F.avg_pool1d(x[None, None], len(x))) for x in (A, B)]
    peaks = [float(F.max_pool1d(x[None, None], len(x))) for x in (A, B)]
    if abs(means[0] - means[1]) > 1e-9:
        return Verdict(False, f"The averages differ: {means[0]:g} and {means[1]:g}.")
    if abs(peaks[0] - peaks[1]) <= 1e-9:
        return Verdict(False, f"Both maxima are {peaks[0]:g}.")
    return Verdict(True, f"Both averages are {means[0]:g}, the maxima differ.")


def _gradient(pool: Any, x: Tensor) -> Tensor:
    """Let autograd differentiate the pooling of one window."""
    x = x.clone().requires_grad_()
    pool(x[None, None], len(x)).sum().backward()
    assert x.grad is not None
    return x.grad


def _max_gradient(x: Tensor) -> Tensor:
    """Differentiate the maximum."""
    return _gradient(F.max_pool1d, x)


def _mean_gradient(x: Tensor) -> Tensor:
    """Differentiate the average."""
    return _gradient(F.avg_pool1d, x)


@st.composite
def _distinct_windows(draw: Draw) -> tuple[Tensor]:
    """Generate a window in which no two pixels are equal."""
    pixels = draw(st.lists(st.integers(-9, 9), min_size=2, max_size=5, unique=True))
    return (torch.tensor(pixels).float(),)


GRADIENT_WINDOWS = [(distinct(n, seed=n),) for n in (2, 3, 4, 9)]
SMALL_BETA, LARGE_BETA = 1e-4, 1e3
SLACK = 0.02


def _judge_between(arguments: tuple[Any, ...], value: Any) -> str | None:
    """Check that the result lies between average and maximum, and reaches both."""
    x, beta = arguments
    try:
        value = float(forms.number(value))
    except TypeError as error:
        hint = "\nHint: does an exponential overflow?" if "finite" in str(error) else ""
        return f"The result {error}.{hint}"
    mean, peak = float(x.mean()), float(x.max())
    text = (
        f"The average is {mean:g}, the maximum {peak:g}, but the result is {value:g}."
    )
    if not mean - SLACK <= value <= peak + SLACK:
        return text
    if beta == SMALL_BETA and abs(value - mean) > SLACK:
        return f"{text}\nHint: for beta near 0 it should come near the average."
    if beta == LARGE_BETA and abs(value - peak) > SLACK:
        return f"{text}\nHint: for a large beta it should come near the maximum."
    return None


def _softmax_pool(x: Tensor, beta: float) -> Tensor:
    """Average with the weights of a softmax."""
    return (F.softmax(beta * x, dim=0) * x).sum()


@st.composite
def _tempered(draw: Draw, *betas: float) -> tuple[Tensor, float]:
    """Generate a window and a beta."""
    return image(draw, upto(draw, 4)) / 2, draw(st.sampled_from(betas))


def _tempered_examples(*betas: float) -> list[tuple[Tensor, float]]:
    """Return windows with each beta."""
    windows = (
        torch.tensor([0.0, 1.0]),
        torch.tensor([2.0]),
        torch.tensor([3.0, -1.0, 0.5, 3.0]),
        -torch.tensor([1.0, 2.0, 4.5]),
    )
    return [(x, beta) for x in windows for beta in betas]


def _judge_halfway(value: Any) -> Verdict:
    """Check two windows halfway between which an affine function has another value."""
    A, B = forms.windows(value)
    values = [float(F.max_pool1d(x[None, None], len(x))) for x in (A, B, (A + B) / 2)]
    text = (
        f"The maxima are {values[0]:g} and {values[1]:g}, and {values[2]:g} halfway "
        "between the windows"
    )
    if abs(values[2] - (values[0] + values[1]) / 2) > 1e-9:
        return Verdict(True, f"{text}: no affine function can do that.")
    return Verdict(False, f"{text}, as for a convolution with a bias.")


def _larger(a: Tensor, b: Tensor) -> Tensor:
    """Take the larger of two numbers, place by place."""
    return F.max_pool1d(torch.stack([a, b], -1)[None], 2)[0, :, 0]


@st.composite
def _two_rows(draw: Draw) -> tuple[Tensor, Tensor]:
    """Generate two rows of one length."""
    n = upto(draw, 3)
    return image(draw, n), image(draw, n)


def _pooled_by_net(function: Call, k: int) -> object:
    """Let the reader's net pool some images; this runs in the sandbox."""
    made = function(k)
    net, *claimed = made if isinstance(made, (tuple, list)) else (made,)
    if not callable(net) or isinstance(net, type):
        return ("no net", type(net).__name__)
    weights = [*net.parameters()] if isinstance(net, nn.Module) else []
    dtype = weights[0].dtype if weights else torch.float32
    X = torch.randint(-9, 10, (9, 1, 2 * k, 3 * k)).to(dtype)
    X[0] = -1  # and one image that is negative throughout
    right = F.max_pool2d(X, k)
    return "net", right, net(watch(X)), relu_channels(), *claimed


def _judge_max_net(_: Arguments, found: Any) -> str | None:
    """Expect a net that pools."""
    if found[0] != "net":
        return f"The function returns an object of type {found[1]}, not a net."
    fault = forms.difference(found[1], found[2])
    return "For some images the output is not the maximum." if fault == "" else fault


def _judge_channels(arguments: Arguments, found: Any) -> str | None:
    """Expect such a net, and the numbers of channels that its ReLU layers have."""
    if fault := _judge_max_net(arguments, found):
        return fault
    if len(found) < 5:
        return "The result should be a pair: the net, and its numbers of channels."
    claimed = [forms.whole(x) for x in forms.sequence(found[4])]
    if claimed == found[3]:
        return None
    return f"The ReLU layers of this net have {found[3]} channels, not {claimed}."


QUESTIONS = (
    FunctionQuestion(
        "6.5.1",
        "average pooling of X (n, c, h, w), zeros of the padding included, by a "
        "convolution; sizes are pairs",
        parameters=WINDOW,
        examples=POOLED,
        inputs=_pooled(),
        oracle=_average,
        mistakes={
            "each channel is pooled by itself: use groups, or zeros.": (
                _mixed,
                lambda X, k, s, p: _average(X, k, s, p).sum(1, keepdim=True),
                lambda X, k, s, p: _average(X, k, s, p).mean(1, keepdim=True),
                lambda X, k, s, p: _average(
                    X.mean(1, keepdim=True).expand_as(X), k, s, p
                ),
            ),
            "this is the sum of the window, not its average.": lambda X, k, s, p: (
                _average(X, k, s, p) * k[0] * k[1]
            ),
            "it leaves out the padding, which a convolution cannot.": _average_inside,
            "the padding is missing.": lambda X, k, s, p: _average(X, k, s, (0, 0)),
            "the stride is not always the size of the window.": lambda X, k, s, p: (
                _average(X, k, k, p)
            ),
            "the stride is missing.": lambda X, k, s, p: _average(X, k, 1, p),
            PADDING_ONCE: lambda X, k, s, p: _average(
                F.pad(X, (0, p[1], 0, p[0])), k, s, 0
            ),
        },
        rule=BY_CONVOLUTION,
    ),
    FunctionQuestion(
        "6.5.1 inside",
        "average pooling that leaves the padding out, by convolutions",
        parameters=WINDOW,
        examples=POOLED,
        inputs=_pooled(),
        oracle=_average_inside,
        mistakes={
            "this is the average including the padding.": _average,
            "this is the sum of the window, not its average.": lambda X, k, s, p: (
                _average(X, k, s, p) * k[0] * k[1]
            ),
            "each channel is pooled by itself: use groups, or zeros.": _mixed,
        },
        rule=BY_CONVOLUTION,
    ),
    ValueQuestion(
        "6.5.2 windows",
        "two windows (A, B) that show that max pooling is not affine",
        answer="([...], [...])",
        judge=_judge_affine,
    ),
    FunctionQuestion(
        "6.5.2",
        "max pooling of X (n, c, h, w), no padding, by convolutions and ReLU alone; "
        "sizes are pairs",
        parameters=("X", "kernel_size", "stride"),
        examples=UNPADDED,
        inputs=_pooled(padding=False),
        oracle=_maximum,
        mistakes={
            "this is average pooling.": F.avg_pool2d,
            "for negative numbers this is wrong: ReLU(b) alone is not b.": (
                lambda X, k, s: _maximum(X, k, s).relu()
            ),
            "each channel is pooled by itself.": lambda X, k, s: _maximum(X, k, s).amax(
                1, keepdim=True
            ),
            "this is the minimum.": lambda X, k, s: -_maximum(-X, k, s),
            "the stride is not always the size of the window.": lambda X, k, s: (
                _maximum(X, k, k)
            ),
            "the stride is missing.": lambda X, k, s: _maximum(X, k, 1),
        },
        rule=RELU_ONLY,
    ),
    FunctionQuestion(
        "6.5.3",
        "the comparisons of max pooling, one sample; window p, stride s, padding q on "
        "each side, -inf compared like a pixel",
        parameters=SIZES,
        examples=POOLS,
        inputs=_pool_sizes(),
        oracle=_combinations,
        mistakes=COUNTING_MISTAKES,
    ),
    FunctionQuestion(
        "6.5.3 divisions",
        "the divisions of average pooling, one sample",
        parameters=SIZES,
        examples=POOLS,
        inputs=_pool_sizes(),
        oracle=_windows,
        mistakes={
            "one division for each window, not for each of its pixels.": lambda *a: (
                _windows(*a) * a[3] * a[4]
            ),
            "these are the additions.": _combinations,
            "every channel is pooled.": lambda *a: _windows(1, *a[1:]),
            "there are fewer windows than pixels.": lambda *a: a[0] * a[1] * a[2],
        },
    ),
    ValueQuestion(
        "6.5.4 windows",
        "two windows (A, B) with the same average, but different maxima",
        answer="([...], [...])",
        judge=_judge_windows,
    ),
    FunctionQuestion(
        "6.5.4 max_gradient",
        "the gradient of max pooling one window x (n,) of distinct numbers",
        parameters=("x",),
        examples=GRADIENT_WINDOWS,
        inputs=_distinct_windows(),
        keeps_values=True,
        oracle=_max_gradient,
        mistakes={
            "only one pixel decides about the maximum.": _mean_gradient,
            "the maximum grows as fast as its pixel.": (
                lambda x: x * _max_gradient(x),
                lambda x: _max_gradient(x) / len(x),
            ),
            "a change of another pixel does not change the maximum.": torch.ones_like,
        },
    ),
    FunctionQuestion(
        "6.5.4 mean_gradient",
        "the gradient of average pooling one window x (n,)",
        parameters=("x",),
        examples=GRADIENT_WINDOWS,
        inputs=_distinct_windows(),
        keeps_values=True,
        oracle=_mean_gradient,
        mistakes={
            "all pixels count in the average.": _max_gradient,
            "a pixel has only its share in the average.": torch.ones_like,
            "the average is linear: its gradient does not depend on x.": lambda x: (
                x / len(x)
            ),
        },
    ),
    FunctionQuestion(
        "6.5.5",
        "min pooling of X (n, c, h, w), exactly; sizes are pairs, the padding is never "
        "the smallest",
        parameters=WINDOW,
        examples=[_tenths(example) for example in POOLED],
        inputs=_pooled().map(_tenths),
        oracle=_minimum,
        mistakes={
            "the zeros of the padding are smaller than some pixels.": (
                lambda X, k, s, p: _unfolded(X, k, s, p, 0).amin(-1)
            ),
            "this is the maximum.": lambda X, k, s, p: F.max_pool2d(X, k, s, p),
            "one sign is missing.": lambda X, k, s, p: F.max_pool2d(-X, k, s, p),
            "this is minus the maximum.": lambda X, k, s, p: -F.max_pool2d(X, k, s, p),
            "the smallest magnitude is not the smallest number.": lambda X, k, s, p: (
                -F.max_pool2d(-X.abs(), k, s, p)
            ),
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
        parameters=("x", "beta"),
        examples=_tempered_examples(1.0, SMALL_BETA, LARGE_BETA),
        inputs=_tempered(1.0, 0.5, SMALL_BETA, LARGE_BETA),
        judge=_judge_between,
    ),
    FunctionQuestion(
        "6.5.6 softmax",
        "the average of x (n,) with the weights softmax(beta x), a tensor without axes",
        parameters=("x", "beta"),
        examples=_tempered_examples(1.0, 0.0, -1.0, 3.0),
        inputs=_tempered(1.0, 0.0, -2.0, 3.0),
        oracle=_softmax_pool,
        mistakes={
            "these are the weights; add up the weighted pixels.": lambda x, beta: (
                F.softmax(beta * x, dim=0)
            ),
            "this is the log of a mean of exponentials, not a weighted average.": (
                lambda x, beta: (
                    (torch.logsumexp(beta * x, 0) - torch.tensor(1.0 * len(x)).log())
                    / beta
                )
            ),
            "this is a log-sum-exp, which is larger than the maximum.": (
                lambda x, beta: torch.logsumexp(beta * x, 0) / beta
            ),
            "beta is missing.": lambda x, beta: _softmax_pool(x, 1.0),
            "beta is a factor of x in the softmax, not its divisor.": lambda x, beta: (
                _softmax_pool(x, 1 / beta)
            ),
            "beta belongs inside the softmax only.": lambda x, beta: (
                beta * _softmax_pool(x, beta)
            ),
            "the weights already add up to 1.": lambda x, beta: (
                _softmax_pool(x, beta) / len(x)
            ),
        },
    ),
    ValueQuestion(
        "7.5.2 windows",
        "two windows (A, B) and the one halfway between them show that max pooling is "
        "not affine",
        answer="([...], [...])",
        judge=_judge_halfway,
    ),
    FunctionQuestion(
        "7.5.3 maximum",
        "part a: max(a, b), place by place, for rows a (n,), b (n,), by ReLU, sums and "
        "differences",
        parameters=("a", "b"),
        examples=[(distinct(n), distinct(n, seed=1)) for n in (1, 2, 5)],
        inputs=_two_rows(),
        oracle=_larger,
        mistakes={
            "b may be negative: what does ReLU(b) make of it?": lambda a, b: (
                (a - b).relu() + b.relu()
            ),
            "ReLU(a - b) is not enough.": lambda a, b: (a - b).relu(),
            "the maximum may be negative.": lambda a, b: _larger(a, b).relu(),
            "this is the minimum.": lambda a, b: -_larger(-a, -b),
        },
        rule=RELU_ONLY,
    ),
    FunctionQuestion(
        "7.5.3 net",
        "part b: a net of convolutions and ReLU that pools images (n, 1, h, w) with a "
        "k×k window, stride k",
        parameters=("k",),
        examples=[(2,), (3,)],
        judge=_judge_max_net,
        call=_pooled_by_net,
        rule=RELU_ONLY,
    ),
    FunctionQuestion(
        "7.5.3 channels",
        "part c: (net, [c1, c2, ...]), such a net and the numbers of channels of its "
        "ReLU layers, in order",
        parameters=("k",),
        examples=[(2,), (3,)],
        judge=_judge_channels,
        call=_pooled_by_net,
        rule=RELU_ONLY,
    ),
)
