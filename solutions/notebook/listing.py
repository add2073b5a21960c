"""The algorithm in a piece of source, without what only a package needs.

Belongs here: what `show_source` and the site's pages agree on. Does not belong here:
showing it (`display`). Only the standard library is used: the site is built with it.
"""

import ast
import re
import textwrap
from typing import TypeGuard

WIDTH = 79


def algorithm(source: str) -> str:
    '''Return source without docstrings, annotations and checks of arguments.

    Args:
        source: of one function or class, as it stands in its file.

    Returns:
        What computes, with its comments. A check is a call of ``require_...``, or an
        ``if`` or ``for`` in which nothing happens but ``raise`` and other checks.

    >>> print(algorithm("""def half(X: Tensor) -> Tensor:
    ...     \'\'\'Halve.\'\'\'
    ...     require_layout("X", X, "h w")
    ...     return X / 2  # exact
    ... """))
    def half(X):
        return X / 2  # exact
    '''
    lines = source.rstrip().splitlines()
    edits: dict[int, tuple[int, list[str]]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                edits[first.lineno] = first.end_lineno or 0, []
        if isinstance(node, ast.FunctionDef):
            edits[node.lineno] = node.body[0].lineno - 1, _signature(node)
            for line in filter(_is_annotated, ast.walk(node)):
                lines[line.lineno - 1] = _without(lines[line.lineno - 1], line)
        elif isinstance(node, ast.If | ast.For | ast.Expr) and _is_check(node):
            edits[node.lineno] = node.end_lineno or 0, []
    return _edited(lines, edits)


def _is_check(node: ast.stmt) -> bool:
    """Say whether a statement only refuses arguments."""
    match node:
        case ast.Raise():
            return True
        case ast.If(body=body, orelse=orelse):
            return all(map(_is_check, [*body, *orelse]))
        case ast.For(body=body):
            return all(map(_is_check, body))
        case ast.Expr(ast.Call(ast.Name(name))):
            return name.lstrip("_").startswith("require_")
    return False


def _is_annotated(node: ast.AST) -> TypeGuard[ast.AnnAssign]:
    """Say whether a node assigns a value to a name with a type."""
    return isinstance(node, ast.AnnAssign) and node.value is not None


def _without(line: str, node: ast.AnnAssign) -> str:
    """Return the line of an assignment without its annotation."""
    return line[: node.target.end_col_offset] + line[node.annotation.end_col_offset :]


def _signature(function: ast.FunctionDef) -> list[str]:
    """Return the lines that begin a function, without annotations."""
    indent = " " * function.col_offset
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in [*every, arguments.vararg, arguments.kwarg]:
        if argument:
            argument.annotation = None
    line = f"{indent}def {function.name}({ast.unparse(arguments)}):"
    hanging = " " * (line.index("(") + 1)
    return textwrap.wrap(line, WIDTH, subsequent_indent=hanging)


def _edited(lines: list[str], edits: dict[int, tuple[int, list[str]]]) -> str:
    """Replace lines by others: from the first, counted from 1, to the last."""
    result: list[str] = []
    number = 1
    while number <= len(lines):
        if number in edits:
            end, new = edits[number]
            if not new:  # a comment above what is dropped is about it
                while result and result[-1].lstrip().startswith("#"):
                    result.pop()
            result += new
            number = end + 1
        else:
            result.append(lines[number - 1])
            number += 1
    text = re.sub(r":\n\n+(?= )", ":\n", "\n".join(result))
    return re.sub(r"\n\n+(?= )", "\n\n", text)
