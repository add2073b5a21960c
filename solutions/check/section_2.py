"""Questions of section 6.2, convolutions for images.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.convolution`), which must stay unseen and untrusted.
"""

from functools import partial
from itertools import count
from math import factorial
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.inputs import distinct, tensors, whole
from solutions.check.operations import BY_PRODUCT
from solutions.check.parts import FunctionQuestion, ValueQuestion, demand

EDGE = torch.tensor([[1.0, -1.0]])


def corr(X: Tensor, K: Tensor) -> Tensor:
    """Cross-correlate one channel."""
    return F.conv2d(X[None, None], K[None, None].to(X))[0, 0]


def _windows(X: Tensor, kernel_shape: tuple[int, int]) -> Tensor:
    """Return the flattened windows, one per row."""
    return F.unfold(X[None, None], kernel_shape)[0].T


def _matrix(K: Tensor, input_shape: tuple[int, int]) -> Tensor:
    """Apply the kernel to every image with a single one: these are the columns."""
    h, w = input_shape
    images = torch.eye(h * w).reshape(h * w, 1, h, w)
    return F.conv2d(images, K[None, None]).flatten(1).T


def _circulant(K: Tensor, size: tuple[int, int]) -> Tensor:
    """Shift the first row by one for each output, also from one row to the next."""
    h, w = size
    first = F.pad(K, (0, w - K.shape[1], 0, h - K.shape[0])).flatten()
    outputs = (h - K.shape[0] + 1) * (w - K.shape[1] + 1)
    return torch.stack([first.roll(i) for i in range(outputs)])


class _HandWritten(nn.Module):
    """The layer that the book builds by hand, with its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 2))

    def forward(self, X: Tensor) -> Tensor:
        """Fill the output in place, as the book does."""
        Y = torch.zeros(X.shape[0], X.shape[1] - 1)
        for i in range(Y.shape[0]):
            for j in range(Y.shape[1]):
                Y[i, j] = (X[i : i + 1, j : j + 2] * self.weight).sum()
        return Y


MESSAGES = {
    "scalar output": "a loss is one number: call sum() before backward().",
    "size of tensor": "the hand-written layer takes an image (h, w), not four axes.",
    "inplace operation": "was that MXNet? Try the assignment Y[i, j] = ... in PyTorch.",
}


def _judge_error(answer: Any) -> None:
    """Run the layer, and compare what happens with what the reader says happens."""
    if not isinstance(answer, str):
        raise TypeError('should be a text, "" for no error at all')
    message, said = "", answer.strip(" .!").lower()
    try:
        _HandWritten()(distinct(6, 8)).sum().backward()
    except RuntimeError as error:
        message = str(error)
    demand(
        said in (message.lower(), "none", "no", "nothing", "it works")
        or "no error" in said,
        "The hand-written layer, given an image (6, 8), does not say that.",
        next((hint for phrase, hint in MESSAGES.items() if phrase in said), None),
    )


def _moments(kernel: Tensor, degree: int) -> dict[tuple[int, int], float]:
    """Apply a kernel to the monomials y^a x^b up to a degree, about its centre.

    What rounding in float32 explains is rounded away.
    """
    h, w = kernel.shape
    y = torch.arange(h, dtype=torch.float64) - (h - 1) / 2
    x = torch.arange(w, dtype=torch.float64) - (w - 1) / 2
    found = {}
    for a in range(degree + 1):
        for b in range(degree + 1 - a):
            m = float((y**a) @ kernel @ (x**b))
            size = float((y.abs() ** a) @ kernel.abs() @ (x.abs() ** b))
            near = round(m, 3)
            found[a, b] = near if abs(m - near) <= forms.SLACK / 10 * size else m
    return found


# By the smaller of its values along two axes at right angles, if the larger one is 1.
SECOND: dict[float | None, str] = {
    0: "the second derivative in one direction",
    1: "the Laplacian, the sum of two second derivatives",
    -1: "the mixed second derivative, in two directions at right angles",
}


def _judge_second(value: Any) -> str:
    """Apply the kernel to polynomials of degree 2, whose second derivatives we know."""
    moments = _moments(forms.kernel(value), 2)
    flat = moments[0, 0]
    demand(not flat, f"On a constant image 1 it gives {flat:g}, but a derivative is 0.")
    sloped = moments[0, 1] or moments[1, 0]
    demand(not sloped, "On a ramp it is not 0, but a second derivative is.")
    xx, xy, yy = moments[0, 2], moments[1, 1], moments[2, 0]
    form = torch.tensor([[xx, xy], [xy, yy]], dtype=torch.float64)
    less, most = sorted(torch.linalg.eigvalsh(form).tolist(), key=abs)
    ratio = round(less / most, 3) if most else None
    name, factor = SECOND.get(ratio), abs(most) if ratio == -1 else most / 2
    sign, scale = "the sign is the wrong way round.", f"it is {factor:g} times {name}."
    demand(
        name and abs(factor - 1) < 1e-4,
        "No second derivative has these values: "
        f"x² gives {xx:g}, xy gives {xy:g}, y² gives {yy:g}.",
        name and (sign if abs(factor + 1) < 1e-4 else scale),
    )
    return f"It is {name}."


def _judge_integral(value: Any, n: int, h: float) -> None:
    """The integrals of 1, x, x² and x⁴ must be as good as those of two simple rules."""
    w = forms.kernel(value).flatten()
    demand(len(w) == n, f"The kernel has {len(w)} taps, but should have {n}.")
    x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * h
    midpoints, total = torch.full_like(x, h), float(w.sum())
    trapezoids = midpoints.clone()
    trapezoids[[0, -1]] /= 2
    slack = forms.SLACK * n * h
    length, rule = n * h, midpoints
    if abs(total - length) > slack:
        length, rule = (n - 1) * h, trapezoids
    hints: dict[float, str] = {
        n: "the step h is missing.",
        1: "that is the mean; the integral is as many times larger.",
    }
    demand(
        abs(total - length) <= slack,
        f"The integral of the constant 1 is the length, {n * h:g} (or {length:g} from "
        f"the first sample to the last), but this gives {total:g}.",
        hints.get(round(total, 6)),
    )
    for m in (1, 2, 4):
        right = 2 * (length / 2) ** (m + 1) / (m + 1) if m > 1 else 0.0
        missed, allowed = (abs(float(r @ x**m) - right) for r in (w, rule))
        demand(
            missed <= allowed + slack * max(right, 1),
            f"On x^{m}, x = 0 in the middle, it misses more than the simplest rules: "
            f"{missed:g}.",
        )


def _judge_derivative(value: Any, d: int) -> None:
    """Cross-correlation must give 0 for 1, x, ..., and d! for x^d."""
    kernel = forms.kernel(value)
    text = f"The kernel has shape {tuple(kernel.shape)}, but should have one axis."
    demand(1 in kernel.shape, text)
    moments = _moments(kernel.reshape(1, -1), d)
    found, wanted, slack = moments[0, d], factorial(d), forms.SLACK * factorial(d)
    for m in range(d):
        text = f"On x^{m} it is not 0: it differentiates fewer than {d} times."
        demand(abs(moments[0, m]) <= slack, text)
    flipped = "the kernel is flipped: cross-correlation takes it as it stands."
    demand(
        abs(found - wanted) <= slack,
        f"On x^{d} it gives {found:.6g}, but the derivative of order {d} is {wanted}.",
        flipped if abs(found + wanted) <= slack else None,
    )


def _can_differentiate(n: int, d: int) -> bool:
    """Say whether some kernel of n taps gives the derivative of order d exactly."""
    places = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
    powers = torch.stack([places**m for m in range(d + 1)])
    wanted = torch.eye(d + 1, dtype=torch.float64)[:, d:]
    weights = torch.linalg.lstsq(powers, wanted, driver="gelsd").solution
    return torch.allclose(powers @ weights, wanted, atol=1e-6)


def _judge_edge(value: Any, v: tuple[float, float]) -> None:
    """The kernel must give the slope along v, and nothing else, of every plane."""
    moments = _moments(forms.kernel(value), 1)
    flat, right, down = (moments[p] for p in ((0, 0), (0, 1), (1, 0)))
    text = f"On a flat image of ones it gives {flat:g}, where there is no edge."
    demand(not flat, text)
    along, across = right * v[0] + down * v[1], right * v[1] - down * v[0]
    size = (right**2 + down**2) ** 0.5
    hints = {
        v: f"the direction is right, but it is {size:g} times the slope.",
        (v[1], v[0]): "v[0] points to the right, v[1] down.",
        (v[0], -v[1]): "v[1] points down, as the rows are counted.",
        (-v[0], -v[1]): "the sign is the wrong way round: cross-correlation.",
    }
    known = (
        hint
        for (x, y), hint in hints.items()
        if abs(right - size * x) + abs(down - size * y) < 1e-4 * size
    )
    demand(
        abs(along - 1) < 1e-4 and abs(across) < 1e-4,
        f"On a ramp that rises along v it gives {along:g}, on one that rises across "
        f"v {across:g}.",
        next(known, None),
    )


def _judge_blur(value: Any) -> None:
    """A blur keeps flat images and ramps, and makes no pixel brighter than all were."""
    kernel = forms.kernel(value)
    moments = _moments(kernel, 1)
    flat, moved = moments[0, 0], moments[0, 1] or moments[1, 0]
    demand((kernel >= 0).all(), "A tap is negative: bright pixels can darken others.")
    text = f"A flat image of ones becomes {flat:g}: it is not kept."
    demand(abs(flat - 1) <= forms.SLACK, text)
    demand(not moved, "A ramp is moved: the kernel is not symmetric.")
    one = "It uses one pixel only, so it changes nothing."
    demand((kernel > 0).sum() > 1, one)


DIRECTIONS = [(0.6, 0.8), (1.0, 0.0), (0.0, 1.0), (-0.8, 0.6), (0.0, -1.0)]
_of_image = partial(FunctionQuestion, inputs=tensors("h w", h=(2, 5), w=(2, 5)))

QUESTIONS = (
    _of_image(
        "6.2.1 a",
        "the output for the image X (h, w) and the kernel [[1, -1]], as a formula of X",
        oracle=lambda X: corr(X, EDGE),
    ),
    _of_image(
        "6.2.1 b",
        "the output when X is transposed, as a formula of the original X",
        oracle=lambda X: corr(X.T, EDGE),
        mistakes={
            "it changes nothing only if X is symmetric, as the identity is.": (
                lambda X: corr(X, EDGE)
            ),
            "the output is zero only if X is constant along its columns.": (
                lambda X: 0 * corr(X.T, EDGE)
            ),
        },
    ),
    _of_image(
        "6.2.1 c",
        "the output when the kernel is transposed, as a formula of X",
        oracle=lambda X: corr(X, EDGE.T),
        mistakes={
            "the output is only transposed if X is symmetric, as the identity is.": (
                lambda X: corr(X, EDGE).T
            ),
        },
    ),
    ValueQuestion(
        "6.2.2 error",
        'the message of the error that autograd raises, "" for none',
        _judge_error,
        answer='"..."',
    ),
    FunctionQuestion(
        "6.2.3",
        "the cross-correlation of X (h, w) with K (k_h, k_w), by a matrix product",
        inputs=tensors("o_h+k_h o_w+k_w, k_h k_w"),
        oracle=corr,
        mistakes={
            "transpose instead of reshape: windows and kernel are read row by row.": (
                lambda X, K: corr(X, K.T.reshape(K.shape))
            ),
            "transpose instead of reshape: the outputs come row by row.": (
                lambda X, K: corr(X, K).T.reshape(corr(X, K).shape)
            ),
            "the outputs are right, but not reshaped to an image.": (
                lambda X, K: corr(X, K).flatten()
            ),
        },
        rule=BY_PRODUCT,
    ),
    FunctionQuestion(
        "6.2.3 windows",
        "part a: A with A @ K.flatten() = Y.flatten() for every K of this shape",
        inputs=tensors("o_h+k_h o_w+k_w, (k_h k_w)"),
        oracle=_windows,
        mistakes={
            "each window is read column by column, not row by row.": lambda X, size: (
                _windows(X, size).reshape(-1, *size).mT.flatten(1)
            ),
        },
    ),
    FunctionQuestion(
        "6.2.3 matrix",
        "part b: T with T @ X.flatten() = Y.flatten() for every X of this shape",
        inputs=tensors("k_h k_w, (o_h+k_h o_w+k_w)"),
        oracle=_matrix,
        mistakes={
            "at the end of a row the window moves to the next row.": _circulant,
        },
    ),
    ValueQuestion(
        "6.2.4 second_derivative",
        "part a: a kernel (one axis or two) for a second derivative, grid step 1",
        _judge_second,
        answer="[...]",
    ),
    FunctionQuestion(
        "6.2.4 integral",
        "part b: the kernel of n taps that integrates over n samples at distance h, at "
        "least as well as the trapezoidal rule over (n - 1) h or midpoints over n h",
        inputs=st.tuples(st.integers(2, 5), st.sampled_from([0.5, 0.25, 2.0, 3.0])),
        judge=_judge_integral,
    ),
    FunctionQuestion(
        "6.2.4 size",
        "part c: the least number of taps of a kernel for a derivative of order d",
        inputs=whole(5),
        oracle=lambda d: next(n for n in count(1) if _can_differentiate(n, d)),
        mistakes={
            "a kernel centred on a pixel is not the smallest.": lambda d: 2 * d + 1,
            "two taps can take only one difference.": lambda d: 2,
            "even a first derivative needs two values.": lambda d: d,
        },
    ),
    FunctionQuestion(
        "6.2.4 derivative",
        "part c: a kernel for the derivative of order d, grid step 1, applied by "
        "cross-correlation",
        inputs=whole(5),
        judge=_judge_derivative,
    ),
    FunctionQuestion(
        "7.2.2 edge",
        "part a: a kernel for the slope (change per pixel) along the direction v, a "
        "pair of length 1, v[0] to the right and v[1] down",
        inputs=st.tuples(st.sampled_from(DIRECTIONS)),
        judge=_judge_edge,
    ),
    ValueQuestion(
        "7.2.2 blur", "part c: a kernel that blurs", _judge_blur, answer="[...]"
    ),
)
