"""What makes a run repeatable: seeds, deterministic algorithms, the device.

Belongs here: everything that is set once, before anything is computed.
Does not belong here: data (`data`), the order of batches (`training`).
"""

import os

# cuBLAS reads this when CUDA starts, so it is set when this module is imported.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch


def make_deterministic(seed: int = 0) -> None:
    """Make everything that follows give the same numbers each time.

    Seeds PyTorch, asks for deterministic algorithms, switches off TF32 and the
    search for the fastest convolution, and fixes how tensors are printed.

    Args:
        seed: the seed of PyTorch's global generators.

    >>> make_deterministic()
    >>> first = torch.rand(3)
    >>> make_deterministic()
    >>> torch.equal(first, torch.rand(3))
    True
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=88)


def generator(seed: int) -> torch.Generator:
    """Return a new random generator on the CPU.

    A cell that draws from its own generator prints the same numbers whatever
    ran before it, and the same on every device.

    Args:
        seed: the seed; by custom the exercise's number, 623 for exercise 6.2.3.

    Returns:
        The seeded generator.

    >>> torch.randint(10, (4,), generator=generator(623))
    tensor([4, 4, 3, 9])
    """
    return torch.Generator().manual_seed(seed)


def choose_device() -> torch.device:
    """Return the device to train on: ``D2L_DEVICE`` if set, else a GPU of NVIDIA's.

    Without one it is the CPU: on Apple's GPUs, `mps`, nothing was tried yet, so they
    are used if they are asked for.

    Returns:
        The device, `cpu`, `cuda` or `mps`.

    Raises:
        RuntimeError: if ``D2L_DEVICE`` is none of the three, or is not present.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    default = "cuda" if present["cuda"] else "cpu"
    asked = os.environ.get("D2L_DEVICE") or default
    if not present.get(asked, False):
        here = ", ".join(name for name, there in present.items() if there)
        raise RuntimeError(
            f"D2L_DEVICE is {asked!r}, but this machine has only: {here}"
        )
    return torch.device(asked)
