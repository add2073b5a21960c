"""Section 6.6, augmentation: images mirrored and moved at random, for better training.

Belongs here: changing the images of a batch without changing what they show.
Does not belong here: the training that uses it (`training`), reading images (`data`).
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F


def augment(
    images: Float[Tensor, "n c h w"],
    *,
    mirror: bool,
    shift: int,
    generator: torch.Generator,
) -> Float[Tensor, "n c h w"]:
    """Mirror half of the images, and move each by a few pixels, at random.

    Args:
        images: shape (n, c, h, w).
        mirror: whether an image may be mirrored, left to right.
        shift: the furthest that an image moves along each axis, in pixels.
        generator: the random generator, on the CPU, so that every device draws alike.

    Returns:
        The new images, on the device of the old ones.

    Source: D2L section 6.6, exercise 6.6.2; D2L section 13.1 (image augmentation).

    >>> X = torch.ones(4, 1, 2, 2)
    >>> g = torch.Generator().manual_seed(0)
    >>> augment(X, mirror=True, shift=1, generator=g).sum(dim=(1, 2, 3))
    tensor([2., 4., 2., 1.])
    """
    n = len(images)
    mirrored = torch.rand(n, generator=generator) < (0.5 if mirror else 0.0)
    shifts = torch.randint(-shift, shift + 1, (n, 2), generator=generator)
    return moved(images, mirrored.to(images.device), shifts.to(images.device), shift)


def moved(
    images: Float[Tensor, "n c h w"],
    mirrored: Bool[Tensor, " n"],
    shifts: Int64[Tensor, "n 2"],
    border: int,
) -> Float[Tensor, "n c h w"]:
    """Return each image mirrored left to right where asked, then moved.

    Args:
        images: shape (n, c, h, w).
        mirrored: which images are mirrored, shape (n,).
        shifts: how far each image moves down and to the right, in pixels, shape
            (n, 2). What leaves the image is lost, and zeros come in.
        border: at least the largest absolute shift. It is an argument because to
            compute it would be to wait for the device.

    Returns:
        The new images.

    >>> X = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    >>> moved(X, torch.tensor([True]), torch.tensor([[0, 1]]), border=1)
    tensor([[[[0., 3., 2.]]]])
    """
    n, _, h, w = images.shape
    padded = F.pad(images, [border] * 4)
    rows = border + torch.arange(h, device=images.device) - shifts[:, :1]
    columns = border + torch.arange(w, device=images.device) - shifts[:, 1:]
    # A mirrored image is read from its right end.
    columns = torch.where(mirrored[:, None], w - 1 + 2 * border - columns, columns)
    each = torch.arange(n, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
