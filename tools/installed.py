"""Print what this Python lacks of the requirements on its standard input, by name.

Belongs here: comparing what is installed with a lock; `environment` has the Python of
`.venv` do so. Does not belong here: installing. Only pip is there for certain.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from pip._vendor.packaging.requirements import Requirement


def requirements(lock: str) -> Iterator[Requirement]:
    r"""Yield what a lock asks for on this machine.

    >>> [str(r) for r in requirements("a==1 \\\n  --hash=sha256:0\n  # via b\nc==2")]
    ['a==1', 'c==2']
    """
    for line in re.findall(r"^[^\s#].*?(?= *\\?$)", lock, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def difference(requirement: Requirement) -> str | None:
    """Say in a few words what is there instead of a requirement, None if it is there.

    >>> difference(Requirement("pip==0.1"))[:12]
    'pip 0.1 (has'
    """
    wanted = str(requirement.specifier).removeprefix("==")
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} {wanted}".strip()
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} {wanted} (has {found})"


def main() -> None:
    """Print one line for each requirement that is not there."""
    for requirement in requirements(sys.stdin.read()):
        if lacking := difference(requirement):
            print(lacking)


if __name__ == "__main__":
    main()
