"""Every figure of the book: functions that take numbers and return a `Figure`.

Belongs here: drawing. Does not belong here: computing what is drawn, or showing
it in a notebook (`display.show`, which also takes the alternative text).
"""

from collections.abc import Mapping, Sequence
from math import ceil
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

# Okabe and Ito's colours, told apart by colour-blind readers too; black first.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# A phone shows a figure 276 pixels wide: 9 points in 4.2 inches are 8 pixels there.
WIDTH = 4.2  # inches
SMALL = 9.0  # points, the smallest text; the rest has matplotlib's 10
# A character of SMALL text is no wider, on average, than this.
CHARACTER = 5.6  # points


def new_figure(height: float) -> Figure:
    """Return an empty figure on white, so that it reads well in a dark theme too.

    Args:
        height: inches.

    Returns:
        The figure, `WIDTH` wide, with constrained layout.
    """
    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


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
    ax.set_title(title, fontsize=SMALL)
    ax.set_xticks([])
    ax.set_yticks([])
    if fmt is None:
        return
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            shade = "white" if abs(value) > 0.6 * largest else "black"
            text = format(value, fmt)
            ax.text(j, i, text, ha="center", va="center", color=shade, fontsize=SMALL)


def matrices(named: Mapping[str, Tensor], *, fmt: str | None = "g") -> Figure:
    """Draw matrices on one colour scale, as many side by side as are legible.

    Args:
        named: title and matrix, shape (rows, columns), for each panel. A title without
            mathematics is broken where its panel ends.
        fmt: format of the number written into each cell, None for no numbers.

    Returns:
        The figure.
    """
    limit = max(float(m.abs().max()) for m in named.values())
    widest = max(m.shape[1] for m in named.values())
    longest = max(
        len(format(v, fmt)) if fmt else 0
        for m in named.values()
        for v in m.flatten().tolist()
    )
    points = max(12.0, CHARACTER * longest + 3) if fmt else 5.0  # a cell needs these
    side_by_side = max(1, int(WIDTH * 72 / points / (widest + 0.5)))
    panels = list(named.items())
    per_row = ceil(len(panels) / ceil(len(panels) / side_by_side))
    rows = [panels[i : i + per_row] for i in range(0, len(panels), per_row)]
    cells = max(sum(m.shape[1] for _, m in row) for row in rows)
    heights = [max(len(m) for _, m in row) * WIDTH / cells + 0.4 for row in rows]
    fig = new_figure(sum(heights))
    bands = fig.subfigures(len(rows), squeeze=False, height_ratios=heights)[:, 0]
    for band, row in zip(bands, rows, strict=True):
        widths = [m.shape[1] for _, m in row]
        if missing := cells - sum(widths):  # cells as large as those of a full row
            widths.append(missing)
        grid = band.add_gridspec(1, len(widths), width_ratios=widths)
        for place, (title, matrix) in enumerate(row):
            space = int(WIDTH * 72 * matrix.shape[1] / cells / (CHARACTER - 0.8))
            text = title if "$" in title else fill(title, max(4, space))
            draw_matrix(
                band.add_subplot(grid[place]), matrix, text, fmt=fmt, limit=limit
            )
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
    fig = new_figure(2.8)
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
    fig = new_figure(4.2)
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
        ax.set_title(f"stride {every}", fontsize=SMALL)
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
    fig = new_figure(3.6)
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
        ax.text(layer, max(sizes) / 2 + 0.3, name, ha="center", fontsize=SMALL)
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
    fig = new_figure(0.2 + WIDTH * rows / columns)
    ax = fig.subplots()
    draw_matrix(ax, matrix, "", fmt=fmt)
    for row in range(block_shape[0], rows, block_shape[0]):
        ax.axhline(row - 0.5, color=COLORS[0], linewidth=1)
    for column in range(block_shape[1], columns, block_shape[1]):
        ax.axvline(column - 0.5, color=COLORS[0], linewidth=1)
    return fig


def windows(seen: Mapping[str, Tensor], padding: tuple[int, int]) -> Figure:
    """Draw, for each of several outputs, the pixels that its window reads.

    Args:
        seen: for each panel its title, and a mask, shape (rows, columns), of the padded
            input: True where the window has a tap.
        padding: how many rows and columns of the mask, on each side, are padding.

    Returns:
        The figure, two panels a row: taps dark, other pixels light, padding dashed.
    """
    rows, columns = next(iter(seen.values())).shape
    per_column = ceil(len(seen) / 2)
    fig = new_figure(per_column * (0.3 + WIDTH / 2 * rows / columns))
    axes = fig.subplots(per_column, 2, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, mask) in zip(axes.flat, seen.items(), strict=False):
        ax.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal")
        ax.set_title(title, fontsize=SMALL)
        for i, row in enumerate(mask.tolist()):
            for j, is_tap in enumerate(row):
                inside = (
                    padding[0] <= i < rows - padding[0]
                    and padding[1] <= j < columns - padding[1]
                )
                fill_color = COLORS[1] if is_tap else "0.93" if inside else "white"
                cell = Rectangle(
                    (j - 0.42, i - 0.42),
                    *(0.84, 0.84),
                    facecolor=fill_color,
                    edgecolor="none" if inside else "0.45",
                    linestyle="-" if inside else ":",
                )
                ax.add_patch(cell)
    return fig


def dependence(named: Mapping[str, tuple[Sequence[Tensor], tuple[int, int]]]) -> Figure:
    """Draw, one panel per net, which pixels one output depends on, layer by layer.

    Args:
        named: for each panel its title, the masks of the layers, each of shape (n,),
            the input first, and the window and stride that all layers have. A mask
            is True where the output depends on the element.

    Returns:
        The figure: the input at the bottom, the output at the top, each element in
        the middle of the window it is computed from, and what matters in colour.
    """
    fig = new_figure(2.2 * len(named))
    panels = fig.subplots(len(named), 1, squeeze=False)[:, 0]
    for ax, (title, (masks, (kernel_size, stride))) in zip(
        panels, named.items(), strict=True
    ):
        x = [float(i) for i in range(len(masks[0]))]
        for level, mask in enumerate(masks):
            is_used = mask.tolist()
            if level:
                reads = [
                    range(i * stride, i * stride + kernel_size)
                    for i in range(len(mask))
                ]
                above = [sum(x[j] for j in window) / kernel_size for window in reads]
                for place, window, used in zip(above, reads, is_used, strict=True):
                    for j in window if used else ():
                        ends = [level - 1, level]
                        ax.plot([x[j], place], ends, color=COLORS[1], lw=0.8, zorder=1)
                x = above
            colors = [COLORS[2] if used else "0.8" for used in is_used]
            ax.scatter(x, [level] * len(x), c=colors, s=28, zorder=2)
            ax.text(-1, level, f"{sum(is_used)}", ha="right", va="center")
        ax.set_title(title, fontsize=SMALL)
        ax.set_axis_off()
    return fig


def tournament(rounds: Sequence[Sequence[float]]) -> Figure:
    """Draw a tournament: the numbers of each round, and the way of the winner.

    Args:
        rounds: the players of each round, the values of the window first, the winner
            last. Players 2i and 2i + 1 meet in match i of the next round; a last
            player without opponent goes on.

    Returns:
        The figure: rounds from left to right; the winner's way is thick and orange.
    """
    fig = new_figure(0.3 + 0.33 * len(rounds[0]))
    ax = fig.subplots()
    heights = [[-float(i) for i in range(len(rounds[0]))]]
    for players in rounds[1:]:
        below = heights[-1]
        pairs = [below[2 * i : 2 * i + 2] for i in range(len(players))]
        heights.append([sum(pair) / len(pair) for pair in pairs])
    way = [0]  # the winner's place in each round, found from the last one backwards
    for players in reversed(rounds[:-1]):
        two = [2 * way[0], min(2 * way[0] + 1, len(players) - 1)]
        way.insert(0, max(two, key=players.__getitem__))
    for r, players in enumerate(rounds):
        for i, player in enumerate(players):
            wins = way[r] == i
            color = COLORS[2] if wins else "0.55"
            if r + 1 < len(rounds):
                corner = [r + 0.5, r + 0.5, r + 1]
                y = [heights[r][i], heights[r + 1][i // 2], heights[r + 1][i // 2]]
                ax.plot(
                    [r, *corner],
                    [heights[r][i], *y],
                    color=color,
                    lw=2.5 if wins else 1,
                    zorder=2 if wins else 1,
                )
            ax.text(
                r,
                heights[r][i],
                format(player, "g"),
                ha="center",
                va="center",
                bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": color},
            )
    ax.set(xlim=(-0.3, len(rounds) - 0.7), ylim=(-len(rounds[0]) + 0.4, 0.6))
    ax.set_axis_off()
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
    fig = new_figure(2.8)
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
    heights = [0.3 + per_image * WIDTH / (columns + 1)] * len(named) + [0.6]
    fig = new_figure(sum(heights))
    rows = fig.subfigures(len(heights), squeeze=False, height_ratios=heights)
    *bands, scale = rows.flat
    for band, (title, (image, layer)) in zip(bands, named.items(), strict=True):
        band.suptitle(title.replace("\n", " "), fontsize=SMALL, x=0.02, ha="left")
        axes = band.subplots(per_image, columns + 1, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        axes[0, 0].imshow(image.cpu().numpy(), cmap="gray")
        for ax, one in zip(axes[:, 1:].flat, layer.detach().cpu(), strict=False):
            picture = ax.imshow(one.numpy(), cmap="viridis", vmin=low, vmax=high)
    fig.colorbar(
        picture, cax=scale.subplots(), orientation="horizontal", label="activation"
    )
    return fig


def labelled_images(
    images: Tensor, titles: Sequence[str], *, columns: int = 8
) -> Figure:
    """Draw gray images in rows, each below its title.

    Args:
        images: shape (n, 1, h, w), at least one.
        titles: one per image.
        columns: images side by side.

    Returns:
        The figure.
    """
    rows = ceil(len(images) / columns)
    fig = new_figure(rows * (WIDTH / columns + 0.25))
    axes = fig.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (image,), title in zip(axes.flat, images.cpu(), titles, strict=False):
        ax.imshow(image.numpy(), cmap="gray")
        ax.set_title(title, fontsize=SMALL)
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
    fig = new_figure(4.6)
    axes = fig.subplots(2, 1, sharey=True)
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
    fig.supylabel("examples per second and model", fontsize="medium")
    return fig


def folded_spectrum(
    frequencies: Sequence[float],
    before: Sequence[float],
    after: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
) -> Figure:
    """Draw an amplitude spectrum, and how its upper half folds onto the lower one.

    Args:
        frequencies: the abscissa, evenly spaced from 0, an odd number of places.
        before: the amplitudes there; the fold is in the middle.
        after: for each panel below, its title, what stays, and what is there in all,
            at the frequencies up to the fold.
        xlabel: label of the horizontal axis, with its unit.

    Returns:
        The figure: what stays in blue, what folds in orange, in all panels.
    """
    middle = len(frequencies) // 2
    lower, upper = frequencies[: middle + 1], frequencies[middle:]
    fig = new_figure(1.1 + 1.3 * (1 + len(after)))
    axes = fig.subplots(1 + len(after), 1, sharex=True, sharey=True)
    axes[0].set_title("before the stride", fontsize=SMALL)
    axes[0].fill_between(lower, before[: middle + 1], color=COLORS[1], label="stays")
    axes[0].fill_between(upper, before[middle:], color=COLORS[5], label="folds")
    for ax, (title, (stays, total)) in zip(axes[1:], after.items(), strict=True):
        ax.set_title(title, fontsize=SMALL)
        ax.fill_between(lower, stays, color=COLORS[1])
        ax.fill_between(lower, stays, total, color=COLORS[5])
    for ax in axes:
        ax.axvline(frequencies[middle], color=COLORS[0], linestyle="--", linewidth=1)
        ax.set_ylim(bottom=0)
    fig.supylabel("amplitude", fontsize="medium")
    axes[-1].set_xlabel(xlabel)
    fig.legend(frameon=False, loc="outside upper center", ncols=2)
    return fig


def mirrors(
    named: Mapping[str, Sequence[float]], padding: int, places: Sequence[float]
) -> Figure:
    """Draw rows of padded pixels, and where the mirrors stand that made them.

    Args:
        named: for each row its title and its values, the padding included.
        padding: how many values at each end are padding.
        places: for each row, how far outside the border pixel's centre the mirror
            stands, in pixels.

    Returns:
        The figure: pixels blue, padding light with dotted edges, mirrors dashed.
    """
    fig = new_figure(0.85 * len(named))
    axes = fig.subplots(len(named), 1, squeeze=False)[:, 0]
    for ax, (title, row), place in zip(axes, named.items(), places, strict=True):
        last = len(row) - 1 - padding
        ax.set(xlim=(-0.6, len(row) - 0.4), ylim=(-0.75, 0.75), aspect="equal")
        ax.set_axis_off()
        ax.set_title(title, fontsize=SMALL)
        for i, value in enumerate(row):
            inside = padding <= i <= last
            cell = Rectangle(
                (i - 0.42, -0.42),
                *(0.84, 0.84),
                facecolor=COLORS[1] if inside else "white",
                edgecolor="none" if inside else "0.45",
                linestyle="-" if inside else ":",
            )
            ax.add_patch(cell)
            color = "white" if inside else COLORS[0]
            ax.text(i, 0, format(value, "g"), ha="center", va="center", color=color)
        for x in (padding - place, last + place):
            ax.plot([x, x], [-0.7, 0.7], color=COLORS[2], linestyle="--", lw=1.5)
    return fig


def dilated(named: Mapping[str, Sequence[int]], taps: int) -> Figure:
    """Draw, one panel per stack of causal layers, what its last output reads.

    Args:
        named: for each panel its title, and the dilations of its layers, in order.
        taps: the number of taps that all layers have.

    Returns:
        The figure: the input at the bottom, the last output at the upper right, what
        it reads in colour, and at the left of each layer how many places that are.
    """
    reach = max(1 + (taps - 1) * sum(dilations) for dilations in named.values())
    fig = new_figure(2.1 * len(named))
    panels = fig.subplots(len(named), 1, squeeze=False)[:, 0]
    for ax, (title, dilations) in zip(panels, named.items(), strict=True):
        used = {0}
        for level in range(len(dilations), -1, -1):
            colors = [COLORS[2] if x in used else "0.8" for x in range(1 - reach, 1)]
            ax.scatter(range(1 - reach, 1), [level] * reach, c=colors, s=24, zorder=2)
            ax.text(0.6 - reach, level, f"{len(used)}  ", ha="right", va="center")
            if level:
                steps = [dilations[level - 1] * tap for tap in range(taps)]
                for x in used:
                    for step in steps:
                        ends = [level, level - 1]
                        ax.plot([x, x - step], ends, color=COLORS[1], lw=0.8, zorder=1)
                used = {x - step for x in used for step in steps}
        ax.set_title(title, fontsize=SMALL)
        ax.set_axis_off()
    return fig


def sliding(f: Sequence[float], g: Sequence[float]) -> Figure:
    """Draw the convolution of two sequences as one sliding along the other, both ways.

    Args:
        f: the first sequence.
        g: the second one.

    Returns:
        The figure: left `f` stands and `g` slides, turned around, right the other way
        round. One step of the slide below the other, each with its sum of products.
    """
    places = len(f) + len(g) - 1
    margin = max(len(f), len(g)) - 1.0
    right = margin + places + 1.6
    fig = new_figure(0.3 + 0.68 * places)
    for ax, still, moving, name in zip(
        fig.subplots(1, 2), (f, g), (g, f), ("g slides", "f slides"), strict=True
    ):
        for n in range(places):
            total, top = 0.0, -2.5 * n
            for i, value in enumerate(still):
                b = n - i  # the element of the other one that stands below
                meets = 0 <= b < len(moving)
                total += value * moving[b] if meets else 0
                draw_cell(ax, margin + i, top, value, COLORS[1] if meets else "0.6")
            for b, value in enumerate(moving):
                meets = 0 <= n - b < len(still)
                color = COLORS[2] if meets else "0.6"
                draw_cell(ax, margin + n - b, top - 1, value, color)
            ax.text(right - 1.8, top - 0.5, f"= {total:g}", va="center")
        ax.set(xlim=(-0.6, right), ylim=(-2.5 * places + 0.9, 0.7), aspect="equal")
        ax.set_title(name, fontsize=SMALL)
        ax.set_axis_off()
    return fig


def draw_cell(ax: Axes, x: float, y: float, value: float, color: str) -> None:
    """Draw a number in a box.

    Args:
        ax: where to draw.
        x: abscissa of the middle of the box.
        y: ordinate of the middle of the box.
        value: the number.
        color: the colour of the box and of the number.
    """
    box = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, facecolor="none", edgecolor=color)
    ax.add_patch(box)
    ax.text(x, y, f"{value:g}", ha="center", va="center", color=color, fontsize=SMALL)


def marked_matrices(
    named: Mapping[str, Tensor],
    marks: Mapping[str, Sequence[tuple[int, int, int, int]]],
) -> Figure:
    """Draw matrices with their numbers, and outline what belongs together.

    Args:
        named: title and matrix, shape (rows, columns), for each panel.
        marks: for a title, its outlined pieces: top, left, rows and columns of each.
            The n-th pieces of all panels have the same colour and line.

    Returns:
        The figure.
    """
    fig = matrices(named)
    styles = list(zip((COLORS[3], COLORS[5], COLORS[4]), ("-", "--", ":"), strict=True))
    for ax, title in zip(fig.axes, named, strict=True):
        for (top, left, rows, columns), (color, line) in zip(
            marks.get(title, ()), styles, strict=False
        ):
            outline = Rectangle(
                (left - 0.5, top - 0.5),
                *(columns, rows),
                fill=False,
                edgecolor=color,
                linestyle=line,
                linewidth=3,
                clip_on=False,
            )
            ax.add_patch(outline)
    return fig


def layered_graph(
    levels: Sequence[Sequence[str]], edges: Sequence[tuple[int, int]]
) -> Figure:
    """Draw a graph in levels, from top to bottom, with an arrow for each edge.

    Args:
        levels: the names of the nodes of each level. Nodes are counted from 0, level
            by level.
        edges: pairs of nodes, each from the tail of an arrow to its head.

    Returns:
        The figure.
    """
    fig = new_figure(0.3 + 0.55 * len(levels))
    ax = fig.subplots()
    places = [
        ((k + 0.5) / len(names), -level)
        for level, names in enumerate(levels)
        for k in range(len(names))
    ]
    nodes = [name for names in levels for name in names]
    for (x, y), name in zip(places, nodes, strict=True):
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": COLORS[1]}
        text = ax.text(x, y, name, ha="center", va="center", fontsize=SMALL, bbox=box)
        text.set_zorder(3)
    for tail, head in edges:  # below the boxes, which hide its beginning
        arrow = {"arrowstyle": "->", "color": COLORS[0], "shrinkA": 0, "shrinkB": 11}
        ax.annotate("", places[head], places[tail], arrowprops=arrow, zorder=1)
    ax.set(xlim=(0, 1), ylim=(0.4 - len(levels), 0.4))
    ax.set_axis_off()
    return fig


def integration_rules(
    x: Sequence[float],
    y: Sequence[float],
    panels: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
) -> Figure:
    """Draw a curve, and the areas by which each of several rules replaces it.

    Args:
        x: the abscissa of the curve.
        y: its ordinates, at least 0.
        panels: for each title the upper edges of the areas; each edge is a sequence
            of points (abscissa, ordinate), and its area reaches down to 0.

    Returns:
        The figure, one panel below the other.
    """
    fig = new_figure(0.3 + 1.3 * len(panels))
    axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (title, edges) in zip(axes, panels.items(), strict=True):
        for edge in edges:
            across, up = zip(*edge, strict=True)
            ax.fill_between(across, up, color=COLORS[6], edgecolor=COLORS[1], lw=1)
        ax.plot(x, y, color=COLORS[2], lw=2)
        ax.set_title(title, fontsize=SMALL)
        ax.set_ylim(0, None)
    axes[-1].set_xlabel("x")
    return fig


def pictures(
    named: Mapping[str, Tensor], *, columns: int = 2, grey: Sequence[str] = ()
) -> Figure:
    """Draw pictures of any size: blue below zero, white at zero, red above.

    Args:
        named: title and picture, shape (rows, columns), for each panel.
        columns: panels side by side.
        grey: titles of the panels to draw in grey instead, black at the least number.

    Returns:
        The figure, each picture on a scale of its own.
    """
    rows = ceil(len(named) / columns)
    fig = new_figure(rows * (WIDTH / columns + 0.3))
    axes = list(fig.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, picture) in zip(axes, named.items(), strict=False):
        ax.set_axis_on()
        draw_matrix(ax, picture, title, fmt=None)
        if title in grey:
            ax.images[0].set(cmap="gray", clim=(picture.min(), picture.max()))
    return fig


def intervals(
    named: Mapping[str, tuple[float, float, float]], *, xlabel: str
) -> Figure:
    """Draw an estimate with its interval for each of several names, from the top.

    Args:
        named: estimate, lower and upper end, for each name.
        xlabel: label of the horizontal axis, with its unit.

    Returns:
        The figure, with a line at zero.
    """
    fig = new_figure(0.7 + 0.22 * len(named))
    ax = fig.subplots()
    places = range(len(named))
    for place, (middle, low, high) in zip(places, named.values(), strict=True):
        color = COLORS[1] if low > 0 else COLORS[2] if high < 0 else "0.5"
        ax.plot([low, high], [place, place], color=color, linewidth=1.5)
        ax.plot([middle], [place], color=color, marker=MARKERS[0], markersize=4)
    ax.axvline(0.0, color=COLORS[0], linewidth=0.8)
    ax.set_yticks(places, list(named), fontsize=SMALL)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel)
    ax.grid(color="0.9", axis="x")
    return fig


def histograms(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw, one panel below the other, the distributions of several samples.

    Args:
        panels: label of the horizontal axis, and for each sample its name and values.

    Returns:
        The figure; the samples of a panel share their bins.
    """
    fig = new_figure(1.9 * len(panels))
    axes = fig.subplots(len(panels), 1, squeeze=False)[:, 0]
    for ax, (xlabel, samples) in zip(axes, panels.items(), strict=True):
        values = [v for sample in samples.values() for v in sample]
        ends = (min(values), max(values))
        styles = zip(samples.items(), COLORS[1:], ("-", "--", ":"), strict=False)
        for (name, sample), color, style in styles:
            ax.hist(
                sample,
                bins=40,
                range=ends,
                histtype="step",
                color=color,
                linestyle=style,
                linewidth=1.4,
                label=name,
            )
        ax.set(xlabel=xlabel, ylabel="images")
    axes[0].legend(frameon=False, fontsize=SMALL)
    return fig
