"""Section 6.6, training: one net, several seeds together, several recipes in parallel.

Belongs here: the training loop, the order of batches, the history of a run.
Does not belong here: building nets (`lenet`), stacking them (`stacked`), data (`data`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import joblib
import numpy as np
import torch
from jaxtyping import Float, Int64, Num
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.data import ImageSet
from solutions.lenet import LeNetSpec, build
from solutions.reproducibility import generator
from solutions.stacked import stack, unstack


@dataclass(frozen=True)
class History:
    """What a run measured: one number per epoch, as the book's `train_ch6` plots it.

    Args:
        train_loss: mean cross-entropy over the epoch's training examples, each
            measured just before the step that uses it.
        train_acc: fraction of them classified correctly, at the same moment.
        test_acc: fraction of the test examples classified correctly after the epoch.
    """

    train_loss: tuple[float, ...]
    train_acc: tuple[float, ...]
    test_acc: tuple[float, ...]


# The nets of several seeds and their histories, in the order of the seeds.
Trained: TypeAlias = tuple[list[nn.Sequential], list[History]]


@dataclass(frozen=True)
class Recipe:
    """What is trained and how; the seed is all that is missing for a run.

    Args:
        spec: the net.
        lr: learning rate of the first step.
        num_epochs: passes over the training set.
        batch_size: examples per step; the last step of an epoch may have fewer.
        decay: whether the learning rate falls linearly, to zero after the last step.
    """

    spec: LeNetSpec
    lr: float
    num_epochs: int
    batch_size: int = 256
    decay: bool = False


def train(
    net: nn.Sequential,
    train_set: ImageSet,
    test_set: ImageSet,
    *,
    lr: float,
    num_epochs: int,
    batch_size: int = 256,
    decay: bool = False,
    seed: int,
    device: torch.device | None = None,
) -> History:
    """Train a net as the book's `train_ch6` does, without its printing and plotting.

    Plain stochastic gradient descent on the mean cross-entropy of a batch. The
    examples are shuffled anew in every epoch.

    Args:
        net: takes (n, c, h, w), returns logits (n, classes). It is trained in place
            and ends on `device`.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        lr: learning rate of the first step.
        num_epochs: passes over the training set.
        batch_size: examples per step; the last step of an epoch may have fewer.
        decay: whether the learning rate falls linearly, to zero after the last step.
        seed: the seed of the order of examples, which is the same on every device.
        device: where to train; None is the CPU.

    Returns:
        Loss and accuracies of every epoch.

    Raises:
        ValueError: if a set is empty, or `num_epochs` or `batch_size` is below 1.

    Source: D2L section 6.6, `train_ch6`.
    """
    return _fit(
        net,
        [seed],
        train_set,
        test_set,
        device or torch.device("cpu"),
        lr=lr,
        num_epochs=num_epochs,
        batch_size=batch_size,
        decay=decay,
    )[0]


def train_seeds(
    recipe: Recipe,
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    device: torch.device | None = None,
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

    Returns:
        The trained nets, on the CPU, and their histories, in the order of the seeds.

    Raises:
        ValueError: as `train` does, and if there is no seed.
    """
    nets = [build(recipe.spec, seed) for seed in seeds]
    group = stack(nets)
    histories = _fit(
        group,
        seeds,
        train_set,
        test_set,
        device or torch.device("cpu"),
        lr=recipe.lr,
        num_epochs=recipe.num_epochs,
        batch_size=recipe.batch_size,
        decay=recipe.decay,
    )
    unstack(group, nets)
    return nets, histories


def _fit(
    net: nn.Module,
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    device: torch.device,
    *,
    lr: float,
    num_epochs: int,
    batch_size: int,
    decay: bool,
) -> list[History]:
    """Train a net of one or more members in place; one seed and history for each."""
    for name, images in (("train_set", train_set), ("test_set", test_set)):
        if not 0 < len(images) == len(images.images):
            raise ValueError(
                f"{name} has {len(images.images)} images and {len(images)} labels, "
                "but must have as many of both, and at least one"
            )
    if min(num_epochs, batch_size) < 1:
        raise ValueError(
            f"num_epochs is {num_epochs} and batch_size is {batch_size}, "
            "but each must be at least 1"
        )
    net.to(device).to(memory_format=torch.channels_last)
    train_set, test_set = train_set.to(device), test_set.to(device)
    generators = [generator(seed) for seed in seeds]
    optimizer = torch.optim.SGD(net.parameters(), lr)
    steps = num_epochs * math.ceil(len(train_set) / batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 - step / steps if decay else 1.0
    )
    epochs = []
    for _ in range(num_epochs):
        orders = [torch.randperm(len(train_set), generator=g) for g in generators]
        batches = torch.stack(orders, dim=1).to(device).split(batch_size)
        loss, acc = train_epoch(net, train_set, batches, optimizer, schedule)
        epochs.append((loss, acc, _accuracy(net, test_set, len(seeds))))
    # (epoch, quantity, member) becomes one history per member.
    return [
        History(
            *(
                tuple(values[k] for values in curve)
                for curve in zip(*epochs, strict=True)
            )
        )
        for k in range(len(seeds))
    ]


def train_epoch(
    net: nn.Module,
    train_set: ImageSet,
    batches: Sequence[Int64[Tensor, "_ K"]],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> tuple[list[float], list[float]]:
    """Take one step of gradient descent per batch, for every member of a net.

    Args:
        net: takes (n, K·c, h, w), returns logits (K, n, classes), or (n, classes)
            for a single member; on the device of the set.
        train_set: the whole training set.
        batches: the examples of each step, one column of indices per member.
        optimizer: changes the weights.
        schedule: changes the learning rate of `optimizer` after each step.

    Returns:
        Each member's mean loss and its fraction of correct classifications, over
        the examples and measured just before the step that uses them.
    """
    net.train()
    # The sums stay on the device: to read one in each step would be to wait for it.
    loss_sum = torch.zeros(batches[0].shape[1], device=batches[0].device)
    hits = torch.zeros_like(loss_sum, dtype=torch.int64)
    for i in batches:
        X, y = train_set.images[i], train_set.labels[i].T
        logits = _logits(net, X)
        loss = F.cross_entropy(logits.mT, y, reduction="none")
        optimizer.zero_grad()
        # No weight is shared, so the gradient of the sum is each member's own.
        loss.mean(dim=1).sum().backward()
        optimizer.step()
        schedule.step()
        loss_sum += loss.detach().sum(dim=1)
        hits += (logits.argmax(dim=2) == y).sum(dim=1)
    return _per_example(loss_sum, len(train_set)), _per_example(hits, len(train_set))


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
    hits = torch.zeros(num_members, dtype=torch.int64, device=test_set.labels.device)
    for i in torch.arange(len(test_set), device=hits.device).split(256):
        X = test_set.images[i, None].expand(-1, num_members, -1, -1, -1)
        hits += (_logits(net, X).argmax(dim=2) == test_set.labels[i]).sum(dim=1)
    return _per_example(hits, len(test_set))


def _per_example(sums: Num[Tensor, " K"], num_examples: int) -> list[float]:
    """Return means over examples; only here does the device hand numbers over."""
    return [total / num_examples for total in sums.tolist()]


def train_recipes(
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    device: torch.device | None = None,
) -> list[Trained]:
    """Train every recipe with every seed; on a CPU, one process per core.

    Each process uses one thread: the threads of two processes would wait for one
    another. Seeds of one recipe train together, unless processes would be idle. An
    accelerator takes one recipe after the other.

    Args:
        recipes: what to train, and how.
        seeds: the seeds of each recipe.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        device: where to train; None is the CPU.

    Returns:
        For each recipe, in order, what `train_seeds` returns.
    """
    device = device or torch.device("cpu")
    if device.type != "cpu":
        return [train_seeds(r, seeds, train_set, test_set, device) for r in recipes]
    # Arrays, unlike tensors, reach the processes through memory that they share;
    # mode "c" makes them writable, as PyTorch wants arrays to be.
    sets = [
        (s.images.numpy(), s.labels.numpy(), s.classes) for s in (train_set, test_set)
    ]
    tasks = _tasks(recipes, seeds, joblib.cpu_count())
    trained = joblib.Parallel(n_jobs=joblib.cpu_count(), mmap_mode="c")(
        joblib.delayed(_train_in_worker)(recipes[index], some_seeds, *sets)
        for index, some_seeds in tasks
    )
    results: list[Trained] = [([], []) for _ in recipes]
    for (index, _), (nets, histories) in zip(tasks, trained, strict=True):
        results[index][0].extend(nets)
        results[index][1].extend(histories)
    return results


def _tasks(
    recipes: Sequence[Recipe], seeds: Sequence[int], num_workers: int
) -> list[tuple[int, list[int]]]:
    """Divide the work: pairs of a recipe's index and some seeds, the longest first.

    Seeds stay together unless there are fewer recipes than workers. The seeds of one
    recipe come in order.
    """
    num_parts = math.ceil(num_workers / max(len(recipes), 1))
    parts = np.array_split(list(seeds), min(num_parts, max(len(seeds), 1)))
    # A long run that starts last would run alone.
    order = sorted(range(len(recipes)), key=lambda r: -recipes[r].num_epochs)
    return [(index, part.tolist()) for index in order for part in parts]


Arrays: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]


def _train_in_worker(
    recipe: Recipe, seeds: Sequence[int], train_arrays: Arrays, test_arrays: Arrays
) -> Trained:
    """Do one recipe in a process of its own, on one thread."""
    torch.set_num_threads(1)
    train_set, test_set = (
        ImageSet(torch.from_numpy(images), torch.from_numpy(labels), classes)
        for images, labels, classes in (train_arrays, test_arrays)
    )
    return train_seeds(recipe, seeds, train_set, test_set)
