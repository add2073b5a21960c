"""Run the study of section 6.6, and write its results for the notebook to read.

Belongs here: the command behind `make study`.
Does not belong here: the experiments (`solutions.experiments`), or how one is run.
"""

import signal
import sys
from pathlib import Path

from solutions.data import cache_root
from solutions.experiments import EXPERIMENTS
from solutions.files import NotWrittenError
from solutions.study import collect, run

RESULTS = Path(__file__).parent.parent / "chapters" / "study.json"


def main() -> int:
    """Run what is missing, and collect the results; return the exit status."""
    folder = cache_root() / "study"
    try:
        run(EXPERIMENTS, folder)
        collect(EXPERIMENTS, folder, RESULTS)
    except KeyboardInterrupt:
        print("stopped; the results so far are kept, and it goes on", file=sys.stderr)
        return 130
    except NotWrittenError as error:
        print(f"{error}; the results before it are kept", file=sys.stderr)
        return 1
    print(f"The results of {len(EXPERIMENTS)} experiments are in {RESULTS.name}.")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    sys.exit(main())
