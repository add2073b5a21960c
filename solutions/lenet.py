"""Section 6.6, LeNet: the net and its variants from one specification.

Belongs here: building a net, its initial weights, what it costs, what its layers
put out. Does not belong here: training (`training`), several nets at once (`stacked`).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from solutions.padding_stride import conv_output_shape
from solutions.shapes import as_pair, require_layout

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
POOLINGS = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
INITIALISATIONS = ("xavier", "default")


@dataclass(frozen=True)
class LeNetSpec:
    """All that distinguishes one variant of LeNet from another; the default is LeNet.

    The lengths of the tuples are the numbers of layers.

    Args:
        channels: output channels of each convolution layer.
        window: height and width of the window of every convolution layer, in pixels.
        paddings: padding of each convolution layer, per side, in pixels.
        pooled: for each convolution layer, whether 2×2 pooling follows it.
        pooling: ``"avg"`` or ``"max"``.
        activation: ``"sigmoid"``, ``"tanh"`` or ``"relu"``; after every layer with
            weights but the last.
        dense: outputs of each fully connected layer but the last.
        batch_norm: whether batch normalisation stands between each convolution layer
            and its activation.
        init: ``"xavier"`` for the uniform weights of Xavier Glorot that the book's
            `train_ch6` draws, ``"default"`` for PyTorch's own.
        image_shape: channels, height and width of an input.
        num_classes: outputs of the last layer.

    Raises:
        ValueError: if a size is not positive, a name is unknown, the tuples of the
            convolution layers differ in length, or a window does not fit.

    Source: D2L section 6.6, exercises 6.6.1 and 6.6.2.

    >>> LeNetSpec().num_features
    400
    >>> LeNetSpec(window=3, paddings=(1, 0)).num_features
    576
    """

    channels: tuple[int, ...] = (6, 16)
    window: int = 5
    paddings: tuple[int, ...] = (2, 0)
    pooled: tuple[bool, ...] = (True, True)
    pooling: str = "avg"
    activation: str = "sigmoid"
    dense: tuple[int, ...] = (120, 84)
    batch_norm: bool = False
    init: str = "xavier"
    image_shape: tuple[int, int, int] = (1, 28, 28)
    num_classes: int = 10

    def __post_init__(self) -> None:
        for name in ("channels", "dense", "image_shape"):
            sizes = getattr(self, name)
            if min(sizes, default=1) < 1:
                raise ValueError(f"{name} is {sizes}, but each must be at least 1")
        if not len(self.channels) == len(self.paddings) == len(self.pooled) > 0:
            raise ValueError(
                f"channels, paddings and pooled are {self.channels}, {self.paddings} "
                f"and {self.pooled}, but must be equally long and not empty"
            )
        as_pair("num_classes", self.num_classes, minimum=1)
        for name, allowed in (
            ("activation", ACTIVATIONS),
            ("pooling", POOLINGS),
            ("init", INITIALISATIONS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be one of "
                    f"{', '.join(allowed)}"
                )
        self.num_features  # raises when a window does not fit  # noqa: B018

    @property
    def num_features(self) -> int:
        """Length of the vector that `nn.Flatten` hands to the first dense layer."""
        size = self.image_shape[1:]
        for padding, pooled in zip(self.paddings, self.pooled, strict=True):
            size = conv_output_shape(size, self.window, padding=padding)
            size = conv_output_shape(size, 2, stride=2) if pooled else size
        return self.channels[-1] * size[0] * size[1]


def build(spec: LeNetSpec, seed: int) -> nn.Sequential:
    """Build the net that a specification describes, with its initial weights.

    The weights are drawn on the CPU: one seed gives the same net on every device,
    and the one that the book's code gives after ``torch.manual_seed(seed)``.

    Args:
        spec: what to build.
        seed: the seed of the weights. The global generator is left as it was.

    Returns:
        The net on the CPU. It takes (n, c, h, w) and returns logits (n, classes).

    Source: D2L section 6.6.

    >>> sum(p.numel() for p in build(LeNetSpec(), seed=0).parameters())
    61706
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = nn.Sequential(*_convolutions(spec), nn.Flatten(), *_dense(spec))
        if spec.init == "xavier":
            net.apply(_draw_xavier)
    return net


def _convolutions(spec: LeNetSpec) -> list[nn.Module]:
    """Return the layers up to the flattening, for each convolution its followers."""
    layers: list[nn.Module] = []
    c_in = spec.image_shape[0]
    for c_out, padding, pooled in zip(
        spec.channels, spec.paddings, spec.pooled, strict=True
    ):
        layers.append(nn.Conv2d(c_in, c_out, spec.window, padding=padding))
        if spec.batch_norm:
            layers.append(nn.BatchNorm2d(c_out))
        layers.append(ACTIVATIONS[spec.activation]())
        if pooled:
            layers.append(POOLINGS[spec.pooling](kernel_size=2, stride=2))
        c_in = c_out
    return layers


def _dense(spec: LeNetSpec) -> list[nn.Module]:
    """Return the layers after the flattening; the last has no activation."""
    layers: list[nn.Module] = []
    n_in = spec.num_features
    for n_out in spec.dense:
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[spec.activation]()]
        n_in = n_out
    return [*layers, nn.Linear(n_in, spec.num_classes)]


def _draw_xavier(layer: nn.Module) -> None:
    """Redraw the weights as `train_ch6` does; it leaves the biases alone."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)


class LayerCost(NamedTuple):
    """What one layer puts out and costs, for one example."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    multiplications: int


def layer_costs(
    net: nn.Sequential, image_shape: tuple[int, int, int] = (1, 28, 28)
) -> list[LayerCost]:
    """Return shape, parameters and multiplications of every layer of a net.

    Each output number of a convolution costs one multiplication per weight of its
    kernel, each weight of a fully connected layer costs one. What the other layers
    do to each number (activations, divisions of average pooling, batch
    normalisation) is not counted.

    Args:
        net: layers of `torch.nn` in a row.
        image_shape: channels, height and width of an input.

    Returns:
        One entry per layer; the shapes are those for one example, without the
        batch axis.

    Source: D2L section 6.6 and exercise 6.4.2.

    >>> costs = layer_costs(build(LeNetSpec(), seed=0))
    >>> costs[0]
    LayerCost(name='Conv2d', output_shape=(6, 28, 28), parameters=156, \
multiplications=117600)
    >>> sum(c.multiplications for c in costs)
    416520
    """
    # On the meta device only shapes are computed, so nothing is spent.
    X = torch.empty(1, *image_shape, device="meta")
    costs = []
    for layer in net:
        state = {k: p.to("meta") for k, p in layer.state_dict().items()}
        X = torch.func.functional_call(layer, state, (X,))
        multiplications = 0
        if isinstance(layer, nn.Conv2d):
            multiplications = X.numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Linear):
            multiplications = layer.weight.numel()
        parameters = sum(p.numel() for p in layer.parameters())
        name = type(layer).__name__
        costs.append(LayerCost(name, tuple(X.shape[1:]), parameters, multiplications))
    return costs


def activations(
    net: nn.Sequential, X: Float[Tensor, "n c h w"]
) -> list[Float[Tensor, "n ..."]]:
    """Return what every activation function of a net puts out.

    The activations of a layer are its outputs *after* σ(·). They are recorded by
    forward hooks, which are gone when the function returns, also after an error.

    Args:
        net: a net from `build`; its weights and its mode are not changed.
        X: images, shape (n, c, h, w), on the device of the net.

    Returns:
        One tensor per activation function, in the order of the layers: first the
        maps (n, c, h, w) of the convolution layers, then the vectors (n, m).

    Raises:
        ValueError: if `X` does not have four axes, or has an empty one.

    Source: D2L section 6.6, exercise 6.6.4.

    >>> maps = activations(build(LeNetSpec(), seed=0), torch.zeros(2, 1, 28, 28))
    >>> [tuple(A.shape) for A in maps]
    [(2, 6, 28, 28), (2, 16, 10, 10), (2, 120), (2, 84)]
    """
    require_layout("X", X, "n c h w")
    recorded: list[Tensor] = []

    def record(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        recorded.append(output)

    with ExitStack() as hooks, torch.no_grad():
        for layer in net:
            if isinstance(layer, tuple(ACTIVATIONS.values())):
                hooks.enter_context(layer.register_forward_hook(record))
        net(X)
    return recorded
