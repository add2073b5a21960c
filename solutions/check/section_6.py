"""Questions of section 6.6, LeNet.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.lenet`), which must stay unseen and untrusted; and what
only a training can decide, such as whether a net is better than another one.
"""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check.inputs import Arguments, Draw, upto
from solutions.check.parts import (
    FunctionQuestion,
    Mistake,
    ValueQuestion,
    Verdict,
    as_number,
)
from solutions.check.sandbox import Call

BATCH = 4


def _lenet(pool: Any = nn.AvgPool2d, activation: Any = nn.Sigmoid) -> nn.Sequential:
    """Build the book's net."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5),
        activation(),
        pool(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(400, 120),
        activation(),
        nn.Linear(120, 84),
        activation(),
        nn.Linear(84, 10),
    )


def _facts_of_net(function: Call) -> tuple[object, ...]:
    """Build the reader's net and try it; this runs in the sandbox."""
    net = function if isinstance(function, nn.Module) else function()
    if net is None:
        return (None,)
    if not isinstance(net, nn.Module):
        return ("type", type(net).__name__)
    X = torch.rand(BATCH, 1, 28, 28)
    logits = net(X)
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (BATCH, 10):
        return ("shape", tuple(getattr(logits, "shape", ())))
    F.cross_entropy(logits, torch.arange(BATCH)).backward()
    without = [
        name
        for name, p in net.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    if without:
        return ("gradient", without[0])
    shapes = [tuple(p.shape) for p in net.parameters()]
    kinds = [type(m).__name__ for m in net.modules()]
    return ("net", sum(p.numel() for p in net.parameters()), shapes, kinds)


def _net_fault(facts: Any) -> str | None:
    """Say why a net cannot be trained; None if it can."""
    if facts == (None,):
        return "The function returns None, but should return a net."
    what, fact = facts[0], facts[1]
    if what == "type":
        return (
            f"The function returns an object of type {fact}, but should return a net."
        )
    if what == "shape":
        return f"For {BATCH} images the net returns shape {fact}, not ({BATCH}, 10)."
    if what == "gradient":
        return f"No gradient reaches the parameter {fact}: the net cannot learn it."
    return None


def _judge_max_net(_: Any, facts: Any) -> str | None:
    """Expect LeNet with max pooling and nothing else changed."""
    if fault := _net_fault(facts):
        return fault
    _, number, shapes, kinds = facts
    expected = [tuple(p.shape) for p in _lenet().parameters()]
    if shapes != expected:
        return (
            f"The net has {number} parameters, not those of LeNet: "
            "pooling has none, and only the pooling should change."
        )
    if "AvgPool2d" in kinds:
        return "The net still has a layer of average pooling."
    if kinds.count("MaxPool2d") != 2:
        return "The net does not have two layers of max pooling (nn.MaxPool2d)."
    if "Sigmoid" not in kinds:
        return "The net no longer has the activation function of LeNet, the sigmoid."
    return None


def _judge_net(_: Any, facts: Any) -> str | None:
    """Expect a net that can be trained."""
    return _net_fault(facts)


def _judge_parameters(value: Any) -> Verdict:
    """Compare with the number of parameters of the net with max pooling."""
    number = as_number(value)
    net = _lenet(nn.MaxPool2d)
    if number == sum(p.numel() for p in net.parameters()):
        return Verdict(True)
    text = f"LeNet with max pooling does not have {number:g} parameters."
    if number == sum(p.numel() for p in net.parameters() if p.dim() > 1):
        return Verdict(False, f"{text}\nHint: the biases are missing.")
    if number == sum(p.numel() for p in net.parameters() if p.dim() == 4):
        return Verdict(False, f"{text}\nHint: the dense layers are missing.")
    return Verdict(False, text)


def _features(k1: int, p1: int, k2: int, p2: int, c2: int) -> int:
    """Measure how many numbers reach the first dense layer."""
    net = nn.Sequential(
        nn.Conv2d(1, 1, k1, padding=p1, device="meta"),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(1, c2, k2, padding=p2, device="meta"),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
    )
    return net(torch.empty(1, 1, 28, 28, device="meta")).shape[1]


def _side(k: int, p: int, n: int, padding: int = 2) -> int:
    """Count the pixels of one side after a convolution and a pooling."""
    return (n + padding * p - k + 1) // 2


@st.composite
def _windows(draw: Draw) -> Arguments:
    """Generate k1, p1, k2, p2, c2."""
    k1, k2 = upto(draw, 9), upto(draw, 8)
    return k1, upto(draw, 3, 0), k2, upto(draw, 3, 0), upto(draw, 32)


def _layers_of(function: Call, seed: int, n: int) -> object:
    """Call the reader's function with the book's net; this runs in the sandbox."""
    return function(*_net_and_images(seed, n))


def _net_and_images(seed: int, n: int) -> tuple[nn.Sequential, Tensor]:
    """Return a net with random weights and some images."""
    torch.manual_seed(seed)
    net = _lenet()
    return net, torch.rand(n, 1, 28, 28)


@torch.no_grad()
def _outputs(seed: int, n: int, *numbers: int) -> tuple[Tensor, ...]:
    """Return the outputs of the layers with these numbers."""
    net, X = _net_and_images(seed, n)
    found = []
    for layer in net:
        X = layer(X)
        found.append(X)
    return tuple(found[i] for i in numbers)


QUESTIONS = (
    FunctionQuestion(
        "6.6.1",
        "net",
        "LeNet with max pooling in place of average pooling",
        parameters=(),
        examples=[()],
        judge=_judge_max_net,
        call=_facts_of_net,
    ),
    ValueQuestion(
        "6.6.1",
        "parameters",
        "the number of parameters of LeNet with max pooling",
        answer="...",
        judge=_judge_parameters,
    ),
    FunctionQuestion(
        "6.6.2",
        "net",
        "your net, for images (n, 1, 28, 28) and ten classes; whether it is better, "
        "only training can tell",
        parameters=(),
        examples=[()],
        judge=_judge_net,
        call=_facts_of_net,
    ),
    FunctionQuestion(
        "6.6.2",
        "features",
        "the inputs of the first dense layer of LeNet for other windows k1, k2, "
        "paddings p1, p2 and c2 channels",
        parameters=("k1", "p1", "k2", "p2", "c2"),
        examples=[
            (5, 2, 5, 0, 16),
            (3, 1, 3, 1, 32),
            (7, 0, 5, 0, 16),
            (4, 1, 2, 0, 8),
            (5, 2, 3, 0, 4),
        ],
        inputs=_windows(),
        oracle=_features,
        mistakes=(
            Mistake(
                "the second window is applied to what the first layers leave.",
                lambda k1, p1, k2, p2, c2: c2 * _side(k2, p2, 28) ** 2,
            ),
            Mistake(
                "there is a row for each pixel of every channel.",
                lambda k1, p1, k2, p2, c2: _side(k2, p2, _side(k1, p1, 28)) ** 2,
            ),
            Mistake(
                "an image has two sides.",
                lambda k1, p1, k2, p2, c2: c2 * _side(k2, p2, _side(k1, p1, 28)),
            ),
            Mistake(
                "padding is counted once, but it is added on both sides.",
                lambda k1, p1, k2, p2, c2: (
                    c2 * _side(k2, p2, _side(k1, p1, 28, 1), 1) ** 2
                ),
            ),
            Mistake("it depends on the windows.", lambda k1, p1, k2, p2, c2: 25 * c2),
            Mistake(
                "the second pooling is missing.",
                lambda k1, p1, k2, p2, c2: (
                    c2 * (_side(k1, p1, 28) + 2 * p2 - k2 + 1) ** 2
                ),
            ),
        ),
    ),
    FunctionQuestion(
        "6.6.4",
        "",
        "(A1, A2), the activations of the first and second convolution layer of the "
        "book's `net` (nn.Sequential) for images X (n, 1, 28, 28)",
        parameters=("net", "X"),
        given=("seed", "n"),
        examples=[(0, 1), (1, 3)],
        oracle=lambda seed, n: _outputs(seed, n, 1, 4),
        mistakes=(
            Mistake(
                "the activation is what comes out of the sigmoid, not what goes in.",
                lambda seed, n: _outputs(seed, n, 0, 3),
            ),
            Mistake(
                "this is after the pooling.", lambda seed, n: _outputs(seed, n, 2, 5)
            ),
            Mistake(
                "this is one channel of many.",
                lambda seed, n: tuple(A[:, 0] for A in _outputs(seed, n, 1, 4)),
            ),
            Mistake(
                "this is one channel of many.",
                lambda seed, n: tuple(A[:, :1] for A in _outputs(seed, n, 1, 4)),
            ),
            Mistake(
                "these are the outputs of the first two dense layers.",
                lambda seed, n: _outputs(seed, n, 8, 10),
            ),
        ),
        call=_layers_of,
    ),
)
