"""Section 6.1, from fully connected layers to convolutions: the book's formulas.

Belongs here: the layers of section 6.1 as the formulas define them, channels last.
Does not belong here: the operators of later sections (`convolution`, `channels`).
"""

from jaxtyping import Num
from torch import Tensor
from torch.nn import functional as F

from solutions.shapes import require_layout, require_one_dtype


def _require_channels(X: Tensor, V: Tensor, u: Tensor) -> None:
    """Check that the channels of image, kernel and bias belong together."""
    c_i, c_o = V.shape[-2:]
    if X.shape[-1] != c_i:
        raise ValueError(
            f"V has shape {tuple(V.shape)} and reads {c_i} channels, "
            f"but X has {X.shape[-1]}"
        )
    if u.shape != (c_o,):
        raise ValueError(
            f"u has shape {tuple(u.shape)}, but must be ({c_o},), one per output"
        )


def conv_layer(
    X: Num[Tensor, "h w c_i"], V: Num[Tensor, "k k c_i c_o"], u: Num[Tensor, " c_o"]
) -> Num[Tensor, "h w c_o"]:
    """Apply the convolutional layer of section 6.1 to one image.

    ``H[i, j, d] = u[d] + Σ_a Σ_b Σ_c V[a, b, c, d] X[i + a, j + b, c]`` with `a` and
    `b` from ``-Δ`` to ``Δ``. Pixels outside the image are 0.

    Args:
        X: the image, shape (h, w, c_i), any dtype; the channels come last.
        V: the kernel, shape (2Δ + 1, 2Δ + 1, c_i, c_o), dtype of `X`. Tensors count
            from 0, so the formula's ``V[a, b]`` is stored at ``[Δ + a, Δ + b]``.
        u: the bias, shape (c_o,), dtype of `X`.

    Returns:
        The hidden representation, shape (h, w, c_o).

    Raises:
        ValueError: if an argument has another rank, the kernel is not square with an
            odd side, or the channels or dtypes do not match.

    Source: D2L section 6.1, the equation with channels.

    >>> import torch
    >>> X = torch.tensor([[1, 2], [3, 4]]).reshape(2, 2, 1)
    >>> V = torch.ones(3, 3, 1, 1, dtype=torch.int64)
    >>> conv_layer(X, V, torch.tensor([5])).reshape(2, 2)
    tensor([[15, 15],
            [15, 15]])
    """
    require_layout("X", X, "h w c_i")
    require_layout("V", V, "k k c_i c_o")
    if V.shape[0] != V.shape[1] or V.shape[0] % 2 == 0:
        raise ValueError(
            f"V has shape {tuple(V.shape)}, but its sides must be equal and odd"
        )
    _require_channels(X, V, u)
    require_one_dtype(X=X, V=V, u=u)
    h, w = X.shape[:2]
    delta = V.shape[0] // 2
    padded = F.pad(X, (0, 0, delta, delta, delta, delta))
    H = u.expand(h, w, -1)
    for a in range(-delta, delta + 1):
        for b in range(-delta, delta + 1):
            X_ab = padded[delta + a :, delta + b :][:h, :w]  # X[i + a, j + b, c]
            H = H + X_ab @ V[delta + a, delta + b]  # the product sums over c
    return H


def conv_layer_1d(
    X: Num[Tensor, "t c_i"],
    V: Num[Tensor, "taps c_i c_o"],
    u: Num[Tensor, " c_o"],
    causal: bool = False,
) -> Num[Tensor, "t c_o"]:
    """Apply a convolutional layer to one sequence, such as sound or text.

    ``H[t, d] = u[d] + Σ_a Σ_c V[a, c, d] X[t + a, c]`` with `a` from ``-Δ`` to ``Δ``,
    or from ``-Δ`` to 0 when causal. Steps outside the sequence are 0.

    Args:
        X: the sequence, shape (t, c_i), any dtype; the channels come last.
        V: the kernel, shape (taps, c_i, c_o), dtype of `X`. It has 2Δ + 1 taps, or
            Δ + 1 when causal; the first one multiplies the earliest step.
        u: the bias, shape (c_o,), dtype of `X`.
        causal: whether an output may depend on no later step than its own.

    Returns:
        The hidden representation, shape (t, c_o).

    Raises:
        ValueError: if an argument has another rank, the number of taps is even and
            the layer is not causal, or the channels or dtypes do not match.

    Source: exercises 6.1.4 and 6.1.5.

    >>> import torch
    >>> X = torch.tensor([[1], [2], [3]])
    >>> V = torch.tensor([10, 1, 0]).reshape(3, 1, 1)
    >>> conv_layer_1d(X, V, torch.tensor([0])).flatten()
    tensor([ 1, 12, 23])
    >>> conv_layer_1d(X, V, torch.tensor([0]), causal=True).flatten()
    tensor([ 0,  1, 12])
    """
    require_layout("X", X, "t c_i")
    require_layout("V", V, "taps c_i c_o")
    steps, taps = len(X), len(V)
    if taps % 2 == 0 and not causal:
        raise ValueError(
            f"V has {taps} taps, but must have an odd number, or be causal"
        )
    _require_channels(X, V, u)
    require_one_dtype(X=X, V=V, u=u)
    past = taps - 1 if causal else taps // 2
    future = taps - 1 - past
    padded = F.pad(X, (0, 0, past, future))
    H = u.expand(steps, -1)
    for a in range(-past, future + 1):
        H = H + padded[past + a :][:steps] @ V[past + a]  # X[t + a, c] times V[a, c, d]
    return H
