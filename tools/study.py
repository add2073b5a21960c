"""Run the study of section 6.6, and write its results for the notebook to read.

``python -m tools.study [GROUP ...]`` runs all experiments, or those of some groups, and
stores them; when all are there, it writes the file that the notebook reads.
Belongs here: the command behind `make study`.
Does not belong here: the experiments (`training.experiments`), or how one is run.
"""

import signal
import sys
from pathlib import Path

from solutions.notebook.reproducibility import choose_device, make_deterministic
from solutions.system.files import NotWrittenError
from solutions.training.data import cache_root
from solutions.training.experiments import EXPERIMENTS
from solutions.training.study import collect, file_of, run

RESULTS = Path(__file__).parent.parent / "chapters" / "study.json"


def main(*groups: str) -> int:
    """Run what is missing, collect all results; return the exit status."""
    folder = cache_root() / "study"
    make_deterministic()
    try:
        run(
            {
                name: e
                for name, e in EXPERIMENTS.items()
                if not groups or name.partition(":")[0] in groups
            },
            folder,
            choose_device(),
        )
        missing = [e for e in EXPERIMENTS.values() if not file_of(folder, e).exists()]
        if not missing:
            collect(EXPERIMENTS, folder, RESULTS)
    except KeyboardInterrupt:
        print("stopped; the results so far are kept, and it goes on", file=sys.stderr)
        return 130
    except NotWrittenError as error:
        print(f"{error}; the results before it are kept", file=sys.stderr)
        return 1
    if missing:
        print(f"{len(missing)} of {len(EXPERIMENTS)} experiments are still to be run.")
    else:
        print(f"The results of {len(EXPERIMENTS)} experiments are in {RESULTS.name}.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    sys.exit(main(*sys.argv[1:]))
