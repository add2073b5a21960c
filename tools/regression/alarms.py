"""Execute the notebooks again and again: a regression must not cry wolf.

``python -m tools.regression.alarms [TIMES] [notebook ...]``, by default ten times all
in `chapters/`. Belongs here: repeating the regression and counting what failed. Does
not belong here: deciding when two outputs agree (`agreement`).
"""

import re
import signal
import subprocess
import sys
from collections.abc import Sequence

NBVAL = ("-m", "pytest", "-q", "--nbval")
SETTINGS = ("-c", "pyproject.toml", "-p", "tools.regression.nbtol")
SUMMARY = re.compile(r"^nbtol: .*$", re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Run the regression as often as asked, and print each result.

    Args:
        arguments: how often, then the notebooks.

    Returns:
        The exit status, 1 if a run failed.
    """
    times, *notebooks = arguments or ["10"]
    failed = 0
    for number in range(1, int(times) + 1):
        command = [sys.executable, *NBVAL, *SETTINGS, *(notebooks or ["chapters"])]
        run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        counted = SUMMARY.search(run.stdout)
        is_green = run.returncode == 0 and counted is not None
        failed += not is_green
        text = (
            counted[0] if is_green and counted else f"FAILED\n{run.stdout}{run.stderr}"
        )
        print(f"{number} of {times}: {text}", flush=True)
    print(f"{failed} of {times} runs failed")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops as Ctrl-C does
    sys.exit(main(sys.argv[1:]))
