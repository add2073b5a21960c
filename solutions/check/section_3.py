"""Questions of section 6.3, padding and stride.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.padding_stride`), which must stay unseen and untrusted.
"""

from math import ceil, prod
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from solutions.check import forms
from solutions.check.inputs import (
    Arguments,
    Draw,
    axes,
    axis_settings,
    distinct,
    image,
    upto,
)
from solutions.check.parts import FunctionQuestion, Mistakes, ValueQuestion, Verdict
from solutions.check.result import shown

MAX_SIZE = 100
PADDING_ONCE = "padding is counted once, but it is added on both sides."
ROUNDED_UP = "a window that does not fit any more is left out: round down."
NO_ONE = "the first position is missing: n - k steps of one pixel are n - k + 1 places."


def positions(n: int, k: int, p: int, s: int) -> int:
    """Measure how many outputs PyTorch gives on one axis."""
    return F.conv1d(
        torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p
    ).shape[2]


def _total(n: int, k: int, p: int, s: int) -> int:
    """Take the padding as the total of both sides."""
    return (n - k + p) // s + 1


AXIS_MISTAKES: Mistakes = {
    "each step is s pixels: divide by s.": (
        lambda n, k, p, s: (n - k + 2 * p) // (s + 1) + 1,
        lambda n, k, p, s: (n - k + 2 * p) / (s + 1),
        lambda n, k, p, s: (n - k + 2 * p) / (s + 1) + 1,
    ),
    PADDING_ONCE: (_total, lambda n, k, p, s: (n - k + p + s) // s),
    ROUNDED_UP: lambda n, k, p, s: ceil((n - k + 2 * p) / s) + 1,
    "positions are whole: round down.": lambda n, k, p, s: (n - k + 2 * p) / s + 1,
    NO_ONE: lambda n, k, p, s: (n - k + 2 * p) // s,
    "padding makes the input larger, not smaller.": lambda n, k, p, s: (
        (n - k - 2 * p) // s + 1
    ),
    "the stride is missing.": lambda n, k, p, s: n - k + 2 * p + 1,
    "the padding is missing.": lambda n, k, p, s: (n - k) // s + 1,
    "divide before you add the first position.": lambda n, k, p, s: (
        (n - k + 2 * p + 1) // s
    ),
}


@st.composite
def _planes(draw: Draw) -> Arguments:
    """Generate h, w, k_h, k_w, p_h, p_w, s_h, s_w."""
    vertical, horizontal = draw(axis_settings()), draw(axis_settings())
    return tuple(x for pair in zip(vertical, horizontal, strict=True) for x in pair)


PLANES = [
    (8, 8, 3, 5, 0, 1, 3, 4),
    (8, 8, 1, 2, 2, 3, 1, 1),
    (8, 8, 2, 3, 1, 2, 1, 1),
] + [
    (a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3])
    for a, b in zip(axes(), list(axes())[::-1], strict=True)
]


def plane(rule: Any) -> Any:
    """Apply a rule for one axis to both."""

    def both(
        h: int, w: int, kh: int, kw: int, ph: int, pw: int, sh: int, sw: int
    ) -> Any:
        return rule(h, kh, ph, sh), rule(w, kw, pw, sw)

    return both


def _judge_shape(value: Any) -> Verdict:
    """Compare with the shape that the section's last example has."""
    layer = nn.Conv2d(1, 1, kernel_size=(3, 5), padding=(0, 1), stride=(3, 4))
    right = tuple(layer(torch.zeros(1, 1, 8, 8, dtype=layer.weight.dtype)).shape)
    shape = tuple(forms.whole(x) for x in forms.sequence(value))
    if shape == right[2:]:
        return Verdict(True)
    hints = {
        right: "only height and width are asked for.",
        (3, 3): ROUNDED_UP,
        (2, 1): "the padding is missing.",
    }
    hint = f"\nHint: {hints[shape]}" if shape in hints else ""
    return Verdict(False, f"The output does not have the shape {shown(shape)}.{hint}")


def _judge_own(value: Any) -> Verdict:
    """Run a layer with the reader's setting."""
    try:
        size, k, p, s, shape = map(forms.pair, forms.sequence(value, 5))
    except TypeError:
        text = "should be five sizes (input, kernel_size, padding, stride, output)"
        raise TypeError(text) from None
    if max(*size, *k, *p, *s) > MAX_SIZE or min(*size, *k, *s, 1 + min(p)) < 1:
        return Verdict(False, f"Sizes are 1 to {MAX_SIZE}, a padding is at least 0.")
    fits = all(size[a] + 2 * p[a] >= k[a] for a in (0, 1))
    right = tuple(positions(size[a], k[a], p[a], s[a]) for a in (0, 1)) if fits else ()
    if shape == right:
        return Verdict(True)
    if not fits:
        return Verdict(False, "This layer cannot work: the window does not fit.")
    text = f"The output does not have the shape {shape}."
    axes = list(zip(size, k, p, s, strict=True))
    for hint, compute in AXIS_MISTAKES.items():
        for wrong in compute if isinstance(compute, tuple) else (compute,):
            if tuple(wrong(*axis) for axis in axes) == shape:
                return Verdict(False, f"{text}\nHint: {hint}")
    return Verdict(False, text)


def _judge_setting(value: Any, wanted: Any, sizes: range, what: str) -> Verdict:
    """Run a layer with the setting on inputs of many sizes."""
    try:
        k, p, s = map(forms.pair, forms.sequence(value, 3))
    except TypeError:
        text = "should be three sizes (kernel_size, padding, stride), ints or pairs"
        raise TypeError(text) from None
    if min(*k, *s, 1 + min(p)) < 1 or max(*k, *p, *s) > MAX_SIZE:
        return Verdict(False, "A kernel size and a stride are at least 1, a padding 0.")
    for axis in zip(k, p, s, strict=True):
        verdict = _judge_axis(*axis, wanted, sizes, what)
        if not verdict.right:
            return verdict
    return Verdict(True)


def _judge_axis(
    k: int, p: int, s: int, wanted: Any, sizes: range, what: str
) -> Verdict:
    """Do so on one axis."""
    for n in sizes:
        if n + 2 * p < k:
            return Verdict(False, f"The window does not fit into {n} pixels.")
        if (found := positions(n, k, p, s)) != wanted(n):
            text = f"{n} pixels become {found}, which {what}."
            if all(_total(m, k, p, s) == wanted(m) for m in sizes):
                hint = "padding is per side here; the book's p counts both sides."
                text += f"\nHint: {hint}"
            return Verdict(False, text)
    return Verdict(True)


def _judge_same(value: Any) -> Verdict:
    """The size must stay, whatever it is."""
    verdict = _judge_setting(value, lambda n: n, range(8, 24), "is another size")
    if verdict.right and forms.pair(value[0]) == (1, 1):
        return Verdict(False, "A window of one pixel keeps every size: choose another.")
    return verdict


def _judge_halving(value: Any) -> Verdict:
    """An even size must be halved."""
    return _judge_setting(value, lambda n: n // 2, range(8, 24, 2), "is not the half")


def _folded(f: int, rate: int) -> int:
    """Find the frequency of a tone after every second sample was dropped."""
    t = torch.arange(rate, dtype=torch.float64) / rate  # one second: bins of 1 Hz
    tone = torch.cos(2 * torch.pi * f * t)[::2]
    return int(torch.fft.rfft(tone).abs().argmax())


@st.composite
def _tones(draw: Draw) -> tuple[int, int]:
    """Generate a frequency below half of a rate that is a multiple of 4."""
    rate = 4 * (1 + upto(draw, 15))
    return upto(draw, rate // 2 - 1), rate


def _multiplications(c_i: int, c_o: int, h: int, w: int, k: int, s: int) -> int:
    """Let PyTorch count the operations of a layer without padding and bias."""
    with FlopCounterMode(display=False) as counter:
        F.conv2d(
            torch.empty(1, c_i, h, w, device="meta"),
            torch.empty(c_o, c_i, k, k, device="meta"),
            stride=s,
        )
    return counter.get_total_flops() // 2


@st.composite
def _layers(draw: Draw) -> Arguments:
    """Generate c_i, c_o, h, w, k, s."""
    k = upto(draw, 5)
    h, w = k + upto(draw, 9, 0), k + upto(draw, 9, 0)
    return upto(draw, 4), upto(draw, 4), h, w, k, upto(draw, 5)


def _places(h: int, w: int, k: int, s: int) -> int:
    """Count the positions of a square window."""
    return ((h - k) // s + 1) * ((w - k) // s + 1)


def _field(kernels: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Measure how many pixels one output depends on, from its gradient."""
    span = 1
    for k, s in zip(reversed(kernels), reversed(strides), strict=True):
        span = (span - 1) * s + k
    X = torch.zeros(1, 1, 2 * span, dtype=torch.float64, requires_grad=True)
    Y: Tensor = X
    for k, s in zip(kernels, strides, strict=True):
        Y = F.conv1d(Y, torch.ones(1, 1, k, dtype=torch.float64), stride=s)
    Y[0, 0, 0].backward()
    assert X.grad is not None
    return int(X.grad.nonzero()[-1, 2]) + 1


@st.composite
def _towers(draw: Draw) -> Arguments:
    """Generate kernel sizes and strides of up to four layers."""
    layers = [(1 + upto(draw, 4, 0), upto(draw, 3)) for _ in range(upto(draw, 4))]
    return tuple(k for k, _ in layers), tuple(s for _, s in layers)


def _reflected(X: Tensor, p: int) -> Tensor:
    """Mirror at the border pixels."""
    return F.pad(X[None], (p,) * 4, mode="reflect")[0]


def _doubled(X: Tensor, p: int) -> Tensor:
    """Mirror outside of the border pixels."""
    return torch.from_numpy(np.pad(X.numpy(), p, mode="symmetric"))


def _padded(X: Tensor, p: int, mode: str) -> Tensor:
    """Pad in another way."""
    return F.pad(X[None], (p,) * 4, mode=mode)[0]


def _without_corners(Y: Tensor, p: int) -> Tensor:
    """Set the four corners of a padded image to zero."""
    Y = Y.clone()
    for rows in (slice(0, p), slice(len(Y) - p, None)):
        for columns in (slice(0, p), slice(Y.shape[1] - p, None)):
            Y[rows, columns] = 0
    return Y


def _mirror_mistakes(right: Any, other: Any, which: str) -> Mistakes:
    """Return what can go wrong with one of the two mirrors."""
    return {
        f"the border pixel is {which} here.": other,
        "that pads with zeros.": lambda X, p: _padded(X, p, "constant"),
        "only the border pixel is repeated.": lambda X, p: _padded(X, p, "replicate"),
        "it starts again at the other side: that is no mirror.": lambda X, p: _padded(
            X, p, "circular"
        ),
        "the corners are missing: pad one axis after the other.": lambda X, p: (
            _without_corners(right(X, p), p)
        ),
    }


@st.composite
def _mirrored(draw: Draw, spare: int) -> tuple[Tensor, int]:
    """Generate an image, and a padding that is smaller by `spare` than both sides."""
    p = upto(draw, 3, 0)
    h, w = max(p + spare, 1) + upto(draw, 2, 0), max(p + spare, 1) + upto(draw, 2, 0)
    return image(draw, h, w), p


MIRRORED = [
    (distinct(h, w), p) for h, w, p in ((2, 2, 1), (3, 4, 2), (4, 3, 1), (5, 5, 3))
]


def _correlation(k: int, j: int) -> float:
    """Compare what two means over k pixels share with the whole."""
    mean = torch.full((1, 1, k), 1 / k, dtype=torch.float64)
    shared = F.conv1d(mean, mean, padding=k + j)[0, 0]
    middle = len(shared) // 2
    return float(shared[middle + j] / shared[middle])


def _stamped(x: Tensor, K: Tensor, s: int) -> Tensor:
    """Add up stamps of the kernel, s apart."""
    return F.conv_transpose1d(x[None, None], K[None, None], stride=s)[0, 0]


@st.composite
def _upsampled(draw: Draw) -> tuple[Tensor, Tensor, int]:
    """Generate a row, a kernel and a factor, which may be larger than the kernel."""
    return image(draw, upto(draw, 4)), image(draw, upto(draw, 4)), upto(draw, 3)


QUESTIONS = (
    ValueQuestion(
        "6.3.1 shape",
        "the output shape (o_h, o_w) of the section's last example",
        answer="(..., ...)",
        judge=_judge_shape,
    ),
    FunctionQuestion(
        "6.3.1",
        "the number of outputs on one axis: n pixels, window k, padding p on each "
        "side, stride s (0 or less, or an error, if no window fits)",
        parameters=("n", "k", "p", "s"),
        examples=[*axes(), (2, 3, 0, 2), (1, 4, 1, 2)],
        inputs=axis_settings(),
        oracle=positions,
        may_refuse=lambda n, k, p, s: n + 2 * p < k,
        mistakes=AXIS_MISTAKES,
    ),
    FunctionQuestion(
        "6.3.2",
        "the output shape (o_h, o_w); the padding is per side",
        parameters=("h", "w", "k_h", "k_w", "p_h", "p_w", "s_h", "s_w"),
        examples=PLANES,
        inputs=_planes(),
        oracle=plane(positions),
        mistakes={
            **{
                hint: tuple(map(plane, c)) if isinstance(c, tuple) else plane(c)
                for hint, c in AXIS_MISTAKES.items()
            },
            "height comes before width.": lambda *a: plane(positions)(*a)[::-1],
        },
    ),
    ValueQuestion(
        "6.3.2 own",
        "a combination of your own with its output shape: (input, kernel_size, "
        "padding, stride, output), ints or pairs, padding per side",
        answer="(..., ..., ..., ..., ...)",
        judge=_judge_own,
    ),
    ValueQuestion(
        "6.3.2 same",
        "(kernel_size, padding, stride) of a layer that keeps every size, k > 1",
        answer="(..., ..., ...)",
        judge=_judge_same,
    ),
    ValueQuestion(
        "6.3.2 halving",
        "(kernel_size, padding, stride) of a layer that halves every even size",
        answer="(..., ..., ...)",
        judge=_judge_halving,
    ),
    FunctionQuestion(
        "6.3.3",
        "the frequency in Hz at which a tone of `hz` Hz is heard after stride 2, when "
        "`rate` samples per second were taken before",
        parameters=("hz", "rate"),
        examples=[(1, 64), (12, 64), (15, 64), (16, 64), (20, 64), (31, 64), (9, 20)],
        inputs=_tones(),
        oracle=_folded,
        slack=1e-3,
        mistakes={
            "a tone above a quarter of the rate cannot stay where it is.": (
                lambda f, rate: f
            ),
            "the samples are further apart, the tone is not played faster.": (
                lambda f, rate: 2 * f
            ),
            "the samples are further apart, the tone is not played slower.": (
                lambda f, rate: f / 2
            ),
            "a tone that is too high comes back from above, it does not vanish.": (
                lambda f, rate: min(f, rate // 4)
            ),
            "frequencies fold, they do not start again at 0.": lambda f, rate: (
                f % (rate // 4)
            ),
            "the new rate is rate / 2, so the highest tone is rate / 4.": (
                lambda f, rate: min(f, rate - f)
            ),
        },
    ),
    FunctionQuestion(
        "6.3.4 multiplications",
        "the number of multiplications of a k×k layer with stride s, no padding",
        parameters=("c_i", "c_o", "h", "w", "k", "s"),
        examples=[
            (1, 1, 3, 3, 3, 1),
            (1, 2, 5, 7, 3, 2),
            (3, 16, 224, 224, 3, 4),
            (2, 3, 6, 5, 2, 3),
            (2, 1, 4, 6, 1, 2),
        ],
        inputs=_layers(),
        oracle=_multiplications,
        mistakes={
            "these are FLOPs: a multiplication and an addition are two.": (
                lambda c_i, c_o, h, w, k, s: 2 * _multiplications(c_i, c_o, h, w, k, s)
            ),
            "the stride is missing.": lambda c_i, c_o, h, w, k, s: _multiplications(
                c_i, c_o, h, w, k, 1
            ),
            "the stride counts on both axes.": lambda c_i, c_o, h, w, k, s: (
                c_i * c_o * k * k * ((h - k) // s + 1) * (w - k + 1)
            ),
            "the output is not exactly h / s pixels high.": (
                lambda c_i, c_o, h, w, k, s: c_i * c_o * k * k * (h // s) * (w // s)
            ),
            "every output channel looks at every input channel.": (
                lambda c_i, c_o, h, w, k, s: c_o * k * k * _places(h, w, k, s)
            ),
        },
    ),
    FunctionQuestion(
        "6.3.4 parameters",
        "the number of weights of a k×k layer with stride s, no bias",
        parameters=("c_i", "c_o", "k", "s"),
        examples=[(1, 1, 3, 1), (2, 3, 3, 2), (3, 2, 4, 4)],
        inputs=st.tuples(*[st.integers(1, 6)] * 4),
        oracle=lambda c_i, c_o, k, s: nn.Conv2d(
            c_i, c_o, k, stride=s, bias=False
        ).weight.numel(),
        mistakes={
            "a stride does not change the weights.": (
                lambda c_i, c_o, k, s: c_i * c_o * k * k / s**2,
                lambda c_i, c_o, k, s: c_i * c_o * k * k / s,
                lambda c_i, c_o, k, s: c_i * c_o * k * k // s**2,
            ),
            "there are c_i times c_o kernels.": lambda c_i, c_o, k, s: c_o * k * k,
            "there is no bias here.": lambda c_i, c_o, k, s: c_i * c_o * k * k + c_o,
        },
    ),
    FunctionQuestion(
        "6.3.4 receptive_field",
        "the receptive field of the last layer on one axis: how many pixels from the "
        "first to the last that can change one output; two tuples, first layer first",
        parameters=("kernel_sizes", "strides"),
        examples=[
            ((3,), (1,)),
            ((3, 3), (1, 1)),
            ((3, 3), (2, 2)),
            ((5, 2, 5, 2), (1, 2, 1, 2)),
            ((2, 3, 4), (3, 1, 2)),
        ],
        inputs=_towers(),
        oracle=_field,
        mistakes={
            "a stride makes the steps of all later layers larger.": lambda ks, ss: (
                1 + sum(k - 1 for k in ks)
            ),
            "only the strides before a layer make its steps larger, not its own.": (
                lambda ks, ss: (
                    1 + sum((k - 1) * prod(ss[: i + 1]) for i, k in enumerate(ks))
                )
            ),
            "neighbouring windows overlap.": (
                lambda ks, ss: prod(ks),
                lambda ks, ss: sum(ks),
            ),
            "the pixel under the first tap is missing.": lambda ks, ss: sum(
                (k - 1) * prod(ss[:i]) for i, k in enumerate(ks)
            ),
        },
    ),
    FunctionQuestion(
        "7.3.3 reflect",
        "X (h, w) with p < h, w mirrored pixels on each side, the mirror on the border "
        "pixels (1 2 3 becomes 2 1 2 3 2)",
        parameters=("X", "p"),
        examples=MIRRORED,
        inputs=_mirrored(1),
        oracle=_reflected,
        mistakes=_mirror_mistakes(_reflected, _doubled, "not repeated"),
    ),
    FunctionQuestion(
        "7.3.3 symmetric",
        "X (h, w) with p ≤ h, w mirrored pixels on each side, the mirror outside of "
        "the border pixels (1 2 3 becomes 1 1 2 3 3)",
        parameters=("X", "p"),
        examples=MIRRORED,
        inputs=_mirrored(0),
        oracle=_doubled,
        mistakes=_mirror_mistakes(_doubled, _reflected, "repeated"),
    ),
    FunctionQuestion(
        "7.3.5 correlation",
        "the correlation of two means over k independent pixels each, the windows j "
        "pixels apart",
        parameters=("k", "j"),
        examples=[(1, 0), (1, 1), (4, 1), (4, 3), (4, 4), (3, 7)],
        inputs=st.tuples(st.integers(1, 6), st.integers(0, 8)),
        oracle=_correlation,
        mistakes={
            "windows j apart share k - j pixels, not k - j + 1.": lambda k, j: max(
                0, (k - j + 1) / k
            ),
            "windows that share no pixel are independent.": lambda k, j: 1 - j / k,
            "windows that overlap share pixels.": lambda k, j: float(j == 0),
            "that is the number of shared pixels.": lambda k, j: max(k - j, 0),
            "that is what they do not share.": lambda k, j: min(j / k, 1),
            "that is the covariance, for pixels of variance 1.": lambda k, j: (
                max(k - j, 0) / k**2
            ),
        },
    ),
    FunctionQuestion(
        "7.3.6",
        "the row x (n,) at stride 1/s: each pixel stamps the kernel K (k,), s pixels "
        "apart, (n - 1) s + k numbers",
        parameters=("x", "K", "s"),
        examples=[
            (distinct(n), distinct(k, seed=1), s)
            for n, k, s in (
                (1, 1, 1),
                (3, 1, 2),
                (3, 3, 2),
                (4, 2, 3),
                (2, 4, 2),
                (3, 2, 1),
            )
        ],
        inputs=_upsampled(),
        oracle=_stamped,
        mistakes={
            "each pixel stamps K as it stands: the layer has K reversed.": (
                lambda x, K, s: _stamped(x, K.flip(0), s)
            ),
            "the pixels are s apart.": lambda x, K, s: _stamped(x, K, 1),
            "between two pixels are s - 1 zeros, and none after the last one.": (
                lambda x, K, s: F.pad(_stamped(x, K, s), (0, s - 1))
            ),
            "each pixel is repeated, and then the kernel is applied.": lambda x, K, s: (
                _stamped(x.repeat_interleave(s), K, 1)
            ),
        },
    ),
)
