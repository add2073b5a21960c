"""Section 6.6, training: one net, or several seeds of one recipe together.

Belongs here: the training loop, the order of batches, the history of a run.
Does not belong here: many recipes at once (`dispatch`), stacking nets (`stacked`).
"""

import ctypes
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.lenet import LeNetSpec, build
from solutions.notebook.reproducibility import generator
from solutions.training.augmentation import augment
from solutions.training.data import ImageSet
from solutions.training.fused import fuse
from solutions.training.progress import progress
from solutions.training.stacked import stack, unstack

# Two settings of glibc's mallopt, from its header malloc.h; its defaults see below.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@dataclass(frozen=True)
class History:
    """What a run measured: one entry per epoch, as the book's `train_ch6` plots it.

    Args:
        train_loss: mean cross-entropy over the epoch's training examples, each
            measured just before the step that uses it.
        train_acc: fraction of them classified correctly, at the same moment.
        test_acc: fraction of the test examples classified correctly after the epoch.
        grad_norm: for each layer with a weight matrix or kernels, from the input on,
            the norm of the loss gradient with respect to them, averaged over the
            steps of the epoch.
    """

    train_loss: tuple[float, ...]
    train_acc: tuple[float, ...]
    test_acc: tuple[float, ...]
    grad_norm: tuple[tuple[float, ...], ...]


# The nets of several seeds and their histories, in the order of the seeds.
Trained: TypeAlias = tuple[list[nn.Sequential], list[History]]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """How a net is trained; the defaults are those of the book's `train_ch6`.

    Args:
        lr: the largest learning rate, and the first one unless there is a warm-up.
        num_epochs: passes over the training set.
        batch_size: examples per step; the last step of an epoch may have fewer.
        decay: whether the learning rate falls linearly, to zero after the last step.
        warmup: fraction of the steps in which the rate first rises linearly to `lr`.
        momentum: of Nesterov; 0 is plain gradient descent.
        weight_decay: this times a weight is added to its gradient.
        label_smoothing: this share of each target is spread over all classes.
        mirror: whether training images are mirrored at random.
        shift: how many pixels, at most, training images are moved at random.

    Raises:
        ValueError: if `num_epochs` or `batch_size` is below 1, or `warmup` is not at
            least 0 and below 1.

    Source: D2L sections 6.6, 11.6 (momentum), 11.11 (warm-up), 13.1 (augmentation).
    """

    lr: float
    num_epochs: int
    batch_size: int = 256
    decay: bool = False
    warmup: float = 0.0
    momentum: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    mirror: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        if min(self.num_epochs, self.batch_size) < 1:
            raise ValueError(
                f"num_epochs is {self.num_epochs} and batch_size is "
                f"{self.batch_size}, but each must be at least 1"
            )
        if not 0 <= self.warmup < 1:
            raise ValueError(
                f"warmup is {self.warmup}, but must be at least 0 and below 1"
            )

    def rate(self, step: int, num_steps: int) -> float:
        """Return the learning rate of a step, as a fraction of `lr`.

        Args:
            step: the number of the step, from 0.
            num_steps: how many there are in the whole run.

        >>> how = Hyperparameters(lr=0.1, num_epochs=1, decay=True, warmup=0.5)
        >>> [how.rate(step, 4) for step in range(4)]
        [0.5, 1.0, 1.0, 0.5]
        """
        rising = self.warmup * num_steps
        if step < rising:
            return min((step + 1) / rising, 1.0)
        return (num_steps - step) / (num_steps - rising) if self.decay else 1.0


@dataclass(frozen=True)
class Recipe(Hyperparameters):
    """What is trained and how; the seed is all that is missing for a run.

    Args:
        spec: the net; the other arguments are those of `Hyperparameters`.

    >>> Recipe(LeNetSpec(), lr=0.9, num_epochs=10).batch_size
    256
    """

    spec: LeNetSpec


def train(
    net: nn.Sequential,
    how: Hyperparameters,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    seed: int,
    device: torch.device | None = None,
    compiled: bool = False,
) -> History:
    """Train a net as the book's `train_ch6` does, without its printing and plotting.

    Stochastic gradient descent on the mean cross-entropy of a batch. The examples
    are shuffled anew in every epoch. A run of more than two seconds shows a progress
    bar in a terminal and in Jupyter.

    Args:
        net: takes (n, c, h, w), returns logits (n, classes). It is trained in place
            and ends on `device`.
        how: learning rate, number of epochs, and what else differs from the book.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        seed: the seed of the order of examples, which is the same on every device.
        device: where to train; None is the CPU.
        compiled: whether PyTorch compiles the net first. On CUDA the steps are then
            replayed as CUDA graphs: the benchmark's page says what that gains. On two
            CPU cores a long wait gained nothing.

    Returns:
        Loss, accuracies and gradients of every epoch.

    Raises:
        ValueError: if a set is empty, or has not as many images as labels.

    Source: D2L section 6.6, `train_ch6`.
    """
    epochs = progress(range(how.num_epochs), "epochs", how.num_epochs)
    return _fit(
        net, how, [seed], train_set, test_set, epochs, device=device, compiled=compiled
    )[0]


def train_seeds(
    recipe: Recipe,
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    device: torch.device | None = None,
    compiled: bool = False,
    first: int | None = None,
) -> Trained:
    """Train several seeds of one recipe together, as one stacked net.

    Each seed has its own initial weights and its own order of examples, and so
    takes the same steps as alone with `train`, up to rounding.

    Args:
        recipe: what to train, and how.
        seeds: one per member, for its weights and for its order.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        device: where to train; None is the CPU.
        compiled: as in `train`.
        first: how many epochs of the recipe are trained, the first ones; None is all.

    Returns:
        The trained nets, on the CPU, and their histories, in the order of the seeds.

    Raises:
        ValueError: as `train` does, and if there is no seed.
    """
    nets = [build(recipe.spec, seed) for seed in seeds]
    group = stack(nets)
    epochs = range(recipe.num_epochs)[:first]
    histories = _fit(
        group,
        recipe,
        seeds,
        train_set,
        test_set,
        epochs,
        device=device,
        compiled=compiled,
    )
    unstack(group, nets)
    return nets, histories


def _fit(
    net: nn.Sequential,
    how: Hyperparameters,
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    epochs: Iterable[int],
    *,
    device: torch.device | None,
    compiled: bool,
) -> list[History]:
    """Train a net of one or more members in place; one seed and history for each."""
    for name, images in (("train_set", train_set), ("test_set", test_set)):
        if not 0 < len(images) == len(images.images):
            raise ValueError(
                f"{name} has {len(images.images)} images and {len(images)} labels, "
                "but must have as many of both, and at least one"
            )
    device = device or torch.device("cpu")
    net.to(device).to(memory_format=torch.channels_last)
    train_set, test_set = train_set.to(device), test_set.to(device)
    if device.type == "cpu":  # on a GPU memory is not what it waits for
        net = fuse(net)
    if compiled:
        net.compile(mode="reduce-overhead")
    optimizer = torch.optim.SGD(
        net.parameters(),
        how.lr,
        momentum=how.momentum,
        nesterov=how.momentum > 0,
        weight_decay=how.weight_decay,
    )
    steps = how.num_epochs * math.ceil(len(train_set) / how.batch_size)
    rate = partial(how.rate, num_steps=steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    generators = [generator(seed) for seed in seeds]
    measured = []
    with _freed_memory_kept() if sys.platform == "linux" else nullcontext():
        for _ in epochs:
            batches = _batches(train_set, how, generators)
            loss, acc, norms = train_epoch(
                net, batches, optimizer, schedule, how.label_smoothing
            )
            measured.append((loss, acc, _accuracy(net, test_set, len(seeds)), norms))
    # (epoch, quantity, member) becomes one history per member.
    curves = [zip(*curve, strict=True) for curve in zip(*measured, strict=True)]
    return [History(*of_member) for of_member in zip(*curves, strict=True)]


@contextmanager
def _freed_memory_kept() -> Iterator[None]:
    """Let glibc keep freed memory during a training: each step needs as much again.

    By default it returns large blocks to the system, which then has to clear their
    pages anew, thousands of them in each step.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):  # another C library than glibc
        yield
        return
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_MAX, 65_536)
        libc.mallopt(M_TRIM_THRESHOLD, 128 * 1024)
        libc.malloc_trim(0)


def _batches(
    train_set: ImageSet, how: Hyperparameters, generators: Sequence[torch.Generator]
) -> Iterator[tuple[Float[Tensor, "n K c h w"], Int64[Tensor, "K n"]]]:
    """Yield the images and labels of each step of an epoch, for every member."""
    orders = [torch.randperm(len(train_set), generator=g) for g in generators]
    indices = torch.stack(orders, dim=1).to(train_set.labels.device)
    for i in indices.split(how.batch_size):
        X, y = train_set.images[i], train_set.labels[i].T
        if how.mirror or how.shift:
            members = zip(X.unbind(1), generators, strict=True)
            changed = [
                augment(images, mirror=how.mirror, shift=how.shift, generator=g)
                for images, g in members
            ]
            X = torch.stack(changed, dim=1)
        yield X, y


def train_epoch(
    net: nn.Module,
    batches: Iterable[tuple[Float[Tensor, "_ K c h w"], Int64[Tensor, "K _"]]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    label_smoothing: float = 0.0,
) -> tuple[list[float], list[float], list[tuple[float, ...]]]:
    """Take one step of gradient descent per batch, for every member of a net.

    Args:
        net: takes (n, K·c, h, w), returns logits (K, n, classes), or (n, classes)
            for a single member.
        batches: the images of each step, shape (n, K, c, h, w), and their labels,
            shape (K, n), on the device of the net.
        optimizer: changes the weights.
        schedule: changes the learning rate of `optimizer` after each step.
        label_smoothing: this share of each target is spread over all classes.

    Returns:
        Each member's mean loss and its fraction of correct classifications, over
        the examples and measured just before the step that uses them, and its
        gradient norm in each layer, averaged over the steps.
    """
    net.train()
    named = net.named_parameters()
    weights = [w for name, w in named if name.endswith("weight") and w.ndim > 1]
    losses, hits, norms = [], [], []
    for X, y in batches:
        logits = _logits(net, X)
        loss = F.cross_entropy(
            logits.mT, y, reduction="none", label_smoothing=label_smoothing
        )
        optimizer.zero_grad()
        # No weight is shared, so the gradient of the sum is each member's own.
        loss.mean(dim=1).sum().backward()
        optimizer.step()
        schedule.step()
        # These stay on the device: to read one in each step would be to wait for it.
        losses.append(loss.detach())
        hits.append(logits.argmax(dim=2) == y)
        norms.append(_gradient_norms(weights, len(y)))
    loss, hit = torch.cat(losses, dim=1), torch.cat(hits, dim=1)
    norm = torch.stack(norms).mean(dim=0)
    return (
        loss.mean(dim=1).tolist(),
        hit.cpu().double().mean(dim=1).tolist(),  # some devices have no float64
        [tuple(member) for member in norm.tolist()],
    )


def _gradient_norms(
    weights: Sequence[nn.Parameter], num_members: int
) -> Float[Tensor, "K layers"]:
    """Return the norm of the gradient of every layer, for each member."""
    gradients = [w.grad for w in weights if w.grad is not None]
    norms = [g.reshape(num_members, -1).norm(dim=1) for g in gradients]
    return torch.stack(norms, dim=1)


def _logits(
    net: nn.Module, X: Float[Tensor, "n K c h w"]
) -> Float[Tensor, "K n classes"]:
    """Apply a net of K members, each to its own images."""
    channels = X.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    return net(channels).reshape(X.shape[1], len(X), -1)


@torch.inference_mode()
def _accuracy(net: nn.Module, test_set: ImageSet, num_members: int) -> list[float]:
    """Return the fraction of the images that each member classifies correctly."""
    net.eval()
    hits = []
    for X, y in zip(
        test_set.images.split(256), test_set.labels.split(256), strict=True
    ):
        shared = X[:, None].expand(-1, num_members, -1, -1, -1)
        hits.append(_logits(net, shared).argmax(dim=2) == y)
    return torch.cat(hits, dim=1).cpu().double().mean(dim=1).tolist()
