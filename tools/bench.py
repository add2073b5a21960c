"""Measure how fast LeNet trains on this machine, and write the book's page about it.

Belongs here: timing whole epochs, interleaved, against d2l and the machine's limit.
Does not belong here: anything that the regression compares; these numbers vary.
"""

import contextlib
import io
import math
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import joblib
import torch
from tabulate import tabulate
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from solutions.lenet import build, layer_costs
from solutions.notebook.figures import throughput_panels
from solutions.notebook.reproducibility import choose_device
from solutions.system.files import NotWrittenError, write_whole
from solutions.training.data import ImageSet, cache_root, load
from solutions.training.dispatch import train_recipes
from solutions.training.experiments import BOOK
from solutions.training.loop import train, train_seeds

Key = TypeVar("Key")
CHAPTERS = Path(__file__).parent.parent / "chapters"
ROUNDS = 3
SEEDS = (0, 1, 2)
BATCH_SIZES = (64, 256, 1024)
NUM_SEEDS = (1, 2, 3, 5)
NUM_BLOCKS = (1, 2, 4, 8, 16, 32, 64)
NUM_CHANNELS = 1024
SIDE = 32
LENET = replace(BOOK, num_epochs=1)
CPU = torch.device("cpu")

AS_SHIPPED = "`d2l.train_ch6`, 4 workers, as shipped"
NO_WORKERS = "`d2l.train_ch6`, 0 workers"
ALONE = "`train`, one model"
TOGETHER = "`train_seeds`, per model, three seeds together"
SIDE_BY_SIDE = "`train_recipes`, per model, three seeds together in each process"
# More than this, in MB, and the benchmark fails: a laptop has other things to do.
MEMORY_LIMIT = 1600

PAGE = """\
# How fast LeNet trains

This page is written by `make bench`, and no regression compares it: the numbers belong to one machine and one day.
They were measured on {machine} with PyTorch {torch}.

## One epoch

One epoch of LeNet on Fashion-MNIST, with the evaluation on the test set: {rounds} rounds, in each of which every variant ran once, and the median of each.

{epochs}

The training of an epoch has {gflop:.0f} billion floating-point operations, and the fastest product of two float32 matrices ran here at {peak:.0f} billion per second: that is the machine's peak.
But LeNet's layers also move {gbyte:.0f} billion bytes in and out, each layer forward and backward by itself, and a tensor as large as the first layer's maps was copied at {speed:.0f} billion bytes per second.
What is attainable counts for each layer and direction whichever takes longer; it is a bound for layers that run one after the other, and for nothing else.

The initial weights, the loss, the optimiser and the batch size are the same in all rows.
After ten epochs `d2l.train_ch6` reached a test accuracy of {d2l_accuracy:.3f}; our three seeds reached {accuracies}.

What makes the difference is not the mathematics.
d2l decodes every image again in every epoch, in processes that compete with the training for the cores, and waits for three numbers after every batch.
`train` keeps the data set in memory as one tensor, picks a batch by its indices, and reads the sums once per epoch.
`train_recipes` trains several seeds as the groups of one net, in one single-threaded process per core; whether that gains anything over `train` depends on how much two processes on this machine slow each other down.

A process that loads the data and trains one model needed {memory[1]:.0f} MB at its peak; with three seeds together it needed {memory[3]:.0f} MB.
`make bench` fails when either exceeds {memory_limit} MB.

## Batch size and number of seeds

One thread trains one model with batches of different sizes, or several seeds together with batches of 256.

![Two panels. Above, examples per second over the batch size; below, examples per second and model over the number of seeds that train together.](benchmark.svg)

{sweep}

## On a GPU

`make bench D2L_DEVICE=cuda` writes this table, with the same code on a GPU.
An epoch is the mean of five that follow the first; what the first takes longer is the start, which includes compiling.

:::{{include}} benchmark/cuda.md
:::

`compiled=True` lets PyTorch compile the net and replay its steps as CUDA graphs.

## A block-diagonal matrix of channels

A matrix of {channels} × {channels} multiplies the {channels} channels of an image of {side} × {side} pixels, whole or cut down to $b$ blocks on its diagonal ({{ref}}`ex-7-4-7`), on one thread.
With $b$ blocks there are $b$ times fewer multiplications.
The table says how many times faster that is than the whole matrix, as a product of matrices and as a layer: {rounds} rounds again, and the median of each.

{blocks}
"""  # noqa: E501


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes, in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextlib.contextmanager
def where_d2l_finds_the_data() -> Iterator[io.StringIO]:
    """Stand in a folder whose ``../data`` is the cache; collect what d2l prints."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "work").mkdir()
        (Path(scratch) / "data").symlink_to(cache_root())
        os.chdir(Path(scratch) / "work")
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                yield printed
        finally:
            os.chdir(here)


def train_like_d2l(
    num_workers: int, num_epochs: int = 1, device: torch.device = CPU
) -> tuple[float, float]:
    """Train LeNet by the book's own code, unchanged, with its plots.

    Args:
        num_workers: processes that decode images; d2l ships with 4.
        num_epochs: passes over the training set.
        device: where to train.

    Returns:
        Seconds, and the test accuracy that d2l prints.
    """
    with warnings.catch_warnings(), where_d2l_finds_the_data() as printed:
        warnings.simplefilter("ignore")  # d2l has more workers than there are cores
        from d2l import torch as d2l

        d2l.get_dataloader_workers = lambda: num_workers
        d2l.use_svg_display = lambda: None  # it asks IPython for what 9 has not
        sets = d2l.load_data_fashion_mnist(256)
        net = build(LENET.spec, seed=0)
        seconds = seconds_of(
            lambda: d2l.train_ch6(net, *sets, num_epochs, LENET.lr, device)
        )
    found = re.search(r"test acc ([\d.]+)", printed.getvalue())
    assert found is not None
    return seconds, float(found[1])


def epoch_variants(
    train_set: ImageSet, test_set: ImageSet
) -> dict[str, Callable[[], float]]:
    """Return the ways to train for one epoch; each gives seconds per model."""

    def alone() -> float:
        net = build(LENET.spec, seed=0)
        return seconds_of(lambda: train(net, LENET, train_set, test_set, seed=0))

    def together() -> float:
        work = partial(train_seeds, LENET, SEEDS, train_set, test_set)
        return seconds_of(work) / len(SEEDS)

    def side_by_side() -> float:
        recipes = [LENET] * joblib.cpu_count()
        seconds = seconds_of(lambda: train_recipes(recipes, SEEDS, train_set, test_set))
        return seconds / (len(recipes) * len(SEEDS))

    return {
        AS_SHIPPED: lambda: train_like_d2l(4)[0],
        NO_WORKERS: lambda: train_like_d2l(0)[0],
        ALONE: alone,
        TOGETHER: together,
        SIDE_BY_SIDE: side_by_side,
    }


def interleaved(
    variants: Mapping[Key, Callable[[], float]], rounds: int
) -> dict[Key, float]:
    """Run every variant once per round, so that all meet the same disturbances.

    Args:
        variants: name and function; the function returns a number.
        rounds: how often each is run.

    Returns:
        The median of each.

    >>> interleaved({"a": iter([3.0, 9.0, 1.0]).__next__}, rounds=3)
    {'a': 3.0}
    """
    found: dict[Key, list[float]] = {name: [] for name in variants}
    for _ in tqdm(range(rounds), "rounds", disable=not sys.stderr.isatty()):
        for name, variant in variants.items():
            found[name].append(variant())
    return {name: statistics.median(values) for name, values in found.items()}


def peak_flops(size: int = 2048) -> float:
    """Return the floating-point operations per second of a float32 matrix product."""
    A, B = torch.rand(2, size, size)
    return 2.0 * size**3 / min(seconds_of(lambda: A @ B) for _ in range(10))


def epoch_flops(num_examples: int) -> int:
    """Count the floating-point operations of one training epoch of LeNet.

    >>> round(epoch_flops(60_000) / 1e9)
    136
    """
    passes = layer_passes(build(LENET.spec, seed=0))
    return num_examples * sum(operations for operations, _ in passes)


def layer_passes(net: nn.Sequential) -> Iterator[tuple[int, int]]:
    """Yield operations and bytes of each layer's passes, for one example.

    A pass reads and writes its tensors once; weights are shared by a batch and left
    out. Forward, a layer reads its input and writes its output. Backward, one with
    weights computes their gradient and that of its input, which the first one needs
    not; the others turn the gradient of the output into that of the input.

    Args:
        net: a net from `lenet.build`.
    """
    num_inputs = 28 * 28
    for number, cost in enumerate(layer_costs(net)):
        num_outputs = math.prod(cost.output_shape)
        passes = 2 if not cost.multiplications or number == 0 else 3
        for _ in range(passes):
            yield 2 * cost.multiplications, 4 * (num_inputs + num_outputs)
        num_inputs = num_outputs


def attainable_seconds(num_examples: int, peak: float, speed: float) -> float:
    """Return how long an epoch takes if each pass is as fast as the machine allows.

    Args:
        num_examples: of the epoch.
        peak: floating-point operations per second.
        speed: bytes read and written per second.

    >>> limit = 60_000 * 2 * (3 * 416_520 - 117_600) / 1e9
    >>> abs(attainable_seconds(60_000, peak=1e9, speed=1e30) - limit) < 1e-9
    True
    """
    passes = layer_passes(build(LENET.spec, seed=0))
    return num_examples * sum(max(n / peak, b / speed) for n, b in passes)


def copy_speed() -> float:
    """Return the bytes per second, read and written, of a copy of the first maps."""
    X = torch.rand(LENET.batch_size, 6, 28, 28)
    Y = torch.empty_like(X)
    seconds = min(seconds_of(lambda: Y.copy_(X)) for _ in range(100))
    return 2 * X.numel() * X.element_size() / seconds


def peak_memory(num_seeds: int) -> float:
    """Return the peak memory of a process that trains seeds together, in MB.

    Raises:
        RuntimeError: if it is more than MEMORY_LIMIT.
    """
    # Not `ru_maxrss`, which a process inherits from the one that starts it.
    code = f"""
import re
from pathlib import Path
from solutions.training.data import load
from solutions.lenet import LeNetSpec
from solutions.training.loop import Recipe, train_seeds
sets = load("FashionMNIST", True), load("FashionMNIST", False)
train_seeds(Recipe(LeNetSpec(), lr=0.9, num_epochs=1), range({num_seeds}), *sets)
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, check=True, text=True, encoding="utf-8"
    )
    peak = int(done.stdout) * 1024 / 1e6
    if peak > MEMORY_LIMIT:
        raise RuntimeError(
            f"training {num_seeds} seeds took {peak:.0f} MB, more than {MEMORY_LIMIT}"
        )
    return peak


def throughput(train_set: ImageSet, num_seeds: int, batch_size: int) -> float:
    """Return examples per second and model on one thread, for a few thousand."""
    some, few = train_set[: 12 * 1024], train_set[:256]
    recipe = replace(LENET, batch_size=batch_size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = seconds_of(lambda: train_seeds(recipe, range(num_seeds), some, few))
    torch.set_num_threads(threads)
    return num_seeds * len(some) / seconds


def per_call(work: Callable[[], object]) -> float:
    """Return how long a short piece of work takes on one thread, in seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    timer = timeit.Timer(work)
    calls, _ = timer.autorange()  # as many as take a fifth of a second
    seconds = min(timer.repeat(3, calls)) / calls
    torch.set_num_threads(threads)
    return seconds


def block_diagonal_seconds(c: int, side: int, b: int) -> float:
    """Time the product of b diagonal blocks with c channels of side × side pixels.

    >>> block_diagonal_seconds(c=6, side=5, b=2) > 0
    True
    """
    blocks, X = torch.rand(b, c // b, c // b), torch.rand(b, c // b, side * side)
    return per_call(lambda: torch.bmm(blocks, X))


def grouped_seconds(c: int, side: int, b: int) -> float:
    """Time the same as a 1×1 convolution with b groups.

    >>> grouped_seconds(c=6, side=5, b=2) > 0
    True
    """
    K, X = torch.rand(c, c // b, 1, 1), torch.rand(1, c, side, side)
    return per_call(lambda: F.conv2d(X, K, groups=b))


def block_table(rounds: int) -> str:
    """Measure products with more and more blocks; return the table in Markdown."""
    ways = {"product": block_diagonal_seconds, "layer": grouped_seconds}
    variants = {
        f"{way} {b}": partial(time_it, NUM_CHANNELS, SIDE, b)
        for b in NUM_BLOCKS
        for way, time_it in ways.items()
    }
    seconds = interleaved(variants, rounds)
    rows = [
        [b, *(f"{seconds[f'{way} 1'] / seconds[f'{way} {b}']:.1f}" for way in ways)]
        for b in NUM_BLOCKS
    ]
    heads = ["times fewer multiplications", "`torch.bmm`", "`F.conv2d(groups=b)`"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def machine() -> str:
    """Describe the processor, without its name on the network."""
    cores = joblib.cpu_count()
    return f"{cores} cores of an {platform.machine()} processor under {sys.platform}"


def write_page(folder: Path, rounds: int) -> None:
    """Measure everything, then write the page and its figure into a folder."""
    train_set, test_set = load("FashionMNIST", True), load("FashionMNIST", False)
    memory = {num_seeds: peak_memory(num_seeds) for num_seeds in (1, 3)}
    variants = epoch_variants(train_set, test_set)
    variants[SIDE_BY_SIDE]()  # the first call starts the processes
    seconds = interleaved(variants, rounds)
    flops, peak, speed = epoch_flops(len(train_set)), peak_flops(), copy_speed()
    num_bytes = sum(b for _, b in layer_passes(build(LENET.spec, seed=0)))
    limits = (flops / peak, attainable_seconds(len(train_set), peak, speed))
    by_batch = {
        f"batches of {b}": partial(throughput, train_set, 1, b) for b in BATCH_SIZES
    }
    by_seeds = {
        f"{k} at once": partial(throughput, train_set, k, 256) for k in NUM_SEEDS
    }
    speeds = interleaved(by_batch | by_seeds, rounds)
    [(_, histories)] = train_recipes([BOOK], SEEDS, train_set, test_set)
    text = PAGE.format(
        machine=machine(),
        torch=torch.__version__,
        rounds=rounds,
        epochs=epoch_table(seconds, *limits),
        gflop=flops / 1e9,
        peak=peak / 1e9,
        gbyte=len(train_set) * num_bytes / 1e9,
        speed=speed / 1e9,
        d2l_accuracy=train_like_d2l(0, num_epochs=10)[1],
        accuracies=", ".join(f"{h.test_acc[-1]:.3f}" for h in histories),
        memory=memory,
        memory_limit=MEMORY_LIMIT,
        sweep=tabulate(
            [[name, f"{speed:,.0f}"] for name, speed in speeds.items()],
            ["batch size, or number of seeds", "examples per second and model"],
            tablefmt="github",
            disable_numparse=True,
        ),
        channels=NUM_CHANNELS,
        side=SIDE,
        blocks=block_table(rounds),
    )
    figure = throughput_panels(
        dict(zip(BATCH_SIZES, (speeds[name] for name in by_batch), strict=True)),
        dict(zip(NUM_SEEDS, (speeds[name] for name in by_seeds), strict=True)),
    )
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    write_whole(folder / "benchmark.svg", drawn.getvalue())
    write_whole(folder / "benchmark.md", text)


def epoch_table(seconds: Mapping[str, float], least: float, attainable: float) -> str:
    """Write the table of the seconds per epoch.

    Args:
        seconds: name and seconds per epoch and model.
        least: seconds that the operations take at the machine's peak.
        attainable: seconds that they take if moving the numbers takes time too.

    Returns:
        The table in Markdown.
    """
    rows = [
        [name, f"{s:.2f}", f"{seconds[AS_SHIPPED] / s:.1f}"]
        + [f"{limit / s:.0%}" for limit in (least, attainable)]
        for name, s in seconds.items()
    ]
    heads = [
        "how",
        "seconds",
        "times as fast as d2l",
        "of the peak",
        "of the attainable",
    ]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def cuda_variants(
    train_set: ImageSet, test_set: ImageSet
) -> dict[str, Callable[[int], float]]:
    """Return the ways to train on a GPU: from epochs to seconds per model."""
    cuda = torch.device("cuda")

    def together(num_seeds: int, num_epochs: int, *, compiled: bool) -> float:
        torch.compiler.reset()  # each run compiles for itself, as a reader's would
        recipe = replace(LENET, num_epochs=num_epochs)
        sets = train_set, test_set
        work = partial(train_seeds, recipe, range(num_seeds), *sets, device=cuda)
        return seconds_of(partial(work, compiled=compiled)) / num_seeds

    return {
        AS_SHIPPED: lambda num_epochs: train_like_d2l(4, num_epochs, cuda)[0],
        ALONE: partial(together, 1, compiled=False),
        f"{ALONE}, compiled": partial(together, 1, compiled=True),
        TOGETHER: partial(together, 3, compiled=False),
        f"{TOGETHER}, compiled": partial(together, 3, compiled=True),
    }


def cuda_table(rounds: int) -> str:
    """Measure training on a GPU; return the table in Markdown."""
    sets = load("FashionMNIST", True), load("FashionMNIST", False)
    variants = cuda_variants(*sets)
    for variant in variants.values():
        variant(1)  # CUDA starts, and compiled kernels reach the cache on the disk
    one_and_six = {
        (name, num_epochs): partial(variant, num_epochs)
        for name, variant in variants.items()
        for num_epochs in (1, 6)
    }
    seconds = interleaved(one_and_six, rounds)
    rows = []
    for name in dict.fromkeys(name for name, _ in seconds):
        one, six = seconds[name, 1], seconds[name, 6]
        rows.append((name, one - (six - one) / 5, (six - one) / 5))
    d2l = rows[0][2]
    return tabulate(
        [[n, f"{start:.2f}", f"{s:.3f}", f"{d2l / s:.1f}"] for n, start, s in rows],
        ["how", "start, seconds", "seconds per epoch", "times as fast as d2l"],
        tablefmt="github",
        disable_numparse=True,
    )


def write_cuda_table(folder: Path, rounds: int) -> None:
    """Measure on this machine's GPU; write what the page includes."""
    where = (
        f"Measured on one {torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
    )
    write_whole(folder / "benchmark" / "cuda.md", f"{where}.\n\n{cuda_table(rounds)}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    try:
        if choose_device().type == "cuda":
            write_cuda_table(CHAPTERS, ROUNDS)
        else:
            write_page(CHAPTERS, ROUNDS)
            print((CHAPTERS / "benchmark.md").read_text(encoding="utf-8"))
    except NotWrittenError as error:
        sys.exit(f"make: {error}")
