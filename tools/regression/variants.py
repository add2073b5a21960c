"""Run Python as another machine would: fewer vector instructions, other rounding.

Belongs here: what changes inside a process, before anything else runs in it.
Does not belong here: which processes are started and what they show (`portability`).

`portability` puts a `sitecustomize` that calls `enter` first on the module path, so
that kernels and the processes that train are changed alike.
"""

import functools
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from solutions.system.processes import end_with

VARIABLE, DRAW, PROOF = "D2L_VARIANT", "D2L_VARIANT_DRAW", "D2L_VARIANT_PROOF"
# In a variant a training may be no further off than a third of what is allowed.
STRICTER = 3


@dataclass(frozen=True)
class Variant:
    """One way to run everything.

    Args:
        what: what differs from how the outputs were stored, in a few words.
        threads: of each process.
        environment: variables that are set before the process starts.
        onednn: whether oneDNN computes convolutions.
        channels_last: whether `training` may store images with the channels last.
        perturbation: relative size of a random change of all initial weights.
    """

    what: str
    threads: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    onednn: bool = True
    channels_last: bool = True
    perturbation: float = 0.0


PERTURBED = "weights changed by one millionth"
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
DEFAULT = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
VARIANTS = {
    variant.what: variant
    for variant in (
        Variant("one thread"),
        Variant(PERTURBED, perturbation=1e-6),
        Variant("two threads", threads=2),
        Variant("AVX2 at most", environment=AVX2),
        Variant("neither AVX-512 nor AVX2", environment=DEFAULT),
        Variant("without oneDNN", onednn=False),
        Variant("contiguous instead of channels last", channels_last=False),
    )
}


def enter() -> None:
    """Make this process the variant named in the environment, and prove that it is.

    It also ends with the process that started it.
    """
    end_with(os.getppid())
    variant = VARIANTS[os.environ[VARIABLE]]
    torch.set_num_threads(variant.threads)
    torch.backends.mkldnn.set_flags(_enabled=variant.onednn)
    if not variant.channels_last:
        torch.channels_last = torch.contiguous_format
    if variant.perturbation:
        from solutions import lenet

        size, draw = variant.perturbation, int(os.environ[DRAW])
        # What `build` draws anew would undo the change that a layer's own draw got.
        lenet.build = perturbed(lenet.build, size, draw)
        convolution: Any = torch.nn.modules.conv._ConvNd
        convolution.reset_parameters = perturbed(
            convolution.reset_parameters, size, draw
        )
    from solutions.training import retraining

    for tolerance in (retraining.SMOOTH, retraining.KINKED):
        tolerance.update({name: a / STRICTER for name, a in tolerance.items()})
    with Path(os.environ[PROOF]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(proof()) + "\n")


def perturbed(build: Callable[..., Any], size: float, draw: int) -> Callable[..., Any]:
    """Return what draws weights, but so that they differ by a relative size.

    Args:
        build: returns a net, or is the method with which a layer draws its weights.
        size: the standard deviation of the relative change.
        draw: the seed of the change.

    Returns:
        The function.
    """

    @functools.wraps(build)
    def build_perturbed(*args: Any, **kwargs: Any) -> Any:
        built = build(*args, **kwargs)
        net = args[0] if built is None else built
        noise = torch.Generator().manual_seed(draw)
        with torch.no_grad():
            for weight in net.parameters():
                weight *= 1 + size * torch.randn(weight.shape, generator=noise)
        return built

    return build_perturbed


def proof() -> dict[str, str]:
    """Say what this process computes with, as PyTorch and oneDNN themselves see it."""
    kernels = {line.split(",")[6] for line in _verbose_lines()}
    net_input = torch.zeros(1, 2, 3, 3).to(memory_format=torch.channels_last)
    return {
        "threads": str(torch.get_num_threads()),
        "ATen": torch.backends.cpu.get_cpu_capability(),
        "oneDNN": ", ".join(sorted(kernels)) or "not used",
        "channels last": str(net_input.stride() == (18, 1, 6, 2)),
    }


def _verbose_lines() -> list[str]:
    """Return what oneDNN reports of a convolution that it computes."""
    # It writes to the process's own standard output, not to Python's.
    with tempfile.TemporaryFile("w+b") as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                X, K = torch.ones(32, 16, 14, 14), torch.ones(16, 16, 5, 5)
                torch.nn.functional.conv2d(X, K)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        lines = file.read().decode().splitlines()
    return [line for line in lines if ",exec,cpu,convolution," in line]
