"""The sigmoid and its pooling as one step: the same numbers and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from solutions.lenet import LeNetSpec, build
from solutions.notebook.reproducibility import generator
from solutions.training.fused import SigmoidAvgPool2d, fuse
from solutions.training.stacked import stack

FORMATS = (torch.contiguous_format, torch.channels_last)


@given(
    st.tuples(*(st.integers(1, n) for n in (3, 5, 9, 9))).filter(
        lambda shape: min(shape[2:]) > 1
    ),
    st.sampled_from(FORMATS),
)
def test_it_is_the_sigmoid_and_then_the_pooling(shape, memory_format):
    Z = 3 * torch.randn(shape, generator=generator(66), dtype=torch.float64)
    Z = Z.contiguous(memory_format=memory_format)
    outputs, gradients = [], []
    for layer in (SigmoidAvgPool2d(), lambda Z: F.avg_pool2d(Z.sigmoid(), 2)):
        X = Z.clone().requires_grad_()
        Y = layer(X)
        weights = torch.arange(Y.numel(), dtype=Y.dtype).reshape(Y.shape)
        (Y * weights).sum().backward()
        outputs.append(Y.detach())
        gradients.append(X.grad)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_its_gradient_is_the_slope():
    Z = torch.randn(2, 3, 4, 6, generator=generator(66), dtype=torch.float64)
    assert torch.autograd.gradcheck(SigmoidAvgPool2d(), Z.requires_grad_())


@pytest.mark.parametrize(
    "spec, fused",
    [
        (LeNetSpec(), 2),
        (LeNetSpec(pooling="max"), 0),
        (LeNetSpec(activation="relu"), 0),
        (LeNetSpec(batch_norm=True), 2),
        (LeNetSpec((6, 16, 32), 5, (2, 0, 2), (True, True, False)), 2),
    ],
)
def test_a_net_keeps_its_layers_and_its_outputs(spec, fused):
    net = stack([build(spec, seed) for seed in (0, 1)]).eval()
    faster = fuse(net)
    assert sum(isinstance(m, SigmoidAvgPool2d) for m in faster) == fused
    own = {id(p) for p in net.parameters()}
    assert {id(p) for p in faster.parameters()} == own  # to train one trains both
    X = torch.rand(4, 2, 28, 28, generator=generator(66))
    torch.testing.assert_close(faster(X), net(X))


@pytest.mark.parametrize("how", [(3, 2), (2, 1), (2, 2, 1)])
def test_another_pooling_stays(how):
    other = torch.nn.Sequential(torch.nn.Sigmoid(), torch.nn.AvgPool2d(*how))
    assert list(fuse(other)) == list(other)
