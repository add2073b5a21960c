"""Questions of section 6.2, convolutions for images.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.convolution`), which must stay unseen and untrusted.
"""

from math import factorial
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check.inputs import (
    IMAGES_AND_KERNELS,
    Draw,
    distinct,
    image,
    images_and_kernels,
    upto,
)
from solutions.check.parts import (
    FunctionQuestion,
    Mistake,
    ValueQuestion,
    Verdict,
    as_matrix,
)

PRODUCTS = frozenset(
    [
        "matmul",
        "__matmul__",
        "__rmatmul__",
        "mm",
        "mv",
        "bmm",
        "dot",
        "inner",
        "vdot",
        "einsum",
        "tensordot",
        "addmm",
        "addmv",
        "addbmm",
        "baddbmm",
        "linear",
        "multi_dot",
    ]
)
NO_CONVOLUTION = dict.fromkeys(
    ("conv1d", "conv2d", "conv3d", "conv_transpose2d"),
    "the exercise asks for a matrix product instead",
)
NO_PRODUCT = (
    "It uses no matrix product (@, torch.matmul, torch.mv, torch.einsum), which the "
    "exercise asks for."
)
EDGE = torch.tensor([[1.0, -1.0]])


def corr(X: Tensor, K: Tensor) -> Tensor:
    """Cross-correlate one channel."""
    return F.conv2d(X[None, None], K[None, None])[0, 0]


@st.composite
def _images(draw: Draw) -> tuple[Tensor]:
    """Generate an image of at least 2×2 pixels."""
    return (image(draw, 1 + upto(draw, 4), 1 + upto(draw, 4)),)


IMAGES = [
    (torch.eye(4),),
    (torch.ones(4, 4).tril(),),
    (distinct(2, 2),),
    (distinct(3, 5),),
    (distinct(5, 2),),
]


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


@st.composite
def _images_and_sizes(draw: Draw) -> tuple[Tensor, tuple[int, int]]:
    """Generate an image and the size of a window that fits."""
    X, K = draw(images_and_kernels())
    return X, (K.shape[0], K.shape[1])


@st.composite
def _kernels_and_sizes(draw: Draw) -> tuple[Tensor, tuple[int, int]]:
    """Generate a kernel and the size of an image into which it fits."""
    X, K = draw(images_and_kernels())
    return K, (X.shape[0], X.shape[1])


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


def _judge_error(answer: Any) -> Verdict:
    """Run the layer, and compare what happens with what the reader says happens."""
    if not isinstance(answer, str):
        raise TypeError('should be a text, "" for no error at all')
    net = _HandWritten()
    message = ""
    try:
        net(distinct(6, 8)).sum().backward()
    except RuntimeError as error:
        message = str(error)
    if answer.strip() == message:
        return Verdict(True)
    text = "The hand-written layer, given an image (6, 8), does not say that."
    low = answer.lower()
    hints = [hint for phrase, hint in MESSAGES.items() if phrase in low]
    return Verdict(False, "\n".join([text, *(f"Hint: {hint}" for hint in hints[:1])]))


def _moments(kernel: Tensor, degree: int) -> dict[tuple[int, int], float]:
    """Apply a kernel to the monomials y^a x^b up to a degree, about its centre."""
    h, w = kernel.shape
    y = torch.arange(h, dtype=torch.float64) - (h - 1) / 2
    x = torch.arange(w, dtype=torch.float64) - (w - 1) / 2
    return {
        (a, b): float((y**a) @ kernel @ (x**b))
        for a in range(degree + 1)
        for b in range(degree + 1 - a)
    }


SECOND = {
    (2.0, 0.0, 0.0): "It is the second derivative in the direction of the rows.",
    (0.0, 0.0, 2.0): "It is the second derivative in the direction of the columns.",
    (2.0, 0.0, 2.0): "It is the Laplacian, the sum of two second derivatives.",
    (0.0, 1.0, 0.0): "It is the mixed second derivative.",
}


def _judge_second(value: Any) -> Verdict:
    """Apply the kernel to polynomials of degree 2, whose second derivatives we know."""
    moments = {p: round(m, 9) for p, m in _moments(as_matrix(value), 2).items()}
    found = (moments[0, 2], moments[1, 1], moments[2, 0])
    if abs(moments[0, 0]) > 0:
        return Verdict(
            False,
            f"On a constant image 1 it gives {moments[0, 0]:g}, but a derivative is 0.",
        )
    if moments[0, 1] or moments[1, 0]:
        return Verdict(False, "On a ramp it is not 0, but a second derivative is.")
    if found in SECOND:
        return Verdict(True, SECOND[found])
    on = ", ".join(
        f"{name} gives {m:g}" for name, m in zip(("x²", "xy", "y²"), found, strict=True)
    )
    text = f"No second derivative has these values: {on}."
    for right in SECOND:
        factors = {m / r for m, r in zip(found, right, strict=True) if r}
        is_multiple = len(factors) == 1 and not any(
            m for m, r in zip(found, right, strict=True) if not r
        )
        if is_multiple and factors == {-1.0}:
            return Verdict(False, f"{text}\nHint: the sign is the wrong way round.")
        if is_multiple and found != (0.0, 0.0, 0.0):
            factor = factors.pop()
            return Verdict(
                False, f"{text}\nHint: it is {factor:g} times a second derivative."
            )
    return Verdict(False, text)


def _judge_integral(arguments: tuple[Any, ...], value: Any) -> str | None:
    """A rule for n samples at distance h covers n h or (n - 1) h, and is symmetric."""
    n, h = arguments
    try:
        kernel = as_matrix(value)
    except TypeError as error:
        return f"The result {error}."
    if kernel.numel() != n:
        return f"The kernel has {kernel.numel()} taps, but should have {n}."
    w = kernel.flatten()
    total = round(float(w.sum()), 9)
    lengths = (round(n * h, 9), round((n - 1) * h, 9))
    if total in lengths:
        x = torch.arange(n, dtype=torch.float64) - (n - 1) / 2
        return None if abs(float(w @ x)) < 1e-9 else "On the ramp x it is not 0."
    text = (
        f"The integral of the constant 1 is the length, {lengths[0]:g} "
        f"(or {lengths[1]:g} from the first sample to the last), "
        f"but this gives {total:g}."
    )
    if total == 1:
        return f"{text}\nHint: that is the mean; the integral is as many times larger."
    if total in (n, n - 1):
        return f"{text}\nHint: the step h is missing."
    return text


def _judge_derivative(arguments: tuple[Any, ...], value: Any) -> str | None:
    """Cross-correlation must give 0 for 1, x, ..., and d! for x^d."""
    (d,) = arguments
    try:
        kernel = as_matrix(value)
    except TypeError as error:
        return f"The result {error}."
    if 1 not in kernel.shape:
        return f"The kernel has shape {tuple(kernel.shape)}, but should have one axis."
    moments = _moments(kernel.reshape(1, -1), d)
    found = [moments[0, m] for m in range(d + 1)]
    wanted = [0.0] * d + [float(factorial(d))]
    if all(abs(f - g) < 1e-6 for f, g in zip(found, wanted, strict=True)):
        return None
    wrong = next(m for m in range(d + 1) if abs(found[m] - wanted[m]) >= 1e-6)
    text = (
        f"On x^{wrong} it gives {found[wrong]:.6g}, "
        f"but the derivative of order {d} is {wanted[wrong]:g} at 0."
    )
    if wrong == d and abs(found[d] + wanted[d]) < 1e-6:
        return (
            f"{text}\nHint: the kernel is flipped: cross-correlation takes it as it "
            "stands, x grows with the index."
        )
    if wrong < d:
        return f"{text}\nHint: it differentiates fewer than {d} times."
    return text


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


def _judge_edge(arguments: tuple[Any, ...], value: Any) -> str | None:
    """The kernel must see the slope along v, and nothing else, of every plane."""
    (v,) = arguments
    try:
        moments = _moments(as_matrix(value), 1)
    except TypeError as error:
        return f"The result {error}."
    flat, right, down = (round(moments[p], 5) for p in ((0, 0), (0, 1), (1, 0)))
    if flat:
        return f"On a flat image of ones it gives {flat:g}, where there is no edge."
    scale = right * v[0] + down * v[1]
    across = right * v[1] - down * v[0]
    if scale > 0 and abs(across) < 1e-4 * scale:
        return None
    text = (
        f"On a ramp that rises along v it gives {scale:g}, on one that rises across "
        f"v {across:g}."
    )
    hints = {
        (v[1], v[0]): "v[0] points to the right, v[1] down.",
        (v[0], -v[1]): "v[1] points down, as the rows are counted.",
        (-v[0], -v[1]): "the sign is the wrong way round: cross-correlation.",
        (-v[1], v[0]): "the edges run across v, so the slope is along v.",
        (v[1], -v[0]): "the edges run across v, so the slope is along v.",
    }
    size = (right**2 + down**2) ** 0.5
    for (x, y), hint in hints.items():
        if size and abs(right - size * x) + abs(down - size * y) < 1e-4 * size:
            return f"{text}\nHint: {hint}"
    return text


def _judge_blur(value: Any) -> Verdict:
    """A blur keeps flat images and ramps, and makes no pixel brighter than all were."""
    kernel = as_matrix(value)
    if (kernel < 0).any():
        return Verdict(
            False, "A tap is negative: bright pixels can make others darker."
        )
    moments = {p: round(m, 6) for p, m in _moments(kernel, 1).items()}
    if moments[0, 0] != 1:
        return Verdict(
            False, f"A flat image of ones becomes {moments[0, 0]:g}: it is not kept."
        )
    if moments[0, 1] or moments[1, 0]:
        return Verdict(False, "A ramp is moved: the kernel is not symmetric.")
    if int((kernel > 0).sum()) < 2:
        return Verdict(False, "It uses one pixel only, so it changes nothing.")
    return Verdict(True)


DIRECTIONS = [(0.6, 0.8), (1.0, 0.0), (0.0, 1.0), (-0.8, 0.6), (0.0, -1.0)]


QUESTIONS = (
    FunctionQuestion(
        "6.2.1",
        "a",
        "the output for the image X (h, w) and the kernel [[1, -1]], as a formula of X",
        parameters=("X",),
        examples=IMAGES,
        inputs=_images(),
        oracle=lambda X: corr(X, EDGE),
        mistakes=(
            Mistake(
                "the sign is the wrong way round: the first tap is 1.",
                lambda X: -corr(X, EDGE),
            ),
            Mistake(
                "these are differences of vertical neighbours.",
                lambda X: corr(X, EDGE.T),
            ),
        ),
    ),
    FunctionQuestion(
        "6.2.1",
        "b",
        "the output when X is transposed, as a formula of the original X",
        parameters=("X",),
        examples=IMAGES,
        inputs=_images(),
        oracle=lambda X: corr(X.T, EDGE),
        mistakes=(
            Mistake(
                "it changes nothing only if X is symmetric, as the identity is.",
                lambda X: corr(X, EDGE),
            ),
            Mistake(
                "that is the output for X, transposed; X and K do not turn together.",
                lambda X: corr(X, EDGE).T,
            ),
            Mistake("that is the output for K transposed.", lambda X: corr(X, EDGE.T)),
            Mistake(
                "the output is zero only if X is constant along its columns.",
                lambda X: 0 * corr(X.T, EDGE),
            ),
        ),
    ),
    FunctionQuestion(
        "6.2.1",
        "c",
        "the output when the kernel is transposed, as a formula of X",
        parameters=("X",),
        examples=IMAGES,
        inputs=_images(),
        oracle=lambda X: corr(X, EDGE.T),
        mistakes=(
            Mistake(
                "the output is only transposed if X is symmetric, as the identity is.",
                lambda X: corr(X, EDGE).T,
            ),
            Mistake("the kernel is not transposed.", lambda X: corr(X, EDGE)),
            Mistake("that is the output for X transposed.", lambda X: corr(X.T, EDGE)),
        ),
    ),
    ValueQuestion(
        "6.2.2",
        "error",
        'the message of the error that autograd raises, "" for none',
        answer='"..."',
        judge=_judge_error,
    ),
    FunctionQuestion(
        "6.2.3",
        "",
        "the cross-correlation of X (h, w) with K (k_h, k_w), by a matrix product",
        parameters=("X", "K"),
        examples=IMAGES_AND_KERNELS,
        inputs=images_and_kernels(),
        oracle=corr,
        mistakes=(
            Mistake(
                "the kernel is flipped: cross-correlation takes it as it stands.",
                lambda X, K: corr(X, K.flip(0, 1)),
            ),
            Mistake(
                "transpose instead of reshape: windows are read row by row, but the "
                "kernel column by column, or the other way round.",
                lambda X, K: corr(X, K.T.flatten().reshape(K.shape)),
            ),
            Mistake(
                "transpose instead of reshape: the outputs come row by row.",
                lambda X, K: corr(X, K).T.reshape(corr(X, K).shape),
            ),
            Mistake(
                "transpose instead of reshape: the outputs come row by row.",
                lambda X, K: corr(X, K).flatten().reshape(corr(X, K).T.shape).T,
            ),
            Mistake(
                "the outputs are right, but not reshaped to an image.",
                lambda X, K: corr(X, K).flatten(),
            ),
            Mistake(
                "the outputs are right, but not reshaped to an image.",
                lambda X, K: corr(X, K).flatten()[:, None],
            ),
            Mistake(
                "the output is smaller than X: nothing is padded.",
                lambda X, K: F.conv2d(X[None, None], K[None, None], padding="same")[
                    0, 0
                ],
            ),
        ),
        forbidden=NO_CONVOLUTION,
        required=PRODUCTS,
        why_required=NO_PRODUCT,
    ),
    FunctionQuestion(
        "6.2.3",
        "windows",
        "part a: A with A @ K.flatten() = Y.flatten() for every K of this shape",
        parameters=("X", "kernel_shape"),
        examples=[(X, tuple(K.shape)) for X, K in IMAGES_AND_KERNELS],
        inputs=_images_and_sizes(),
        oracle=_windows,
        mistakes=(
            Mistake(
                "transpose: each row must be one window.",
                lambda X, size: _windows(X, size).T,
            ),
            Mistake(
                "each window is read column by column, not row by row.", _by_columns
            ),
            Mistake(
                "the windows come column by column, not row by row.",
                _positions_by_columns,
            ),
            Mistake(
                "the windows are flipped: cross-correlation takes them as they stand.",
                lambda X, size: _windows(X, size).flip(1),
            ),
        ),
    ),
    FunctionQuestion(
        "6.2.3",
        "matrix",
        "part b: T with T @ X.flatten() = Y.flatten() for every X of this shape",
        parameters=("K", "input_shape"),
        examples=[(K, tuple(X.shape)) for X, K in IMAGES_AND_KERNELS],
        inputs=_kernels_and_sizes(),
        oracle=_matrix,
        mistakes=(
            Mistake(
                "transpose: each row must be one output.",
                lambda K, size: _matrix(K, size).T,
            ),
            Mistake(
                "the kernel is flipped: cross-correlation takes it as it stands.",
                lambda K, size: _matrix(K.flip(0, 1), size),
            ),
            Mistake(
                "at the end of a row the window moves to the next row, not over the "
                "border.",
                _circulant,
            ),
        ),
    ),
    ValueQuestion(
        "6.2.4",
        "second_derivative",
        "part a: a kernel (one axis or two) for a second derivative, grid step 1",
        answer="[...]",
        judge=_judge_second,
    ),
    FunctionQuestion(
        "6.2.4",
        "integral",
        "part b: the kernel of n taps that integrates over n samples at distance h",
        parameters=("n", "h"),
        examples=[(2, 1.0), (3, 0.5), (5, 0.25), (4, 2.0)],
        judge=_judge_integral,
    ),
    FunctionQuestion(
        "6.2.4",
        "size",
        "part c: the least number of taps of a kernel for a derivative of order d",
        parameters=("d",),
        examples=[(d,) for d in (1, 2, 3, 4, 5)],
        oracle=_fewest_taps,
        mistakes=(
            Mistake(
                "a kernel centred on a pixel is not the smallest.", lambda d: 2 * d + 1
            ),
            Mistake(
                "a kernel with an odd number of taps is not always the smallest.",
                lambda d: 2 * ((d + 1) // 2) + 1,
            ),
            Mistake("two taps can take only one difference.", lambda d: 2),
            Mistake("three taps can take only two differences.", lambda d: 3),
            Mistake("even a first derivative needs two values.", lambda d: d),
            Mistake("one difference after another adds one tap each.", lambda d: 2 * d),
            Mistake("one difference after another adds one tap each.", lambda d: 2**d),
        ),
    ),
    FunctionQuestion(
        "6.2.4",
        "derivative",
        "part c: a kernel for the derivative of order d, grid step 1, applied by "
        "cross-correlation",
        parameters=("d",),
        examples=[(d,) for d in (1, 2, 3, 4, 5)],
        judge=_judge_derivative,
    ),
    FunctionQuestion(
        "7.2.2",
        "edge",
        "part a: a kernel for the slope along the direction v, a pair of length 1, "
        "v[0] to the right and v[1] down",
        parameters=("v",),
        examples=[(v,) for v in DIRECTIONS],
        judge=_judge_edge,
    ),
    ValueQuestion(
        "7.2.2",
        "blur",
        "part c: a kernel that blurs",
        answer="[...]",
        judge=_judge_blur,
    ),
)
