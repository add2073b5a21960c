"""Questions of section 6.4, many input and output channels.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.channels`), which must stay unseen and untrusted.
"""

from functools import partial
from math import isfinite
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.factoring import how_it_factors
from solutions.check.inputs import AXES, planes, tensors, whole
from solutions.check.operations import BY_PRODUCT
from solutions.check.parts import (
    FunctionQuestion,
    ValueQuestion,
    WrongError,
    compared,
    demand,
)
from solutions.check.section_2 import corr
from solutions.check.section_3 import FLOPS, positions, products

SIZES = ("c_i", "c_o", "h", "w", "k_h", "k_w", "p_h", "p_w", "s_h", "s_w")
POWERS = [(m, n) for m in (2, 3, 4, 5) for n in (1, 2, 3)] + [(2, 4), (2, 5)]
MAX_SIDE = 5
MAX_TAP = 10**9


def _composed(W1: Tensor, W2: Tensor) -> Tensor:
    """Find the kernels of two layers in a row: what they make of a pixel, reversed."""
    c_i = W1.shape[1]
    h, w = (W1.shape[a] + W2.shape[a] - 1 for a in (2, 3))
    X = W1.new_zeros(c_i, c_i, 2 * h - 1, 2 * w - 1)
    X[range(c_i), range(c_i), h - 1, w - 1] = 1
    return F.conv2d(F.conv2d(X, W1), W2).flip(2, 3).transpose(0, 1)


def _layer(W1: Tensor, b1: Tensor, W2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    """Find the kernels and the bias of two layers in a row, from what they compute."""
    W = _composed(W1, W2)
    return W, F.conv2d(F.conv2d(0 * W[:1], W1, b1), W2, b2).flatten()


def _two_layers(K1: Tensor, K2: Tensor) -> Tensor:
    """Do so for layers of one channel."""
    return _composed(K1[None, None], K2[None, None])[0, 0]


def _judge_kernel(value: Any) -> str:
    """Accept a kernel that provably is no convolution of two smaller ones."""
    kernel = forms.kernel(value)
    demand(
        max(kernel.shape) <= MAX_SIDE and kernel.abs().max() <= MAX_TAP,
        f"Choose at most {MAX_SIDE}×{MAX_SIDE} taps of at most {MAX_TAP}.",
    )
    demand(
        torch.equal(kernel, kernel.round()),
        "Give the taps as whole numbers, so that the question can be decided exactly: "
        "a common factor changes nothing.",
    )
    few = "Choose a kernel with at least three taps, and not only zeros."
    demand(kernel.numel() > 2 and kernel.any(), few)
    reason = how_it_factors([[int(tap) for tap in row] for row in kernel.tolist()])
    demand(reason is None, f"This one can be written as two: {reason}.")
    return "No two real kernels of more than one tap give it."


def multiplications(c_i: int, c_o: int, *plane: int) -> int:
    """Count the products of one sample."""
    size, k, p, s = (plane[i : i + 2] for i in (0, 2, 4, 6))
    return products(c_i, c_o, size, k, p, s)


def _outputs(c_i: int, c_o: int, *plane: int) -> int:
    """Count the numbers of the output."""
    return c_o * positions(*plane[::2]) * positions(*plane[1::2])


def _additions(*sizes: int) -> int:
    """A sum of m products takes m - 1 additions."""
    return multiplications(*sizes) - _outputs(*sizes)


def _saved(c_i: int, c_o: int, *plane: int) -> int:
    """Count the numbers that autograd keeps."""
    kept: list[int] = []
    size, k, p, s = (plane[i : i + 2] for i in (0, 2, 4, 6))
    X = torch.zeros(1, c_i, *size, requires_grad=True)
    W = torch.zeros(c_o, c_i, *k, requires_grad=True)

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        F.conv2d(X, W, stride=s, padding=p)
    return sum(kept)


def _memory(*sizes: int) -> int:
    """Count the numbers of input, kernels and output."""
    c_i, c_o, h, w, kh, kw, *_ = sizes
    X, W = torch.empty(c_i, h, w), torch.empty(c_o, c_i, kh, kw)
    return X.numel() + W.numel() + _outputs(*sizes)


def _total(*sizes: int) -> int:
    """Count what autograd keeps, and the gradients of output, input and kernels."""
    return _saved(*sizes) + _memory(*sizes)


def _layers_to_mix(c: int, b: int) -> int:
    """Send ones through blocks of ones and shuffles until they are everywhere."""
    blocks = torch.block_diag(*[torch.ones(c // b, c // b)] * b)
    seen, layers = blocks, 1
    while not seen.all():
        seen = blocks @ F.channel_shuffle(seen[None, :, :, None], b)[0, :, :, 0]
        layers += 1
    return layers


def _backward() -> float:
    """Compare what PyTorch counts for both gradients with the forward propagation."""
    forward, both = (
        products(3, 16, (32, 32), (3, 3), 1, 1, backward=backward)
        for backward in (False, True)
    )
    return (both - forward) / forward


def _ratio() -> float:
    """Compare what PyTorch counts for a layer of twice the channels."""
    one, two = (products(c, 2 * c, (9, 8), (3, 2), (1, 0), (2, 1)) for c in (3, 6))
    return two / one


def _growth(*a: int) -> float:
    """Compare the counts of multiplications with padding 2p and p."""
    doubled = (*a[:4], 2 * a[4], 2 * a[5], *a[6:])
    return multiplications(1, 1, *doubled) / multiplications(1, 1, *a)


def _pointwise(c_i: int, c_o: int, h: int, w: int, *plane: int) -> int:
    """Count the products of a 1×1 layer."""
    return multiplications(c_i, c_o, h, w, 1, 1, *plane)


def _judge_numbers(value: Any) -> str:
    """Check three numbers whose float32 sum depends on the order of the additions."""
    numbers = [float(forms.number(x)) for x in forms.sequence(value, 3)]
    found = []
    for name in ("float32", "float64"):
        a, b, c = torch.tensor(numbers, dtype=getattr(torch, name))
        left, right = float((a + b) + c), float(a + (b + c))
        if left != right and isfinite(left) and isfinite(right):
            sums = f"(a + b) + c is {left:.17g}, but a + (b + c) is {right:.17g}"
            return f"In {name} {sums}."
        found.append(f"{left:.9g} in {name}")
    raise WrongError(f"Both orders give {' and '.join(found)}.")


def _general(X: Tensor, W: Tensor, stride: Any, padding: Any) -> Tensor:
    """Convolve with many channels."""
    return F.conv2d(X, W, stride=stride, padding=padding)


def _channels_last(X: Tensor, W: Tensor, stride: Any, padding: Any) -> Tensor:
    """Read the columns of a batch in the wrong order at the end."""
    Y = _general(X, W, stride, padding)
    n, c_o, o_h, o_w = Y.shape
    return Y.transpose(0, 1).reshape(n, c_o, o_h, o_w)


def _judge_split(value: Any, K: Tensor) -> None:
    """Compose a layer of columns with one of rows, and compare with the kernel."""
    k_h, k_w = K.shape
    try:
        W1, W2 = (forms.tensor(W) for W in forms.sequence(value, 2))
    except TypeError:
        text = "should be a pair of tensors (W1, W2) of real numbers"
        raise TypeError(text) from None
    m = W1.shape[0] if W1.dim() else 0
    demand(
        m > 0 and (W1.shape, W2.shape) == ((m, 1, k_h, 1), (1, m, 1, k_w)),
        f"The shapes are {tuple(W1.shape)} and {tuple(W2.shape)}, but should be "
        f"(m, 1, {k_h}, 1) and (1, m, 1, {k_w}).",
    )
    both = _composed(W1, W2)[0, 0]
    needs_more = m == 1 and int(torch.linalg.matrix_rank(K)) > 1
    demand(
        torch.allclose(both, K.double(), rtol=0, atol=1e-4 * float(K.abs().max())),
        "Together the two layers do not have this kernel.",
        "one channel in between is not enough." if needs_more else None,
    )


def _reads(k: int, delta: int) -> float:
    """Measure how many strips see a row that is far from the border."""
    strips = torch.ones(1, 1, 2 * k + 8, dtype=torch.float64)
    window = torch.ones(1, 1, k + delta - 1, dtype=torch.float64)
    seen = F.conv_transpose1d(strips, window, stride=delta)[0, 0]
    middle = len(seen) // 2
    return float(seen[middle : middle + delta].mean())


def _saving(c: int, b: int) -> float:
    one, blocks = (products(c, c, (5, 5), (1, 1), groups=g) for g in (1, b))
    return one / blocks


_of_a_kernel = partial(
    ValueQuestion,
    asks="part c: a kernel of three or more whole numbers that is no convolution of "
    "two smaller real ones",
    judge=_judge_kernel,
    answer="[...]",
)
_of_a_layer = partial(
    FunctionQuestion,
    named=SIZES,
    inputs=st.builds(lambda c, plane: c + plane, whole(4, 4), planes(AXES)),
)


QUESTIONS = (
    FunctionQuestion(
        "6.4.1",
        "part a: the kernel of the one layer that equals K1, then K2, without padding",
        inputs=tensors("a b, c d"),
        oracle=_two_layers,
        mistakes={
            "one kernel is flipped: the kernels combine by true convolution.": (
                lambda K1, K2: _two_layers(K1, K2.flip(0, 1))
            ),
            "every overlap of the kernels counts, and one of them is flipped.": corr,
            "these layers stand side by side, not one behind the other.": torch.add,
            "overlapping copies are added up.": torch.kron,
        },
    ),
    FunctionQuestion(
        "6.4.1 layers",
        "part a with channels: (W, b) of the one layer that equals W1, b1, then W2, b2",
        inputs=tensors("c_m c_i a b, c_m, c_o c_m c d, c_o", 2),
        oracle=_layer,
        mistakes={
            "the bias of the first layer passes through the second one.": (
                lambda W1, b1, W2, b2: (_composed(W1, W2), b2)
            ),
        },
    ),
    FunctionQuestion(
        "6.4.1 size",
        "part b: the size of that kernel on one axis, for sizes k1 and k2",
        inputs=whole(9, 9),
        oracle=lambda k1, k2: len(_two_layers(torch.ones(k1, 1), torch.ones(k2, 1))),
        mistakes={
            "the middle pixel counts once: try k1 = k2 = 1.": lambda a, b: a + b + 1,
            "the windows overlap: the sizes are not added.": lambda a, b: a + b,
            "neighbouring windows overlap: the sizes are not multiplied.": (
                lambda a, b: a * b
            ),
            "that is for layers side by side.": max,
        },
    ),
    _of_a_kernel("6.4.1 kernel"),
    _of_a_layer(
        "6.4.2 multiplications",
        "part a: the multiplications of one sample; padding per side, zeros included",
        oracle=multiplications,
        mistakes={
            FLOPS: lambda *a: 2 * multiplications(*a),
            "every output channel looks at every input channel.": lambda *a: (
                multiplications(1, *a[1:])
            ),
        },
    ),
    _of_a_layer(
        "6.4.2 additions",
        "part a: the additions of one sample, without bias",
        oracle=_additions,
        mistakes={
            "a sum of m products takes m - 1 additions, not one.": _outputs,
            "a sum of m products takes one addition less than m.": multiplications,
        },
    ),
    _of_a_layer(
        "6.4.2 memory",
        "part b: how many numbers input, kernels and output of one sample have",
        oracle=_memory,
        mistakes={
            "there are c_i times c_o kernels: multiply the numbers of channels.": (
                lambda *a: (
                    a[0] * a[2] * a[3] + (a[0] + a[1]) * a[4] * a[5] + _outputs(*a)
                )
            ),
        },
    ),
    _of_a_layer(
        "6.4.2 saved",
        "part c: how many numbers autograd keeps of one sample for the backward pass",
        oracle=_saved,
        mistakes={
            "no gradient of this layer needs its output.": _memory,
            "the gradient of the input needs the kernels.": lambda *a: (
                a[0] * a[2] * a[3]
            ),
        },
    ),
    _of_a_layer(
        "6.4.2 total",
        "part c: how many numbers the backward pass of one sample holds, without bias: "
        "what autograd kept, and the gradients of output, input and kernels",
        oracle=_total,
        mistakes={
            "what autograd kept is still there.": _memory,
            "the gradients need memory too.": _saved,
        },
    ),
    ValueQuestion(
        "6.4.2 backward",
        "part d: how many times the multiplications of forward propagation backward "
        "propagation takes, without padding, when input and kernels need gradients",
        compared(
            "Backward propagation does not take {} times as much.",
            _backward,
            {
                "how many gradients does it compute?": lambda: 1,
                "do not count the forward pass.": lambda: 3,
            },
        ),
    ),
    ValueQuestion(
        "6.4.3 ratio",
        "part a: the factor by which the multiplications grow",
        compared(
            "The number of multiplications does not become {} times as large.",
            _ratio,
            {
                "both c_i and c_o are doubled.": lambda: 2,
                "it grows to so many times, not by so many times.": lambda: 5,
                "divide the new number by the old one.": lambda: 3,
            },
        ),
    ),
    FunctionQuestion(
        "6.4.3 padding",
        "part b: the factor by which the multiplications grow, padding per side",
        inputs=planes(AXES),
        oracle=_growth,
        mistakes={
            "no factor fits all sizes.": lambda *a: 2,
            "the output grows with the padding.": lambda *a: 1,
        },
        named=SIZES[2:],
    ),
    FunctionQuestion(
        "6.4.4",
        "the multiplications of a 1×1 layer, one sample, padding per side",
        inputs=whole(4, 4, 9, 9, (0, 3), (0, 3), 4, 4),
        oracle=_pointwise,
        mistakes={
            "padding makes the input larger, not smaller.": (
                lambda c_i, c_o, h, w, p_h, p_w, s_h, s_w: (
                    c_i * c_o * (h - p_h) / s_h * (w - p_w) / s_w
                )
            ),
        },
        named=(*SIZES[:4], *SIZES[6:]),
    ),
    ValueQuestion(
        "6.4.5 numbers",
        "numbers (a, b, c) that show why Y1 and Y2 can differ: their float32 (or "
        "float64) sums depend on the order of the additions",
        _judge_numbers,
        answer="(..., ..., ...)",
    ),
    FunctionQuestion(
        "6.4.6",
        "F.conv2d of X (n, c_i, h, w) and W (c_o, c_i, k_h, k_w), by a matrix product; "
        "stride and padding are pairs",
        inputs=tensors(
            "n c_i h+k_h w+k_w, c_o c_i k_h k_w, (s_h s_w), (p_h p_w)",
            p_h=(0, 2),
            p_w=(0, 2),
        ),
        oracle=_general,
        mistakes={
            "transpose instead of reshape: a batch is mixed up.": _channels_last,
        },
        rule=BY_PRODUCT,
    ),
    _of_a_kernel("7.4.1 kernel"),
    FunctionQuestion(
        "7.4.1 split",
        "part c with channels: (W1, W2) of a layer of columns (m, 1, k_h, 1) and one "
        "of rows (1, m, 1, k_w) that together have the kernel K (k_h, k_w)",
        inputs=tensors("k_h k_w", 4).filter(lambda a: bool(a[0].any())),
        keeps_values=True,
        judge=_judge_split,
    ),
    FunctionQuestion(
        "7.4.6 reads",
        "how often, on average, a pixel far from the border is read, if each strip "
        "reads just what its `delta` rows of outputs need of a k×k kernel",
        inputs=whole(7, 9),
        oracle=_reads,
        mistakes={
            "a wider strip shares what it has read.": lambda k, delta: k,
            "delta outputs need k + delta - 1 rows.": lambda k, delta: (
                (k + delta) / delta
            ),
        },
    ),
    FunctionQuestion(
        "7.4.7 factor",
        "part a: the factor by which the multiplications fall for c channels and b "
        "blocks; b divides c",
        inputs=whole(6, 6).map(lambda a: (a[0] * a[1], a[1])),
        oracle=_saving,
        mistakes={
            "there are b blocks, not one.": lambda c, b: b * b,
            "that is the size of a block.": lambda c, b: c / b,
        },
    ),
    FunctionQuestion(
        "7.4.7 layers",
        "part b: how many layers of b blocks, PyTorch's channel_shuffle(b) between "
        "them, until each output depends on all channels; c is a power of c / b, b < c",
        inputs=st.sampled_from([(m**n, m ** (n - 1)) for m, n in POWERS]),
        oracle=_layers_to_mix,
        mistakes={
            "two layers mix only the blocks whose channels meet.": lambda c, b: 2,
        },
    ),
)
