"""Section 6.6, studies: running experiments, and keeping their results in a file.

Belongs here: running what has no result yet, and knowing which code made a result.
Does not belong here: the experiments (`experiments`), how to train (`training`).
"""

import ast
import hashlib
import inspect
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from solutions import lenet
from solutions.notebook.reproducibility import generator
from solutions.system.files import write_whole
from solutions.training import augmentation, fused, stacked
from solutions.training import loop as training
from solutions.training.data import ImageSet, load
from solutions.training.dispatch import Job, train_jobs
from solutions.training.loop import History, Recipe
from solutions.training.progress import progress


@dataclass(frozen=True)
class Experiment:
    """One recipe of the study, with its data and its seeds.

    Args:
        recipe: what is trained, and how.
        name: of the data set, as `load` takes it.
        final: if true, all 60,000 training images are used and the test set judges.
            Otherwise 10,000 of them, always the same, are set aside and judge.
        seeds: they train together, in one process.
    """

    recipe: Recipe
    name: str = "FashionMNIST"
    final: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Result:
    """What one experiment measured.

    Args:
        histories: one per seed, in their order.
        cpu_seconds: what the training of all seeds took of a processor's time: on one
            thread, unless a GPU trained.
        answers: for each seed of a final experiment the class that its net gives each
            test image, one digit for each; empty if they were not kept.
        experiment: what was measured.
    """

    histories: tuple[History, ...]
    cpu_seconds: float
    answers: tuple[str, ...]
    experiment: Experiment


@cache
def fingerprint() -> str:
    """Return a hash of the code that results depend on, without its documentation.

    >>> len(fingerprint())
    64
    """
    code = "".join(code_of(_tree(part)) for part in CODE)
    return hashlib.sha256(code.encode()).hexdigest()


def code_of(tree: ast.Module) -> str:
    """Write what a module does, without its documentation, to compare it with others.

    >>> code_of(ast.parse("x = 1")) == code_of(ast.parse("x = 1  # why"))
    True
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return _dump(tree)


def _tree(part: Any) -> ast.Module:
    """Return the syntax tree of a module, or of one class or function of a module.

    The source of a class alone would lack its decorators under Python 3.13 if the tests
    have it decorated once more, to check shapes.
    """
    module = inspect.getmodule(part)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    if part is not module:
        tree.body = [n for n in tree.body if getattr(n, "name", "") == part.__name__]
    return tree


def _dump(node: object) -> str:
    """Write a syntax tree as text that is the same in every version of Python.

    `ast.dump` also writes the fields that only newer versions have, though empty.
    """
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ast.iter_fields(node)
    filled = (f"{n}={_dump(v)}" for n, v in fields if v is not None and v != [])
    return f"{type(node).__name__}({','.join(filled)})"


def label(experiment: Experiment) -> str:
    """Return what names an experiment and the code that runs it, for its file.

    Two experiments, or two states of the code, have different labels.
    """
    text = f"{fingerprint()} {experiment!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def sets_of(experiment: Experiment) -> tuple[ImageSet, ImageSet]:
    """Return what an experiment trains on, and what it measures the accuracy on."""
    everything = _load_once(experiment.name, True)
    if experiment.final:
        return everything, _load_once(experiment.name, False)
    return _split_once(experiment.name)


# The processes share a set in memory if it is the same object.
_load_once = cache(load)


@cache
def _split_once(name: str) -> tuple[ImageSet, ImageSet]:
    """Set aside the validation images, the same ones in every experiment."""
    return _load_once(name, True).split(10_000, generator(662))


# What a result depends on. How runs are distributed changes their rounding at most.
CODE: tuple[Any, ...] = (
    *(augmentation, ImageSet, fused, lenet, generator, stacked, training),
    *(load, sets_of, _split_once),
)


def run(
    experiments: Mapping[str, Experiment],
    folder: Path,
    device: torch.device | None = None,
) -> None:
    """Run the experiments whose result is not in a folder yet, and store each there.

    A result is written as soon as it is there, so an interrupted study goes on
    where it stopped. Results of other code have other file names: they are not used.

    Args:
        experiments: name and experiment, in the order in which they are started.
        folder: where the results are kept; it is made if it does not exist.
        device: where to train; None is the CPU.

    Raises:
        NotWrittenError: if the disk is full; the results before are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    different = dict.fromkeys(experiments.values())  # one may have two names
    missing = [e for e in different if not file_of(folder, e).exists()]
    jobs = [Job(e.recipe, e.seeds, *sets_of(e)) for e in missing]
    for done in progress(train_jobs(jobs, device), "runs", len(jobs)):
        experiment = missing[done.number]
        entry = {
            "made_with": _made_with(device),
            "histories": [asdict(history) for history in done.histories],
            "cpu_seconds": done.cpu_seconds,
            "answers": _answers_of(experiment, done.nets),
        }
        write_whole(file_of(folder, experiment), _json(entry))


def _answers_of(experiment: Experiment, nets: Sequence[nn.Sequential]) -> list[str]:
    """Return the answers of nets to the test images, one digit each, if they count."""
    if not experiment.final:
        return []
    images = sets_of(experiment)[1].images
    return ["".join(map(str, _classes(net, images).tolist())) for net in nets]


@torch.inference_mode()
def _classes(
    net: nn.Sequential, images: Float[Tensor, "n c h w"]
) -> Int64[Tensor, " n"]:
    """Return the class that a net gives each image."""
    net.eval()
    return torch.cat([net(X).argmax(dim=1) for X in images.split(256)])


def _made_with(device: torch.device | None) -> dict[str, str]:
    """Describe what computes, without any name of a host."""
    on_cuda = device is not None and device.type == "cuda"
    vectors = torch.backends.cpu.get_cpu_capability()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": torch.cuda.get_device_name(device)
        if on_cuda
        else f"{platform.machine()}, {vectors}",
    }


def file_of(folder: Path, experiment: Experiment) -> Path:
    """Return where the result of an experiment is kept."""
    return folder / f"{label(experiment)}.json"


def _json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=1) + "\n"


def collect(experiments: Mapping[str, Experiment], folder: Path, path: Path) -> None:
    """Put the results of all experiments, each with what made it, into one file.

    Args:
        experiments: name and experiment; all must have been run.
        folder: where `run` put the results.
        path: the file to write, in JSON.
    """
    results = {
        name: {"label": label(e), **json.loads(file_of(folder, e).read_text("utf-8"))}
        for name, e in experiments.items()
    }
    write_whole(path, _json(results))


def read(experiments: Mapping[str, Experiment], path: Path) -> dict[str, Result]:
    """Read the results that `collect` wrote.

    Args:
        experiments: name and experiment, as they are now.
        path: the file.

    Returns:
        Name and result of each experiment.

    Raises:
        ValueError: if a result was made by other code, or its experiment has been
            changed, so that it does not say what the code of today would find.
    """
    stored = json.loads(path.read_text("utf-8"))
    now = {name: label(experiment) for name, experiment in experiments.items()}
    stale = [
        name for name, made in now.items() if stored.get(name, {}).get("label") != made
    ]
    if stale or stored.keys() - now.keys():
        raise ValueError(
            f"{path} has no result of the present code for: "
            f"{', '.join([*stale, *(stored.keys() - now.keys())])}; run `make study`"
        )
    return {name: _result(stored[name], e) for name, e in experiments.items()}


def _result(entry: Mapping[str, Any], experiment: Experiment) -> Result:
    """Return a result as it was before it was written as JSON."""
    histories = tuple(_history(history) for history in entry["histories"])
    answers = tuple(entry.get("answers", ()))
    return Result(histories, entry["cpu_seconds"], answers, experiment)


def _history(entry: Mapping[str, Any]) -> History:
    """Return a history as it was before it was written as JSON, which has no tuples."""
    curves = {name: tuple(values) for name, values in entry.items()}
    norms = tuple(tuple(epoch) for epoch in curves.pop("grad_norm"))
    return History(**curves, grad_norm=norms)
