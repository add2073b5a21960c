"""Training, against a plain loop; nets together, against the same nets alone."""

import subprocess
import sys
from dataclasses import astuple, replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from solutions.lenet import LeNetSpec, build
from solutions.notebook.reproducibility import generator
from solutions.training import loop as training
from solutions.training.data import ImageSet
from solutions.training.loop import History, Hyperparameters, Recipe, train, train_seeds
from solutions.training.stacked import stack, unstack

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
    "batch norm": replace(SMALL, activation="tanh", batch_norm=True),
}
each_variant = pytest.mark.parametrize("spec", VARIANTS.values(), ids=VARIANTS.keys())
HOW = {"lr": 0.2, "num_epochs": 2, "batch_size": 16}
# Everything that a recipe can ask for beyond the book's settings.
MORE = {
    "decay": True,
    "warmup": 0.3,
    "momentum": 0.9,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
}


def images(n, seed, dtype=torch.float32):
    labels = torch.arange(n) % 10
    X = 0.3 * torch.rand(n, 1, 28, 28, generator=generator(seed))
    X[torch.arange(n), :, 2 * labels + 3] += 0.7  # a bright row that tells the class
    return ImageSet(X.to(dtype), labels, tuple("abcdefghij"))


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def plain_loop(net, how, train_set, test_set, seed):
    """The book's `train_ch6`, one example's loss and hit at a time."""
    history = []
    order = generator(seed)
    step, total = 0, how.num_epochs * -(-len(train_set) // how.batch_size)
    velocity = {p: torch.zeros_like(p) for p in net.parameters()}
    for _ in range(how.num_epochs):
        losses, hits, norms = [], [], []
        shuffled = torch.randperm(len(train_set), generator=order).tolist()
        while shuffled:
            batch, shuffled = shuffled[: how.batch_size], shuffled[how.batch_size :]
            X, y = train_set.images[batch], train_set.labels[batch]
            rate = how.lr
            if step < how.warmup * total:
                rate *= (step + 1) / (how.warmup * total)
            elif how.decay:
                rate *= (total - step) / (total - how.warmup * total)
            step += 1
            net.zero_grad()
            Y = net(X)
            each = -Y.log_softmax(1)[range(len(y)), y]
            spread = -Y.log_softmax(1).mean(1)
            each = each + how.label_smoothing * (spread - each)
            each.mean().backward()
            losses += each.tolist()
            hits += (Y.argmax(1) == y).tolist()
            layers = [m for m in net if isinstance(m, nn.Conv2d | nn.Linear)]
            norms.append([m.weight.grad.norm().item() for m in layers])
            with torch.no_grad():
                for p in net.parameters():
                    g = p.grad + how.weight_decay * p
                    velocity[p] = how.momentum * velocity[p] + g
                    p -= rate * (g + how.momentum * velocity[p])
        with torch.no_grad():
            correct = (net(test_set.images).argmax(1) == test_set.labels).sum().item()
        mean_loss, mean_hits = sum(losses) / len(losses), sum(hits) / len(hits)
        mean_norms = tuple(
            sum(layer) / len(layer) for layer in zip(*norms, strict=True)
        )
        history.append((mean_loss, mean_hits, correct / len(test_set), mean_norms))
    return History(*zip(*history, strict=True))


def assert_same(actual, expected, *, rtol, atol):
    for name in ("train_loss", "train_acc", "test_acc", "grad_norm"):
        torch.testing.assert_close(
            torch.tensor(getattr(actual, name), dtype=torch.float64),
            torch.tensor(getattr(expected, name), dtype=torch.float64),
            rtol=rtol,
            atol=atol,
        )


@pytest.mark.parametrize("more", [{}, {"decay": True}, MORE], ids=str)
@pytest.mark.parametrize("name", ["avg", "relu"])
def test_train_is_the_plain_loop(name, more):
    spec, data = VARIANTS[name], images(70, 1, torch.float64)
    test_set = images(30, 2, torch.float64)
    how = Hyperparameters(**HOW, **more)
    net, reference = build(spec, 3).double(), build(spec, 3).double()
    history = train(net, how, data, test_set, seed=5)
    expected = plain_loop(reference, how, data, test_set, seed=5)
    assert_same(history, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(weights(net), weights(reference), rtol=0, atol=1e-12)


def test_train_learns_and_reports_one_number_per_epoch():
    net = build(replace(SMALL, activation="relu"), seed=0)
    how = Hyperparameters(lr=0.1, num_epochs=15, batch_size=10)
    history = train(net, how, images(300, 1), images(100, 2), seed=0)
    assert [len(curve) for curve in astuple(history)] == [15, 15, 15, 15]
    assert {len(norms) for norms in history.grad_norm} == {4}
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.test_acc[-1] > 0.9


def test_order_comes_from_the_seed():
    data, test_set = images(40, 1), images(10, 2)
    ends = []
    for seed in (0, 0, 1):
        net = build(SMALL, seed=0)
        train(net, Hyperparameters(**HOW), data, test_set, seed=seed)
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


def test_stacked_convolutions_keep_stride_and_padding():
    nets = [nn.Sequential(nn.Conv2d(2, 3, (3, 2), (2, 3), (1, 2))) for _ in range(2)]
    X = torch.rand(4, 4, 7, 8, generator=generator(1))
    expected = torch.cat([net(X[:, 2 * k :][:, :2]) for k, net in enumerate(nets)], 1)
    torch.testing.assert_close(stack(nets)(X), expected)


@pytest.mark.parametrize("more", [{}, {**MORE, "mirror": True, "shift": 2}], ids=len)
@each_variant
def test_together_is_alone_in_float64(spec, more, monkeypatch):
    monkeypatch.setattr(training, "build", lambda *args: build(*args).double())
    data, test_set = images(70, 1, torch.float64), images(30, 2, torch.float64)
    recipe = Recipe(spec, **HOW, **more)
    nets, histories = train_seeds(recipe, (3, 8), data, test_set)
    for seed, net, history in zip((3, 8), nets, histories, strict=True):
        alone = build(spec, seed).double()
        expected = train(alone, recipe, data, test_set, seed=seed)
        assert_same(history, expected, rtol=1e-9, atol=1e-12)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(
                net.state_dict()[name], value, rtol=0, atol=1e-11
            )


@each_variant
def test_together_is_alone_in_float32(spec):
    """Ten steps keep within 1e-5; a ReLU that changes sides can widen this later."""
    data, test_set = images(70, 1), images(30, 2)
    recipe = Recipe(spec, **HOW, decay=True)
    nets, histories = train_seeds(recipe, (0, 1, 2), data, test_set)
    for seed, net, history in zip((0, 1, 2), nets, histories, strict=True):
        alone = build(spec, seed)
        expected = train(alone, recipe, data, test_set, seed=seed)
        torch.testing.assert_close(weights(net), weights(alone), rtol=0, atol=1e-5)
        assert_same(
            replace(history, train_acc=(), test_acc=()),
            replace(expected, train_acc=(), test_acc=()),
            rtol=1e-4,
            atol=0,
        )


def test_mirroring_and_moving_change_the_run_and_come_from_the_seed():
    data, test_set = images(40, 1), images(10, 2)
    plain = Recipe(SMALL, **HOW)
    ends = {}
    for name, recipe in (
        ("plain", plain),
        ("mirror", replace(plain, mirror=True)),
        ("mirror again", replace(plain, mirror=True)),
        ("shift", replace(plain, shift=1)),
    ):
        [net], _ = train_seeds(recipe, (0,), data, test_set)
        ends[name] = weights(net)
    assert torch.equal(ends["mirror"], ends["mirror again"])
    assert not torch.equal(ends["mirror"], ends["plain"])
    assert not torch.equal(ends["shift"], ends["plain"])


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_steps_reuse_the_memory_of_the_steps_before():
    import resource  # there is none on Windows

    data, test_set = images(1024, 1), images(10, 2)
    recipe = Recipe(LeNetSpec(), lr=0.1, num_epochs=1)
    faults = []
    for num_epochs in (1, 6):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        train_seeds(replace(recipe, num_epochs=num_epochs), (0, 1, 2), data, test_set)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    # By default each of the 20 more steps costs thousands of page faults.
    assert faults[1] - faults[0] < 20 * 1000


class Libc:
    """Notes what a C library is asked for."""

    def __init__(self):
        self.asked = []

    def mallopt(self, *setting):  # noqa: D102
        self.asked.append(setting)

    def malloc_trim(self, pad):  # noqa: D102
        self.asked.append(pad)


@pytest.mark.skipif(sys.platform != "linux", reason="another C library")
def test_memory_is_treated_as_before_after_a_training(monkeypatch):
    libc = Libc()
    monkeypatch.setattr(training, "ctypes", SimpleNamespace(CDLL=lambda _: libc))
    train(build(SMALL, 0), Hyperparameters(**HOW), images(16, 1), images(16, 2), seed=0)
    largest_int = 2**31 - 1
    assert libc.asked[:2] == [(-4, 0), (-1, largest_int)]
    # The defaults in mallopt(3), and no free memory kept at the end of the heap.
    assert libc.asked[2:] == [(-4, 65_536), (-1, 131_072), 0]


COMPILED_AGAINST_PLAIN = """
import torch
from solutions.training.data import ImageSet
from solutions.lenet import LeNetSpec
from solutions.training.loop import Recipe, train_seeds

def in_python(net, **options):
    assert options == {"mode": "reduce-overhead"}, options
    net._compiled_call_impl = torch.compile(net._call_impl, backend="aot_eager")
    print("compiled")

torch.nn.Module.compile = in_python
data = ImageSet(torch.rand(40, 1, 28, 28), torch.arange(40) % 10, ())
recipe = Recipe(LeNetSpec((2, 3), dense=(7,)), lr=0.2, num_epochs=2)
nets = [train_seeds(recipe, (0, 1), data, data, compiled=c)[0] for c in (True, False)]
for net, same in zip(*nets, strict=True):
    for p, q in zip(net.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(p, q)
"""


def test_compilation_is_asked_for_and_changes_nothing():
    # In a process of its own: the compiler cannot read the shape checks of the tests.
    command = [sys.executable, "-W", "ignore", "-c", COMPILED_AGAINST_PLAIN]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (0, "compiled\n"), done.stderr


def test_epochs_are_counted_while_one_waits(monkeypatch):
    asked = []
    monkeypatch.setattr(training, "progress", lambda *a: asked.append(a) or a[0])
    net, how = build(SMALL, 0), Hyperparameters(lr=0.1, num_epochs=3)
    train(net, how, images(10, 1), images(10, 2), seed=0)
    assert asked == [(range(3), "epochs", 3)]


def test_device_is_used():
    # The meta device computes shapes alone: to read a number from it is an error,
    # so reaching that point shows that every tensor was moved there.
    data, test_set = images(20, 1), images(10, 2)
    meta = torch.device("meta")
    net = build(SMALL, seed=0)
    with pytest.raises(NotImplementedError, match="meta"):
        train(net, Hyperparameters(**HOW), data, test_set, seed=0, device=meta)
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
    ],
)
def test_train_refuses(changes, message):
    sets = {"train_set": images(10, 1), "test_set": images(10, 2)}
    sets |= {name: make() for name, make in changes.items()}
    with pytest.raises(ValueError, match=message):
        train(build(SMALL, 0), Hyperparameters(**HOW), **sets, seed=0)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["batch_size", "num_epochs"])
def test_hyperparameters_refuse(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        Hyperparameters(**HOW | {name: 0})


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 1.5, float("nan")])
def test_a_warm_up_of_the_whole_run_is_refused(warmup):
    with pytest.raises(ValueError, match=f"warmup is {warmup}, but must be"):
        Hyperparameters(lr=0.1, num_epochs=1, warmup=warmup)


@pytest.mark.bad_input
def test_stack_refuses():
    with pytest.raises(ValueError, match="nets has 0 members"):
        stack([])
    with pytest.raises(ValueError, match="same layers"):
        stack([build(SMALL, 0), build(VARIANTS["max"], 0)])
