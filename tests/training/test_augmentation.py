"""Mirroring and moving images, against flips and slices of tensors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solutions.notebook.reproducibility import generator
from solutions.training.augmentation import augment, moved


def slowly_moved(image, mirrored, down, right):
    """One image, one pixel at a time."""
    source = image.flip(-1) if mirrored else image
    result = torch.zeros_like(image)
    _, h, w = image.shape
    for i in range(h):
        for j in range(w):
            if 0 <= i - down < h and 0 <= j - right < w:
                result[:, i, j] = source[:, i - down, j - right]
    return result


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    border=st.integers(0, 3),
    seed=st.integers(0, 9),
)
def test_moved_agrees_with_single_pixels(shape, border, seed):
    g = generator(seed)
    X = torch.rand(shape, generator=g)
    mirrored = torch.rand(shape[0], generator=g) < 0.5
    shifts = torch.randint(-border, border + 1, (shape[0], 2), generator=g)
    expected = [
        slowly_moved(x, m, *s.tolist())
        for x, m, s in zip(X, mirrored, shifts, strict=True)
    ]
    assert torch.equal(moved(X, mirrored, shifts, border), torch.stack(expected))


def test_mirroring_keeps_or_flips_each_image():
    X = torch.rand(200, 1, 3, 5, generator=generator(0))
    Y = augment(X, mirror=True, shift=0, generator=generator(1))
    kept = (Y == X).flatten(1).all(dim=1)
    flipped = (X.flip(-1) == Y).flatten(1).all(dim=1)
    assert (kept ^ flipped).all()
    assert 70 < kept.sum() < 130


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_every_shift_occurs_and_no_larger_one(shift):
    X = torch.zeros(500, 1, 9, 9)
    X[:, :, 4, 4] = 1
    Y = augment(X, mirror=False, shift=shift, generator=generator(2))
    places = {(i - 4, j - 4) for _, _, i, j in Y.nonzero().tolist()}
    allowed = range(-shift, shift + 1)
    assert places == {(i, j) for i in allowed for j in allowed}


def test_draws_come_from_the_generator_alone():
    X = torch.rand(20, 1, 4, 4, generator=generator(0))
    one, same, other = (
        augment(X, mirror=True, shift=1, generator=generator(seed))
        for seed in (5, 5, 6)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
