"""Questions of section 6.6, LeNet.

Belongs here: what is asked, what is right, which mistakes are known. Does not belong
here: our solutions (`solutions.lenet`), which must stay unseen and untrusted; and what
only a training can decide, such as whether a net is better than another one.
"""

from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.check import forms
from solutions.check.forms import Call
from solutions.check.inputs import whole
from solutions.check.parts import FunctionQuestion, ValueQuestion, compared, demand

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


@torch.no_grad()
def _shake(net: nn.Module) -> None:
    """Give a net large random weights, so that each of its layers shows."""
    torch.manual_seed(0)
    for p in net.parameters():
        p.normal_(0, 2 / max(1, p[0].numel()) ** 0.5)


LENETS = {
    (pool.__name__, act.__name__): (pool, act)
    for pool in (nn.AvgPool2d, nn.MaxPool2d)
    for act in (nn.Sigmoid, nn.ReLU, nn.Tanh)
}


def _facts_of_net(function: Call) -> tuple[object, ...]:
    """Build the reader's net, say what is wrong with it; this runs in the sandbox."""
    net = function if isinstance(function, nn.Module) else function()
    if not isinstance(net, nn.Module):
        kind = type(net).__name__
        return (f"The function returns an object of type {kind}, not a net.",)
    X = torch.rand(BATCH, 1, 28, 28).to(next(net.parameters(), torch.ones(())).dtype)
    shape = tuple(getattr(net(X), "shape", ()))
    if shape != (BATCH, 10):
        return (
            f"For {BATCH} images the net returns shape {shape}, not ({BATCH}, 10).",
        )
    _shake(net)
    logits = net(X)
    if (logits >= 0).all() and torch.allclose(logits.sum(1), X.new_ones(BATCH)):
        text = "The net ends with a softmax, but the loss computes one itself."
        return (f"{text}\nHint: return the logits, as the book's net does.",)
    F.cross_entropy(logits, torch.arange(BATCH)).backward()
    for name, p in net.named_parameters():
        if p.requires_grad and (p.grad is None or not p.grad.any()):
            return (f"No gradient reaches the parameter {name}: it cannot learn.",)
    shapes = [tuple(p.shape) for p in net.parameters()]
    return ("", shapes, [name for name in LENETS if _computes_as(net, name, X)])


@torch.no_grad()
def _computes_as(net: nn.Module, name: tuple[str, str], X: Tensor) -> bool:
    """Say whether a net computes what one of `LENETS` does with the same weights."""
    lenet = _lenet(*LENETS[name]).to(X.dtype)
    weights = {tuple(p.shape): p for p in net.parameters()}
    if sorted(weights) != sorted(tuple(p.shape) for p in lenet.parameters()):
        return False
    for p in lenet.parameters():
        p.copy_(weights[tuple(p.shape)])
    return torch.allclose(net.eval()(X), lenet(X), rtol=1e-4, atol=1e-4)


def _judge_net(facts: Any) -> None:
    """Expect a net that can be trained."""
    demand(not facts[0], facts[0])


def _judge_lenet(pools: tuple[str, ...], act: str, facts: Any) -> None:
    """Expect LeNet with such pooling and activation, and nothing else changed."""
    _judge_net(facts)
    _, shapes, found = facts
    if any((pool, act) in found for pool in pools):
        return
    number = sum(prod(shape) for shape in shapes)
    demand(
        sorted(shapes) == sorted(tuple(p.shape) for p in _lenet().parameters()),
        f"The net has {number} parameters, not those of LeNet: pooling and activation "
        "have none, and only the pooling or activation should change.",
    )
    kind = {"AvgPool2d": "average pooling", "MaxPool2d": "max pooling"}
    others = [f"{kind[pool]} and {other}" for pool, other in found]
    demand(not others, f"The net computes what LeNet does with {' or '.join(others)}.")
    demand(
        False,
        "With the same weights it does not compute what LeNet would.",
        f"windows of 2×2 pixels, stride 2, and {act} behind each layer but the last.",
    )


def _parameters(*axes: int) -> int:
    """Count the parameters of LeNet with so many axes; pooling has none."""
    net = _lenet(nn.MaxPool2d)
    return sum(p.numel() for p in net.parameters() if p.dim() in axes)


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


def _layers_of(function: Call, seed: int, n: int) -> object:
    """Call the reader's function with the book's net; this runs in the sandbox."""
    return function(*_net_and_images(seed, n))


def _net_and_images(seed: int, n: int) -> tuple[nn.Sequential, Tensor]:
    """Return a net with random weights and some images."""
    with forms.precision(torch.float32):
        net = _lenet()
        _shake(net)
        torch.manual_seed(seed)
        return net, torch.rand(n, 1, 28, 28)


@torch.no_grad()
def _outputs(layers: tuple[int, int], seed: int, n: int) -> tuple[Tensor, ...]:
    """Return what two layers make of such images, with all digits."""
    net, X = _net_and_images(seed, n)
    found = list(accumulate([X.double(), *net.double()], lambda X, layer: layer(X)))
    return tuple(found[1 + i] for i in layers)


def _saturated(high: float, seed: int, n: int) -> tuple[float, ...]:
    """Return the shares of activations that are small, or larger than `high`."""
    activations = _outputs((1, 4), seed, n)
    return tuple(float((A.lt(0.05) | A.gt(high)).double().mean()) for A in activations)


# The numbers of its training images, from its documentation.
MNIST = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


_of_net = partial(FunctionQuestion, inputs=whole(), call=_facts_of_net)
_of_layers = partial(
    FunctionQuestion,
    inputs=st.sampled_from([(0, 1), (1, 3)]),
    call=_layers_of,
    named=("net", "X"),
    given=("seed", "n"),
)


QUESTIONS = (
    _of_net(
        "6.6.1 net",
        "LeNet with max pooling in place of average pooling",
        judge=partial(_judge_lenet, ("MaxPool2d",), "Sigmoid"),
    ),
    ValueQuestion(
        "6.6.1 parameters",
        "the number of parameters of LeNet with max pooling",
        compared(
            "LeNet with max pooling does not have {} parameters.",
            lambda: _parameters(1, 2, 4),
            {"the biases are missing.": lambda: _parameters(2, 4)},
        ),
    ),
    _of_net(
        "6.6.2 net",
        "your net, for images (n, 1, 28, 28) and ten classes; whether it is better, "
        "only training can tell",
        judge=_judge_net,
    ),
    FunctionQuestion(
        "6.6.2 features",
        "the inputs of the first dense layer of LeNet for other windows k1, k2, "
        "paddings p1, p2 and c2 channels",
        inputs=whole(9, (0, 3), 8, (0, 3), 32),
        oracle=_features,
        mistakes={
            "there is a row for each pixel of every channel.": (
                lambda k1, p1, k2, p2, c2: _features(k1, p1, k2, p2, 1)
            ),
            "it depends on the windows.": lambda k1, p1, k2, p2, c2: 25 * c2,
        },
    ),
    ValueQuestion(
        "6.6.3 counts",
        "how many of the 60,000 training images that you loaded show each digit",
        compared(
            "MNIST's training set has other numbers of digits than {}.",
            lambda: MNIST,
            {"these are the clothes of Fashion-MNIST.": lambda: (6000,) * 10},
            read=lambda value: [forms.whole(x) for x in forms.sequence(value, 10)],
        ),
        answer="[...]",
    ),
    _of_layers(
        "6.6.4",
        "(A1, A2), the activations of the first and second convolution layer of the "
        "book's `net` (nn.Sequential) for images X (n, 1, 28, 28)",
        oracle=partial(_outputs, (1, 4)),
        mistakes={
            "the activation is what comes out of the sigmoid, not what goes in.": (
                partial(_outputs, (0, 3))
            ),
            "this is after the pooling.": partial(_outputs, (2, 5)),
            "this is one channel of many.": lambda seed, n: tuple(
                A[:, 0] for A in _outputs((1, 4), seed, n)
            ),
        },
    ),
    _of_net(
        "7.6.1 net",
        "part b: LeNet with ReLU in place of its activation function; average or max "
        "pooling",
        judge=partial(_judge_lenet, ("AvgPool2d", "MaxPool2d"), "ReLU"),
    ),
    _of_layers(
        "7.6.5 saturated",
        "(s1, s2), the shares of the activations of the first and second convolution "
        "layer of the book's `net` that are below 0.05 or above 0.95, for images X "
        "(n, 1, 28, 28)",
        oracle=partial(_saturated, 0.95),
        slack=1e-3,
        mistakes={"activations near 1 are saturated too.": partial(_saturated, 1.0)},
    ),
)
