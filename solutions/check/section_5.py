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

from solutions.check.inputs import Arguments, Draw, distinct, image, upto
from solutions.check.parts import FunctionQuestion, Mistake, ValueQuestion, Verdict
from solutions.check.sandbox import Call
from solutions.check.section_3 import NO_ONE, PADDING_ONCE, ROUNDED_UP, positions

NO_AVERAGE = dict.fromkeys(
    ["avg_pool2d", "adaptive_avg_pool2d", "mean", "nanmean", "interpolate"],
    "the exercise asks for a convolution instead",
)
NO_MAXIMUM = dict.fromkeys(
    [
        "max_pool2d",
        "max_pool2d_with_indices",
        "max_pool3d",
        "adaptive_max_pool2d",
        "max",
        "amax",
        "aminmax",
        "maximum",
        "fmax",
        "cummax",
        "argmax",
        "min",
        "amin",
        "minimum",
        "fmin",
        "sort",
        "msort",
        "topk",
        "kthvalue",
        "median",
        "quantile",
        "where",
        "item",
        "tolist",
        "numpy",
        "__bool__",
        "__float__",
    ],
    "the exercise allows convolutions and ReLU only",
)
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
    try:
        A, B = (torch.as_tensor(x, dtype=torch.float64) for x in value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError("should be a pair of windows (A, B) of numbers") from None
    if A.shape != B.shape or A.numel() < 2:
        return Verdict(False, "The windows must have one shape, of two pixels or more.")

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


COUNTING_MISTAKES = (
    Mistake(FULL, lambda *a: _windows(*a) * a[3] * a[4]),
    Mistake(PADDING_ONCE, lambda *a: _count(*a, q=1)),
    Mistake("the padding is missing.", lambda *a: _count(*a, q=0)),
    Mistake(ROUNDED_UP, lambda *a: _count(*a, up=True)),
    Mistake(NO_ONE, lambda *a: _count(*a, one=0)),
    Mistake("every channel is pooled.", lambda *a: _combinations(1, *a[1:])),
    Mistake(
        "positions are whole: round down; and a window of n pixels takes n - 1 "
        "comparisons.",
        lambda c, h, w, ph, pw, sh, sw, qh, qw: (
            c * ((h - ph) / sh + 1) * ((w - pw) / sw + 1) * ph * pw
        ),
    ),
    Mistake(
        "positions are whole: round down; and a window of n pixels takes n - 1 "
        "comparisons.",
        lambda c, h, w, ph, pw, sh, sw, qh, qw: c * h * w * ph * pw / (sh * sw),
    ),
    Mistake(
        "there are fewer windows than pixels.",
        lambda *a: a[0] * a[1] * a[2] * (a[3] * a[4] - 1),
    ),
    Mistake("these are the comparisons of one window.", lambda *a: a[3] * a[4] - 1),
    Mistake(
        "a square window is two-dimensional: the rows are compared too.",
        lambda *a: _windows(*a) * (a[3] - 1) * (a[4] - 1),
    ),
)


def _judge_windows(value: Any) -> Verdict:
    """Check two windows that the average cannot tell apart, but the maximum can."""
    try:
        A, B = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError("should be a pair of windows (A, B) of numbers") from None
    if len(A) != len(B) or len(A) == 0:
        return Verdict(False, "The windows must have equally many pixels.")
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
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "The result should be a number."
    mean, peak = float(x.mean()), float(x.max())
    text = (
        f"The average is {mean:g}, the maximum {peak:g}, but the result is {value:g}."
    )
    if value != value:
        return (
            f"{text}\nHint: exp overflows: subtract the maximum first, which "
            "changes no softmax."
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


def _log_mean_exp(x: Tensor, beta: float) -> Tensor:
    """Take another mean between average and maximum."""
    return torch.logsumexp(beta * x - torch.tensor(float(len(x))).log(), 0) / beta


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
    try:
        A, B = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError("should be a pair of windows (A, B) of numbers") from None
    if len(A) != len(B) or len(A) < 2:
        return Verdict(False, "The windows must have one shape, of two pixels or more.")
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


NO_COMPARISON = dict.fromkeys(NO_MAXIMUM, "the exercise allows ReLU only") | {
    "abs": "the exercise allows ReLU only"
}


def _facts_of_max_net(function: Call, k: int) -> tuple[object, ...]:
    """Build the reader's net for a k×k window and try it; this runs in the sandbox."""
    net = function(k)
    if not isinstance(net, nn.Module):
        return ("type", type(net).__name__)
    kinds = (nn.Conv2d, nn.ReLU, nn.Sequential)
    parts = [type(m).__name__ for m in net.modules() if not isinstance(m, kinds)]
    if parts:
        return ("layer", parts[0])
    X = torch.randint(-9, 10, (9, 1, 2 * k, 3 * k)).float()
    X[0] = -1  # and one image that is negative throughout
    right = F.max_pool2d(X, k)
    Y = net(X)
    if Y.shape != right.shape:
        return ("shape", tuple(Y.shape), tuple(right.shape))
    return ("values", bool(torch.allclose(Y, right, rtol=1e-4, atol=1e-4)))


def _judge_max_net(_: Any, facts: Any) -> str | None:
    """Expect a net of convolutions and ReLU that pools."""
    what, fact = facts[0], facts[1]
    if what == "type":
        return f"The function returns an object of type {fact}, not a net."
    if what == "layer":
        return f"The net has a layer {fact}: only nn.Conv2d and nn.ReLU are allowed."
    if what == "shape":
        return f"The output has the shape {fact}, but should have {facts[2]}."
    return None if fact else "For some images the output is not the maximum."


QUESTIONS = (
    FunctionQuestion(
        "6.5.1",
        "",
        "average pooling of X (n, c, h, w), zeros of the padding included, by a "
        "convolution; sizes are pairs",
        parameters=WINDOW,
        examples=POOLED,
        inputs=_pooled(),
        oracle=_average,
        mistakes=(
            Mistake(
                "each channel is pooled by itself: use groups, or zeros between them.",
                _mixed,
            ),
            Mistake(
                "each channel is pooled by itself: use groups, or zeros between them.",
                lambda X, k, s, p: _average(X, k, s, p).sum(1, keepdim=True),
            ),
            Mistake(
                "each channel is pooled by itself: use groups, or zeros between them.",
                lambda X, k, s, p: _average(X, k, s, p).mean(1, keepdim=True),
            ),
            Mistake(
                "this is the sum of the window, not its average.",
                lambda X, k, s, p: _average(X, k, s, p) * k[0] * k[1],
            ),
            Mistake(
                "your average leaves out the padding, which a convolution cannot.",
                _average_inside,
            ),
            Mistake(
                "the padding is missing.",
                lambda X, k, s, p: _average(X, k, s, (0, 0)),
            ),
            Mistake(
                "the stride is not always the size of the window.",
                lambda X, k, s, p: _average(X, k, k, p),
            ),
            Mistake("the stride is missing.", lambda X, k, s, p: _average(X, k, 1, p)),
            Mistake(
                PADDING_ONCE,
                lambda X, k, s, p: _average(F.pad(X, (0, p[1], 0, p[0])), k, s, 0),
            ),
        ),
        forbidden=NO_AVERAGE,
    ),
    FunctionQuestion(
        "6.5.1",
        "inside",
        "average pooling that leaves the padding out, by convolutions",
        parameters=WINDOW,
        examples=POOLED,
        inputs=_pooled(),
        oracle=_average_inside,
        mistakes=(
            Mistake("this is the average including the padding.", _average),
            Mistake(
                "this is the sum of the window, not its average.",
                lambda X, k, s, p: _average(X, k, s, p) * k[0] * k[1],
            ),
            Mistake(
                "each channel is pooled by itself: use groups, or zeros between them.",
                _mixed,
            ),
        ),
        forbidden=NO_AVERAGE,
    ),
    ValueQuestion(
        "6.5.2",
        "windows",
        "two windows (A, B) that show that max pooling is not affine",
        answer="([...], [...])",
        judge=_judge_affine,
    ),
    FunctionQuestion(
        "6.5.2",
        "",
        "max pooling of X (n, c, h, w), no padding, by convolutions and ReLU alone; "
        "sizes are pairs",
        parameters=("X", "kernel_size", "stride"),
        examples=UNPADDED,
        inputs=_pooled(padding=False),
        oracle=_maximum,
        mistakes=(
            Mistake("this is average pooling.", F.avg_pool2d),
            Mistake(
                "for negative numbers this is wrong: ReLU(b) alone is not b.",
                lambda X, k, s: _maximum(X, k, s).relu(),
            ),
            Mistake(
                "each channel is pooled by itself.",
                lambda X, k, s: _maximum(X, k, s).amax(1, keepdim=True),
            ),
            Mistake("this is the minimum.", lambda X, k, s: -_maximum(-X, k, s)),
            Mistake(
                "the stride is not always the size of the window.",
                lambda X, k, s: _maximum(X, k, k),
            ),
            Mistake("the stride is missing.", lambda X, k, s: _maximum(X, k, 1)),
        ),
        forbidden=NO_MAXIMUM,
    ),
    FunctionQuestion(
        "6.5.3",
        "",
        "the comparisons of max pooling, one sample; window p, stride s, padding q on "
        "each side, -inf compared like a pixel",
        parameters=SIZES,
        examples=POOLS,
        inputs=_pool_sizes(),
        oracle=_combinations,
        mistakes=COUNTING_MISTAKES,
    ),
    FunctionQuestion(
        "6.5.3",
        "divisions",
        "the divisions of average pooling, one sample",
        parameters=SIZES,
        examples=POOLS,
        inputs=_pool_sizes(),
        oracle=_windows,
        mistakes=(
            Mistake(
                "one division for each window, not for each of its pixels.",
                lambda *a: _windows(*a) * a[3] * a[4],
            ),
            Mistake("these are the additions.", _combinations),
            Mistake("every channel is pooled.", lambda *a: _windows(1, *a[1:])),
            Mistake(
                "there are fewer windows than pixels.", lambda *a: a[0] * a[1] * a[2]
            ),
        ),
    ),
    ValueQuestion(
        "6.5.4",
        "windows",
        "two windows (A, B) with the same average, but different maxima",
        answer="([...], [...])",
        judge=_judge_windows,
    ),
    FunctionQuestion(
        "6.5.4",
        "max_gradient",
        "the gradient of max pooling one window x (n,) of distinct numbers",
        parameters=("x",),
        examples=GRADIENT_WINDOWS,
        inputs=_distinct_windows(),
        keeps_values=True,
        oracle=_max_gradient,
        mistakes=(
            Mistake("only one pixel decides about the maximum.", _mean_gradient),
            Mistake(
                "the maximum grows as fast as its pixel.",
                lambda x: x * _max_gradient(x),
            ),
            Mistake(
                "a change of another pixel does not change the maximum.",
                torch.ones_like,
            ),
            Mistake(
                "the maximum grows as fast as its pixel.",
                lambda x: _max_gradient(x) / len(x),
            ),
        ),
    ),
    FunctionQuestion(
        "6.5.4",
        "mean_gradient",
        "the gradient of average pooling one window x (n,)",
        parameters=("x",),
        examples=GRADIENT_WINDOWS,
        inputs=_distinct_windows(),
        keeps_values=True,
        oracle=_mean_gradient,
        mistakes=(
            Mistake("all pixels count in the average.", _max_gradient),
            Mistake("a pixel has only its share in the average.", torch.ones_like),
            Mistake(
                "the average is linear: its gradient does not depend on x.",
                lambda x: x / len(x),
            ),
        ),
    ),
    FunctionQuestion(
        "6.5.5",
        "",
        "min pooling of X (n, c, h, w), exactly; sizes are pairs, the padding is never "
        "the smallest",
        parameters=WINDOW,
        examples=[_tenths(example) for example in POOLED],
        inputs=_pooled().map(_tenths),
        oracle=_minimum,
        mistakes=(
            Mistake(
                "the zeros of the padding are smaller than some pixels.",
                lambda X, k, s, p: _unfolded(X, k, s, p, 0).amin(-1),
            ),
            Mistake(
                "this is the maximum.", lambda X, k, s, p: F.max_pool2d(X, k, s, p)
            ),
            Mistake(
                "one sign is missing.", lambda X, k, s, p: F.max_pool2d(-X, k, s, p)
            ),
            Mistake(
                "this is minus the maximum.",
                lambda X, k, s, p: -F.max_pool2d(X, k, s, p),
            ),
            Mistake(
                "the smallest magnitude is not the smallest number.",
                lambda X, k, s, p: -F.max_pool2d(-X.abs(), k, s, p),
            ),
            Mistake(
                "it is right up to rounding, but a minimum need not be computed with.",
                lambda X, k, s, p: _minimum(X, k, s, p) * (1 + 1e-6),
            ),
        ),
        is_exact=True,
    ),
    FunctionQuestion(
        "6.5.6",
        "",
        "one number for the window x (n,): near the average for beta near 0, near the "
        "maximum for a large beta, never outside",
        parameters=("x", "beta"),
        examples=_tempered_examples(1.0, SMALL_BETA, LARGE_BETA),
        inputs=_tempered(1.0, 0.5, SMALL_BETA, LARGE_BETA),
        judge=_judge_between,
    ),
    FunctionQuestion(
        "6.5.6",
        "softmax",
        "the average of x (n,) with the weights softmax(beta x), a tensor without axes",
        parameters=("x", "beta"),
        examples=_tempered_examples(1.0, 0.0, -1.0, 3.0),
        inputs=_tempered(1.0, 0.0, -2.0, 3.0),
        oracle=_softmax_pool,
        mistakes=(
            Mistake(
                "these are the weights; add up the weighted pixels.",
                lambda x, beta: F.softmax(beta * x, dim=0),
            ),
            Mistake(
                "this is the log of a mean of exponentials, not a weighted average.",
                lambda x, beta: (
                    (torch.logsumexp(beta * x, 0) - torch.tensor(1.0 * len(x)).log())
                    / beta
                ),
            ),
            Mistake(
                "this is a log-sum-exp, which is larger than the maximum.",
                lambda x, beta: torch.logsumexp(beta * x, 0) / beta,
            ),
            Mistake("beta is missing.", lambda x, beta: _softmax_pool(x, 1.0)),
            Mistake(
                "beta is a factor of x in the softmax, not its divisor.",
                lambda x, beta: _softmax_pool(x, 1 / beta),
            ),
            Mistake(
                "beta belongs inside the softmax only.",
                lambda x, beta: beta * _softmax_pool(x, beta),
            ),
            Mistake(
                "the weights already add up to 1.",
                lambda x, beta: _softmax_pool(x, beta) / len(x),
            ),
        ),
    ),
    ValueQuestion(
        "7.5.2",
        "windows",
        "two windows (A, B) and the one halfway between them show that max pooling is "
        "not affine",
        answer="([...], [...])",
        judge=_judge_halfway,
    ),
    FunctionQuestion(
        "7.5.3",
        "maximum",
        "part a: max(a, b), place by place, for rows a (n,), b (n,), by ReLU, sums and "
        "differences",
        parameters=("a", "b"),
        examples=[(distinct(n), distinct(n, seed=1)) for n in (1, 2, 5)],
        inputs=_two_rows(),
        oracle=_larger,
        mistakes=(
            Mistake(
                "b may be negative: what does ReLU(b) make of it?",
                lambda a, b: (a - b).relu() + b.relu(),
            ),
            Mistake("ReLU(a - b) is not enough.", lambda a, b: (a - b).relu()),
            Mistake("the maximum may be negative.", lambda a, b: _larger(a, b).relu()),
            Mistake("this is the minimum.", lambda a, b: -_larger(-a, -b)),
        ),
        forbidden=NO_COMPARISON,
    ),
    FunctionQuestion(
        "7.5.3",
        "net",
        "parts b and c: a net of nn.Conv2d and nn.ReLU that pools images (n, 1, h, w) "
        "with a k×k window, stride k",
        parameters=("k",),
        examples=[(2,), (3,)],
        judge=_judge_max_net,
        call=_facts_of_max_net,
    ),
)
