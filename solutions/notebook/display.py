"""How source, tables and figures appear in a notebook, and so on the site.

Belongs here: turning a finished result into an output cell that any reader,
Jupyter, GitHub or a screen reader can show. Does not belong here: drawing (`figures`).
"""

import base64
import inspect
import io
from collections.abc import Callable, Sequence

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure
from tabulate import tabulate

from solutions.notebook.listing import algorithm


def show_source(*objects: Callable[..., object]) -> None:
    """Show the algorithm of functions or classes of `solutions`, highlighted.

    Args:
        objects: the functions or classes; what is shown is the tested text itself,
            without what `algorithm` leaves out.
    """
    source = "\n\n".join(algorithm(inspect.getsource(o)) for o in objects)
    markdown = f"```python\n{source}\n```"
    display({"text/markdown": markdown, "text/plain": source}, raw=True)


def show_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Show a table.

    Args:
        headers: one heading per column.
        rows: one sequence of values per row. Format numbers before: what is
            printed is what the regression compares.

    Raises:
        ValueError: if a row has not one value per heading.
    """
    for row in rows:
        if len(row) != len(headers):
            raise ValueError(f"row {row!r} has not one value for each of {headers!r}")
    cells = [[str(value) for value in row] for row in rows]
    how = {"headers": headers, "disable_numparse": True}
    markdown = tabulate(cells, tablefmt="github", **how)
    plain = tabulate(cells, tablefmt="simple", **how)
    display({"text/markdown": markdown, "text/plain": plain}, raw=True)


def show(figure: Figure, alt: str, *, caption: str = "", pixels: bool = False) -> None:
    """Show a figure, with a caption, and a sentence for those who cannot see it.

    Args:
        figure: the figure, as the functions of `solutions.notebook.figures` return it.
        alt: what is to be seen, in words. It becomes the text of the output, which
            the regression compares, and the alternative text on the site.
        caption: what the figure shows about the question at hand, in Markdown. It
            stands below the figure; the site numbers it (`_ext/captions.py`).
        pixels: write PNG instead of SVG: for images that come out of training,
            whose bytes differ from machine to machine.
    """
    picture = io.BytesIO()
    # Without date and random ids the same figure is the same file, byte for byte.
    with matplotlib.rc_context({"svg.hashsalt": "d2l-cnn-solutions"}):
        if pixels:
            figure.savefig(picture, format="png", dpi=150, bbox_inches="tight")
            kind, data = "image/png", base64.b64encode(picture.getvalue()).decode()
        else:
            no_date = {"Date": None, "Creator": None}
            figure.savefig(picture, format="svg", bbox_inches="tight", metadata=no_date)
            kind, data = "image/svg+xml", picture.getvalue().decode()
    display({kind: data, "text/plain": alt}, raw=True)
    if caption:
        display({"text/markdown": caption, "text/plain": caption}, raw=True)
