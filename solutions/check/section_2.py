"""Questions of section 6.2, convolutions for images.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.convolution`), which must stay unseen and untrusted.
"""

from functools import partial
from math import factorial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.inputs import distinct, shaped, tensors
from solutions.check.operations import BY_PRODUCT
from solutions.check.parts import (
    FunctionQuestion,
    ValueQuestion,
    demand,
)

EDGE = torch.tensor([[1.0, -1.0]])


def corr(X: Tensor, K: Tensor) -> Tensor:
    """Cross-correlate one channel."""
    return F.conv2d(X[None, None], K[None, None].to(X))[0, 0]


def _windows(X: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the flattened windows, one per row."""
    return F.unfold(X[None, None], size)[0].T


def _by_columns(X: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the windows, each read column by column."""
    windows = _windows(X, size).reshape(-1, *size)
    return windows.mT.flatten(1)


def _positions_by_columns(X: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the windows, row by row, but their positions column by column."""
    o_h, o_w = X.shape[0] - size[0] + 1, X.shape[1] - size[1] + 1
    windows = _windows(X, size).reshape(o_h, o_w, -1)
    return windows.transpose(0, 1).flatten(0, 1)


def _matrix(K: Tensor, size: tuple[int, int]) -> Tensor:
    """Apply the kernel to every image with a single one: these are the columns."""
    h, w = size
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
    "in-place": "was that MXNet? Try the assignment Y[i, j] = ... in PyTorch.",
    "leaf variable": "the layer's own Y is no leaf that requires a gradient.",
    "second time": "the graph was used twice; look at the first backward().",
    "no attribute": "the gradients belong to the parameters: net.weight.grad.",
    "element 0 of tensors": "the kernel must be a parameter, with requires_grad.",
}


NO_ERROR = ("none", "no", "nothing", "it works")


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
        said in (message.lower(), *NO_ERROR) or "no error" in said,
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


def _judge_second(value: Any) -> str:
    """Apply the kernel to polynomials of degree 2, whose second derivatives we know."""
    moments = _moments(forms.kernel(value), 2)
    flat = moments[0, 0]
    demand(not flat, f"On a constant image 1 it gives {flat:g}, but a derivative is 0.")
    sloped = moments[0, 1] or moments[1, 0]
    demand(not sloped, "On a ramp it is not 0, but a second derivative is.")
    xx, xy, yy = moments[0, 2], moments[1, 1], moments[2, 0]
    factor, name = _second(xx, xy, yy)
    text = f"x² gives {xx:g}, xy gives {xy:g}, y² gives {yy:g}."
    is_negative = abs(factor + 1) < 1e-4
    sign, scale = "the sign is the wrong way round.", f"it is {factor:g} times {name}."
    demand(
        name and abs(factor - 1) < 1e-4,
        f"No second derivative has these values: {text}",
        name and (sign if is_negative else scale),
    )
    return f"It is {name}."


def _second(xx: float, xy: float, yy: float) -> tuple[float, str]:
    """Say which second derivative has such values, and how many times it."""
    if not xx and not yy:
        return xy, "the mixed second derivative" if xy else ""
    size = (xx + yy) / 2
    if xx == yy and not xy:
        return size / 2, "the Laplacian, the sum of two second derivatives"
    if size and abs(xy**2 - xx * yy) < 1e-4 * size**2:
        x, y = abs(xx / size / 2) ** 0.5, abs(yy / size / 2) ** 0.5
        y = -y if xy / size < 0 else y
        return size, f"the second derivative in the direction ({x:.3g}, {y:.3g})"
    return 0.0, ""


def _judge_integral(value: Any, n: int, h: float) -> None:
    """Compare with the integrals of 1, x, x² and x⁴, and with what two rules miss."""
    w = forms.kernel(value).flatten()
    demand(len(w) == n, f"The kernel has {len(w)} taps, but should have {n}.")
    x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * h
    total, slack = float(w.sum()), forms.SLACK * n * h
    hints = {
        n: "the step h is missing.",
        n - 1: "the step h is missing.",
        1: "that is the mean; the integral is as many times larger.",
    }
    demand(
        min(abs(total - n * h), abs(total - (n - 1) * h)) <= slack,
        f"The integral of the constant 1 is the length, {n * h:g} (or "
        f"{(n - 1) * h:g} from the first sample to the last), but this gives "
        f"{total:g}.",
        hints.get(round(total) if abs(total - round(total)) <= slack else 0),
    )
    demand(
        abs(float(w @ x)) <= slack * n * h,
        "On the ramp x, which is 0 in the middle, it does not give 0.",
    )
    rule = torch.full((n,), float(h), dtype=torch.float64)
    if abs(total - n * h) > slack:
        rule[0] = rule[-1] = h / 2
    end = total / 2
    for m in (2, 4):
        right = 2 * end ** (m + 1) / (m + 1)
        missed, allowed = (abs(float(r @ x**m) - right) for r in (w, rule))
        demand(
            missed <= allowed + slack * max(right, 1),
            f"On x^{m} it misses more than the simplest rules: {missed:g}.",
        )


def _judge_derivative(value: Any, d: int) -> None:
    """Cross-correlation must give 0 for 1, x, ..., and d! for x^d."""
    kernel = forms.kernel(value)
    text = f"The kernel has shape {tuple(kernel.shape)}, but should have one axis."
    demand(1 in kernel.shape, text)
    moments = _moments(kernel.reshape(1, -1), d)
    slack = forms.SLACK * factorial(d)
    for m in range(d + 1):
        found, wanted = moments[0, m], factorial(d) if m == d else 0
        hint = None
        if m < d:
            hint = f"it differentiates fewer than {d} times."
        elif abs(found + wanted) <= slack:
            hint = (
                "the kernel is flipped: cross-correlation takes it as it stands, x "
                "grows with the index."
            )
        demand(
            abs(found - wanted) <= slack,
            f"On x^{m} it gives {found:.6g}, but the derivative of order {d} is "
            f"{wanted} at 0.",
            hint,
        )


def _fewest_taps(d: int) -> int:
    """Find the smallest n for which some kernel of n taps differentiates exactly."""
    wanted = torch.zeros(d + 1, 1, dtype=torch.float64)
    wanted[d] = factorial(d)
    n = 1
    while True:
        places = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
        powers = torch.stack([places**m for m in range(d + 1)])
        weights = torch.linalg.lstsq(powers, wanted, driver="gelsd").solution
        if torch.allclose(powers @ weights, wanted, atol=1e-6):
            return n
        n += 1


def _judge_edge(value: Any, v: tuple[float, float]) -> None:
    """The kernel must give the slope along v, and nothing else, of every plane."""
    moments = _moments(forms.kernel(value), 1)
    flat, right, down = (moments[p] for p in ((0, 0), (0, 1), (1, 0)))
    demand(
        not flat, f"On a flat image of ones it gives {flat:g}, where there is no edge."
    )
    along, across = right * v[0] + down * v[1], right * v[1] - down * v[0]
    size = (right**2 + down**2) ** 0.5
    hints = {
        v: f"the direction is right, but it is {size:g} times the slope.",
        (v[1], v[0]): "v[0] points to the right, v[1] down.",
        (v[0], -v[1]): "v[1] points down, as the rows are counted.",
        (-v[0], -v[1]): "the sign is the wrong way round: cross-correlation.",
        (-v[1], v[0]): "the edges run across v, so the slope is along v.",
        (v[1], -v[0]): "the edges run across v, so the slope is along v.",
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
    flat = moments[0, 0]
    demand((kernel >= 0).all(), "A tap is negative: bright pixels can darken others.")
    demand(
        abs(flat - 1) <= forms.SLACK,
        f"A flat image of ones becomes {flat:g}: it is not kept.",
    )
    moved = moments[0, 1] or moments[1, 0]
    demand(not moved, "A ramp is moved: the kernel is not symmetric.")
    one = "It uses one pixel only, so it changes nothing."
    demand((kernel > 0).sum() > 1, one)


DIRECTIONS = [(0.6, 0.8), (1.0, 0.0), (0.0, 1.0), (-0.8, 0.6), (0.0, -1.0)]
FITTING = "o_h+k_h o_w+k_w, k_h k_w"
FITTED = shaped(FITTING, (2, 1, 3, 1), (3, 1, 3, 2), (3, 2, 3, 1), (2, 2, 4, 2))
FITTED += shaped(FITTING, (4, 3, 4, 2), (1, 2, 1, 3))
_of_image = partial(
    FunctionQuestion,
    parameters=("X",),
    examples=[
        (torch.eye(4),),
        (torch.ones(4, 4).tril(),),
        *shaped("h w", (2, 2), (3, 5), (5, 2)),
    ],
    inputs=tensors("h w", h=(2, 5), w=(2, 5)),
)


QUESTIONS = (
    _of_image(
        "6.2.1 a",
        "the output for the image X (h, w) and the kernel [[1, -1]], as a formula of X",
        oracle=lambda X: corr(X, EDGE),
        mistakes={
            "these are differences of vertical neighbours.": lambda X: corr(X, EDGE.T),
        },
    ),
    _of_image(
        "6.2.1 b",
        "the output when X is transposed, as a formula of the original X",
        oracle=lambda X: corr(X.T, EDGE),
        mistakes={
            "it changes nothing only if X is symmetric, as the identity is.": (
                lambda X: corr(X, EDGE)
            ),
            "that is the output for X, transposed; X and K do not turn together.": (
                lambda X: corr(X, EDGE).T
            ),
            "that is the output for K transposed.": lambda X: corr(X, EDGE.T),
            "the output is zero only if X is constant along its columns.": lambda X: (
                0 * corr(X.T, EDGE)
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
            "the kernel is not transposed.": lambda X: corr(X, EDGE),
            "that is the output for X transposed.": lambda X: corr(X.T, EDGE),
        },
    ),
    ValueQuestion(
        "6.2.2 error",
        'the message of the error that autograd raises, "" for none',
        answer='"..."',
        judge=_judge_error,
    ),
    FunctionQuestion(
        "6.2.3",
        "the cross-correlation of X (h, w) with K (k_h, k_w), by a matrix product",
        parameters=("X", "K"),
        examples=FITTED,
        inputs=tensors(FITTING),
        oracle=corr,
        mistakes={
            (
                "transpose instead of reshape: windows are read row by row, but the "
                "kernel column by column, or the other way round."
            ): lambda X, K: corr(X, K.T.flatten().reshape(K.shape)),
            "transpose instead of reshape: the outputs come row by row.": (
                lambda X, K: corr(X, K).T.reshape(corr(X, K).shape),
                lambda X, K: corr(X, K).flatten().reshape(corr(X, K).T.shape).T,
            ),
            "the outputs are right, but not reshaped to an image.": (
                lambda X, K: corr(X, K).flatten(),
                lambda X, K: corr(X, K).flatten()[:, None],
            ),
            "the output is smaller than X: nothing is padded.": lambda X, K: corr(
                F.pad(X, [n // 2 for k in K.shape[::-1] for n in (k - 1, k)]), K
            ),
        },
        rule=BY_PRODUCT,
    ),
    FunctionQuestion(
        "6.2.3 windows",
        "part a: A with A @ K.flatten() = Y.flatten() for every K of this shape",
        parameters=("X", "kernel_shape"),
        examples=[(X, tuple(K.shape)) for X, K in FITTED],
        inputs=tensors("o_h+k_h o_w+k_w, (k_h k_w)"),
        oracle=_windows,
        mistakes={
            "transpose: each row must be one window.": lambda X, size: (
                _windows(X, size).T
            ),
            "each window is read column by column, not row by row.": _by_columns,
            "the windows come column by column, not row by row.": _positions_by_columns,
            "the windows are flipped: cross-correlation takes them as they stand.": (
                lambda X, size: _windows(X, size).flip(1)
            ),
        },
    ),
    FunctionQuestion(
        "6.2.3 matrix",
        "part b: T with T @ X.flatten() = Y.flatten() for every X of this shape",
        parameters=("K", "input_shape"),
        examples=[(K, tuple(X.shape)) for X, K in FITTED],
        inputs=tensors("k_h k_w, (o_h+k_h o_w+k_w)"),
        oracle=_matrix,
        mistakes={
            "transpose: each row must be one output.": lambda K, size: (
                _matrix(K, size).T
            ),
            (
                "at the end of a row the window moves to the next row, not over the "
                "border."
            ): _circulant,
        },
    ),
    ValueQuestion(
        "6.2.4 second_derivative",
        "part a: a kernel (one axis or two) for a second derivative, grid step 1",
        answer="[...]",
        judge=_judge_second,
    ),
    FunctionQuestion(
        "6.2.4 integral",
        "part b: the kernel of n taps that integrates over n samples at distance h, at "
        "least as well as the trapezoidal rule over (n - 1) h or midpoints over n h",
        parameters=("n", "h"),
        examples=[(2, 3.0), (3, 0.25), (5, 0.5), (4, 2.0)],
        judge=_judge_integral,
    ),
    FunctionQuestion(
        "6.2.4 size",
        "part c: the least number of taps of a kernel for a derivative of order d",
        parameters=("d",),
        examples=[(d,) for d in (1, 2, 3, 4, 5)],
        oracle=_fewest_taps,
        mistakes={
            "a kernel centred on a pixel is not the smallest.": lambda d: 2 * d + 1,
            "a kernel with an odd number of taps is not always the smallest.": (
                lambda d: 2 * ((d + 1) // 2) + 1
            ),
            "two taps can take only one difference.": lambda d: 2,
            "even a first derivative needs two values.": lambda d: d,
            "one difference after another adds one tap each.": (
                lambda d: 2 * d,
                lambda d: 2**d,
            ),
        },
    ),
    FunctionQuestion(
        "6.2.4 derivative",
        "part c: a kernel for the derivative of order d, grid step 1, applied by "
        "cross-correlation",
        parameters=("d",),
        examples=[(d,) for d in (1, 2, 3, 4, 5)],
        judge=_judge_derivative,
    ),
    FunctionQuestion(
        "7.2.2 edge",
        "part a: a kernel for the slope (change per pixel) along the direction v, a "
        "pair of length 1, v[0] to the right and v[1] down",
        parameters=("v",),
        examples=[(v,) for v in DIRECTIONS],
        judge=_judge_edge,
    ),
    ValueQuestion(
        "7.2.2 blur", "part c: a kernel that blurs", answer="[...]", judge=_judge_blur
    ),
)
