"""A checkpoint on the disk: checked before it is loaded, and loaded without ever opening a pickle."""

from __future__ import annotations

import json
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
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder. The hashes name its weights and its tokenizer, wherever the folder lies."""

    path: Path
    family: str
    weights_hash: str
    tokenizer_hash: str


def open_checkpoint(path: Path, family: str) -> Checkpoint:
    """Check that a folder holds a configuration, a tokenizer and whole safetensors weights.

    Raises HarnessError that names the file that is missing, is a pickle, or is corrupt.
    """
    hashes = folder_digests(path)
    weights = {name: h for name, h in hashes.items() if name.endswith(_WEIGHTS)}
    if not weights:
        pickles = sorted(each.name for each in path.iterdir() if each.suffix in _PICKLES)
        if pickles:
            raise HarnessError(f"{path / pickles[0]} is a pickle, which is never loaded; convert it to safetensors")
        raise HarnessError(f"no {_WEIGHTS} file in {path}")
    if "config.json" not in hashes:
        raise HarnessError(f"no config.json in {path}")
    tokenizer = {name: hashes[name] for name in _TOKENIZER_FILES if name in hashes}
    if "tokenizer.json" in tokenizer:
        tokenizer = {"tokenizer.json": tokenizer["tokenizer.json"]}  # holds all that the others say
    if not tokenizer:
        raise HarnessError(f"no tokenizer in {path}: expected tokenizer.json")
    for name in weights:
        _check_safetensors(path / name)
    return Checkpoint(path, family, digest(weights), digest(tokenizer))


def _check_safetensors(file: Path) -> None:
    """Whole means: a header that parses, and as many bytes as it announces."""
    header = _read_header(file)
    try:
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (KeyError, TypeError, IndexError) as error:
        raise HarnessError(f"{file} has a corrupt safetensors header") from error
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
        except ValueError as error:
            raise HarnessError(f"{file} has a corrupt safetensors header") from error
    if not isinstance(header, dict):
        raise HarnessError(f"{file} has a corrupt safetensors header")
    return header


def load_model(path: Path, family: str, dtype: str = "float32") -> PreTrainedModel:
    """The model in evaluation mode, in the given torch data type. Raises HarnessError if it is of another family."""
    try:
        model = model_class(family).from_pretrained(
            path, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
    except (ValueError, OSError, RuntimeError) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise HarnessError(f"cannot load {path} as a {family} model: {first}") from error
    model.eval()
    return model


def model_skeleton(path: Path, family: str) -> PreTrainedModel:
    """The model of a checkpoint folder in evaluation mode, in memory that nothing has been written to."""
    import transformers

    configuration = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
    with transformers.modeling_utils.no_init_weights():
        model: PreTrainedModel = model_class(family).from_config(configuration)
    return model.eval()


def count_parameters(checkpoint: Checkpoint) -> int:
    """Trainable weights of the model, tied ones once; a checkpoint may store others, such as buffers."""
    model = model_skeleton(checkpoint.path, checkpoint.family)
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


def load_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a checkpoint folder; a fast one, because character spans are needed."""
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise HarnessError(f"cannot load the tokenizer in {path}: {first}") from error
    if not tokenizer.is_fast:
        raise HarnessError(f"the tokenizer in {path} has no fast version, which character spans need")
    return tokenizer
