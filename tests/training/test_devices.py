"""That every path to a GPU is laid, as far as a machine without one can tell.

The meta device computes shapes alone. What mixes it with the CPU is an error there as
on a GPU, and so is reading a number: reaching the first number that is read shows that
everything before it is on the device.
"""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from solutions.lenet import LeNetSpec, activations, build
from solutions.training import loop as training
from solutions.training.data import ImageSet
from solutions.training.loop import Recipe, train, train_seeds
from solutions.training.stacked import stack

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
META = torch.device("meta")
SPEC = LeNetSpec(channels=(2, 3), dense=(7,), batch_norm=True)
PLAIN = Recipe(SPEC, lr=0.2, num_epochs=1)
ALL = replace(
    PLAIN, momentum=0.9, weight_decay=0.1, label_smoothing=0.1, mirror=True, shift=2
)


@pytest.fixture
def sets(random_set):
    return random_set(300), random_set(30)


class NoFloat64(TorchDispatchMode):
    """Apple's GPUs have no float64, so nothing on the device may have this type."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        tensors = [X for X in tree_leaves(made) if isinstance(X, torch.Tensor)]
        assert not any(X.is_meta and X.dtype == torch.float64 for X in tensors)
        return made


def where_it_stops(call):
    """Return the function and the line that read the first number."""
    with pytest.raises(NotImplementedError, match="meta") as caught, NoFloat64():
        call()
    last = [e for e in caught.traceback if Path(e.path).name == "loop.py"][-1]
    return last.name, str(last.statement).strip()


def training_of(recipe, sets, stacked):
    """Return what trains on the meta device: one net, or two stacked ones."""
    if stacked:
        return lambda: train_seeds(recipe, (0, 1), *sets, device=META)
    return lambda: train(build(SPEC, 0), recipe, *sets, seed=0, device=META)


@pytest.mark.parametrize("recipe", [PLAIN, ALL], ids=["plain", "all ingredients"])
@pytest.mark.parametrize("stacked", [False, True])
def test_training_stays_on_the_device_until_its_epoch_is_read(sets, recipe, stacked):
    function, line = where_it_stops(training_of(recipe, sets, stacked))
    assert function == "train_epoch" and "tolist()" in line


@pytest.mark.parametrize("stacked", [False, True])
def test_measuring_the_accuracy_stays_there_too(sets, monkeypatch, stacked):
    monkeypatch.setattr(training, "train_epoch", lambda *_: ([], [], []))
    function, line = where_it_stops(training_of(PLAIN, sets, stacked))
    assert function == "_accuracy" and "tolist()" in line


def test_nothing_is_float64_behind_the_first_number_either(sets, monkeypatch):
    def zeros(X):
        return [0.0] * len(X) if X.ndim == 1 else [zeros(row) for row in X]

    def to_cpu(X):
        return torch.zeros(X.shape, dtype=X.dtype)

    monkeypatch.setattr(torch.Tensor, "tolist", zeros)
    monkeypatch.setattr(torch.Tensor, "item", lambda X: 0.0)
    monkeypatch.setattr(torch.Tensor, "cpu", to_cpu)
    with NoFloat64():
        training_of(PLAIN, sets, stacked=False)()


@pytest.mark.parametrize("forgotten", ["images", "labels"])
def test_what_is_forgotten_on_the_cpu_is_noticed(sets, monkeypatch, forgotten):
    def to(self, device):
        moved = {"images": self.images.to(device), "labels": self.labels.to(device)}
        moved[forgotten] = getattr(self, forgotten)
        return ImageSet(**moved, classes=self.classes)

    monkeypatch.setattr(ImageSet, "to", to)
    with pytest.raises(RuntimeError) as caught:
        train_seeds(PLAIN, (0, 1), *sets, device=META)
    assert "tolist" not in str(caught.traceback[-1].statement)
    assert "device" in str(caught.value)


def test_nets_go_forward_and_back_and_their_parts_are_found():
    nets = [build(SPEC, seed) for seed in (0, 1)]
    group = stack(nets).to(META)
    group(torch.rand(5, 2, 28, 28, device=META)).sum().backward()
    assert all(p.grad.device == META for p in group.parameters())
    maps = activations(nets[0].to(META), torch.rand(5, 1, 28, 28, device=META))
    assert {A.device for A in maps} == {META}


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("asked", ["cuda", "mps", "gpu"])
def test_an_absent_device_is_refused_before_a_notebook_runs(
    pytester, monkeypatch, no_gpu, asked
):
    pytester.path.joinpath("book.ipynb").write_text("never read", encoding="utf-8")
    monkeypatch.setenv("D2L_DEVICE", asked)
    result = pytester.runpytest_inprocess("--nbval", "-p", "tools.regression.nbtol")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    assert [line for line in result.errlines if line] == [
        f"ERROR: D2L_DEVICE is '{asked}', but this machine has only: cpu"
    ]


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_passes_the_device_and_the_limit_on(tmp_path):
    # In the place of Python a program that prints what it is given.
    tell = tmp_path / "tell"
    tell.write_text('#!/bin/sh\necho "$D2L_DEVICE $CELL_LIMIT $*"\n', encoding="utf-8")
    tell.chmod(0o755)
    programs = [f"RUN={tell}", "PYTHON=true"]
    settings = ["D2L_DEVICE=cuda", "CELL_LIMIT=77"]
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "test", *settings, *programs],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")},
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    *_, last = done.stdout.splitlines()
    assert last.startswith("cuda 77 -m pytest ") and "--nbval" in last
