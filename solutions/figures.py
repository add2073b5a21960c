"""Every figure of the book: functions that take numbers and return a `Figure`.

Belongs here: drawing. Does not belong here: computing what is drawn, or showing
it in a notebook (`display.show`, which also takes the alternative text).
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# Okabe and Ito's colours, told apart by colour-blind readers too; black first.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure on white, so that it reads well in a dark theme too.

    Args:
        width: inches; at most 7, so that a page need not scroll.
        height: inches.

    Returns:
        The figure, with constrained layout.
    """
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def draw_matrix(
    ax: Axes, matrix: Tensor, title: str, *, fmt: str | None = "g", limit: float = 0.0
) -> None:
    """Draw a matrix as coloured cells: blue below zero, white at zero, red above.

    Args:
        ax: where to draw.
        matrix: shape (rows, columns), any real dtype.
        title: the title above it.
        fmt: format of the number written into each cell, None for no numbers.
        limit: the value of the darkest colour; 0 takes the largest magnitude.
    """
    values = matrix.detach().cpu().double()
    largest = limit or max(values.abs().max().item(), 1e-12)
    ax.imshow(values.numpy(), cmap="RdBu_r", vmin=-largest, vmax=largest)
    ax.set_title(title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    if fmt is None:
        return
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            shade = "white" if abs(value) > 0.6 * largest else "black"
            text = format(value, fmt)
            ax.text(j, i, text, ha="center", va="center", color=shade, fontsize=7)


def matrices(named: Mapping[str, Tensor], *, fmt: str | None = "g") -> Figure:
    """Draw matrices side by side on one colour scale.

    Args:
        named: title and matrix, shape (rows, columns), for each panel.
        fmt: format of the number written into each cell, None for no numbers.

    Returns:
        The figure.
    """
    limit = max(m.abs().max().item() for m in named.values())
    widths = [m.shape[1] for m in named.values()]
    fig = new_figure(
        7, min(4.0, 0.6 + 7 * max(len(m) for m in named.values()) / sum(widths))
    )
    axes = fig.subplots(1, len(named), squeeze=False, width_ratios=widths)[0]
    for ax, (title, matrix) in zip(axes, named.items(), strict=True):
        draw_matrix(ax, matrix, title, fmt=fmt, limit=limit)
    return fig


def lines(
    x: Sequence[float],
    named: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> Figure:
    """Draw one curve per name over the same abscissa.

    Args:
        x: the abscissa.
        named: label and ordinates, as many as `x` has, for each curve.
        xlabel: label of the horizontal axis, with its unit.
        ylabel: label of the vertical axis, with its unit.
        log: whether the vertical axis is logarithmic.

    Returns:
        The figure.
    """
    fig = new_figure(5, 3)
    ax = fig.subplots()
    styles = zip(named.items(), COLORS, MARKERS, strict=False)
    for (label, y), color, marker in styles:
        ax.plot(x, y, color=color, marker=marker, markersize=3, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return fig
