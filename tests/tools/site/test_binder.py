"""The set-up on Binder, with pip replaced by a script that notes its arguments."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_binder_installs_what_the_lock_pins(tmp_path):
    called, pins = tmp_path / "called", tmp_path / "pins"
    for name in ("pip", "python"):
        script = tmp_path / name
        script.write_text(
            "#!/bin/bash\n"
            f'echo {name} "$@" >> {called}\n'
            # the fourth argument is the file of the constraints
            f'[[ {name} == python ]] || cp "$4" {pins}\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(
        [ROOT / ".binder" / "postBuild"],
        check=True,
        cwd=ROOT,
        env={"PATH": path, "TMPDIR": str(tmp_path)},
    )
    torch, rest, data = called.read_text(encoding="utf-8").splitlines()
    assert "whl/cpu torch torchvision" in torch
    assert "--editable ." in rest
    assert data == "python -m solutions.training.data"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^[^\s#].*?==[^\\\n]+", lock, re.MULTILINE)
    found = [line.strip() for line in pins.read_text(encoding="utf-8").splitlines()]
    assert found == [line.strip() for line in locked]
    assert any(pin.startswith("torch==") for pin in locked)
    runtime = (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8")
    assert runtime == "python-3.11\n"
