"""From a name or a path to a checked suite; every error names file, key and what was expected."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from harness.candidates.catalogue import Candidate, local_checkpoint, resolve
from harness.candidates.spec import CandidateSpec
from harness.corpora.catalogue import check_corpus_name
from harness.engines.catalogue import DEVICES, engine_kind
from harness.errors import HarnessError, nearest
from harness.suites.schema import Suite


@dataclass(frozen=True)
class NamedSuite:
    """A checked suite and its name, which names run folders."""

    name: str
    suite: Suite


def shipped_suites() -> dict[str, Path]:
    """The suites that come with the package, by name."""
    folder = Path(str(files("harness.suites")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_suite(name_or_path: str, settings: Iterable[str] = ()) -> NamedSuite:
    """Read and check a suite, after applying ``key=value`` settings (dotted keys, values as in TOML).

    Raises HarnessError that names the file, the key and what was expected.
    """
    shipped = shipped_suites()
    path = shipped.get(name_or_path, Path(name_or_path).expanduser())
    if name_or_path not in shipped and not (path.suffix == ".toml" or path.exists()):
        raise HarnessError(f"no suite '{name_or_path}'{nearest(name_or_path, shipped)}; or give a path to a .toml file")
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise HarnessError(f"cannot read suite {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # among them numbers of more digits than Python reads
        raise HarnessError(f"{_shown(path)}: not valid TOML: {error}") from error
    for setting in settings:
        _apply(table, setting)
    suite = check_suite(table, _shown(path))
    name = re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).lstrip(".-") or "suite"
    return NamedSuite(name, suite)


def check_suite(table: dict[str, Any], source: str) -> Suite:
    """Check a table against the schema, and its names against candidates, engines and corpora."""
    try:
        suite = Suite.model_validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise HarnessError(f"{source}: {_first_problem(error)}") from None
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{source}: a value is too long, or its tables nest too deeply: {error}") from None
    try:
        suite = suite.model_copy(update={"candidate": trained_as_asked(suite, suite.candidates)})
        check_corpus_name(suite.corpus)
        for candidate in suite.candidates:
            resolve(candidate, suite.candidate)
        for variant in suite.variants:
            engine, precision, device, _ = split_variant(variant, suite.device)
            kind = engine_kind(engine)
            if precision not in kind.precisions:
                raise HarnessError(f"variant '{variant}': engine '{engine}' has {', '.join(kind.precisions)}")
            if device not in DEVICES:
                raise HarnessError(f"variant '{variant}': expected device {' or '.join(DEVICES)}, not '{device}'")
    except HarnessError as error:
        raise HarnessError(f"{source}: {error}") from None
    return suite


def with_local(
    own: Mapping[str, CandidateSpec], names: Sequence[str], folders: Iterable[str]
) -> dict[str, CandidateSpec]:
    """A suite's own candidates, with local checkpoints, each ``NAME=FOLDER``, in place of published ones of ``names``.

    Raises HarnessError for another name, a candidate that is made here, or a folder that is not there.
    """
    found = dict(own)
    for setting in folders:
        name, equals, folder = setting.partition("=")
        if not equals or not folder:
            raise HarnessError(f"--local {setting}: expected NAME=FOLDER")
        if name not in names:
            raise HarnessError(f"--local {setting}: '{name}' is not among the candidates{nearest(name, names)}")
        found[name] = local_checkpoint(resolve(name, found), folder)
    return found


def split_variant(variant: str, device: str) -> tuple[str, str, str, str]:
    """Engine, precision, device and kind of machine of ``ENGINE/PRECISION[/DEVICE][@KIND]``; ``device`` is that of
    variants that name none, and the kind is empty where none is named."""
    way, _, machine = variant.partition("@")
    engine, _, rest = way.partition("/")
    precision, _, own = rest.partition("/")
    return engine, precision, own or device, machine


def trained_as_asked(suite: Suite, names: Iterable[str]) -> dict[str, CandidateSpec]:
    """The suite's own candidates, and those of ``names`` with their teachers, with the suite's ``[training]``.

    Raises HarnessError where a candidate cannot be trained so.
    """
    described = dict(suite.candidate)
    for name in names if suite.training else ():
        candidate: Candidate | None = resolve(name, suite.candidate)
        while candidate is not None:
            if candidate.spec.training is not None:
                described[candidate.name] = _trained_so(candidate, suite.training)
            candidate = candidate.teacher
    return described


def _trained_so(candidate: Candidate, keys: Mapping[str, Any]) -> CandidateSpec:
    """A description with other keys of training; a budget of one kind takes the place of the other kind's."""
    table = candidate.spec.model_dump(mode="json", exclude_unset=True)
    budgets = {"tokens", "epochs"}
    replaced = budgets if budgets & keys.keys() else set()
    table["training"] = {key: value for key, value in table["training"].items() if key not in replaced} | dict(keys)
    try:
        return CandidateSpec.model_validate(table)
    except ValidationError as error:
        raise HarnessError(f"[training] for candidate '{candidate.name}': {_first_problem(error)}") from None


def _apply(table: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise HarnessError(f"--set {setting}: expected KEY=VALUE")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text.strip()
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise HarnessError(f"--set {setting}: '{parent}' is not a table")
    table[last] = value


def _first_problem(error: ValidationError) -> str:
    """One line on the first problem: where it is, what was expected, and the nearest known key."""
    problems = error.errors()
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    where = problem["loc"]
    key = ".".join(str(part) for part in where) or "the suite"
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(str(where[-1]), _keys_at(where[:-1]))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}"
    return f"{key}: {_lower_first(problem['msg'])}, got {problem['input']!r}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _keys_at(where: Sequence[int | str]) -> list[str]:
    """The known keys of the table at a place in the schema."""
    model: Any = Suite
    for part in where:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _table_model(model.model_fields[str(part)].annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _table_model(annotation: Any) -> Any:
    """The model inside an annotation such as ``dict[str, Model]``, ``tuple[Model, ...]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _table_model(argument)) is not None:
            return found
    return None


def _shown(path: Path) -> str:
    """Shipped suites by name, others by their path."""
    return f"suite '{path.stem}'" if path in shipped_suites().values() else str(path)
