"""Several nets of one shape as one net: each layer computes all members at once.

Belongs here: putting the weights of the members together, and giving them back.
Does not belong here: building the members (`lenet`), training them (`training`).
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def _parts(state: Mapping[str, Tensor], K: int) -> Iterator[dict[str, Tensor]]:
    """Divide tensors that were joined along their first axis."""
    for parts in zip(*(value.chunk(K) for value in state.values()), strict=True):
        yield dict(zip(state, parts, strict=True))


class StackedConv2d(nn.Module):
    """Convolution layers of K members, as the K groups of one convolution."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([m.weight.detach() for m in layers]))
        self.bias = nn.Parameter(
            torch.cat([m.bias.detach() for m in layers if m.bias is not None])
        )
        self.num_members = len(layers)
        self.stride, self.padding = layers[0].stride, layers[0].padding

    def forward(self, X: Float[Tensor, "n Kc h w"]) -> Float[Tensor, "n Kd g v"]:
        """Apply member k's kernels to the k-th block of channels."""
        groups = self.num_members
        return F.conv2d(
            X, self.weight, self.bias, self.stride, self.padding, groups=groups
        )

    def members(self) -> Iterator[dict[str, Tensor]]:
        """Return the state of each member's layer."""
        return _parts(self.state_dict(), self.num_members)


class StackedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisations of K members: each channel has its own statistics anyway."""

    def __init__(self, layers: Sequence[nn.BatchNorm2d]) -> None:
        super().__init__(sum(m.num_features for m in layers))
        states = [m.state_dict() for m in layers]
        counted = states[0].pop("num_batches_tracked")
        joined = {name: torch.cat([s[name] for s in states]) for name in states[0]}
        # Assigned and not copied, to keep their floating-point type.
        self.load_state_dict({**joined, "num_batches_tracked": counted}, assign=True)
        self.num_members = len(layers)

    def members(self) -> Iterator[dict[str, Tensor]]:
        """Return the state of each member's layer."""
        state = self.state_dict()
        counted = state.pop("num_batches_tracked")
        for part in _parts(state, self.num_members):
            yield {**part, "num_batches_tracked": counted}


class StackedLinear(nn.Module):
    """Fully connected layers of K members, as one batched matrix product."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        weights = torch.stack([m.weight.detach().T for m in layers])
        biases = torch.stack([m.bias.detach()[None] for m in layers])
        self.weight = nn.Parameter(weights)  # (K, inputs, outputs)
        self.bias = nn.Parameter(biases)  # (K, 1, outputs)

    def forward(self, X: Float[Tensor, "K n inputs"]) -> Float[Tensor, "K n outputs"]:
        """Apply member k's weights to `X[k]`."""
        return torch.baddbmm(self.bias, X, self.weight)

    def members(self) -> Iterator[dict[str, Tensor]]:
        """Return the state of each member's layer."""
        for weight, bias in zip(self.weight.mT, self.bias.squeeze(1), strict=True):
            yield {"weight": weight, "bias": bias}


class SplitMembers(nn.Module):
    """`nn.Flatten` of K members: (n, K·c, h, w) becomes (K, n, c·h·w)."""

    def __init__(self, num_members: int) -> None:
        super().__init__()
        self.num_members = num_members

    def forward(self, X: Float[Tensor, "n Kc h w"]) -> Float[Tensor, "K n chw"]:
        """Give each member its own matrix of features."""
        return X.reshape(len(X), self.num_members, -1).transpose(0, 1)


def stack(nets: Sequence[nn.Sequential]) -> nn.Sequential:
    """Return one net that computes K nets of the same shape side by side.

    Their convolutions become the K groups of one convolution, so no member sees
    another's channels. Their dense layers become one batched matrix product. On a
    CPU that is faster than K small nets one after the other.

    Args:
        nets: the K members, from `lenet.build`, on one device; they are copied.

    Returns:
        The net. It takes (n, K·c, h, w), member after member along the channels,
        and returns logits (K, n, classes).

    Raises:
        ValueError: if there is no net, or the nets differ in their layers.

    >>> from solutions.lenet import LeNetSpec, build
    >>> group = stack([build(LeNetSpec(), seed=seed) for seed in (0, 1, 2)])
    >>> group(torch.zeros(5, 3, 28, 28)).shape
    torch.Size([3, 5, 10])
    """
    if len({str(net) for net in nets}) != 1:
        raise ValueError(
            f"nets has {len(nets)} members, but must be at least one, all with the "
            "same layers"
        )
    return nn.Sequential(*map(_stack_layer, zip(*nets, strict=True)))


def _stack_layer(layers: tuple[nn.Module, ...]) -> nn.Module:
    """Return one layer for the same layer of every member."""
    if isinstance(layers[0], nn.Conv2d):
        return StackedConv2d([m for m in layers if isinstance(m, nn.Conv2d)])
    if isinstance(layers[0], nn.Linear):
        return StackedLinear([m for m in layers if isinstance(m, nn.Linear)])
    if isinstance(layers[0], nn.BatchNorm2d):
        return StackedBatchNorm2d([m for m in layers if isinstance(m, nn.BatchNorm2d)])
    if isinstance(layers[0], nn.Flatten):
        return SplitMembers(len(layers))
    return layers[0]  # an activation or a pooling has no weights to tell apart


def unstack(group: nn.Sequential, nets: Sequence[nn.Sequential]) -> None:
    """Copy the weights of the members out of a stacked net, after its training.

    Args:
        group: the result of `stack`, on any device.
        nets: the members that were stacked, whose weights are overwritten.
    """
    for stacked, *layers in zip(group, *nets, strict=True):
        if isinstance(stacked, StackedConv2d | StackedLinear | StackedBatchNorm2d):
            for layer, state in zip(layers, stacked.members(), strict=True):
                layer.load_state_dict(state)
