"""No module of the program loads a pickle, evaluates data, uses a shell or unpacks an archive unchecked."""

from __future__ import annotations

from pathlib import Path

import pytest
from constructs import broken_promises

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for folder in ("harness", "bench", ".ci") for path in (ROOT / folder).rglob("*.py"))


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 150


def test_no_module_holds_a_construct_that_would_break_a_promise():
    found = {
        f"{path.relative_to(ROOT)}:{problem}"
        for path in MODULES
        for problem in broken_promises(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(file)",
        "import torch\ntorch.load(file, weights_only=False)",
        "from torch import load as read\nread(file)",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "import os\nos.system(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import subprocess\nsubprocess.run(text, shell=wanted)",
        "import yaml\nyaml.load(text)",
        "import zipfile\nzipfile.ZipFile(file).extractall(folder)",
        "import tarfile\nwith tarfile.open(file) as t:\n    t.extract(member)",
        "import shutil\nshutil.unpack_archive(file)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True)",
        "AutoModel.from_pretrained(folder)",
        "import requests\nrequests.get(address, verify=False)",
    ],
)
def test_such_constructs_are_found(source):
    assert broken_promises(source)


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import re\nre.compile(text)",
        "import torch\ntorch.load(file, weights_only=True)",
        "import subprocess\nsubprocess.run(words)",
        "AutoModel.from_pretrained(folder, trust_remote_code=trusted)",
        "import tarfile\ntarfile.open(file).extractall(folder, filter='data')",
    ],
)
def test_safe_constructs_are_let_through(source):
    assert broken_promises(source) == []
