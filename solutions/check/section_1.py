"""Questions of section 6.1, from fully connected layers to convolutions.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.why_conv`), which must stay unseen and untrusted.
"""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.inputs import distinct, tensors, whole
from solutions.check.operations import WITHOUT_CONVOLUTION
from solutions.check.parts import FunctionQuestion, ValueQuestion, demand


def _pixelwise(X: Tensor, V: Tensor, u: Tensor) -> Tensor:
    """Apply a 1×1 convolution to channels-last X."""
    Y = F.conv2d(X.permute(2, 0, 1), V.T[:, :, None, None], u)
    return Y.permute(1, 2, 0)


def _sequence_layer(
    X: Tensor, V: Tensor, u: Tensor, past: int, future: int = 0
) -> Tensor:
    """Apply a 1-D convolution to (t, c_i), with so many zeros at the two ends."""
    return F.conv1d(F.pad(X.T[None], (past, future)), V.permute(2, 1, 0), u)[0].T


def _embedding_as_image(E: Tensor, V: Tensor, u: Tensor) -> Tensor:
    """Slide over the numbers of an embedding too."""
    X = F.pad(E, (E.shape[1] // 2,) * 2)[None, None]
    return F.conv2d(X, V.permute(2, 0, 1)[:, None], u).amax((0, 2, 3))


def _size_after(n: int, k: int, layers: int) -> int:
    """Measure the width after some layers without padding."""
    X = torch.zeros(1, 1, n)
    for _ in range(layers):
        X = F.conv1d(X, torch.zeros(1, 1, k))
    return X.shape[2]


def _uses(n: int, k: int, i: int) -> int:
    """Count the windows that see pixel i, by sending a one back from each window."""
    windows = torch.ones(1, 1, n - k + 1)
    return int(F.conv_transpose1d(windows, torch.ones(1, 1, k))[0, 0, i])


def seen(pixels: int, *layers: tuple[int, int, int]) -> Tensor:
    """Find the pixels, of more, that the first output sees, from its gradient.

    Of each layer come kernel size, stride and dilation.
    """
    X = torch.zeros(1, 1, pixels, dtype=torch.float64, requires_grad=True)
    Y: Tensor = X
    for k, s, d in layers:
        taps = torch.ones(1, 1, k, dtype=torch.float64)
        Y = F.conv1d(Y, taps, stride=s, dilation=d)
    (gradient,) = torch.autograd.grad(Y[0, 0, 0], X)
    return gradient.nonzero()[:, 2]


def _seen_words(k: int, dilations: tuple[int, ...]) -> Tensor:
    return seen(1 + k * sum(dilations), *((k, 1, d) for d in dilations))


def _full(a: Tensor, b: Tensor) -> Tensor:
    """Convolve in full, by sending each value of a out through b."""
    return F.conv_transpose2d(a[None, None], b[None, None])[0, 0]


def _correlate(a: Tensor, b: Tensor) -> Tensor:
    """Cross-correlate in full: like `_full`, but b is not flipped."""
    return _full(a, b.flip(0, 1))


def _labels_of_places(function: forms.Call) -> list[list[list[object]]]:
    """Label objects at all places, twice each; this runs in the sandbox."""
    objects = [torch.ones(1, 1), torch.ones(2, 2), distinct(2, 3).sigmoid()]
    objects += [torch.ones(6, 3), torch.ones(3, 6), torch.ones(5, 5)]
    found = []
    for shape in objects:
        h, w = (6 - n for n in shape.shape)
        places = [(j, w - j, i, h - i) for i in range(h + 1) for j in range(w + 1)]
        images = [F.pad(shape, place) for place in places]
        found.append([[function(X.clone()) for X in images] for _ in range(2)])
    return found


def _label(value: object) -> object:
    """Read a label."""
    found = forms.listed(value)
    try:
        return found if isinstance(found, (bool, str)) else forms.whole(found)
    except TypeError:
        raise TypeError("a label must be an int, a bool or a text") from None


def _judge_labels(found: Any) -> None:
    """Some object must get another label at another place, and always the same."""
    labels = [[list(map(_label, once)) for once in one] for one in found]
    text = "The same image gets different labels: the image must decide."
    demand(all(first == second for first, second in labels), text)
    kinds = [set(first) for first, _ in labels]
    demand(len(set.union(*kinds)) > 1, "Every image that was tried has the same label.")
    demand(
        any(len(labels) > 1 for labels in kinds),
        "No object that was tried gets another label when it is moved.",
        "let the label say where something is.",
    )


def _judge_pair(value: Any) -> str:
    """Check two sequences whose cross-correlations differ in the two orders."""
    try:
        f, g = (forms.tensor(x).flatten() for x in forms.sequence(value, 2))
    except TypeError:
        raise TypeError("should be a pair of sequences of numbers (f, g)") from None
    text = "A sequence of zeros, or of nothing, commutes with all."
    demand(f.any() and g.any(), text)
    n = max(len(f), len(g))  # both begin at index 0: so the results have one origin
    f, g = F.pad(f, (0, n - len(f)))[None], F.pad(g, (0, n - len(g)))[None]
    one, other = _correlate(f, g), _correlate(g, f)
    same = forms.difference(one, other) is None
    demand(not same, "Both orders give the same cross-correlation.")
    return "The cross-correlations differ, and one is the other reversed."


def _judge_sentences(value: Any) -> str:
    """Check two sentences that a window of four words cannot tell apart."""
    sentences = forms.sequence(value, 2)
    if not all(isinstance(s, str) for s in sentences):
        raise TypeError("should be a pair of sentences, as texts")
    one, other = (sentence.lower().split() for sentence in sentences)
    demand(one != other, "Both sentences are the same.")
    groups, others = (
        {" ".join(words[i : i + 4]) for i in range(len(words) - 3)}
        for words in (one, other)
    )
    demand(groups or others, "The sentences have fewer than four words.")
    only = min(groups ^ others, default="")
    demand(not only, f"Only one of them has the words {only!r}.")
    return "Both have the same groups of four words."


def _cut_off(k: int, out: int) -> int:
    """Move an object of ones out of the image, and measure the largest response."""
    X = torch.zeros(1, 1, 3 * k, 3 * k)
    X[..., k : 2 * k, : k - out] = 1
    return int(F.conv2d(X, torch.ones(1, 1, k, k), padding=k).max())


def _sound_matrix(V: Tensor, n: int) -> Tensor:
    """Apply the layer to every signal with a single one: these are the columns."""
    signals = torch.eye(n)[:, None]
    return F.conv1d(signals, V[None, None], padding=len(V) // 2)[:, 0].T


QUESTIONS = (
    FunctionQuestion(
        "6.1.1",
        "H (h, w, c_o), the layer with Δ = 0, for X (h, w, c_i), V (c_i, c_o), u (c_o)",
        inputs=tensors("h w c_i, c_i c_o, c_o"),
        oracle=_pixelwise,
        mistakes={
            "an output must see all input channels, not only its own.": (
                lambda X, V, u: X * V.diagonal() + u
            ),
            "the window is one pixel, not the whole image.": lambda X, V, u: _pixelwise(
                X.sum((0, 1), keepdim=True), V, u
            ),
            "the layer itself has no activation function.": lambda X, V, u: _pixelwise(
                X, V, u
            ).relu(),
        },
        rule=WITHOUT_CONVOLUTION,
    ),
    FunctionQuestion(
        "6.1.1 parameters",
        "the number of weights and biases of the layer with Δ = 0",
        inputs=whole(9, 9, 9, 9),
        oracle=lambda h, w, c_i, c_o: sum(
            p.numel() for p in nn.Conv2d(c_i, c_o, 1).parameters()
        ),
        mistakes={
            "the bias is missing.": lambda h, w, c_i, c_o: c_i * c_o,
            "the pixels share their weights.": lambda h, w, c_i, c_o: (
                h * w * c_i * c_o + c_o
            ),
        },
    ),
    FunctionQuestion(
        "6.1.2 label",
        "the label of a 6×6 image X, an int, a bool or a text, by a rule that "
        "translation invariance contradicts: an object that is moved gets another one",
        inputs=whole(),
        judge=_judge_labels,
        call=_labels_of_places,
        named=("X",),
        given=(),
    ),
    FunctionQuestion(
        "6.1.3 size",
        "the width that is left of n pixels after some layers of k taps, no padding",
        inputs=whole(20, 5, (0, 4)).filter(lambda a: a[0] > a[2] * (a[1] - 1)),
        oracle=_size_after,
        mistakes={
            "each layer loses k - 1 pixels, not k.": lambda n, k, layers: (
                n - layers * k
            ),
            "without padding, something is lost.": lambda n, k, layers: n,
        },
    ),
    FunctionQuestion(
        "6.1.3 uses",
        "how many windows see pixel i of n (from 0); k taps, stride 1, no padding",
        inputs=whole(7, 5, (0, 6)).filter(lambda a: a[1] <= a[0] > a[2]),
        oracle=_uses,
        mistakes={
            "pixels near the border are used less.": lambda n, k, i: k,
            "the last pixels are used as little as the first.": lambda n, k, i: min(
                i + 1, k
            ),
        },
    ),
    FunctionQuestion(
        "6.1.4",
        "H (t, c_o), the layer for sound X (t, c_i), V (2Δ+1, c_i, c_o), u (c_o), "
        "zeros outside",
        inputs=tensors("t c_i, Δ+Δ c_i c_o, c_o", t=(1, 5)),
        oracle=lambda X, V, u: _sequence_layer(X, V, u, len(V) // 2, len(V) // 2),
        mistakes={
            "the border is missing: H is as long as X.": lambda X, V, u: (
                _sequence_layer(X, V, u, 0)
            ),
        },
    ),
    FunctionQuestion(
        "6.1.4 causal",
        "H (t, c_o), the layer that sees no later step, for V (Δ+1, c_i, c_o)",
        inputs=tensors("t c_i, k c_i c_o, c_o", t=(1, 5)),
        oracle=lambda X, V, u: _sequence_layer(X, V, u, len(V) - 1),
        mistakes={
            "it looks into the future.": lambda X, V, u: _sequence_layer(
                X, V, u, 0, len(V) - 1
            ),
        },
    ),
    FunctionQuestion(
        "6.1.5",
        "the maxima over all positions (c_o,) of a layer for text: E (words, e), "
        "V (k, e, c_o), u (c_o), no padding",
        inputs=tensors("o+k e, k e c_o, c_o"),
        oracle=lambda E, V, u: _sequence_layer(E, V, u, 0).amax(0),
        mistakes={
            "the numbers of an embedding are channels: slide over words only.": (
                _embedding_as_image
            ),
        },
    ),
    FunctionQuestion(
        "6.1.5 reach",
        "the span that one output sees after layers of k taps with these dilations (a "
        "tuple): from the first word that can change it to the last, and all between",
        inputs=st.tuples(
            st.integers(1, 4),
            st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
        ),
        oracle=lambda k, dilations: int(_seen_words(k, dilations)[-1]) + 1,
        mistakes={
            "what lies between them counts too.": lambda k, ds: len(_seen_words(k, ds)),
            "the dilation is missing.": lambda k, ds: 1 + len(ds) * (k - 1),
            "a layer of k taps reaches k - 1 steps further, not k.": lambda k, ds: (
                1 + k * sum(ds)
            ),
        },
    ),
    FunctionQuestion(
        "6.1.6",
        "a * b, the full convolution of two matrices, every overlap",
        inputs=tensors("h w, k_h k_w"),
        oracle=_full,
        mistakes={
            "the kernel is not flipped: this is the cross-correlation.": _correlate,
        },
    ),
    ValueQuestion(
        "6.1.6 pair",
        "a pair of sequences (f, g), both from index 0, that do not commute under full "
        "cross-correlation",
        _judge_pair,
        answer="([...], [...])",
    ),
    FunctionQuestion(
        "7.1.2 matrix",
        "part b: the n×n matrix T of the layer with one channel and the taps "
        "V (2Δ+1,): H = T @ X, zeros outside",
        inputs=tensors("Δ+Δ, =n", n=(1, 5)),
        oracle=_sound_matrix,
        mistakes={
            "outside of the signal are zeros: it does not start again.": lambda V, n: (
                sum(
                    tap * torch.eye(n).roll(a - len(V) // 2, 1)
                    for a, tap in enumerate(V)
                )
            ),
        },
    ),
    ValueQuestion(
        "7.1.4 sentences",
        "two sentences (texts) that differ, but have the same groups of four words",
        _judge_sentences,
        answer='("...", "...")',
    ),
    FunctionQuestion(
        "7.1.5 response",
        "the largest response of a k×k kernel of ones, zero padding, to a k×k object "
        "of ones of which `out` columns are outside",
        inputs=whole(6, (0, 6)).filter(lambda a: a[1] <= a[0]),
        oracle=_cut_off,
        mistakes={
            "what is outside is not seen.": lambda k, out: k * k,
            "the object is cut on one axis only.": lambda k, out: (k - out) ** 2,
        },
    ),
)
