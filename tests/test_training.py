"""Training, against a plain loop; nets together, against the same nets alone."""

from dataclasses import astuple, replace

import pytest
import torch
from torch import nn

from solutions import training
from solutions.data import ImageSet
from solutions.lenet import LeNetSpec, build
from solutions.reproducibility import generator
from solutions.stacked import stack, unstack
from solutions.training import (
    History,
    Recipe,
    _tasks,
    train,
    train_recipes,
    train_seeds,
)

SMALL = LeNetSpec(channels=(2, 3), dense=(7,))
VARIANTS = {
    "avg": SMALL,
    "max": replace(SMALL, pooling="max"),
    "tanh": replace(SMALL, activation="tanh"),
    "relu": replace(SMALL, activation="relu", pooling="max"),
    "window 3": replace(SMALL, window=3, paddings=(1, 0)),
    "one convolution": LeNetSpec((3,), 5, (2,), (True,), dense=(4, 6)),
    "three convolutions": LeNetSpec((2, 3, 4), 5, (2, 0, 2), (True, True, False)),
    "one dense layer": replace(SMALL, dense=()),
}
each_variant = pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS.keys())
HOW = {"lr": 0.2, "num_epochs": 2, "batch_size": 16}


def images(n, seed, dtype=torch.float32):
    labels = torch.arange(n) % 10
    X = 0.3 * torch.rand(n, 1, 28, 28, generator=generator(seed))
    X[torch.arange(n), :, 2 * labels + 3] += 0.7  # a bright row that tells the class
    return ImageSet(X.to(dtype), labels, tuple("abcdefghij"))


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def plain_loop(net, train_set, test_set, lr, num_epochs, batch_size, decay, seed):
    """The book's `train_ch6`, one example's loss and hit at a time."""
    history = []
    order = generator(seed)
    steps_left = total = num_epochs * -(-len(train_set) // batch_size)
    for _ in range(num_epochs):
        losses, hits = [], []
        shuffled = torch.randperm(len(train_set), generator=order).tolist()
        while shuffled:
            batch, shuffled = shuffled[:batch_size], shuffled[batch_size:]
            X, y = train_set.images[batch], train_set.labels[batch]
            rate = lr * steps_left / total if decay else lr
            steps_left -= 1
            net.zero_grad()
            Y = net(X)
            nn.CrossEntropyLoss()(Y, y).backward()
            each = -Y.log_softmax(1)[range(len(y)), y]
            losses += each.tolist()
            hits += (Y.argmax(1) == y).tolist()
            with torch.no_grad():
                for p in net.parameters():
                    p -= rate * p.grad
        with torch.no_grad():
            correct = (net(test_set.images).argmax(1) == test_set.labels).sum().item()
        mean_loss, mean_hits = sum(losses) / len(losses), sum(hits) / len(hits)
        history.append((mean_loss, mean_hits, correct / len(test_set)))
    return History(*zip(*history, strict=True))


def assert_same(actual, expected, *, rtol, atol):
    for name in ("train_loss", "train_acc", "test_acc"):
        torch.testing.assert_close(
            torch.tensor(getattr(actual, name), dtype=torch.float64),
            torch.tensor(getattr(expected, name), dtype=torch.float64),
            rtol=rtol,
            atol=atol,
        )


@pytest.mark.parametrize("decay", [False, True])
@pytest.mark.parametrize("name", ["avg", "relu"])
def test_train_is_the_plain_loop(name, decay):
    spec, data = VARIANTS[name], images(70, 1, torch.float64)
    test_set = images(30, 2, torch.float64)
    net, reference = build(spec, 3).double(), build(spec, 3).double()
    history = train(net, data, test_set, **HOW, decay=decay, seed=5)
    expected = plain_loop(reference, data, test_set, **HOW, decay=decay, seed=5)
    # The sums of the loss are kept in float32.
    assert_same(history, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(weights(net), weights(reference), rtol=0, atol=1e-12)


def test_train_learns_and_reports_one_number_per_epoch():
    net = build(replace(SMALL, activation="relu"), seed=0)
    history = train(
        net,
        images(300, 1),
        images(100, 2),
        lr=0.1,
        num_epochs=15,
        batch_size=10,
        seed=0,
    )
    assert [len(curve) for curve in astuple(history)] == [15, 15, 15]
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.test_acc[-1] > 0.9


def test_order_comes_from_the_seed():
    data, test_set = images(40, 1), images(10, 2)
    ends = []
    for seed in (0, 0, 1):
        net = build(SMALL, seed=0)
        train(net, data, test_set, **HOW, seed=seed)
        ends.append(weights(net))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


@each_variant
def test_stacked_net_is_its_members(spec):
    nets = [build(spec, seed).double() for seed in (0, 1, 2)]
    X = torch.rand(4, 3, 28, 28, generator=generator(1), dtype=torch.float64)
    group = stack(nets)
    expected = torch.stack([net(X[:, k, None]) for k, net in enumerate(nets)])
    torch.testing.assert_close(group(X), expected, rtol=0, atol=1e-12)
    others = [build(spec, seed).double() for seed in (3, 4, 5)]
    unstack(group, others)
    for net, other in zip(nets, others, strict=True):
        assert torch.equal(weights(net), weights(other))


@each_variant
def test_together_is_alone_in_float64(spec, monkeypatch):
    monkeypatch.setattr(training, "build", lambda *args: build(*args).double())
    data, test_set = images(70, 1, torch.float64), images(30, 2, torch.float64)
    nets, histories = train_seeds(Recipe(spec, **HOW), (3, 8), data, test_set)
    for seed, net, history in zip((3, 8), nets, histories, strict=True):
        alone = build(spec, seed).double()
        expected = train(alone, data, test_set, **HOW, seed=seed)
        assert_same(history, expected, rtol=1e-6, atol=0)
        torch.testing.assert_close(weights(net), weights(alone), rtol=0, atol=1e-12)


@each_variant
def test_together_is_alone_in_float32(spec):
    """Ten steps keep within 1e-5; a ReLU that changes sides can widen this later."""
    data, test_set = images(70, 1), images(30, 2)
    recipe = Recipe(spec, **HOW, decay=True)
    nets, histories = train_seeds(recipe, (0, 1, 2), data, test_set)
    for seed, net, history in zip((0, 1, 2), nets, histories, strict=True):
        alone = build(spec, seed)
        expected = train(alone, data, test_set, **HOW, decay=True, seed=seed)
        torch.testing.assert_close(weights(net), weights(alone), rtol=0, atol=1e-5)
        assert_same(
            replace(history, train_acc=(), test_acc=()),
            replace(expected, train_acc=(), test_acc=()),
            rtol=1e-5,
            atol=0,
        )


def test_recipes_in_processes_give_the_same_in_order(capfd):
    data, test_set = images(70, 1), images(30, 2)
    recipes = [Recipe(VARIANTS[name], **HOW) for name in ("avg", "one convolution")]
    results = train_recipes(recipes, (0, 1), data, test_set)
    for recipe, (nets, histories) in zip(recipes, results, strict=True):
        expected_nets, expected = train_seeds(recipe, (0, 1), data, test_set)
        for k in (0, 1):
            assert_same(histories[k], expected[k], rtol=1e-5, atol=0)
            torch.testing.assert_close(weights(nets[k]), weights(expected_nets[k]))
    assert capfd.readouterr() == ("", "")


def test_work_is_divided_longest_first_and_keeps_every_core_busy():
    short, long = Recipe(SMALL, lr=0.1, num_epochs=1), Recipe(SMALL, 0.1, num_epochs=2)
    assert _tasks([short, long], (3, 4), 2) == [(1, [3, 4]), (0, [3, 4])]
    assert _tasks([short, short, long], (3,), 2) == [(2, [3]), (0, [3]), (1, [3])]
    assert _tasks([short], (3, 4, 5), 2) == [(0, [3, 4]), (0, [5])]
    assert _tasks([short], (3, 4), 16) == [(0, [3]), (0, [4])]


def test_one_recipe_on_several_cores_keeps_the_order_of_the_seeds():
    data, test_set = images(40, 1), images(20, 2)
    recipe = Recipe(SMALL, lr=0.2, num_epochs=2, batch_size=16)
    [(nets, histories)] = train_recipes([recipe], (5, 6, 7), data, test_set)
    for seed, net, history in zip((5, 6, 7), nets, histories, strict=True):
        alone = build(SMALL, seed)
        expected = train(alone, data, test_set, **HOW, seed=seed)
        assert_same(history, expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(weights(net), weights(alone))


def test_device_is_used():
    # The meta device computes shapes alone: to read a number from it is an error,
    # so reaching that point shows that every tensor was moved there.
    data, test_set = images(20, 1), images(10, 2)
    meta = torch.device("meta")
    net = build(SMALL, seed=0)
    with pytest.raises(NotImplementedError, match="meta"):
        train(net, data, test_set, **HOW, seed=0, device=meta)
    assert {p.device.type for p in net.parameters()} == {"meta"}
    assert data.images.device.type == "cpu"


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_set": lambda: images(10, 1)[:0]}, "train_set has 0 images"),
        ({"test_set": lambda: images(10, 1)[:0]}, "test_set has 0 images"),
        (
            {"train_set": lambda: replace(images(9, 1), labels=torch.zeros(8).long())},
            "9 images and 8 labels",
        ),
        ({"batch_size": lambda: 0}, "batch_size is 0"),
        ({"num_epochs": lambda: 0}, "num_epochs is 0"),
    ],
)
def test_train_refuses(changes, message):
    arguments = {"train_set": images(10, 1), "test_set": images(10, 2), **HOW}
    arguments |= {name: make() for name, make in changes.items()}
    with pytest.raises(ValueError, match=message):
        train(build(SMALL, 0), **arguments, seed=0)


@pytest.mark.bad_input
def test_stack_refuses():
    with pytest.raises(ValueError, match="nets has 0 members"):
        stack([])
    with pytest.raises(ValueError, match="same layers"):
        stack([build(SMALL, 0), build(VARIANTS["max"], 0)])
