"""Section 6.6, many runs at once: on the cores of this machine, or on a Dask cluster.

Belongs here: dividing work among processes and collecting what they return.
Does not belong here: what a process does (`training`), what a study asks (`study`).
"""

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import joblib
import numpy as np
import torch
from distributed import Client
from numpy.typing import NDArray
from torch import nn

from solutions.system.processes import work_for
from solutions.training.data import ImageSet
from solutions.training.loop import History, Recipe, Trained, train_seeds
from solutions.training.progress import progress

# Images and labels as arrays: unlike tensors, they reach the processes of this
# machine through memory that all of them share.
Arrays: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work: seeds of one recipe, which train together.

    Args:
        recipe: what to train, and how.
        seeds: the seeds, one per net.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        first: how many epochs are trained, the first ones; None is all of the recipe.
    """

    recipe: Recipe
    seeds: tuple[int, ...]
    train_set: ImageSet
    test_set: ImageSet
    first: int | None = None


class Done(NamedTuple):
    """The result of one job.

    Args:
        number: its index among the jobs.
        nets: the trained nets, on the CPU, in the order of the seeds.
        histories: what was measured, in the same order.
        cpu_seconds: the time that a processor has spent on the job.
    """

    number: int
    nets: list[nn.Sequential]
    histories: list[History]
    cpu_seconds: float


def train_recipes(
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    train_set: ImageSet,
    test_set: ImageSet,
    device: torch.device | None = None,
) -> list[Trained]:
    """Train every recipe with every seed, as `train_jobs` does.

    Seeds of one recipe train together, unless processes would be idle. A progress
    bar shows in a terminal and in Jupyter after two seconds.

    Args:
        recipes: what to train, and how.
        seeds: the seeds of each recipe.
        train_set: examples to learn from.
        test_set: examples to measure the accuracy on, after each epoch.
        device: where to train; None is the CPU.

    Returns:
        For each recipe, in order, what `train_seeds` returns.
    """
    with _workers(device) as num_workers:
        tasks = _tasks(recipes, seeds, num_workers)
        jobs = [
            Job(recipes[index], tuple(part), train_set, test_set)
            for index, part in tasks
        ]
        done = list(progress(_train_in_workers(jobs, device), "runs", len(jobs)))
    results: list[Trained] = [([], []) for _ in recipes]
    for one in sorted(done):
        nets, histories = results[tasks[one.number][0]]
        nets.extend(one.nets)
        histories.extend(one.histories)
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


def train_jobs(
    jobs: Sequence[Job], device: torch.device | None = None
) -> Iterator[Done]:
    """Train jobs side by side, and yield each result as soon as it is there.

    On a CPU joblib gives each core one process with a single thread: the threads of
    two processes would wait for one another. If ``DASK_SCHEDULER_ADDRESS`` holds the
    address of a Dask scheduler, the processes are the workers of its cluster. An
    accelerator takes one job after the other.

    Args:
        jobs: what to train, the longest first.
        device: where to train; None is the CPU.

    Yields:
        The results, in the order in which they come.

    Raises:
        RuntimeError: if no scheduler answers at ``DASK_SCHEDULER_ADDRESS``.
    """
    with _workers(device):
        yield from _train_in_workers(jobs, device)


@contextmanager
def _workers(device: torch.device | None) -> Iterator[int]:
    """Tell joblib which processes to use, and say how many they are."""
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if device is not None and device.type != "cpu":
        with joblib.parallel_config("sequential"):
            yield 1
    elif address is None:
        with joblib.parallel_config(
            "loky",
            n_jobs=joblib.cpu_count(),
            mmap_mode="c",  # makes shared arrays writable, as PyTorch wants them to be
            initializer=work_for,
            initargs=(os.getpid(),),
        ):
            yield joblib.cpu_count()
    else:
        with _dask_client(address), joblib.parallel_config("dask", n_jobs=-1):
            yield joblib.effective_n_jobs(-1)


def _dask_client(address: str) -> Client:
    """Connect to a Dask scheduler, or say that none answers."""
    try:
        return Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"DASK_SCHEDULER_ADDRESS is {address!r}, but no scheduler answers there"
        ) from error


def _train_in_workers(
    jobs: Sequence[Job], device: torch.device | None
) -> Iterator[Done]:
    """Hand the jobs to the processes that joblib was told to use."""
    arrays: dict[int, Arrays] = {}
    for images in (s for job in jobs for s in (job.train_set, job.test_set)):
        # One array per set, since joblib shares what is the same object.
        arrays.setdefault(id(images), (images.images.numpy(), images.labels.numpy()))
    parallel = joblib.Parallel(return_as="generator_unordered")
    return parallel(
        joblib.delayed(_train_here)(
            number,
            job.recipe,
            job.seeds,
            *arrays[id(job.train_set)],
            *arrays[id(job.test_set)],
            device,
            job.first,
        )
        for number, job in enumerate(jobs)
    )


def _train_here(
    number: int,
    recipe: Recipe,
    seeds: Sequence[int],
    train_images: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test_images: NDArray[np.float32],
    test_labels: NDArray[np.int64],
    device: torch.device | None,
    first: int | None,
) -> Done:
    """Do one job, in a process that on a CPU is its own, on one thread."""
    if device is None or device.type == "cpu":
        torch.set_num_threads(1)
    train_set, test_set = (
        ImageSet(torch.from_numpy(images), torch.from_numpy(labels), ())
        for images, labels in ((train_images, train_labels), (test_images, test_labels))
    )
    start = time.process_time()
    nets, histories = train_seeds(
        recipe, seeds, train_set, test_set, device=device, first=first
    )
    return Done(number, nets, histories, time.process_time() - start)
