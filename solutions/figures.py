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
    limit = max(float(m.abs().max()) for m in named.values())
    widths = [m.shape[1] for m in named.values()]
    fig = new_figure(
        7.0, min(4.0, 0.6 + 7 * max(len(m) for m in named.values()) / sum(widths))
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
    fig = new_figure(5.0, 3.0)
    ax = fig.subplots()
    styles = zip(named.items(), COLORS, MARKERS, strict=False)
    for (label, y), color, marker in styles:
        ax.plot(x, y, color=color, marker=marker, markersize=3, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return fig


def strided_samples(
    time: Sequence[float],
    named: Mapping[str, Sequence[float]],
    *,
    step: int,
    stride: int,
    xlabel: str,
) -> Figure:
    """Draw signals with all their samples, and with the samples a stride keeps.

    Args:
        time: the instants at which the signals are drawn, finely spaced.
        named: label and ordinates, as many as `time` has, for each signal.
        step: every how many instants a sample lies; the first instant is a sample.
        stride: every how many samples the panel below keeps one.
        xlabel: label of the horizontal axis, with its unit.

    Returns:
        The figure: above all samples, below the kept ones.
    """
    fig = new_figure(7.0, 4.0)
    above, below = fig.subplots(2, 1, sharex=True)
    for ax, every in ((above, 1), (below, stride)):
        styles = zip(named.items(), COLORS[1:], MARKERS, (9, 5), strict=False)
        for (label, y), color, marker, size in styles:
            ax.plot(time, y, color=color, linewidth=0.8, alpha=0.6)
            kept = slice(None, None, step * every)
            ax.plot(
                time[kept],
                y[kept],
                color=color,
                marker=marker,
                markersize=size,
                linestyle="none",
                label=label,
            )
        ax.set_title(f"stride {every}", fontsize=9)
        ax.set_ylabel("amplitude")
        ax.grid(color="0.9")
    below.set_xlabel(xlabel)
    handles, labels = above.get_legend_handles_labels()
    fig.legend(
        handles, labels, frameon=False, loc="outside upper center", ncols=len(named)
    )
    return fig


def network(weights: Sequence[Tensor], names: Sequence[str]) -> Figure:
    """Draw a small network as a graph: one edge per weight that is not zero.

    Args:
        weights: one matrix per layer, shape (outputs, inputs), in order.
        names: what stands above each column of nodes, one more than `weights` has.

    Returns:
        The figure: positive weights are drawn solid, negative ones dashed.
    """
    sizes = [weights[0].shape[1], *(len(W) for W in weights)]
    fig = new_figure(7.0, 4.0)
    ax = fig.subplots()
    heights = [[(size - 1) / 2 - i for i in range(size)] for size in sizes]
    looks = ((1, COLORS[2], "-", "positive"), (-1, COLORS[1], "--", "negative"))
    for layer, W in enumerate(weights):
        for sign, color, style, label in looks:
            ends = (W * sign > 0).nonzero().tolist()
            y = [(heights[layer][i], heights[layer + 1][o]) for o, i in ends]
            x = [layer + 0.06, layer + 0.94]
            for n, pair in enumerate(y):
                name = label if layer == n == 0 else None
                ax.plot(x, pair, color=color, linestyle=style, lw=0.7, label=name)
    for layer, (column, name) in enumerate(zip(heights, names, strict=True)):
        ax.plot([layer] * len(column), column, "o", color=COLORS[0], markersize=5)
        ax.text(layer, max(sizes) / 2 + 0.3, name, ha="center", fontsize=8)
    ax.set(xlim=(-0.5, len(weights) + 0.5), ylim=(-max(sizes) / 2, max(sizes) / 2 + 1))
    ax.set_axis_off()
    fig.legend(frameon=False, loc="outside lower center", ncols=2)
    return fig


def blocks(matrix: Tensor, block_shape: tuple[int, int], *, fmt: str = "g") -> Figure:
    """Draw a block matrix: coloured cells, and lines between the blocks.

    Args:
        matrix: shape (rows, columns), whole blocks in both directions.
        block_shape: rows and columns of one block.
        fmt: format of the number written into each cell.

    Returns:
        The figure.
    """
    rows, columns = matrix.shape
    fig = new_figure(7.0, 0.4 + 7 * rows / columns)
    ax = fig.subplots()
    draw_matrix(ax, matrix, "", fmt=fmt)
    for row in range(block_shape[0], rows, block_shape[0]):
        ax.axhline(row - 0.5, color=COLORS[0], linewidth=1)
    for column in range(block_shape[1], columns, block_shape[1]):
        ax.axvline(column - 0.5, color=COLORS[0], linewidth=1)
    return fig


def runs(
    named: Mapping[str, Sequence[Sequence[float]]], *, xlabel: str, ylabel: str
) -> Figure:
    """Draw several runs of each of a few settings: every run thin, their mean thick.

    Args:
        named: label and curves, one curve per run, for each setting. The first value
            of a curve belongs to abscissa 1.
        xlabel: label of the horizontal axis, with its unit.
        ylabel: label of the vertical axis, with its unit.

    Returns:
        The figure.
    """
    fig = new_figure(5.0, 3.0)
    ax = fig.subplots()
    styles = zip(named.items(), COLORS[1:], MARKERS, strict=False)
    for (label, curves), color, marker in styles:
        x = range(1, len(curves[0]) + 1)
        for curve in curves:
            ax.plot(x, curve, color=color, linewidth=0.6, alpha=0.5)
        mean = [sum(values) / len(curves) for values in zip(*curves, strict=True)]
        ax.plot(x, mean, color=color, marker=marker, markersize=4, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(color="0.9")
    ax.legend(frameon=False)
    return fig


def feature_maps(
    named: Mapping[str, tuple[Tensor, Tensor]], *, columns: int = 8
) -> Figure:
    """Draw, for each of several images, the image and all maps of one layer.

    All maps share one colour scale, so that brightness can be compared between
    maps and between images.

    Args:
        named: for each row, its title, the image (h, w) and the maps (c, h', w').
        columns: maps side by side; a row with more continues below.

    Returns:
        The figure.
    """
    maps = [m for _, layer in named.values() for m in layer.detach().cpu()]
    low = min(m.min().item() for m in maps)
    high = max(m.max().item() for m in maps)
    per_image = -(-len(maps) // len(named) // columns)
    fig = new_figure(7.0, 0.3 + 0.85 * per_image * len(named))
    axes = fig.subplots(per_image * len(named), columns + 1, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for row, (title, (image, layer)) in enumerate(named.items()):
        first = axes[row * per_image, 0]
        first.imshow(image.cpu(), cmap="gray")
        first.set_title(title, fontsize=7)
        panels = axes[row * per_image : (row + 1) * per_image, 1:].flat
        for ax, one in zip(panels, layer.detach().cpu(), strict=False):
            picture = ax.imshow(one, cmap="viridis", vmin=low, vmax=high)
    fig.colorbar(picture, ax=axes, shrink=0.6, label="activation")
    return fig


def throughput_panels(
    by_batch_size: Mapping[int, float], by_num_seeds: Mapping[int, float]
) -> Figure:
    """Draw training speed against the batch size and against the number of seeds.

    Args:
        by_batch_size: batch size, and examples per second.
        by_num_seeds: seeds trained together, and examples per second and model.

    Returns:
        The figure, with two panels on one vertical scale from zero.
    """
    fig = new_figure(7.0, 3.0)
    axes = fig.subplots(1, 2, sharey=True)
    labels = ("batch size", "seeds trained together")
    top = 1.1 * max(*by_batch_size.values(), *by_num_seeds.values())
    for ax, speeds, xlabel in zip(
        axes, (by_batch_size, by_num_seeds), labels, strict=True
    ):
        places = range(len(speeds))
        ax.plot(places, list(speeds.values()), color=COLORS[1], marker=MARKERS[0])
        ax.set_xticks(places, [str(setting) for setting in speeds])
        ax.set(xlabel=xlabel, ylim=(0.0, top))
        ax.grid(color="0.9")
    axes[0].set_ylabel("examples per second and model")
    return fig
