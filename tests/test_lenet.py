"""LeNet and its variants, against the book's own net and PyTorch's own counts."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from solutions.lenet import LeNetSpec, activations, build, layer_costs

VARIANTS = {
    "LeNet": LeNetSpec(),
    "max, ReLU, wide": LeNetSpec(channels=(12, 32), pooling="max", activation="relu"),
    "window 3": LeNetSpec(window=3, paddings=(1, 0), dense=(30, 20, 15)),
    "window 7": LeNetSpec(window=7, paddings=(3, 0), activation="tanh"),
    "one convolution": LeNetSpec(channels=(6,), paddings=(2,), pooled=(True,)),
    "three convolutions": LeNetSpec((6, 16, 32), 5, (2, 0, 2), (True, True, False)),
    "one dense layer": LeNetSpec(dense=(), init="default", num_classes=3),
    "colour, not square": LeNetSpec(image_shape=(3, 20, 33)),
}
each_variant = pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS.keys())


def the_books_net():
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.Sigmoid(),
        nn.Linear(120, 84),
        nn.Sigmoid(),
        nn.Linear(84, 10),
    )


def test_default_is_the_books_net_with_its_weights():
    torch.manual_seed(7)
    expected = the_books_net()
    for layer in expected:
        if type(layer) in (nn.Linear, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
    net = build(LeNetSpec(), seed=7)
    assert str(net) == str(expected)
    for name, weight in expected.state_dict().items():
        assert torch.equal(net.state_dict()[name], weight), name


def test_default_initialisation_is_pytorchs():
    torch.manual_seed(7)
    expected = the_books_net().state_dict()
    weights = build(LeNetSpec(init="default"), seed=7).state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build(LeNetSpec(), seed=5)
    assert torch.equal(torch.rand(3), expected)


@each_variant
def test_variant_computes_one_number_per_class(spec):
    net = build(spec, seed=0)
    assert net(torch.rand(4, *spec.image_shape)).shape == (4, spec.num_classes)
    convolutions = [m for m in net if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == list(spec.channels)
    assert sum(isinstance(m, nn.Linear) for m in net) == len(spec.dense) + 1


@each_variant
def test_layer_costs_agree_with_pytorchs_counts(spec):
    net = build(spec, seed=0)
    costs = layer_costs(net, spec.image_shape)
    X = torch.rand(1, *spec.image_shape)
    with FlopCounterMode(display=False) as flops:
        for layer, cost in zip(net, costs, strict=True):
            X = layer(X)
            assert cost.output_shape == X.shape[1:]
    assert 2 * sum(c.multiplications for c in costs) == flops.get_total_flops()
    parameters = sum(p.numel() for p in net.parameters())
    assert sum(c.parameters for c in costs) == parameters


def test_activations_are_taken_after_the_activation_function():
    net = build(LeNetSpec(), seed=0)
    X = torch.rand(2, 1, 28, 28)
    first, second, *vectors = activations(net, X)
    assert torch.equal(first, torch.sigmoid(net[0](X)))
    assert torch.equal(second, net[:5](X))
    assert [A.shape for A in vectors] == [(2, 120), (2, 84)]
    assert not first.requires_grad


def test_hooks_are_removed_also_after_an_error():
    net = build(LeNetSpec(), seed=0)
    activations(net, torch.rand(2, 1, 28, 28))
    with pytest.raises(RuntimeError):
        activations(net, torch.rand(2, 3, 28, 28))
    assert not any(layer._forward_hooks for layer in net)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": (6, 0)}, r"channels is \(6, 0\)"),
        ({"dense": (120, -1)}, r"dense is \(120, -1\)"),
        ({"channels": (6,)}, "equally long"),
        ({"channels": (), "paddings": (), "pooled": ()}, "not empty"),
        ({"activation": "gelu"}, "activation is 'gelu', .* sigmoid, tanh, relu"),
        ({"pooling": "min"}, "pooling is 'min', .* avg, max"),
        ({"init": "zeros"}, "init is 'zeros', .* xavier, default"),
        ({"window": 7, "image_shape": (1, 12, 12)}, r"kernel_size is \(7, 7\)"),
        ({"window": 0}, "kernel_size is 0"),
        ({"num_classes": 0}, "num_classes is 0"),
    ],
)
def test_refuses_specification(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeNetSpec(**arguments)


@pytest.mark.bad_input
def test_activations_refuse_one_image_without_its_batch_axis():
    with pytest.raises(ValueError, match=r"X has shape \(1, 28, 28\)"):
        activations(build(LeNetSpec(), seed=0), torch.rand(1, 28, 28))
