"""Repeating the regression: green only if every run is."""

import nbformat.v4 as v4

from tools.regression.alarms import main

SOURCE = """from pathlib import Path
before = len(list(Path().glob("run-*")))
Path(f"run-{before}").touch()
print(before > 0)"""


def test_one_red_run_is_enough(tmp_path, capsys):
    cell = v4.new_code_cell(SOURCE, execution_count=1)
    cell.outputs = [v4.new_output("stream", text="False\n")]
    path = tmp_path / "book.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=[cell])), encoding="utf-8")
    assert main(["2", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 of 2: nbtol: 1 notebooks, 1 cells run")
    assert lines[1] == "2 of 2: FAILED"
    assert lines[-1] == "1 of 2 runs failed"
