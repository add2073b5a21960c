"""The form of the notebooks: a good one passes, and each rule finds its bad one."""

import json

import nbformat.v4 as v4
import pytest

from tools import lint_notebooks
from tools.lint_notebooks import defined_in, lint, main
from tools.notebooks import KERNELSPEC, chapters

NAME = "6_2_conv-layer.ipynb"
ALT = "A line that rises from 1 to 4."
# The cells of the first exercise, counted from 0.
STATEMENT, START, SHORT, CHECK, CODE, END = range(3, 9)


def markdown(source):
    return v4.new_markdown_cell(source)


def code(source, outputs=()):
    return v4.new_code_cell(source, outputs=list(outputs))


def exercise(section, number, chapter=6):
    label = f"ex-{chapter}-{section}-{number}"
    level = "##" if chapter == 6 else "###"
    return [
        markdown(
            f"{level} Exercise {chapter}.{section}.{number}: A title\n\n"
            f":::{{exercise}}\n:label: {label}\n\nDo this.\n:::\n\n"
            ":::{admonition} Hint\n:class: hint dropdown\n\nLook.\n:::"
        ),
        markdown(f":::{{solution-start}} {label}\n:class: dropdown\n:::"),
        markdown("**Short answer.** Yes.\n\n```python\n# no heading\n```"),
        markdown("**Check.** The next cell tests it."),
        code("assert True"),
        markdown(":::{solution-end}\n:::"),
    ]


def good(section=2, added=()):
    """Return a notebook without findings, with some exercises of chapter 7."""
    cells = [markdown("# Image convolutions")]
    cells += [
        code("import torch\n\nfrom a import b\n" + "import c\n" * 20),
        code("make_deterministic()"),
    ]
    cells[1].metadata = {"tags": ["hide-input"]}
    for number in range(1, lint_notebooks.EXERCISES[section] + 1):
        cells += exercise(section, number)
    if added:
        cells.append(markdown("## Also in the 1.0 edition"))
    for number in added:
        cells += exercise(section, number, chapter=7)
    picture = {"image/svg+xml": "<svg/>", "text/plain": ALT}
    cells.append(code("show(figure)", [v4.new_output("display_data", picture)]))
    cells[-1].metadata = {"mystnb": {"image": {"alt": ALT}}, "tags": ["hide-input"]}
    for count, cell in enumerate((c for c in cells if "outputs" in c), start=1):
        cell.execution_count = count
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": KERNELSPEC,
        "language_info": {"name": "python"},
    }
    return notebook


def findings(folder, notebook, name=NAME, defined=frozenset()):
    path = folder / name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return lint(path, defined)


def stored(kind, **content):
    return v4.new_output(kind, **content)


SOURCE = {"text/markdown": "```python\nX.to('cuda')\n```", "text/plain": "X.to('cuda')"}


def test_good_notebook_has_no_findings(tmp_path):
    assert findings(tmp_path, good()) == []


@pytest.mark.parametrize(
    "output",
    [
        stored("display_data", data=SOURCE),
        stored(
            "stream", name="stdout", text="1/2 of a/b/c, 0x1F, a CPU, ~1, (m - k)/s/t"
        ),
        stored(
            "display_data", data={"text/html": "<td>1</td><br/>", "text/plain": "1"}
        ),
    ],
)
def test_source_code_and_fractions_name_no_machine(tmp_path, output):
    notebook = good()
    notebook.cells[CODE].outputs.append(output)
    assert findings(tmp_path, notebook) == []


def edit_source(cell, source):
    return lambda nb: nb.cells[cell].update(source=source)


def edit_metadata(cell, **metadata):
    return lambda nb: nb.cells[cell].metadata.update(metadata)


def add_output(cell, *outputs):
    return lambda nb: nb.cells[cell].outputs.extend(outputs)


def printed(text):
    return add_output(CODE, stored("stream", name="stdout", text=text))


def insert_text(cell, text):
    return lambda nb: nb.cells[cell].update(source=nb.cells[cell].source + text)


def replace(cell, old, new):
    return lambda nb: nb.cells[cell].update(
        source=nb.cells[cell].source.replace(old, new)
    )


STDERR = stored("stream", name="stderr", text="careful")
ERROR = stored("error", ename="ValueError", evalue="no", traceback=[])
WIDGET = stored(
    "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
)
PICTURE = stored("display_data", data={"image/png": "aa==", "text/plain": ALT})

FILE = None  # in the place of a cell: the finding names none

# What is done to the good notebook, and its one finding.
BAD = {
    "drawing code in sight": (
        edit_source(CODE, "show_source(corr2d)"),
        (CODE, "imports or draws and does nothing else: tag it hide-input"),
    ),
    "stripped": (
        lambda nb: nb.cells[CODE].update(execution_count=None),
        (CODE, "was never run"),
    ),
    "order": (
        lambda nb: nb.cells[CODE].update(execution_count=9),
        (CODE, "was run out of order: count 9, but expected 3"),
    ),
    "stderr": (add_output(CODE, STDERR), (CODE, "has an output on stderr")),
    "error": (add_output(CODE, ERROR), (CODE, "has an error output without")),
    "device": (
        printed("a\ntensor([1.], device='cuda:0')\n"),
        (CODE, "names a device, an address or a path: tensor([1.], device="),
    ),
    "word for a device": (printed("trained on mps"), (CODE, "names a device")),
    "device in a table": (
        add_output(
            CODE, stored("display_data", data={"text/markdown": "|a|\n|-|\n|cpu|"})
        ),
        (CODE, "names a device, an address or a path: |cpu"),
    ),
    "address": (
        printed("<function f at 0x7f2067382510>"),
        (CODE, "names a device, an address or a path: <function f at 0x7f2067382510"),
    ),
    "path": (printed("in /home/me/book"), (CODE, "names a device")),
    "path of Windows": (printed(r"in C:\book"), (CODE, "names a device")),
    "widget": (add_output(CODE, WIDGET), (CODE, "has an output that is a widget")),
    "timestamps": (
        edit_metadata(CODE, execution={"iopub.execute_input": "now"}),
        (CODE, "has the times of its execution"),
    ),
    "widget state": (
        lambda nb: nb.metadata.update(widgets={}),
        (FILE, "has metadata ['widgets']"),
    ),
    "kernelspec": (
        lambda nb: nb.metadata["kernelspec"].update(name="conda"),
        (FILE, "kernelspec is"),
    ),
    "language_info": (
        lambda nb: nb.metadata["language_info"].update(version="3.11"),
        (FILE, "language_info says more"),
    ),
    "imports": (
        edit_source(1, "import torch\nx = 1"),
        (1, "is the first code cell"),
    ),
    "no imports": (edit_source(1, "# none"), (1, "is the first code cell")),
    "make_deterministic": (
        edit_source(2, "make_deterministic"),
        (2, "is the second code cell"),
    ),
    "magic": (edit_source(CODE, "%timeit 1"), (CODE, "is no plain Python")),
    "long": (edit_source(CODE, "1\n" * 16), (CODE, "has 16 lines, more than 15")),
    "wide": (edit_source(CODE, "1" * 89), (CODE, "has a line of 89 characters")),
    "short alt": (
        lambda nb: (
            nb.cells[-1].metadata["mystnb"]["image"].update(alt="A line."),
            nb.cells[-1].outputs[0].data.update({"text/plain": "A line."}),
        ),
        (-1, "describes its picture in fewer than 20"),
    ),
    "other alt": (
        lambda nb: nb.cells[-1].metadata["mystnb"]["image"].update(alt=ALT + " No."),
        (-1, "alternative text is not the text/plain"),
    ),
    "two pictures": (add_output(-1, PICTURE), (-1, "shows 2 pictures")),
    "alt without picture": (
        edit_metadata(CODE, mystnb={"image": {"alt": ALT}}),
        (CODE, "has alternative text, but shows no picture"),
    ),
    "heading": (
        edit_source(CHECK, "**Check.** See.\n\n### More"),
        (CHECK, "has a heading inside a solution: More"),
    ),
    "repeated line": (
        insert_text(CHECK, "\n\n- One and the same item of a list." * 2),
        (CHECK, "says 2 times: - One and the same item of a list."),
    ),
    "underlined heading": (
        edit_source(CHECK, "**Check.** See.\n\nMore\n----"),
        (CHECK, "has a heading inside a solution: More"),
    ),
    "no hint": (
        replace(STATEMENT, "hint dropdown", "tip"),
        (START, "ex-6-2-1 has no hint before its solution"),
    ),
    "no short answer": (
        replace(SHORT, "**Short answer.**", ""),
        (START, "the solution of ex-6-2-1 has no **Short answer.**"),
    ),
    "no check": (
        replace(CHECK, "**Check.**", ""),
        (START, "the solution of ex-6-2-1 has no **Check.**"),
    ),
    "heading number": (
        replace(STATEMENT, "6.2.1", "6.2.2"),
        (STATEMENT, "ex-6-2-1 stands below 'Exercise 6.2.2: A title'"),
    ),
    "marker": (
        edit_source(CODE, "# NBVAL_IGNORE_OUTPUT\n1"),
        (CODE, "is not compared: NBVAL_IGNORE_OUTPUT"),
    ),
    "skip tag": (
        edit_metadata(CODE, tags=["nbval-skip"]),
        (CODE, "is not compared: nbval-skip"),
    ),
    "ignore tag": (
        edit_metadata(CODE, tags=["nbval-ignore-output"]),
        (CODE, "is not compared: nbval-ignore-output"),
    ),
    "tolerance": (
        edit_metadata(CODE, nbval={"atol": 0.5, "why": "w"}),
        (CODE, "metadata nbval.atol is 0.5"),
    ),
    "definition": (
        edit_source(CODE, "def corr2d(X, K):\n    pass"),
        (CODE, "defines corr2d again"),
    ),
    "size": (edit_source(0, "a" * 1_500_000), (FILE, "has 15")),
}


@pytest.mark.parametrize("fault", BAD)
def test_each_rule_finds_its_fault(tmp_path, fault):
    make, (cell, message) = BAD[fault]
    notebook = good()
    make(notebook)
    [(number, found)] = findings(tmp_path, notebook, defined={"corr2d"})
    assert number == (0 if cell is FILE else cell % len(notebook.cells) + 1)
    assert found.startswith(message)


def swap_hint_and_solution(notebook):
    statement, hint = notebook.cells[STATEMENT].source.split("\n\n:::{adm")
    notebook.cells[STATEMENT].source = statement
    notebook.cells.insert(END + 1, markdown(":::{adm" + hint))
    notebook.cells[END + 1].id = "hint"


PAIRS = (0, "solution-start and solution-end do not pair, each in its own cell")
STRUCTURE = {
    "no end": (
        lambda nb: nb.cells.pop(END),
        [
            (START + 1, "ex-6-2-1 has no solution-end in its own cell"),
            (END + 1, "has a heading inside a solution: Exercise 6.2.2"),
        ],
    ),
    "text after the end": (
        insert_text(END, "\n\n## Summary"),
        [PAIRS, (START + 1, "ex-6-2-1 has no solution-end in its own cell")],
    ),
    "no start": (
        lambda nb: nb.cells.pop(START),
        [PAIRS, (0, "has the solutions ['ex-6-2-2',")],
    ),
    "no exercise": (
        replace(STATEMENT, "{exercise}", "{note}"),
        [
            (0, "has the exercises ['ex-6-2-2', 'ex-6-2-3', 'ex-6-2-4'], but must"),
            (START + 1, "solves ex-6-2-1, but no exercise before it"),
        ],
    ),
    "exercise of another section": (
        lambda nb: nb.cells.extend(exercise(3, 1)[:1]),
        [(0, "has the exercises [")],
    ),
    "hint after the solution": (
        swap_hint_and_solution,
        [(START + 1, "ex-6-2-1 has no hint before its solution")],
    ),
}


ADDED = 3 + 4 * 6  # the cell that opens the part on edition 1.0


def test_exercises_of_edition_1_follow_in_their_own_part(tmp_path):
    assert findings(tmp_path, good(added=(2, 5))) == []


@pytest.mark.parametrize(
    ("added", "make", "messages"),
    [
        ((5, 2), lambda nb: None, ["has the exercises", "has the solutions"]),
        ((2, 2), lambda nb: None, ["has the exercises", "has the solutions"]),
        (
            (2,),
            lambda nb: nb.cells.pop(-2),
            ["ex-7-2-2 has no solution-end in its own cell"],
        ),
        (
            (2,),
            lambda nb: nb.cells[ADDED].update(source="## Other"),
            ["ex-7-2-2 stands in the part 'Other'"],
        ),
        (
            (2,),
            lambda nb: nb.cells.insert(3, nb.cells.pop(ADDED)),
            ["ex-7-2-2 stands in the part 'Exercise 6.2.4: A title'"],
        ),
        (
            (2,),
            replace(ADDED + 1, "7.2.2", "7.2.1"),
            ["ex-7-2-2 stands below 'Exercise 7.2.1: A title'"],
        ),
    ],
)
def test_finds_faults_of_the_part_on_edition_1(tmp_path, added, make, messages):
    notebook = good(added=added)
    make(notebook)
    found = [message for _, message in findings(tmp_path, notebook)]
    assert len(found) == len(messages)
    for message, start in zip(found, messages, strict=True):
        assert message.startswith(start)


@pytest.mark.parametrize("fault", STRUCTURE)
def test_finds_faults_of_the_structure(tmp_path, fault):
    make, expected = STRUCTURE[fault]
    notebook = good()
    make(notebook)
    found = findings(tmp_path, notebook)
    assert [number for number, _ in found] == [number for number, _ in expected]
    for (_, message), (_, start) in zip(found, expected, strict=True):
        assert message.startswith(start)


def test_label_may_follow_other_options(tmp_path):
    notebook = good()
    replace(STATEMENT, ":label:", ":class: wide\n:label:")(notebook)
    assert findings(tmp_path, notebook) == []


def test_announced_error_may_be_stored(tmp_path):
    notebook = good()
    add_output(CODE, ERROR)(notebook)
    edit_metadata(CODE, tags=["raises-exception"])(notebook)
    assert findings(tmp_path, notebook) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv-layer.ipynb", "is not named 6_SECTION_NAME.ipynb"),
        ("6_3_padding.ipynb", "has the exercises ['ex-6-2-1'"),
    ],
)
def test_name_gives_the_section(tmp_path, name, message):
    found = findings(tmp_path, good(), name)
    assert found[0][0] == 0
    assert found[0][1].startswith(message)


def test_too_few_code_cells(tmp_path):
    notebook = good()
    notebook.cells = notebook.cells[:2]
    assert (0, "has fewer than two code cells") in findings(tmp_path, notebook)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda nb: nb.update(nbformat_minor=4), "its format is 4.4, but must be 4.5"),
        (lambda nb: nb.cells[1].pop("outputs"), "'outputs' is a required property"),
        (lambda nb: nb.cells[0].pop("id"), "missing an id"),
        (lambda nb: nb.cells[0].update(id="cell-1"), "Non-unique cell id"),
    ],
)
def test_invalid_notebook(tmp_path, make, reason):
    notebook = good()
    make(notebook)
    [(number, message)] = findings(tmp_path, notebook)
    assert number == 0
    assert message.startswith("is no notebook: ")
    assert reason in message


def test_file_that_is_no_json(tmp_path):
    path = tmp_path / NAME
    path.write_text("{", encoding="utf-8")
    [(number, message)] = lint(path, ())
    assert number == 0
    assert message.startswith("is no notebook: Expecting")


def test_defined_in_reads_functions_and_classes(tmp_path):
    source = "x = 1\ndef f():\n    def inner(): pass\nclass C:\n    def m(self): pass\n"
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    assert defined_in(tmp_path) == {"f", "C"}


def test_main_prints_one_line_per_finding(tmp_path, capsys):
    for section in lint_notebooks.EXERCISES:
        path = tmp_path / f"6_{section}_name.ipynb"
        path.write_text(json.dumps(good(section)), encoding="utf-8")
    assert main(sorted(tmp_path.iterdir())) == 0
    assert capsys.readouterr().out == "6 notebooks, no findings\n"
    notebook = good(5)
    edit_source(CODE, "%timeit 1")(notebook)
    (tmp_path / "6_5_name.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (tmp_path / "6_6_name.ipynb").unlink()
    assert main(sorted(tmp_path.iterdir())) == 1
    assert capsys.readouterr().out == (
        f"6_5_name.ipynb: cell {CODE + 1}: is no plain Python\n"
        "6_6_*.ipynb: is missing\n"
    )


def test_the_books_own_notebooks_have_no_findings(capsys):
    assert main(chapters()) == 0, capsys.readouterr().out
