"""Section 6.6, speed: the sigmoid and the average pooling behind it as one step.

Belongs here: that step, and putting it into a net that trains on a CPU.
Does not belong here: the net (`lenet`), the training loop (`training`).

Together the two layers took 40 % of LeNet's training time and nearly none of its
arithmetic, because each reads and writes its maps once more than is needed.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class _SigmoidAvgPool(torch.autograd.Function):
    """2×2 means of the sigmoid, forward and backward, for even heights and widths.

    Both work on rows of memory: with the channels last, one row of an image is one run
    of w·c numbers.
    """

    @staticmethod
    def forward(
        ctx: Any, Z: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c half_h half_w"]:
        S = Z.sigmoid().permute(0, 2, 3, 1)
        ctx.save_for_backward(S)
        n, h, w, c = S.shape
        rows = S.reshape(n, h // 2, 2, w * c).unbind(2)
        columns = (rows[0] + rows[1]).view(n, h // 2, w // 2, 2, c).unbind(3)
        return (columns[0] + columns[1]).mul_(0.25).permute(0, 3, 1, 2)

    @staticmethod
    def backward(
        ctx: Any, G: Float[Tensor, "n c half_h half_w"]
    ) -> Float[Tensor, "n c h w"]:
        (S,) = ctx.saved_tensors
        n, h, w, c = S.shape
        row = (G * 0.25).permute(0, 2, 3, 1).repeat_interleave(2, dim=2)
        both = row.reshape(n, h // 2, 1, w * c).expand(-1, -1, 2, -1)
        # The gradient of each pixel is that of its mean, times σ(1 − σ).
        D = torch.ops.aten.sigmoid_backward(both, S.reshape(n, h // 2, 2, w * c))
        return D.view(n, h, w, c).permute(0, 3, 1, 2)


class SigmoidAvgPool2d(nn.Module):
    """What `nn.Sigmoid` and then `nn.AvgPool2d(2)` compute, in fewer passes.

    >>> Z = torch.randn(2, 6, 28, 28)
    >>> expected = F.avg_pool2d(Z.sigmoid(), 2)
    >>> torch.allclose(SigmoidAvgPool2d()(Z), expected)
    True
    """

    def forward(
        self, Z: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n c half_h half_w"]:
        """Apply the sigmoid, then take the mean of each 2×2 window."""
        if Z.shape[2] % 2 or Z.shape[3] % 2:  # a last row or column is left out
            return F.avg_pool2d(Z.sigmoid(), 2)
        pooled: Tensor = _SigmoidAvgPool.apply(Z)
        return pooled


def fuse(net: nn.Sequential) -> nn.Sequential:
    """Return a net of the same layers, but with each sigmoid and its pooling as one.

    Args:
        net: a net from `lenet.build` or `stacked.stack`. The result shares its layers:
            to train one is to train both.

    Returns:
        The net.

    >>> from solutions.lenet import LeNetSpec, build
    >>> [type(layer).__name__ for layer in fuse(build(LeNetSpec(), seed=0))][:3]
    ['Conv2d', 'SigmoidAvgPool2d', 'Conv2d']
    """
    layers: list[nn.Module] = []
    for layer in net:
        if is_halving(layer) and layers and isinstance(layers[-1], nn.Sigmoid):
            layers[-1] = SigmoidAvgPool2d()
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def is_halving(layer: nn.Module) -> bool:
    """Say whether a layer is average pooling with the windows of LeNet."""
    if not isinstance(layer, nn.AvgPool2d):
        return False
    return (layer.kernel_size, layer.stride, layer.padding) == (2, 2, 0)
