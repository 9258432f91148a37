"""A checkpoint on the disk: checked before it is loaded, and loaded without ever opening a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.candidates.catalogue import folder_digests
from harness.errors import HarnessError
from harness.records.hashing import digest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_WEIGHTS = ".safetensors"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model")
_INDEX = "model.safetensors.index.json"
_LOADED = ("model.safetensors", _INDEX)
_CODE = ".py"
_LONGEST_HEADER = 100_000_000
_SHA1, _SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder. The hashes name its weights and its tokenizer, wherever the folder lies.

    ``trust_remote_code`` says that Python code in the folder may be run; that code counts as weights then.
    """

    path: Path
    family: str
    weights_hash: str
    tokenizer_hash: str
    trust_remote_code: bool = False


def open_checkpoint(path: Path, family: str, trust_remote_code: bool = False) -> Checkpoint:
    """Check that a folder holds a configuration, a tokenizer and whole safetensors weights.

    Raises HarnessError that names the file that is missing, is a pickle, or is corrupt.
    """
    hashes = folder_digests(path, trust_remote_code)
    weights = {name: h for name, h in hashes.items() if name.endswith(_WEIGHTS)}
    if not any(name in hashes for name in _LOADED):  # else libraries would take a pickle that lies beside
        pickles = sorted(each.name for each in path.iterdir() if each.suffix in _PICKLES)
        if pickles:
            raise HarnessError(f"{path / pickles[0]} is a pickle, which is never loaded; convert it to safetensors")
        raise HarnessError(f"no {_WEIGHTS} file in {path}" if not weights else f"no {_LOADED[0]} in {path}")
    if "config.json" not in hashes:
        raise HarnessError(f"no config.json in {path}")
    tokenizer = {name: hashes[name] for name in _TOKENIZER_FILES if name in hashes}
    if "tokenizer.json" in tokenizer:
        tokenizer = {"tokenizer.json": tokenizer["tokenizer.json"]}  # holds all that the others say
    if not tokenizer:
        raise HarnessError(f"no tokenizer in {path}: expected tokenizer.json")
    for name in weights:
        _check_safetensors(path / name)
    if _INDEX in hashes:
        _check_index(path / _INDEX, weights)
    _check_downloads(path, hashes)
    code = {name: h for name, h in hashes.items() if name.endswith(_CODE)}
    return Checkpoint(path, family, digest(weights | code), digest(tokenizer), trust_remote_code)


def _check_index(file: Path, weights: Mapping[str, str]) -> None:
    """The parts that an index names are safetensors files beside it: no pickle, and nothing outside of the folder."""
    try:
        parts = set(json.loads(file.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise HarnessError(f"{file} is no index of safetensors files") from error
    if strange := sorted(str(part) for part in parts if part not in weights):
        raise HarnessError(f"{file} names {strange[0]!r}, which is no {_WEIGHTS} file in its folder")


def _check_downloads(path: Path, hashes: Mapping[str, str]) -> None:
    """Hold files out of the hub's cache against their hashes, which are the names of what they link to: the SHA-256 of
    large files, git's hash of small ones. The hub's library compares sizes alone."""
    for name, found in hashes.items():
        expected = Path(os.readlink(path / name)).name if (path / name).is_symlink() else ""
        if _SHA1.fullmatch(expected):
            found = _git_hash((path / name).read_bytes())
        elif not _SHA256.fullmatch(expected):
            continue
        if found != expected:
            raise HarnessError(f"{path / name} is not what was published: its hash is {found}, not {expected}; "
                               "delete it, and it is fetched again")  # fmt: skip


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def _check_safetensors(file: Path) -> None:
    """Whole means: a header that parses, and as many bytes as it announces."""
    header = _read_header(file)
    try:
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (KeyError, TypeError, IndexError) as error:
        raise HarnessError(f"{file} has a corrupt safetensors header") from error
    if not all(type(end) is int and end >= 0 for end in ends):
        raise HarnessError(f"{file} has a corrupt safetensors header")
    end = max(ends, default=0)
    with file.open("rb") as stream:
        expected = 8 + int.from_bytes(stream.read(8), "little") + end
    if file.stat().st_size != expected:
        raise HarnessError(f"{file} is corrupt: {file.stat().st_size} bytes where its header announces {expected}")


def _read_header(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            raise HarnessError(f"{file} is not a safetensors file, or it is cut short")
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise HarnessError(f"{file} has a corrupt safetensors header") from error
    if not isinstance(header, dict):
        raise HarnessError(f"{file} has a corrupt safetensors header")
    return header


def load_model(path: Path, family: str, dtype: str = "float32", trust_remote_code: bool = False) -> PreTrainedModel:
    """The model in evaluation mode, in the given torch data type; code in the folder is run where it is trusted.

    Raises HarnessError if it is of another family.
    """
    try:
        model = model_class(family).from_pretrained(
            path, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except (ValueError, OSError, RuntimeError) as error:
        raise HarnessError(f"cannot load {path} as a {family} model: {_reason(error)}") from error
    model.eval()
    return model


def load_configuration(path: Path, trust_remote_code: bool = False) -> Any:
    """What config.json says, as transformers reads it. Raises HarnessError where it cannot."""
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=trust_remote_code)
    except (ValueError, OSError, KeyError) as error:
        raise HarnessError(f"cannot read the configuration in {path}: {_reason(error)}") from error


def model_skeleton(path: Path, family: str, trust_remote_code: bool = False) -> PreTrainedModel:
    """The model of a checkpoint folder in evaluation mode, in memory that nothing has been written to."""
    import transformers

    configuration = load_configuration(path, trust_remote_code)
    with transformers.modeling_utils.no_init_weights():
        model: PreTrainedModel = model_class(family).from_config(configuration, trust_remote_code=trust_remote_code)
    return model.eval()


def count_parameters(checkpoint: Checkpoint) -> int:
    """Trainable weights of the model, tied ones once; a checkpoint may store others, such as buffers."""
    model = model_skeleton(checkpoint.path, checkpoint.family, checkpoint.trust_remote_code)
    model.tie_weights()
    return int(model.num_parameters())


def model_class(family: str) -> Any:
    """The class of transformers that loads models of a family."""
    import transformers

    return {
        "causal": transformers.AutoModelForCausalLM,
        "masked": transformers.AutoModelForMaskedLM,
        "seq2seq": transformers.AutoModelForSeq2SeqLM,
    }[family]


def tokenizer_of(checkpoint: Checkpoint) -> PreTrainedTokenizerFast:
    """The tokenizer of a checkpoint; see :func:`load_tokenizer`."""
    return load_tokenizer(checkpoint.path, checkpoint.trust_remote_code)


def load_tokenizer(path: Path, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
    """The tokenizer of a checkpoint folder; a fast one, because character spans are needed."""
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        raise HarnessError(f"cannot load the tokenizer in {path}: {_reason(error)}") from error
    if not tokenizer.is_fast:
        raise HarnessError(f"the tokenizer in {path} has no fast version, which character spans need")
    return tokenizer


def _reason(error: Exception) -> str:
    """The first line of what transformers says, in our words where it asks for the permission to run code."""
    text = str(error)
    if "trust_remote_code" in text:
        return "it needs code that lies with it, which is run only where its candidate has 'trust_remote_code = true'"
    return (text.splitlines() or ["no reason given"])[0]
