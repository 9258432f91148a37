"""The candidates that suites can name, and how a candidate's description is resolved with its teacher's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.candidates.spec import CandidateSpec
from harness.errors import HarnessError, nearest
from harness.records.environment import gpu_names, installed_version
from harness.records.hashing import code_digest, file_digest

_MAKERS = ("torch", "transformers", "tokenizers", "accelerate")


@dataclass(frozen=True)
class Candidate:
    """A named candidate with its teacher, if it is distilled or pruned."""

    name: str
    spec: CandidateSpec
    teacher: Candidate | None = None

    @property
    def family(self) -> str:
        """``causal``, ``masked`` or ``seq2seq``."""
        return self.spec.family

    def description(self, corpus_hash: str) -> dict[str, Any]:
        """Everything that decides this candidate's weights: for those made here also corpus, code and versions."""
        if self.spec.origin == "published":
            trusted = self.spec.trust_remote_code
            local = {"content": folder_digests(Path(self.spec.path).expanduser(), trusted)} if self.spec.path else {}
            return {"spec": self.spec.as_description(), **local}
        return {
            "spec": self.spec.as_description(),
            "corpus": corpus_hash,
            "code": code_digest("training", "corpora"),
            "versions": {package: installed_version(package) for package in _MAKERS},
            "device": "cuda" if gpu_names() else "cpu",
            "teacher": self.teacher.description(corpus_hash) if self.teacher else None,
        }


@cache
def shipped_candidates() -> dict[str, CandidateSpec]:
    """The catalogue that comes with the package."""
    text = (files("harness.candidates") / "catalogue.toml").read_text(encoding="utf-8")
    return {name: CandidateSpec.model_validate(table) for name, table in tomllib.loads(text).items()}


def resolve(name: str, own: Mapping[str, CandidateSpec]) -> Candidate:
    """The candidate of that name, from a suite's own table or the catalogue, with its chain of teachers.

    Raises HarnessError for an unknown name, a teacher of another family or vocabulary, or a circle of teachers.
    """
    return _resolve(name, {**shipped_candidates(), **own}, ())


def _resolve(name: str, known: Mapping[str, CandidateSpec], pupils: tuple[str, ...]) -> Candidate:
    if name not in known:
        raise HarnessError(f"unknown candidate '{name}'{nearest(name, known)}")
    if name in pupils:
        raise HarnessError(f"candidate '{name}' is distilled from itself: {' <- '.join((*pupils, name))}")
    spec = known[name]
    teacher = _resolve(spec.teacher, known, (*pupils, name)) if spec.teacher else None
    if teacher and teacher.family != spec.family:
        raise HarnessError(f"candidate '{name}' is {spec.family}, its teacher '{teacher.name}' is {teacher.family}")
    if teacher and spec.origin == "pruned" and teacher.spec.architecture != spec.architecture:
        kind = teacher.spec.architecture
        raise HarnessError(
            f"candidate '{name}' is a pruned {spec.architecture}, but its teacher '{teacher.name}' a {kind}"
        )
    if teacher and teacher.spec.training is None:
        origin = teacher.spec.origin
        raise HarnessError(f"candidate '{name}': its teacher '{teacher.name}' is {origin}; it must be trained here")
    root = teacher
    while root and root.teacher:
        root = root.teacher
    if root and spec.vocabulary not in (None, root.spec.entries):
        raise HarnessError(
            f"candidate '{name}' has a vocabulary of {spec.vocabulary}, its teacher's is {root.spec.entries}; a "
            "student takes its teacher's tokenizer, so leave 'vocabulary' out"
        )
    return Candidate(name, spec, teacher)


def local_checkpoint(candidate: Candidate, folder: str) -> CandidateSpec:
    """A published candidate as one whose checkpoint is a local folder.

    Raises HarnessError where there is no such folder, and for a candidate that is made here.
    """
    spec = candidate.spec
    if spec.origin != "published":
        raise HarnessError(
            f"candidate '{candidate.name}' is {spec.origin}, so no checkpoint can stand in for it; only a published "
            "one takes a local folder"
        )
    if not Path(folder).expanduser().is_dir():
        raise HarnessError(f"candidate '{candidate.name}': no checkpoint folder {folder}")
    kept = {key: getattr(spec, key) for key in ("family", "title", "trust_remote_code")}
    return CandidateSpec(origin="published", path=folder, **kept)


def folder_digests(folder: Path, with_code: bool = False) -> dict[str, str]:
    """The SHA-256 of the files of a checkpoint folder that matter, of Python code too where it is run.

    Raises HarnessError where there is no such folder.
    """
    if not folder.is_dir():
        raise HarnessError(f"no checkpoint folder {folder}")
    kinds = (".safetensors", ".json", ".txt", ".model", ".gguf", *([".py"] if with_code else []))
    files = [path for path in sorted(folder.iterdir()) if path.suffix in kinds and path.is_file()]
    return {path.name: file_digest(path) for path in files}
