"""Mistakes in the source of `solutions/`: where they can be made, and which are tried.

Belongs here: reading a module and changing one place of it. Does not belong here:
running the tests (`suite`), mistakes in stored outputs (`outputs`).

mutmut, the library for this, was tried first. It changes what any program has, but
not what a convolution has (a flip, a stride, a padding, a bias, the order of indices),
and it replaces the source that the notebooks show.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest

from tools.regression.mutants import ROOT, Mutant, rank

MODULES = (
    "why_conv",
    "convolution",
    "padding_stride",
    "channels",
    "pooling",
    "lenet",
    "training/stacked",
    "training/fused",
    "training/augmentation",
    "shapes",
    "training/loop",
    "training/data",
    "check/parts",
)
PER_MODULE = 11
# The order in which they are tried: first what only a convolution has.
KINDS = (
    "a kernel flipped or not",
    "the stride 1",
    "the padding 0",
    "the bias dropped",
    "indices swapped",
    "a term dropped",
    "an off-by-one",
    "another operator",
    "another constant",
    "another comparison",
    "and for or, or for and",
    "a sign or a `not` dropped",
)

OTHER_OPERATOR = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
OTHER_COMPARISON = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
KERNELS = {"K", "V", "W", "kernel", "weight"}
STRIDES = {"stride", "s", "s_h", "s_w", "factor", "f_h", "f_w"}
PADDINGS = {"padding", "p", "p_h", "p_w", "border"}
BIASES = {"u", "bias"}
# What stands in these is no behaviour: types, messages, and what Python needs.
UNCHANGED = {
    ast.FunctionDef: ("decorator_list", "returns"),
    ast.AnnAssign: ("annotation",),
    ast.arg: ("annotation",),
    ast.ClassDef: ("decorator_list", "bases", "keywords"),
    ast.ExceptHandler: ("type",),
}
SKIPPED = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
# A tuple in an index is found with it; in these the order is most often none.
UNORDERED = (ast.Subscript, ast.Call, ast.Compare)
NO_PARENTHESES = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice)


@dataclass(frozen=True)
class Edit:
    """One change of one place of a module.

    Attributes:
        kind: what sort of mistake it is.
        old: what stands there.
        new: what is put there instead.
        function: in which function, with its class; "module" outside of functions.
    """

    kind: str
    old: ast.expr
    new: ast.expr
    function: str


def edits(node: ast.AST, function: str = "module") -> Iterator[Edit]:
    """Find every mistake that can be made in a piece of code.

    Args:
        node: the code.
        function: the function in which it stands.

    Yields:
        The changes.
    """
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        outer = "" if function == "module" else f"{function}."
        function = outer + node.name
    for name, field in ast.iter_fields(node):
        if name in UNCHANGED.get(type(node), ()):
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not is_skipped(child):
                for kind, new in changes(child, node):
                    assert isinstance(child, ast.expr)
                    yield Edit(kind, child, new, function)
                yield from edits(child, function)


def is_skipped(node: ast.AST) -> bool:
    """Say whether a node is an error, an import, a type's name, or ``__main__``.

    A check of arguments, which asks for shapes and types alone, is not changed either.
    """
    is_check = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and "require" in ast.unparse(node.value.func)
    )
    is_alias = isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.dump(node)
    is_main = isinstance(node, ast.If) and "__main__" in ast.dump(node.test)
    return isinstance(node, SKIPPED) or is_check or is_alias or is_main


def changes(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the mistakes that replace one expression, each with its kind."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in OTHER_OPERATOR:
            if not any(isinstance(n, ast.List | ast.Tuple) for n in (left, right)):
                other = OTHER_OPERATOR[type(op)]()
                yield "another operator", ast.BinOp(left, other, right)
            if isinstance(op, ast.Add | ast.Sub):
                yield "a term dropped", left
        case ast.Compare(left, [op], [right]):
            other_op = OTHER_COMPARISON[type(op)]()
            yield "another comparison", ast.Compare(left, [other_op], [right])
        case ast.BoolOp(op, values):
            swapped = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and for or, or for and", ast.BoolOp(swapped, values)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield "a sign or a `not` dropped", operand
        case ast.Constant(bool() as value):
            yield "another constant", ast.Constant(not value)
        case ast.Constant(int() as value):
            yield "another constant", ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield "another constant", ast.Constant(2 * value)
        case ast.Call(ast.Attribute(value, "flip" | "transpose")) | ast.Attribute(
            value, "T" | "mT"
        ):
            yield "a kernel flipped or not", value
        case ast.Call(ast.Name("range"), [*_, stop]):
            bound = ast.BinOp(stop, ast.Sub(), ast.Constant(1))
            yield "an off-by-one", replaced(node, stop, bound)
        case ast.Name(name, ast.Load()) | ast.Attribute(_, name, ast.Load()):
            yield from named(name, node, parent)
        case ast.Subscript(ast.Name(name), ast.Constant(), ast.Load()) if (
            name in STRIDES | PADDINGS
        ):
            yield from named(name, node, parent)
        case ast.Subscript(value, ast.Tuple() as indices, context):
            for others in swaps(indices):
                yield "indices swapped", ast.Subscript(value, others, context)
        case ast.Slice(low, ast.expr() as stop, step):
            bound = ast.BinOp(stop, ast.Sub(), ast.Constant(1))
            yield "an off-by-one", ast.Slice(low, bound, step)
        case ast.Tuple() if not isinstance(parent, UNORDERED):
            for others in swaps(node):
                yield "indices swapped", others


def named(name: str, node: ast.expr, parent: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the mistakes with a kernel, a stride, a padding or a bias, by its name."""
    called = ast.unparse(parent.func) if isinstance(parent, ast.Call) else ""
    if isinstance(parent, ast.Attribute) or called == "len":
        return  # a shape is asked for; so it is after a dot, most often
    if name in KERNELS:
        flip = ast.Attribute(node, "flip", ast.Load())
        yield "a kernel flipped or not", ast.Call(flip, [ast.Constant(-1)], [])
    elif isinstance(parent, ast.Subscript):
        return  # one of a pair, found by itself
    elif name in STRIDES:
        yield "the stride 1", ast.Constant(1)
    elif name in PADDINGS:
        yield "the padding 0", ast.Constant(0)
    elif name in BIASES:
        yield "the bias dropped", ast.BinOp(ast.Constant(0), ast.Mult(), node)


def replaced(call: ast.Call, old: ast.expr, new: ast.expr) -> ast.Call:
    """Return a call with another argument in the place of one."""
    arguments = [new if a is old else a for a in call.args]
    return ast.Call(call.func, arguments, call.keywords)


def swaps(row: ast.Tuple) -> Iterator[ast.Tuple]:
    """Yield a tuple with its first two unequal neighbours swapped, if it has any."""
    texts = [ast.unparse(e) for e in row.elts]
    for i in range(len(texts) - 1):
        if texts[i] != texts[i + 1]:
            elements = list(row.elts)
            elements[i : i + 2] = elements[i + 1], elements[i]
            yield ast.Tuple(elements, row.ctx)
            return


def mutants(module: str, count: int = PER_MODULE) -> list[Mutant]:
    """Make mutants of a module, always the same ones, of as many kinds as it can.

    Args:
        module: its name without `solutions` and ``.py``.
        count: how many.

    Returns:
        The mutants: one of each kind, then another of each, and so on.
    """
    path = f"solutions/{module}.py"
    source = (ROOT / path).read_text(encoding="utf-8")
    by_kind: dict[str, list[Mutant]] = {}
    names: Counter[str] = Counter()
    for edit in edits(ast.parse(source)):
        mutant = made(path, source, edit)
        names[mutant.name] += 1
        if (time := names[mutant.name]) > 1:
            mutant = replace(mutant, change=f"{mutant.change}, occurrence {time}")
        by_kind.setdefault(edit.kind, []).append(mutant)
    kinds = [
        sorted(by_kind.get(kind, []), key=lambda m: rank(m.kind, m.name))
        for kind in KINDS
    ]
    rounds = chain.from_iterable(zip_longest(*kinds))
    return list(islice((mutant for mutant in rounds if mutant), count))


def made(path: str, source: str, edit: Edit) -> Mutant:
    """Make the mutant of one change; all other lines of the source stay as they are."""
    lines = source.encode().splitlines(keepends=True)  # ast counts bytes
    old, starts = edit.old, [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    assert old.end_lineno is not None and old.end_col_offset is not None
    start = starts[old.lineno - 1] + old.col_offset
    end = starts[old.end_lineno - 1] + old.end_col_offset
    text = ast.unparse(edit.new)
    if not isinstance(edit.new, NO_PARENTHESES):
        text = f"({text})"
    whole = b"".join(lines)
    changed = (whole[:start] + text.encode() + whole[end:]).decode()
    change = f"{ast.unparse(old)} -> {ast.unparse(edit.new)}"
    return Mutant(edit.kind, path, edit.function, old.lineno, change, changed)
