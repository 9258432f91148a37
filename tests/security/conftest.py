from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hostile import with_own_code

USER, HOST = "alicewonder", "bigbox-seven"
TOKEN, PASSWORD = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567", "correct-horse-battery"
SUITE = """
title = "<img src=x onerror=alert(1)> | *a title*"
corpus = "text:{text}"
candidates = ["closed", "open", "broken", "gone"]
variants = ["torch/fp32"]
rounds = 1
threads = 1
evaluation = {{ block_size = 32 }}
items = {{ continuations = 2, clozes = 0, choices = 0, context_words = 8, continuation_words = 3 }}
timing = {{ prompt_tokens = 8, new_tokens = 2, readings = 1, reading_seconds = 0.01, warmup_seconds = 0.01 }}
generation = {{ new_tokens = 2 }}

[candidate.closed]
origin = "published"
family = "causal"
path = "{closed}"

[candidate.open]
origin = "published"
family = "causal"
path = "{open}"
trust_remote_code = true

[candidate.broken]
origin = "published"
family = "causal"
path = "{broken}"

[candidate.gone]
origin = "published"
family = "causal"
hub = "somebody/{token}"

[[use_case]]
title = "<b>Writing</b> [here](javascript:alert(1))"
families = ["causal"]
objective = "decode_tokens_per_second"
"""


@dataclass(frozen=True)
class HostileRun:
    """A run of a user with secrets, of checkpoints that would do harm: what it printed and what it left."""

    folder: Path
    stdout: str
    stderr: str
    exit_code: int
    private: dict[str, str]
    environment: dict[str, str]

    @property
    def path(self) -> Path:
        """The run's folder."""
        return next((self.folder / "runs").iterdir())

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What ``--json`` printed."""
        found: list[dict[str, Any]] = json.loads(self.stdout)
        return found

    def text(self, name: str) -> str:
        """A file of the run."""
        return (self.path / name).read_text(encoding="utf-8")

    def harness(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same user."""
        return _harness(self.folder, self.environment, *arguments)


def _harness(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        input="y\n" * 20,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def hostile_run(tiny_checkpoints, corpus, tmp_path_factory) -> HostileRun:
    """Two checkpoints with code of their own, of which one may run it, a third whose shape is impossible, and a
    repository that cannot be had. User, machine, token and password stand in the paths, so that errors name them."""
    folder = tmp_path_factory.mktemp("hostile")
    home = folder / "home" / USER
    private = folder / USER / HOST / TOKEN / PASSWORD
    home.mkdir(parents=True)
    private.mkdir(parents=True)
    source = tiny_checkpoints["causal"].path
    paths = {
        "closed": with_own_code(source, private / "closed", folder / "closed-ran"),
        "open": with_own_code(source, home / "open", folder / "open-ran"),
        "broken": with_own_code(source, private / "broken", folder / "broken-ran", model_type="gpt2"),
    }
    shape = json.loads((paths["broken"] / "config.json").read_text()) | {"n_head": 5, "auto_map": {}}
    (paths["broken"] / "config.json").write_text(json.dumps(shape))
    text = home / "text"
    text.mkdir()
    for split, documents in corpus.splits.items():
        for index, document in enumerate(documents[:4]):
            (text / f"{split}-{index}.txt").write_text(document.text, encoding="utf-8")
    (private / "own.toml").write_text(SUITE.format(text=text, token=TOKEN, **paths))
    environment = {
        **os.environ,
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "HOSTNAME": HOST,
        "HF_TOKEN": TOKEN,
        "MAIL_PASSWORD": PASSWORD,
        "HARNESS_CACHE": str(private / "cache"),
        "HF_HOME": str(home / "hf"),
        "HF_MODULES_CACHE": str(home / "modules"),
    }
    done = _harness(folder, environment, "run", "--suite", str(private / "own.toml"), "--offline", "--json")
    secrets = {"user": USER, "host": HOST, "token": TOKEN, "password": PASSWORD}
    return HostileRun(folder, done.stdout, done.stderr, done.returncode, secrets, environment)
