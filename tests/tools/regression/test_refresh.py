"""Stored outputs change only where results changed, and never by half."""

import base64
import io
import os
import re
from importlib.metadata import version

import nbformat
import nbformat.v4 as v4
import pytest
from matplotlib.figure import Figure

from tools.regression import refresh as tool
from tools.regression.execution import CellFailedError
from tools.regression.refresh import agree, largest_change, pixels_agree, refresh

FIGURE = """from solutions.notebook.display import show
from solutions.notebook.figures import lines
figure = lines([1, 2], {"a": [1, 4]}, xlabel="x", ylabel="y")
show(figure, alt="A line that rises from 1 to 4.")"""


def code(source, outputs=(), count=None, metadata=None):
    return v4.new_code_cell(
        source,
        outputs=list(outputs),
        execution_count=count,
        metadata=metadata or {},
    )


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def result(text, count):
    return v4.new_output("execute_result", {"text/plain": text}, execution_count=count)


def save(folder, cells):
    path = folder / "book.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), path)
    return path


def png(value):
    figure = Figure(figsize=(1, 1), facecolor=(value, value, value))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return base64.b64encode(picture.getvalue()).decode()


def test_keeps_what_agrees_and_stores_what_changed(tmp_path):
    trained = {"nbval": {"atol": 0.02, "why": "trained"}, "execution": {"a": "now"}}
    cells = [
        v4.new_markdown_cell("# Title"),
        code("print('loss 0.1235')", [stream("loss 0.1234\n")], 7),
        code("0.88", [result("0.89", 9)], 9, trained),
        code("print(19, 0.5)", [stream("20 0.5\n")]),
        code("for i in range(3):\n    print(i, flush=True)"),
        code(FIGURE),
        code("import os; os.getcwd()", [result("'/elsewhere'", 1)], 1),
        code("1", metadata={"mystnb": {"image": {"alt": "no longer shown"}}}),
    ]
    ids = [cell.id for cell in cells]
    path = save(tmp_path, cells)
    changes = refresh(path)
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)

    checked = notebook.metadata.pop("checked")
    assert sorted(checked) == ["machine", "on", "versions"]
    assert notebook.metadata == {
        "kernelspec": tool.KERNELSPEC,
        "language_info": {"name": "python"},
    }
    assert [cell.id for cell in notebook.cells] == ids
    _, loss, accuracy, count, loop, figure, folder, plain = notebook.cells
    assert [c.execution_count for c in notebook.cells[1:]] == [*range(1, 8)]
    assert loss.outputs == [stream("loss 0.1234\n")]
    assert accuracy.outputs == [result("0.89", 2)]
    assert accuracy.metadata == {"nbval": trained["nbval"]}
    assert count.outputs == [stream("19 0.5\n")]
    assert loop.outputs == [stream("0\n1\n2\n")]
    assert figure.metadata == {
        "mystnb": {"image": {"alt": "A line that rises from 1 to 4."}}
    }
    assert folder.outputs == [result(repr(str(tmp_path)), 6)]
    assert plain.metadata == {}
    assert changes == [
        "cell 4 `print(19, 0.5)`: 20 -> 19",
        "cell 5 `for i in range(3):`: text",
        "cell 6 `from solutions.notebook.display import show`: text",
        "cell 7 `import os; os.getcwd()`: text",
        "cell 8 `1`: text",
    ]

    inode = path.stat().st_ino
    assert refresh(path) == []
    assert path.read_text(encoding="utf-8") == text
    assert path.stat().st_ino == inode  # not even written
    assert [file.name for file in tmp_path.iterdir()] == ["book.ipynb"]


def test_record_of_the_check_changes_with_outputs_and_versions_only(
    tmp_path, monkeypatch
):
    path = save(tmp_path, [code("import sys; sys.version_info.major")])

    def checked():
        return nbformat.read(path, as_version=4).metadata["checked"]

    refresh(path)
    first = checked()
    assert first["versions"]["PyTorch"] == version("torch")
    assert re.fullmatch(r"\S+ CPU \([\w ]+\), \w+", first["machine"])  # no host's name
    monkeypatch.setattr(tool, "machine", lambda: "another CPU, elsewhere")
    refresh(path)
    assert checked() == first  # the same outputs on another machine

    monkeypatch.setattr(tool, "versions", lambda: {"Python": "3.99"})
    refresh(path)
    second = checked()
    assert second["machine"] == "another CPU, elsewhere"
    assert second["versions"] == {"Python": "3.99"}

    path.write_text(
        path.read_text(encoding="utf-8").replace("sys.version_info.major", "1 + 1"),
        encoding="utf-8",
    )
    monkeypatch.setattr(tool, "machine", lambda: "a third CPU")
    refresh(path)
    assert checked()["machine"] == "a third CPU"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nx / 0", "cell 2 `x = 1`: ZeroDivisionError: division by zero"),
        ("import os; os._exit(1)", "cell 2 `import os; os._exit.1.`: the kernel died"),
    ],
)
def test_failing_cell_leaves_the_file(tmp_path, source, message, capsys):
    path = save(tmp_path, [v4.new_markdown_cell("text"), code(source), code("1")])
    before = path.read_bytes()
    with pytest.raises(CellFailedError, match=message):
        refresh(path)
    assert path.read_bytes() == before


def test_announced_error_is_stored(tmp_path):
    raises = code("raise ValueError('no')", metadata={"tags": ["raises-exception"]})
    path = save(tmp_path, [raises])
    refresh(path)
    [cell] = nbformat.read(path, as_version=4).cells
    assert [(o.output_type, o.ename) for o in cell.outputs] == [("error", "ValueError")]


def test_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path = save(tmp_path, [])
    before = path.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tool.write_atomically(path, "old", "new")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["book.ipynb"]


def test_the_kernel_computes_on_the_cpu_and_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setenv("D2L_DEVICE", "cuda")
    path = save(tmp_path, [code("import os; os.environ['D2L_DEVICE']")])
    refresh(path)
    [cell] = nbformat.read(path, as_version=4).cells
    assert cell.outputs[0].data == {"text/plain": "'cpu'"}
    assert os.environ["D2L_DEVICE"] == "cuda"


def test_main_reports_and_stops(tmp_path, monkeypatch, capsys):
    good, bad, last = (tmp_path / f"{name}.ipynb" for name in "abc")

    def fake(path):
        if path == bad:
            raise CellFailedError("cell 1 `x`: NameError: x")
        return [] if path == good else ["cell 1 `y`: 1 -> 2"]

    monkeypatch.setattr(tool, "refresh", fake)
    assert tool.main([str(good), str(last)]) == 0
    assert (
        capsys.readouterr().out == "a.ipynb: unchanged\nc.ipynb: cell 1 `y`: 1 -> 2\n"
    )
    assert tool.main([str(good), str(bad), str(last)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "a.ipynb: unchanged\n"
    assert printed.err == (
        "b.ipynb: cell 1 `x`: NameError: x; the file is left as it was\n"
    )


def test_pictures_agree_if_no_pixel_differs_much():
    assert pixels_agree(png(0.5), png(0.55))
    assert not pixels_agree(png(0.5), png(0.7))
    near, far = (
        v4.new_output("display_data", {"image/png": png(v), "text/plain": "grey"})
        for v in (0.55, 0.7)
    )
    stored = [
        v4.new_output("display_data", {"image/png": png(0.5), "text/plain": "grey"})
    ]
    assert agree([near], stored)
    assert not agree([far], stored)
    assert largest_change([far], stored) == "a picture or the outputs' kind"


@pytest.mark.parametrize(
    ("new", "old", "change"),
    [
        ("a 1 0.50 3", "a 1 0.25 3", "0.25 -> 0.50"),
        ("1.5, 30", "1.0, 20", "20 -> 30"),
        ("-0.5", "0.5", "0.5 -> -0.5"),
        ("cuda 1", "cpu 1", "text"),
        ("1 2", "1", "text"),
    ],
)
def test_largest_change(new, old, change):
    assert largest_change([stream(new)], [stream(old)]) == change
