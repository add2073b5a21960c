"""Check an answer in a terminal: ``python -m solutions.check 6.2.3 answer.py:f``.

Belongs here: reading arguments, exit statuses. Does not belong here: checking.
"""

import argparse
import ast
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import cast

from solutions.check import Report, check, registry

HELP = """\
the answer: FILE.py:NAME for something that a file defines, or a number, a list or a
tuple. For a question that has a name: NAME=ANSWER.

  python -m solutions.check 6.2.3 my_answer.py:my_matmul
  python -m solutions.check 6.4.3 ratio=2
  python -m solutions.check --list 6.2

exit status: 0 if all answers are right, 1 if one is not, 2 if the call makes no sense
"""


def main(arguments: Sequence[str]) -> int:
    """Check the answers, print the report; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m solutions.check",
        description="Check your answer to an exercise, without seeing ours.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("exercise", nargs="?", default="", help="such as 6.2.3")
    parser.add_argument("answers", nargs="*", metavar="answer", help="see below")
    parser.add_argument(
        "--list", action="store_true", help="list what can be checked, and how"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=check.time_limit,
        metavar="SECONDS",
        help="how long one call of a function may take (%(default)s)",
    )
    options = parser.parse_args(arguments)
    check.time_limit = options.time_limit
    try:
        if options.list:
            check.list(options.exercise)
            return 0
        if not options.answers:
            raise ValueError("give an exercise and an answer, or --list")
        reports = [checked(options.exercise, answer) for answer in options.answers]
    except ValueError as error:
        print(f"solutions.check: {error}", file=sys.stderr)
        return 2
    print("\n".join(map(str, reports)))
    return 0 if all(reports) else 1


def checked(exercise: str, argument: str) -> Report:
    """Check one answer as it stands on the command line.

    Raises:
        ValueError: if it is neither a name in a file nor a value.
    """
    named = argument.partition("=")
    name, text = (named[0], named[2]) if named[0].isidentifier() else ("", argument)
    path, _, variable = text.rpartition(":")
    if path.endswith(".py"):
        if not Path(path).is_file():
            raise ValueError(f"there is no file {path}")
        return check.file(exercise, name, Path(path), variable)
    registry.question(exercise, name)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ValueError(f"{text!r} is neither FILE.py:NAME nor a value") from None
    return check(exercise, **{name: value}) if name else check(exercise, value)


if __name__ == "__main__":
    # What a terminal cannot show must not end in a traceback.
    cast(TextIOWrapper, sys.stdout).reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
