"""What the figures contain: the numbers they were given, on the scales they promise."""

import matplotlib.colors
import pytest
import torch

from solutions.notebook.figures import (
    COLORS,
    WIDTH,
    blocks,
    dependence,
    dilated,
    draw_matrix,
    feature_maps,
    folded_spectrum,
    histograms,
    integration_rules,
    intervals,
    labelled_images,
    layered_graph,
    lines,
    marked_matrices,
    matrices,
    mirrors,
    network,
    new_figure,
    pictures,
    runs,
    sliding,
    strided_samples,
    throughput_panels,
    tournament,
    windows,
)


def test_a_new_figure_is_white_and_as_high_as_asked():
    fig = new_figure(2.5)
    assert fig.get_size_inches().tolist() == [WIDTH, 2.5]
    assert matplotlib.colors.to_hex(fig.get_facecolor()) == "#ffffff"


def test_a_matrix_shows_its_numbers_where_they_stand():
    ax = new_figure(3.0).subplots()
    draw_matrix(ax, torch.tensor([[1, -2, 3], [0, 5, -6]]), "K")
    written = {t.get_position(): t.get_text() for t in ax.texts}
    first_row = {(0, 0): "1", (1, 0): "-2", (2, 0): "3"}
    assert written == first_row | {(0, 1): "0", (1, 1): "5", (2, 1): "-6"}
    assert ax.get_title() == "K"


def test_zero_is_white_and_the_scale_is_symmetric():
    ax = new_figure(3.0).subplots()
    draw_matrix(ax, torch.tensor([[4.0, 0.0, -1.0]]), "")
    (image,) = ax.images
    assert image.get_clim() == (-4.0, 4.0)
    red, white, blue = (image.cmap(image.norm(v)) for v in (4.0, 0.0, -4.0))
    assert red[0] > red[2]
    assert min(white[:3]) > 0.95
    assert blue[2] > blue[0]


def test_numbers_stand_out_from_their_cells():
    ax = new_figure(3.0).subplots()
    draw_matrix(ax, torch.tensor([[-10.0, 1.0, 10.0]]), "")
    assert [t.get_color() for t in ax.texts] == ["white", "black", "white"]


def test_a_matrix_of_zeros_and_one_without_numbers():
    ax = new_figure(3.0).subplots()
    draw_matrix(ax, torch.zeros(2, 2), "", fmt=None)
    assert len(ax.texts) == 0
    assert ax.images[0].get_array().tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_matrices_share_one_scale(dtype):
    named = {"X": torch.ones(2, 3, dtype=dtype), "Y": torch.full((2, 1), -7).to(dtype)}
    fig = matrices(named)
    axes = list(panels_of(fig))
    assert [ax.get_title() for ax in axes] == ["X", "Y"]
    assert [ax.images[0].get_clim() for ax in axes] == [(-7.0, 7.0)] * 2


def panels_of(fig):
    """Yield the panels of a figure that is made of bands."""
    for band in fig.subfigs:
        yield from band.axes


def test_matrices_stand_side_by_side_only_while_they_are_legible():
    small = {str(n): torch.zeros(5, 5) for n in range(3)}
    large = {str(n): torch.zeros(8, 8) for n in range(3)}
    long = {str(n): torch.full((5, 5), 0.125) for n in range(3)}
    rows = [
        [len(band.axes) for band in matrices(m).subfigs] for m in (small, large, long)
    ]
    assert rows == [[3], [2, 1], [1, 1, 1]]


def test_cells_of_a_short_row_are_as_large_as_the_others():
    fig = matrices({str(n): torch.zeros(8, 8) for n in range(3)})
    fig.draw_without_rendering()
    widths = [ax.get_window_extent().width for ax in panels_of(fig)]
    assert widths == pytest.approx([widths[0]] * 3, rel=0.05)


def test_a_long_title_is_broken_but_mathematics_is_not():
    long = "window of three by three, stride two"
    fig = matrices({long: torch.zeros(8, 8), f"${long}$": torch.zeros(8, 8)})
    plain, formula = (ax.get_title() for ax in panels_of(fig))
    assert plain.split() == long.split() and "\n" in plain
    assert formula == f"${long}$"


@pytest.mark.parametrize("log", [False, True])
def test_lines_draw_each_curve_under_its_name(log):
    named = {"loss": [4.0, 2.0, 1.0], "error": [0.5, 0.25, 0.125]}
    fig = lines([1.0, 2.0, 3.0], named, xlabel="epoch", ylabel="value", log=log)
    (ax,) = fig.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == named
    assert all(list(line.get_xdata()) == [1, 2, 3] for line in ax.lines)
    assert [text.get_text() for text in ax.get_legend().texts] == list(named)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "value")
    assert ax.get_yscale() == ("log" if log else "linear")


def test_curves_differ_in_colour_and_in_marker():
    fig = lines([0.0], {str(n): [0.0] for n in range(4)}, xlabel="", ylabel="")
    drawn = fig.axes[0].lines
    assert len({line.get_color() for line in drawn}) == 4
    assert len({line.get_marker() for line in drawn}) == 4


def test_strided_samples_keeps_every_second_sample_below():
    time = [
        float(i) for i in range(9)
    ]  # a sample at every second instant: 0, 2, 4, ...
    named = {"a": [t * t for t in time], "b": [-t for t in time]}
    fig = strided_samples(time, named, step=2, stride=2, xlabel="time")
    for ax, instants in zip(fig.axes, ([0, 2, 4, 6, 8], [0, 4, 8]), strict=True):
        kept = {m.get_label(): m for m in ax.lines if m.get_linestyle() == "None"}
        assert set(kept) == set(named)
        for label, markers in kept.items():
            assert list(markers.get_xdata()) == instants
            assert list(markers.get_ydata()) == [named[label][i] for i in instants]


def test_a_network_has_one_edge_per_weight_and_its_sign():
    W, V = torch.tensor([[1.0, -1.0], [0.0, 2.0], [-3.0, 0.0]]), torch.ones(1, 3)
    (ax,) = network([W, V], ["in", "middle", "out"]).axes
    solid, dashed, nodes = (
        [line for line in ax.lines if line.get_linestyle() == style]
        for style in ("-", "--", "None")
    )
    assert (len(solid), len(dashed)) == (2 + 3, 2)
    assert [len(column.get_xdata()) for column in nodes] == [2, 3, 1]
    assert [t.get_text() for t in ax.texts] == ["in", "middle", "out"]
    top = dashed[0].get_ydata()  # from the second input to the first node
    assert list(top) == [nodes[0].get_ydata()[1], nodes[1].get_ydata()[0]]


def test_lines_stand_between_the_blocks_of_a_block_matrix():
    (ax,) = blocks(torch.arange(24).reshape(4, 6), (2, 3)).axes
    horizontal, vertical = ax.lines
    assert list(horizontal.get_ydata()) == [1.5, 1.5]
    assert list(vertical.get_xdata()) == [2.5, 2.5]
    assert [text.get_text() for text in ax.texts] == [str(v) for v in range(24)]


def test_runs_draws_every_run_and_their_mean():
    fig = runs({"net": [[1.0, 2.0], [3.0, 6.0]]}, xlabel="epoch", ylabel="accuracy")
    curves = [line.get_ydata() for line in fig.axes[0].lines]
    assert [list(y) for y in curves] == [[1, 2], [3, 6], [2, 4]]
    assert list(fig.axes[0].lines[-1].get_xdata()) == [1, 2]


def test_feature_maps_share_one_scale_and_continue_below():
    named = {
        name: (torch.rand(28, 28), torch.full((5, 2, 2), value))
        for name, value in (("a", -1.0), ("b", 3.0))
    }
    fig = feature_maps(named, columns=3)
    images = [ax.images[0] for ax in panels_of(fig) if ax.images]
    maps = [image for image in images if image.get_array().shape == (2, 2)]
    assert len(images) == 2 * (1 + 5)
    assert len(maps) == 2 * 5
    assert {image.get_clim() for image in maps} == {(-1, 3)}
    assert [band._suptitle.get_text() for band in fig.subfigs[:-1]] == ["a", "b"]


def test_throughput_panels_show_every_setting():
    fig = throughput_panels({64: 1.0, 128: 3.0}, {1: 2.0})
    above, below = fig.axes
    assert [t.get_text() for t in above.get_xticklabels()] == ["64", "128"]
    assert list(above.lines[0].get_ydata()) == [1.0, 3.0]
    assert list(below.lines[0].get_ydata()) == [2.0]
    assert above.get_ylim() == below.get_ylim() == (0.0, pytest.approx(3.3))


def test_windows_fill_the_taps_and_only_the_padding_is_dotted():
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[0, 1] = mask[2, 3] = True  # one tap on the padding, one on the input
    (ax, empty) = windows({"Y[0, 0]": mask}, padding=(1, 0)).axes
    assert ax.get_title() == "Y[0, 0]" and not empty.patches
    filled = [p.get_facecolor() for p in ax.patches]
    blue = matplotlib.colors.to_rgba(COLORS[1])
    assert [i for i, color in enumerate(filled) if color == blue] == [1, 2 * 5 + 3]
    dotted = [i for i, p in enumerate(ax.patches) if p.get_linestyle() == ":"]
    assert dotted == [*range(5), *range(15, 20)]


def test_dependence_joins_an_element_to_what_it_is_computed_from():
    masks = [torch.ones(n) > 0 for n in (7, 3, 1)]
    (ax,) = dependence({"two layers": (masks, (3, 2))}).axes
    joined = {tuple(zip(*line.get_data(), strict=True)) for line in ax.lines}
    below = {
        ((x, 0), (top, 1)) for top in (1.0, 3.0, 5.0) for x in (top - 1, top, top + 1)
    }
    assert {edge for edge in joined if edge[0][1] == 0} == below
    assert [t.get_text() for t in ax.texts] == ["7", "3", "1"]


def test_the_way_through_a_tournament_is_the_winners():
    rounds = [[3.0, 8.0, 1.0, 5.0, 7.0], [8.0, 5.0, 7.0], [8.0, 7.0], [8.0]]
    (ax,) = tournament(rounds).axes
    assert [t.get_text() for t in ax.texts] == [
        format(v, "g") for r in rounds for v in r
    ]
    orange = matplotlib.colors.to_rgba(COLORS[2])
    won = [t for t in ax.texts if t.get_bbox_patch().get_edgecolor() == orange]
    assert [t.get_text() for t in won] == ["8"] * 4
    assert won[0].get_position() == (0.0, -1.0)
    assert sum(line.get_color() == COLORS[2] for line in ax.lines) == 3


def test_labelled_images_keep_their_titles_and_continue_below():
    images = torch.arange(5.0).reshape(5, 1, 1, 1) * torch.ones(5, 1, 3, 2)
    fig = labelled_images(images, ["a", "b", "c", "d", "e"], columns=3)
    shown = [
        (ax.get_title(), ax.images[0].get_array()[0, 0]) for ax in fig.axes if ax.images
    ]
    assert shown == [("a", 0.0), ("b", 1.0), ("c", 2.0), ("d", 3.0), ("e", 4.0)]
    assert len(fig.axes) == 6 and not fig.axes[5].axison


def test_a_spectrum_is_divided_at_its_middle():
    before = [5.0, 4.0, 3.0, 2.0, 1.0]
    after = {"after": ([5.0, 4.0, 3.0], [6.0, 6.0, 6.0])}
    fig = folded_spectrum([0.0, 1.0, 2.0, 3.0, 4.0], before, after, xlabel="frequency")
    above, below = fig.axes
    stays, folds = (area.get_paths()[0].get_extents() for area in above.collections)
    assert (stays.x0, stays.x1, folds.x0, folds.x1) == (0, 2, 2, 4)
    stays, folds = (area.get_paths()[0].get_extents() for area in below.collections)
    assert (stays.x1, folds.x1, folds.y0, folds.y1) == (2, 2, 3, 6)
    assert [list(ax.lines[0].get_xdata()) for ax in fig.axes] == [[2, 2]] * 2
    assert below.get_title() == "after"


def test_mirrors_stand_where_they_are_said_to():
    rows = {"on": [2.0, 1.0, 2.0, 1.0], "outside": [1.0, 1.0, 2.0, 2.0]}
    fig = mirrors(rows, 1, [0.0, 0.5])
    for ax, (title, row), x in zip(fig.axes, rows.items(), [1.0, 0.5], strict=True):
        assert ax.get_title() == title
        assert [float(t.get_text()) for t in ax.texts] == row
        assert [line.get_xdata()[0] for line in ax.lines] == [x, 3 - x]
        assert [p.get_linestyle() for p in ax.patches] == [":", "-", "-", ":"]


def test_what_dilated_layers_read():
    fig = dilated({"plain": [1, 1], "doubled": [1, 3]}, 2)
    for ax, counts, edges in zip(
        fig.axes, (["1", "2", "3"], ["1", "2", "4"]), (6, 6), strict=True
    ):
        assert [t.get_text().strip() for t in ax.texts] == counts
        assert len(ax.lines) == edges
    plain, doubled = fig.axes
    assert [ax.get_title() for ax in fig.axes] == ["plain", "doubled"]
    orange = matplotlib.colors.to_rgba(COLORS[2])
    for ax, read in ((plain, [-2, -1, 0]), (doubled, [-4, -3, -1, 0])):
        inputs = ax.collections[-1]
        places = inputs.get_offsets()[:, 0].tolist()
        assert places == [-4, -3, -2, -1, 0]
        colors = [tuple(c) == orange for c in inputs.get_facecolors()]
        assert [x for x, used in zip(places, colors, strict=True) if used] == read
    ends = {tuple(map(tuple, line.get_xydata().tolist())) for line in doubled.lines}
    assert ((0, 2), (-3, 1)) in ends and ((-3, 1), (-4, 0)) in ends


def test_two_sequences_slide_along_each_other():
    fig = sliding([1.0, 2.0, 3.0], [4.0, 5.0])
    for ax, still, moving in zip(fig.axes, ("123", "45"), ("45", "123"), strict=True):
        sums = [t.get_text() for t in ax.texts if t.get_text().startswith("=")]
        assert sums == ["= 4", "= 13", "= 22", "= 15"]
        boxes = [t for t in ax.texts if not t.get_text().startswith("=")]
        assert len(boxes) == len(ax.patches) == 4 * 5
        left = min(t.get_position()[0] for t in boxes[: len(still)])
        for n in range(4):
            row = {
                t.get_position(): (t.get_text(), t.get_color())
                for t in boxes[5 * n : 5 * n + 5]
            }
            for i, number in enumerate(still):
                meets = 0 <= n - i < len(moving)
                color = COLORS[1] if meets else "0.6"
                assert row[left + i, -2.5 * n] == (number, color)
            for b, number in enumerate(moving):
                meets = 0 <= n - b < len(still)
                color = COLORS[2] if meets else "0.6"
                assert row[left + n - b, -2.5 * n - 1] == (number, color)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == ["g slides", "f slides"]
    assert fig.axes[0].get_xlim() == fig.axes[1].get_xlim()


def test_marked_matrices_outline_their_pieces_in_one_style_each():
    named = {"X": torch.eye(3), "A": torch.ones(2, 4)}
    fig = marked_matrices(named, {"X": [(0, 1, 2, 2)], "A": [(1, 0, 1, 4)]})
    (first,), (second,) = (ax.patches for ax in fig.axes)
    assert first.get_xy() == (0.5, -0.5) and second.get_xy() == (-0.5, 0.5)
    assert (first.get_width(), first.get_height()) == (2, 2)
    assert (second.get_width(), second.get_height()) == (4, 1)
    assert first.get_edgecolor() == second.get_edgecolor()
    unmarked = marked_matrices(named, {})
    assert not any(ax.patches for ax in unmarked.axes)


def test_a_layered_graph_has_its_nodes_in_levels_and_an_arrow_per_edge():
    fig = layered_graph([["a"], ["b", "c"]], [(0, 1), (0, 2)])
    (ax,) = fig.axes
    arrows = [t for t in ax.texts if not t.get_text()]
    places = {t.get_text(): t.get_position() for t in ax.texts if t.get_text()}
    assert places == {"a": (0.5, 0), "b": (0.25, -1), "c": (0.75, -1)}
    ends = [(arrow.xyann, arrow.xy) for arrow in arrows]
    assert ends == [(places["a"], places["b"]), (places["a"], places["c"])]


def test_integration_rules_fill_what_lies_below_their_edges():
    panels = {"left": [[(0.0, 1.0), (1.0, 1.0)]], "slope": [[(0.0, 1.0), (1.0, 3.0)]]}
    fig = integration_rules([0.0, 0.5, 1.0], [1.0, 2.0, 3.0], panels)
    assert [ax.get_title() for ax in fig.axes] == ["left", "slope"]
    for ax, (edge,) in zip(fig.axes, panels.values(), strict=True):
        (line,) = ax.lines
        assert list(line.get_ydata()) == [1, 2, 3]
        (area,) = ax.collections
        corners = {tuple(corner) for corner in area.get_paths()[0].vertices.tolist()}
        assert corners == {(0, 0), (1, 0), *edge}


def test_pictures_stand_side_by_side_each_on_its_own_scale():
    named = {"photo": torch.full((9, 8), 3.0), "X": -torch.eye(40), "c": torch.eye(2)}
    axes = pictures(named).axes
    drawn = [ax for ax in axes if ax.images]
    assert [ax.get_title() for ax in drawn] == list(named)
    limits = [ax.images[0].get_clim() for ax in drawn]
    assert limits == [(-3.0, 3.0), (-1.0, 1.0), (-1.0, 1.0)]
    shown = [ax.images[0].get_array().shape for ax in drawn]
    assert shown == [(9, 8), (40, 40), (2, 2)]
    assert not any(ax.texts for ax in axes)
    assert [ax.axison for ax in axes] == [True, True, True, False]


def test_a_photograph_is_grey_from_black_to_white():
    (image,) = pictures({"a": torch.eye(2) + 1}, grey=["a"], columns=1).axes[0].images
    assert (image.cmap.name, image.get_clim()) == ("gray", (1.0, 2.0))


def test_intervals_stand_from_the_top_and_their_colour_says_what_they_leave_out():
    named = {
        "up": (0.2, 0.1, 0.3),
        "down": (-0.2, -0.3, -0.1),
        "open": (0.1, -0.1, 0.3),
    }
    [ax] = intervals(named, xlabel="gain").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == list(named)
    assert ax.yaxis_inverted()
    bars, dots = ax.lines[0:6:2], ax.lines[1:6:2]
    assert [tuple(bar.get_xdata()) for bar in bars] == [v[1:] for v in named.values()]
    assert [dot.get_xdata()[0] for dot in dots] == [v[0] for v in named.values()]
    assert len({bar.get_color() for bar in bars}) == 3


def test_histograms_of_a_panel_share_their_bins_and_lose_no_value():
    samples = {"one": [0.0, 1.0, 1.0], "other": [2.0, 4.0]}
    fig = histograms({"first": samples, "second": {"one": [1.0, 2.0]}})
    assert [ax.get_xlabel() for ax in fig.axes] == ["first", "second"]
    ends = set()
    for patch, values in zip(fig.axes[0].patches, samples.values(), strict=True):
        x, height = patch.get_xy().T
        ends.add((x.min(), x.max()))
        assert height.max() == max(values.count(v) for v in values)
    assert ends == {(0.0, 4.0)}
