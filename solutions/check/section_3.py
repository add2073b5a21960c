"""Questions of section 6.3, padding and stride.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.padding_stride`), which must stay unseen and untrusted.
"""

from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from solutions.check import forms
from solutions.check.forms import Call
from solutions.check.inputs import AXES, distinct, planes, shaped, tensors, whole
from solutions.check.mistakes import PADDING_ONCE, Mistakes, computations
from solutions.check.parts import (
    FunctionQuestion,
    ValueQuestion,
    compared,
    demand,
)
from solutions.check.section_1 import seen

MAX_SIZE = 100
FLOPS = "these are FLOPs: a multiplication and an addition are two."
ROUNDED_UP = "a window that does not fit any more is left out: round down."


def positions(n: int, k: int, p: int, s: int) -> int:
    """Measure how many outputs PyTorch gives on one axis."""
    return F.conv1d(
        torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p
    ).shape[2]


def _total(n: int, k: int, p: int, s: int) -> int:
    """Take the padding as the total of both sides."""
    return (n - k + p) // s + 1


# Wrong rules for the number of outputs on one axis.
AXIS_MISTAKES: Mistakes = {
    "each step is s pixels: divide by s.": (
        lambda n, k, p, s: (n - k + 2 * p) // (s + 1) + 1,
        lambda n, k, p, s: (n - k + 2 * p) / (s + 1),
        lambda n, k, p, s: (n - k + 2 * p) / (s + 1) + 1,
    ),
    PADDING_ONCE: (_total, lambda n, k, p, s: (n - k + p + s) // s),
    ROUNDED_UP: lambda n, k, p, s: ceil((n - k + 2 * p) / s) + 1,
    "positions are whole: round down.": lambda n, k, p, s: (n - k + 2 * p) / s + 1,
    "the first position is missing: n - k steps of one pixel are n - k + 1 places.": (
        lambda n, k, p, s: (n - k + 2 * p) // s
    ),
    "positions are whole: round down, and add the first one.": (
        lambda n, k, p, s: ceil((n - k + 2 * p) / s),
        lambda n, k, p, s: (n + 2 * p) / s,
    ),
    "padding makes the input larger, not smaller.": (
        lambda n, k, p, s: (n - k - 2 * p) // s + 1,
        lambda n, k, p, s: (n - k - p) // s + 1,
        lambda n, k, p, s: (n - p) // s,
        lambda n, k, p, s: (n - p) / s,
    ),
    "the stride is missing.": lambda n, k, p, s: n - k + 2 * p + 1,
    "the padding is missing.": lambda n, k, p, s: (n - k) // s + 1,
    "the padding and the stride are missing.": lambda n, k, p, s: n - k + 1,
    "divide before you add the first position.": (
        lambda n, k, p, s: (n - k + 2 * p + 1) // s,
        lambda n, k, p, s: (n + 2 * p) // s,
    ),
    "there is one output per position of the window, not per pixel.": (
        lambda n, k, p, s: n
    ),
}


def of_axes(count: Call) -> Mistakes:
    """Return those mistakes for what is counted on two axes.

    Args:
        count: takes a rule for one axis, and the arguments of the question.
    """
    hints: dict[str, list[Call]] = {hint: [] for hint in AXIS_MISTAKES}
    for hint, rule in computations(AXIS_MISTAKES):
        hints[hint].append(partial(count, rule))
    return {hint: tuple(counts) for hint, counts in hints.items()}


# Settings (n, k, p, s) of one axis that tell rounding mistakes apart.
EXAMPLES = [
    (n, k, p, s)
    for p in (0, 1, 2)
    for s in (1, 2, 3)
    for n, k in ((5, 1), (6, 3), (8, 3), (7, 4), (9, 5))
]


def _plane(rule: Call, *sizes: int) -> tuple[Any, Any]:
    """Apply a rule for one axis to both."""
    return rule(*sizes[::2]), rule(*sizes[1::2])


def _last_example() -> tuple[int, ...]:
    layer = nn.Conv2d(1, 1, kernel_size=(3, 5), padding=(0, 1), stride=(3, 4))
    return tuple(layer(torch.zeros(1, 1, 8, 8, dtype=layer.weight.dtype)).shape)


def _sizes(value: Any, names: str) -> list[tuple[int, int]]:
    """Read a kernel size and more, and demand that there can be such a layer."""
    number = names.count(",") + 1
    try:
        found = [forms.pair(size) for size in forms.sequence(value, number)]
    except TypeError:
        words = {3: "three", 5: "five"}
        text = f"should be {words[number]} sizes ({names}), ints or pairs"
        raise TypeError(text) from None
    for name, (h, w) in zip(names.split(", "), found, strict=True):
        least = 0 if name == "padding" else 1
        demand(
            name == "output" or least <= min(h, w) <= max(h, w) <= MAX_SIZE,
            f"The {name} should be {least} to {MAX_SIZE}.",
        )
    return found


def _judge_own(value: Any) -> None:
    """Run a layer with the reader's setting."""
    *setting, shape = _sizes(value, "input, kernel_size, padding, stride, output")
    axes = list(zip(*setting, strict=True))
    demand(
        all(n + 2 * p >= k for n, k, p, _ in axes),
        "This layer cannot work: the window does not fit.",
    )
    hints = (
        hint
        for hint, wrong in computations(AXIS_MISTAKES)
        if tuple(wrong(*axis) for axis in axes) == shape
    )
    demand(
        tuple(positions(*axis) for axis in axes) == shape,
        f"The output does not have the shape {shape}.",
        next(hints, None),
    )


def _judge_setting(value: Any, wanted: Any, sizes: range, what: str) -> Any:
    """Run a layer with the setting on inputs of many sizes; return its kernel size."""
    setting = _sizes(value, "kernel_size, padding, stride")
    for k, p, s in zip(*setting, strict=True):
        is_total = all(_total(n, k, p, s) == wanted(n) for n in sizes)
        hint = "padding is per side here; the book's p counts both sides."
        for n in sizes:
            demand(n + 2 * p >= k, f"The window does not fit into {n} pixels.")
            found = positions(n, k, p, s)
            text = f"{n} pixels become {found}, which {what}."
            demand(found == wanted(n), text, hint if is_total else None)
    return setting[0]


def _judge_same(value: Any) -> None:
    """The size must stay, whatever it is."""
    k = _judge_setting(value, lambda n: n, range(8, 24), "is another size")
    demand(k != (1, 1), "A window of one pixel keeps every size: choose another.")


def _judge_halving(value: Any) -> None:
    """An even size must be halved."""
    _judge_setting(value, lambda n: n // 2, range(8, 24, 2), "is not the half")


def _folded(f: int, rate: int) -> int:
    """Find the frequency of a tone after every second sample was dropped."""
    t = torch.arange(rate, dtype=torch.float64) / rate  # one second: bins of 1 Hz
    tone = torch.cos(2 * torch.pi * f * t)[::2]
    return int(torch.fft.rfft(tone).abs().argmax())


def products(
    c_i: int,
    c_o: int,
    size: Any,
    k: Any,
    p: Any = 0,
    s: Any = 1,
    groups: int = 1,
    backward: bool = False,
) -> int:
    """Let PyTorch count the multiplications of a layer without bias."""
    X = torch.empty(1, c_i, *size, device="meta", requires_grad=backward)
    W = torch.empty(c_o, c_i // groups, *k, device="meta", requires_grad=backward)
    with FlopCounterMode(display=False) as counter:
        Y = F.conv2d(X, W, stride=s, padding=p, groups=groups)
        if backward:
            Y.sum().backward()
    return counter.get_total_flops() // 2  # of a multiplication and an addition each


def _multiplications(c_i: int, c_o: int, h: int, w: int, k: int, s: int) -> int:
    return products(c_i, c_o, (h, w), (k, k), s=s)


def _places(h: int, w: int, k: int, s: int) -> int:
    """Count the positions of a square window."""
    return ((h - k) // s + 1) * ((w - k) // s + 1)


def _reflected(X: Tensor, p: int) -> Tensor:
    return _padded(X, p, "reflect")


def _doubled(X: Tensor, p: int) -> Tensor:
    """Mirror outside of the border pixels."""
    return torch.from_numpy(np.pad(X.numpy(), p, mode="symmetric"))


def _seen_pixels(ks: tuple[int, ...], ss: tuple[int, ...]) -> Tensor:
    layers = ((k, s, 1) for k, s in zip(ks, ss, strict=True))
    return seen(sum(ks) * prod(ss), *layers)


def _padded(X: Tensor, p: int, mode: str) -> Tensor:
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
        **{
            hint: partial(_padded, mode=mode)
            for hint, mode in {
                "that pads with zeros.": "constant",
                "only the border pixel is repeated.": "replicate",
                "it starts again at the other side: that is no mirror.": "circular",
            }.items()
        },
        "the corners are missing: pad one axis after the other.": lambda X, p: (
            _without_corners(right(X, p), p)
        ),
    }


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


STAMPS = "n, k, =s"

QUESTIONS = (
    ValueQuestion(
        "6.3.1 shape",
        "the output shape (o_h, o_w) of the section's last example",
        answer="(..., ...)",
        judge=compared(
            "The output does not have the shape {}.",
            lambda: _last_example()[2:],
            {
                "only height and width are asked for.": _last_example,
                ROUNDED_UP: lambda: (3, 3),
                "the padding is missing.": lambda: (2, 1),
            },
            read=lambda value: tuple(map(forms.whole, forms.sequence(value))),
        ),
    ),
    FunctionQuestion(
        "6.3.1",
        "the number of outputs on one axis: n pixels, window k, padding p on each "
        "side, stride s (0 or less, or an error, if no window fits)",
        parameters=("n", "k", "p", "s"),
        examples=[*EXAMPLES, (2, 3, 0, 2), (1, 4, 1, 2)],
        inputs=AXES,
        oracle=positions,
        may_refuse=lambda n, k, p, s: n + 2 * p < k,
        mistakes=AXIS_MISTAKES,
    ),
    FunctionQuestion(
        "6.3.2",
        "the output shape (o_h, o_w); the padding is per side",
        parameters=("h", "w", "k_h", "k_w", "p_h", "p_w", "s_h", "s_w"),
        examples=[
            (8, 8, 3, 5, 0, 1, 3, 4),
            (8, 8, 1, 2, 2, 3, 1, 1),
            (8, 8, 2, 3, 1, 2, 1, 1),
            *(
                tuple(x for both in zip(*pair, strict=True) for x in both)
                for pair in zip(EXAMPLES, EXAMPLES[::-1], strict=True)
            ),
        ],
        inputs=planes(AXES),
        oracle=partial(_plane, positions),
        mistakes={
            **of_axes(_plane),
            "height comes before width.": lambda *a: _plane(positions, *a)[::-1],
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
        inputs=whole(15, 29)
        .map(lambda a: (a[1], 4 + 4 * a[0]))
        .filter(lambda a: 2 * a[0] < a[1]),
        oracle=_folded,
        slack=1e-3,
        mistakes={
            "a tone above a quarter of the rate cannot stay where it is.": (
                lambda f, rate: f
            ),
            "the samples are further apart, the tone is not played faster.": (
                lambda f, rate: 2 * f
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
        inputs=whole(4, 4, 14, 14, 5, 5).filter(lambda a: min(a[2:4]) >= a[4]),
        oracle=_multiplications,
        mistakes={
            FLOPS: lambda *a: 2 * _multiplications(*a),
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
        inputs=whole(6, 6, 6, 6),
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
        "the span that one output of the last layer sees on one axis: from the first "
        "pixel that can change it to the last, and all between; two tuples, first "
        "layer first",
        parameters=("kernel_sizes", "strides"),
        examples=[
            ((3,), (1,)),
            ((3, 3), (1, 1)),
            ((3, 3), (2, 2)),
            ((5, 2, 5, 2), (1, 2, 1, 2)),
            ((2, 3, 4), (3, 1, 2)),
        ],
        inputs=whole(5, 3, 5, 3, 5, 3).map(lambda a: (a[::2], a[1::2])),
        oracle=lambda ks, ss: int(_seen_pixels(ks, ss)[-1]) + 1,
        mistakes={
            "what lies between them counts too.": lambda ks, ss: len(
                _seen_pixels(ks, ss)
            ),
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
        inputs=tensors("p+h p+w, =p").map(lambda a: (a[0], a[1] - 1)),
        oracle=_reflected,
        mistakes=_mirror_mistakes(_reflected, _doubled, "not repeated"),
    ),
    FunctionQuestion(
        "7.3.3 symmetric",
        "X (h, w) with p ≤ h, w mirrored pixels on each side, the mirror outside of "
        "the border pixels (1 2 3 becomes 1 1 2 3 3)",
        parameters=("X", "p"),
        examples=MIRRORED,
        inputs=tensors("p+h p+w, =p"),
        oracle=_doubled,
        mistakes=_mirror_mistakes(_doubled, _reflected, "repeated"),
    ),
    FunctionQuestion(
        "7.3.5 correlation",
        "the correlation of two means over k independent pixels of equal variance, the "
        "windows j pixels apart",
        parameters=("k", "j"),
        examples=[(1, 0), (1, 1), (4, 1), (4, 3), (4, 4), (3, 7)],
        inputs=whole(6, (0, 8)),
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
        examples=shaped(
            STAMPS, (1, 1, 1), (3, 1, 2), (3, 3, 2), (4, 2, 3), (2, 4, 2), (3, 2, 1)
        ),
        inputs=tensors(STAMPS, 4),
        oracle=_stamped,
        mistakes={
            "each pixel stamps K as it stands: the layer has K reversed.": (
                lambda x, K, s: _stamped(x, K.flip(0), s)
            ),
            "between two pixels are s - 1 zeros, and none after the last one.": (
                lambda x, K, s: F.pad(_stamped(x, K, s), (0, s - 1))
            ),
            "each pixel is repeated, and then the kernel is applied.": lambda x, K, s: (
                _stamped(x.repeat_interleave(s), K, 1)
            ),
        },
    ),
)
