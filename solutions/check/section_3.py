"""Questions of section 6.3, padding and stride.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.padding_stride`), which must stay unseen and untrusted.
"""

from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from solutions.check import forms
from solutions.check.inputs import AXES, planes, tensors, whole
from solutions.check.mistakes import Mistakes
from solutions.check.parts import FunctionQuestion, ValueQuestion, compared, demand
from solutions.check.section_1 import seen

MAX_SIZE = 100
FLOPS = "these are FLOPs: a multiplication and an addition are two."
ROUNDED_UP = "a window that does not fit any more is left out: round down."


def positions(n: int, k: int, p: int, s: int) -> int:
    """Measure how many outputs PyTorch gives on one axis."""
    return F.conv1d(
        torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p
    ).shape[2]


# Wrong rules for the number of outputs on one axis; more are in `mistakes`.
AXIS_MISTAKES: Mistakes = {
    "each step is s pixels: divide by s.": lambda n, k, p, s: (
        (n - k + 2 * p) // (s + 1) + 1
    ),
    ROUNDED_UP: lambda n, k, p, s: ceil((n - k + 2 * p) / s) + 1,
    "positions are whole: round down.": lambda n, k, p, s: (n - k + 2 * p) / s + 1,
    "the first position is missing: n - k steps of one pixel are n - k + 1 places.": (
        lambda n, k, p, s: (n - k + 2 * p) // s
    ),
}


def _plane(*sizes: int) -> tuple[int, int]:
    """Measure the number of outputs on both axes."""
    return positions(*sizes[::2]), positions(*sizes[1::2])


def _last_example() -> tuple[int, ...]:
    layer = nn.Conv2d(1, 1, kernel_size=(3, 5), padding=(0, 1), stride=(3, 4))
    return tuple(layer(torch.zeros(1, 1, 8, 8, dtype=layer.weight.dtype)).shape)


def _sizes(value: Any, names: str) -> list[tuple[int, int]]:
    """Read a kernel size and more, and demand that there can be such a layer."""
    try:
        given = forms.sequence(value, names.count(",") + 1)
        found = [forms.pair(size) for size in given]
    except TypeError:
        text = f"should be sizes ({names}), ints or pairs"
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
    text = "This layer cannot work: the window does not fit."
    demand(all(n + 2 * p >= k for n, k, p, _ in axes), text)
    hints = (
        hint
        for hint, wrong in AXIS_MISTAKES.items()
        if tuple(wrong(*axis) for axis in axes) == shape
    )
    demand(
        tuple(positions(*axis) for axis in axes) == shape,
        f"The output does not have the shape {shape}.",
        next(hints, None),
    )


def _judge_setting(divisor: int, what: str, value: Any) -> None:
    """Run a layer with the setting on inputs of many sizes."""
    setting = _sizes(value, "kernel_size, padding, stride")
    text = "A window of one pixel keeps every size: choose another."
    demand(divisor > 1 or setting[0] != (1, 1), text)
    sizes = range(8, 24, divisor)
    for k, p, s in zip(*setting, strict=True):
        is_total = all((n - k + p) // s + 1 == n // divisor for n in sizes)
        hint = "padding is per side here; the book's p counts both sides."
        for n in sizes:
            demand(n + 2 * p >= k, f"The window does not fit into {n} pixels.")
            found = positions(n, k, p, s)
            text = f"{n} pixels become {found}, which is {what}."
            demand(found == n // divisor, text, hint if is_total else None)


def _folded(hz: int, rate: int) -> int:
    """Find the frequency of a tone after every second sample was dropped."""
    t = torch.arange(rate, dtype=torch.float64) / rate  # one second: bins of 1 Hz
    tone = torch.cos(2 * torch.pi * hz * t)[::2]
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


def _doubled(X: Tensor, p: int) -> Tensor:
    """Mirror outside of the border pixels."""
    return torch.from_numpy(np.pad(X.numpy(), p, mode="symmetric"))


def _receptive_field(kernel_sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
    layers = ((k, s, 1) for k, s in zip(kernel_sizes, strides, strict=True))
    return int(seen(sum(kernel_sizes) * prod(strides), *layers)[-1]) + 1


def _mirrored(X: Tensor, p: int, mode: str = "reflect") -> Tensor:
    """Mirror on the border pixels, or do something else there."""
    return F.pad(X[None], (p,) * 4, mode=mode)[0]


def _correlation(k: int, j: int) -> float:
    """Compare what two means over k pixels share with the whole."""
    mean = torch.full((1, 1, k), 1 / k, dtype=torch.float64)
    shared = F.conv1d(mean, mean, padding=k + j)[0, 0]
    middle = len(shared) // 2
    return float(shared[middle + j] / shared[middle])


def _stamped(x: Tensor, K: Tensor, s: int) -> Tensor:
    """Add up stamps of the kernel, s apart."""
    return F.conv_transpose1d(x[None, None], K[None, None], stride=s)[0, 0]


QUESTIONS = (
    ValueQuestion(
        "6.3.1 shape",
        "the output shape (o_h, o_w) of the section's last example",
        compared(
            "The output does not have the shape {}.",
            lambda: _last_example()[2:],
            {
                "only height and width are asked for.": _last_example,
                ROUNDED_UP: lambda: (3, 3),
                "the padding is missing.": lambda: (2, 1),
            },
            read=lambda value: tuple(map(forms.whole, forms.sequence(value))),
        ),
        answer="(..., ...)",
    ),
    FunctionQuestion(
        "6.3.1",
        "the number of outputs on one axis: n pixels, window k, padding p on each "
        "side, stride s (0 or less, or an error, if no window fits)",
        inputs=whole(16, 5, (0, 3), 4),
        oracle=positions,
        may_refuse=lambda n, k, p, s: n + 2 * p < k,
        mistakes=AXIS_MISTAKES,
    ),
    FunctionQuestion(
        "6.3.2",
        "the output shape (o_h, o_w); the padding is per side",
        inputs=planes(AXES),
        oracle=_plane,
        named=("h", "w", "k_h", "k_w", "p_h", "p_w", "s_h", "s_w"),
    ),
    ValueQuestion(
        "6.3.2 own",
        "a combination of your own with its output shape: (input, kernel_size, "
        "padding, stride, output), ints or pairs, padding per side",
        _judge_own,
        answer="(..., ..., ..., ..., ...)",
    ),
    ValueQuestion(
        "6.3.2 same",
        "(kernel_size, padding, stride) of a layer that keeps every size, k > 1",
        partial(_judge_setting, 1, "another size"),
        answer="(..., ..., ...)",
    ),
    ValueQuestion(
        "6.3.2 halving",
        "(kernel_size, padding, stride) of a layer that halves every even size",
        partial(_judge_setting, 2, "not the half"),
        answer="(..., ..., ...)",
    ),
    FunctionQuestion(
        "6.3.3",
        "the frequency in Hz at which a tone of `hz` Hz is heard after stride 2, when "
        "`rate` samples per second were taken before",
        inputs=whole(15, 29)
        .map(lambda a: (a[1], 4 + 4 * a[0]))
        .filter(lambda a: 2 * a[0] < a[1]),
        oracle=_folded,
        slack=1e-3,
        mistakes={
            "a tone above a quarter of the rate cannot stay where it is.": (
                lambda hz, rate: hz
            ),
            "the samples are further apart, the tone is not played faster.": (
                lambda hz, rate: 2 * hz
            ),
        },
    ),
    FunctionQuestion(
        "6.3.4 multiplications",
        "the number of multiplications of a k×k layer with stride s, no padding",
        inputs=whole(4, 4, 14, 14, 5, 5).filter(lambda a: min(a[2:4]) >= a[4]),
        oracle=_multiplications,
        mistakes={FLOPS: lambda *a: 2 * _multiplications(*a)},
    ),
    FunctionQuestion(
        "6.3.4 parameters",
        "the number of weights of a k×k layer with stride s, no bias",
        inputs=whole(6, 6, 6, 6),
        oracle=lambda c_i, c_o, k, s: nn.Conv2d(
            c_i, c_o, k, stride=s, bias=False
        ).weight.numel(),
        mistakes={
            "a stride does not change the weights.": lambda c_i, c_o, k, s: (
                c_i * c_o * k * k / s**2
            ),
        },
    ),
    FunctionQuestion(
        "6.3.4 receptive_field",
        "the span that one output of the last layer sees on one axis: from the first "
        "pixel that can change it to the last, and all between; two tuples, first "
        "layer first",
        inputs=st.lists(whole(5, 3), min_size=1, max_size=4).map(
            lambda layers: tuple(zip(*layers, strict=True))
        ),
        oracle=_receptive_field,
        mistakes={
            "a stride makes the steps of all later layers larger.": lambda ks, ss: (
                1 + sum(k - 1 for k in ks)
            ),
        },
    ),
    FunctionQuestion(
        "7.3.3 reflect",
        "X (h, w) with p < h, w mirrored pixels on each side, the mirror on the border "
        "pixels (1 2 3 becomes 2 1 2 3 2)",
        inputs=tensors("p+h p+w, =p").map(lambda a: (a[0], a[1] - 1)),
        oracle=_mirrored,
        mistakes={
            "only the border pixel is repeated.": partial(_mirrored, mode="replicate"),
            "it starts again at the other side: that is no mirror.": (
                partial(_mirrored, mode="circular")
            ),
        },
    ),
    FunctionQuestion(
        "7.3.3 symmetric",
        "X (h, w) with p ≤ h, w mirrored pixels on each side, the mirror outside of "
        "the border pixels (1 2 3 becomes 1 1 2 3 3)",
        inputs=tensors("p+h p+w, =p"),
        oracle=_doubled,
        mistakes={"the border pixel is repeated here.": _mirrored},
    ),
    FunctionQuestion(
        "7.3.5 correlation",
        "the correlation of two means over k independent pixels of equal variance, the "
        "windows j pixels apart",
        inputs=whole(6, (0, 8)),
        oracle=_correlation,
        mistakes={
            "windows j apart share k - j pixels, not k - j + 1.": lambda k, j: max(
                0, (k - j + 1) / k
            ),
            "windows that share no pixel are independent.": lambda k, j: 1 - j / k,
            "windows that overlap share pixels.": lambda k, j: float(j == 0),
        },
    ),
    FunctionQuestion(
        "7.3.6",
        "the row x (n,) at stride 1/s: each pixel stamps the kernel K (k,), s pixels "
        "apart, (n - 1) s + k numbers",
        inputs=tensors("n, k, =s", 4),
        oracle=_stamped,
        mistakes={
            "each pixel stamps K as it stands: the layer has K reversed.": (
                lambda x, K, s: _stamped(x, K.flip(0), s)
            ),
            "each pixel is repeated, and then the kernel is applied.": lambda x, K, s: (
                _stamped(x.repeat_interleave(s), K, 1)
            ),
        },
    ),
)
