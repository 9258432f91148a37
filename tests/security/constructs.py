"""Finds constructs in Python source that would break a promise of SECURITY.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_CALLS = {
    "eval", "exec", "compile", "__import__",
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp",
    "pandas.read_pickle", "shutil.unpack_archive", "ssl._create_unverified_context",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load",
}  # fmt: skip
_SPAWN = ("os.spawn", "os.exec")
_UNPACKING = {"extract", "extractall"}
_LOADERS = {"from_pretrained", "from_config", "main_export"}


def broken_promises(source: str) -> list[str]:
    """What stands in a module that must not, each as ``line: what``."""
    tree = ast.parse(source)
    names = _imported_names(tree)
    found = [f"{node.lineno}: imports {module}" for node, module in _imports(tree) if module in _MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {problem}" for problem in _problems(node, _called(node.func, names))]
    return found


def _imports(tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, (node.module or "").partition(".")[0]


def _imported_names(tree: ast.AST) -> dict[str, str]:
    """What a name of the module stands for: ``np`` for ``numpy``, ``run`` for ``subprocess.run``."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _called(function: ast.expr, names: dict[str, str]) -> str:
    """The dotted name of what is called; of a method of something computed only ``.method``."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    parts.append(names.get(function.id, function.id) if isinstance(function, ast.Name) else "")
    return ".".join(reversed(parts))


def _problems(call: ast.Call, name: str) -> Iterator[str]:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    method = name.rpartition(".")[2]
    if name in _CALLS or name.startswith(_SPAWN):
        yield f"calls {name}"
    if "shell" in keywords and not _is(keywords["shell"], False):
        yield "may use a shell"
    if name == "torch.load" and not _is(keywords.get("weights_only"), True):
        yield "calls torch.load without weights_only=True"
    if "allow_pickle" in keywords and not _is(keywords["allow_pickle"], False):
        yield "allows a pickle"
    if method in _UNPACKING and "." in name and "filter" not in keywords:
        yield f"unpacks an archive by .{method}"
    if _is(keywords.get("trust_remote_code"), True):
        yield "trusts remote code whatever the suite says"
    if method in _LOADERS and None not in keywords and "trust_remote_code" not in keywords:
        yield f"calls {method} without trust_remote_code, so that transformers may ask for it"
    if _is(keywords.get("verify"), False):
        yield "does not verify a certificate"


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value
