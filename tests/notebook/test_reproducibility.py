"""Seeds, deterministic algorithms and the choice of the device."""

import os
import re
import runpy

import pytest
import torch

from solutions.notebook import reproducibility
from solutions.notebook.reproducibility import (
    choose_device,
    generator,
    make_deterministic,
)


@pytest.fixture
def careless():
    """Set the opposite of all that `make_deterministic` sets; undo it all after."""
    conv, matmul = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
        conv.fp32_precision,
        matmul.fp32_precision,
    )
    with torch.random.fork_rng():
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = True
        conv.fp32_precision = matmul.fp32_precision = "tf32"
        torch.set_printoptions(precision=2, sci_mode=True, linewidth=20)
        yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.benchmark = before[1]
    conv.fp32_precision, matmul.fp32_precision = before[2:]
    torch.set_printoptions(profile="default")


@pytest.mark.parametrize("calls", [1, 2])
def test_sets_what_it_says(careless, calls):
    for _ in range(calls):
        make_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


def test_an_operator_without_a_deterministic_form_is_refused(careless):
    def put():
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))

    put()
    make_deterministic()
    with pytest.raises(RuntimeError, match="deterministic"):
        put()


def test_prints_four_digits_on_wide_lines(careless):
    make_deterministic()
    assert str(torch.tensor([1e-3, 1e4 / 3])) == "tensor([   0.0010, 3333.3333])"
    longest = max(len(line) for line in str(torch.full((40,), 0.5)).splitlines())
    assert 80 < longest <= 88


def test_seed_repeats_and_tells_runs_apart(careless):
    draws = []
    for seed in (0, 0, 1):
        make_deterministic(seed)
        draws.append(torch.rand(3))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    make_deterministic()
    assert torch.equal(draws[0], torch.rand(3))


def test_generators_do_not_depend_on_one_another():
    first = torch.rand(3, generator=generator(623))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = torch.get_rng_state()
        other = generator(624)
        torch.rand(5, generator=other)
        assert torch.equal(torch.rand(3, generator=generator(623)), first)
        assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(torch.rand(3, generator=generator(624)), first)
    assert generator(623).device.type == "cpu"


@pytest.mark.parametrize(("given", "expected"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_workspace_of_cublas_is_set_on_import(monkeypatch, given, expected):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given or "")
    if given is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    runpy.run_path(reproducibility.__file__)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == expected


@pytest.fixture
def machine(monkeypatch):
    """Pretend that the machine has certain devices; ``D2L_DEVICE`` is not set."""

    def pretend(*present):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in present)
        monkeypatch.setattr(
            torch.backends.mps, "is_available", lambda: "mps" in present
        )

    monkeypatch.delenv("D2L_DEVICE", raising=False)
    return pretend


@pytest.mark.parametrize(
    ("present", "best"),
    [((), "cpu"), (("mps",), "cpu"), (("cuda",), "cuda"), (("mps", "cuda"), "cuda")],
)
def test_takes_no_device_by_itself_that_was_never_tried(
    machine, monkeypatch, present, best
):
    machine(*present)
    assert choose_device() == torch.device(best)
    monkeypatch.setenv("D2L_DEVICE", "")
    assert choose_device() == torch.device(best)


@pytest.mark.parametrize("asked", ["cpu", "mps", "cuda"])
def test_takes_the_device_asked_for(machine, monkeypatch, asked):
    machine("mps", "cuda")
    monkeypatch.setenv("D2L_DEVICE", asked)
    assert choose_device() == torch.device(asked)


@pytest.mark.parametrize(
    ("present", "asked", "there"),
    [
        ((), "cuda", "cpu"),
        ((), "mps", "cpu"),
        (("cuda",), "mps", "cuda, cpu"),
        (("cuda",), "gpu", "cuda, cpu"),
        (("cuda",), "CPU", "cuda, cpu"),
    ],
)
def test_refuses_a_device_that_is_absent(machine, monkeypatch, present, asked, there):
    machine(*present)
    monkeypatch.setenv("D2L_DEVICE", asked)
    message = f"D2L_DEVICE is '{asked}', but this machine has only: {there}"
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        choose_device()
