"""`algorithm` leaves out what only a package needs, and nothing that computes."""

import ast
from pathlib import Path

import pytest

from solutions.notebook.listing import WIDTH, algorithm

ROOT = Path(__file__).parents[2]
SOURCE = '''
class Layer(Module):
    """A layer."""

    size: int = 3

    @property
    def area(self) -> int:
        """Its area."""
        return self.size**2

    def run(self, X: Tensor, *, strides: tuple[int, ...] = (1, 1)) -> Tensor:
        """Run.

        Raises:
            ValueError: if not.
        """
        # about the check below
        if X.dim() != 2:
            raise ValueError("no")
        _require_channels(X)
        total: list[int] = []
        for stride in strides:
            if stride < 1:
                raise ValueError("too small")
            total.append(stride)  # kept

        # about the sum
        return sum(total)
'''.lstrip()
SHOWN = """
class Layer(Module):
    size: int = 3

    @property
    def area(self):
        return self.size**2

    def run(self, X, *, strides=(1, 1)):
        total = []
        for stride in strides:
            total.append(stride)  # kept

        # about the sum
        return sum(total)
""".strip()


def test_what_is_left_out():
    assert algorithm(SOURCE) == SHOWN


def test_a_long_signature_is_broken():
    names = ", ".join(f"argument_{i}" for i in range(12))
    text = algorithm(f"def f({names}):\n    return 0\n")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert ast.dump(ast.parse(text)) == ast.dump(
        ast.parse(f"def f({names}):\n    return 0")
    )


ANSWERS = sorted(ROOT.glob("solutions/*.py"))


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_what_is_left_of_each_answer_returns_the_same(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_check = getattr(node, "name", "").lstrip("_").startswith("require_")
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not is_check:
            left = ast.parse(algorithm(ast.unparse(node)))
            assert returned(left) == returned(node)


def returned(tree):
    """Write what functions return."""
    return [ast.dump(n) for n in ast.walk(tree) if isinstance(n, ast.Return)]
