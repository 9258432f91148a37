"""Which texts the package says, read from its source: the arguments of ``say`` and ``retell``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import harness

PACKAGE = Path(harness.__file__).parent


@dataclass(frozen=True)
class Said:
    """A call of ``say`` or ``map(say, …)``: where it stands, its argument as source, and the texts that can reach it;
    None where they come from elsewhere in the program."""

    where: str
    argument: str
    texts: frozenset[str] | None


@cache
def all_said() -> tuple[Said, ...]:
    """Every call in the package."""
    files = sorted(PACKAGE.rglob("*.py"))
    return tuple(said for file in files for said in _said_in(file))


def _said_in(file: Path) -> Iterator[Said]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        argument = _argument(node)
        if argument is not None and isinstance(node, ast.Call):
            where = f"{file.relative_to(PACKAGE)}:{node.lineno}"
            texts = _texts(argument, tree)
            yield Said(where, ast.unparse(argument), None if texts is None else frozenset(texts))


def _argument(node: ast.AST) -> ast.expr | None:
    """What is said by a node, if it is a call that says something."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    if isinstance(node.func, ast.Name) and node.func.id == "say":
        return node.args[0]
    mapped = node.args[0]
    is_map = isinstance(node.func, ast.Name) and node.func.id == "map"
    return node.args[1] if is_map and isinstance(mapped, ast.Name) and mapped.id == "say" else None


def _texts(node: ast.expr, tree: ast.Module) -> set[str] | None:
    """The texts of an expression: constants, choices and tables of them, and names that are assigned such."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=one, orelse=other):
            return _union([one, other], tree)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return _union(parts, tree)
        case ast.Subscript(value=ast.Name() as table):
            return _texts(table, tree)
        case ast.Name(id=name):
            assigned = [each for each in ast.walk(tree) if isinstance(each, ast.Assign | ast.AnnAssign)]
            values = [each.value for each in assigned if name in _targets(each) and each.value is not None]
            return _union(values, tree) if values else None
        case _:
            return None


def _union(nodes: list[ast.expr], tree: ast.Module) -> set[str] | None:
    found = [_texts(each, tree) for each in nodes]
    return None if None in found else {text for texts in found if texts for text in texts}


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {each.id for each in targets if isinstance(each, ast.Name)}
