"""Checkpoints that would do something if they were let: pickles, and code that lies with the weights."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

CONFIGURATION = """
from pathlib import Path
from transformers import GPT2Config

Path({mark!r}).write_text("configuration")


class OwnConfig(GPT2Config):
    model_type = "own-gpt"
"""
MODEL = """
from pathlib import Path
from transformers import GPT2LMHeadModel
from .configuration_own import OwnConfig

Path({mark!r}).write_text("model")


class OwnModel(GPT2LMHeadModel):
    config_class = OwnConfig
"""


class CreatesAFile:
    """What a pickle of it does when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def write_pickle(file: Path, mark: Path) -> None:
    """A pickle that makes the file ``mark`` when it is loaded."""
    file.write_bytes(pickle.dumps(CreatesAFile(mark)))


def with_own_code(source: Path, folder: Path, mark: Path, model_type: str = "own-gpt") -> Path:
    """A copy of a GPT-2 checkpoint that brings its classes along; they make the file ``mark`` when they are run."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}
    config |= {"model_type": model_type, "auto_map": classes}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "configuration_own.py").write_text(CONFIGURATION.format(mark=str(mark)))
    (folder / "modeling_own.py").write_text(MODEL.format(mark=str(mark)))
    return folder
