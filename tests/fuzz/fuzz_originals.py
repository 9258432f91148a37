"""The real files that damage starts from: a stored run, a baseline, blocks, a document, claims and corpora."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from builders import a_block, item_fact, make_subject, make_task, quality_fact
from stored_runs import INFO, QUIET, a_variant, failed, perplexity, times

from harness.records.baselines import save_baseline
from harness.records.blocks import BLOCKS_FILE, BlockStore
from harness.records.record import Fact, Record
from harness.records.run_folder import RECORDS_FILE, RUN_FILE, RunFolder, create_run
from harness.suites.loader import shipped_suites
from harness.suites.schema import Suite

_BLIMP = [{"UID": name, "sentence_good": f"The {n} cats sleep.", "sentence_bad": f"The {n} cats sleeps."}
          for name in ("agreement", "anaphora") for n in ("two", "three", "four")]  # fmt: skip


@cache
def run_files() -> dict[str, bytes]:
    """``run.json`` and ``records.jsonl`` of a small run with a fact of every sort, by name."""
    with TemporaryDirectory() as folder:
        run = stored(Path(folder))
        return {name: (run.path / name).read_bytes() for name in (RUN_FILE, RECORDS_FILE)}


@cache
def baseline_file() -> bytes:
    """The file of a baseline of such a run."""
    with TemporaryDirectory() as folder:
        run = create_run(Path(folder), "before", "identity", _info())
        run.store.append(replace(each, duration_seconds=2.5) for each in _records())
        return save_baseline(run, "main", Path(folder) / "kept").read_bytes()


def stored(runs_dir: Path) -> RunFolder:
    """That run, made in a folder."""
    run = create_run(runs_dir, "mine", "identity", _info())
    run.store.append(_records())
    return run


@cache
def blocks_file() -> bytes:
    """``blocks.jsonl`` of a comparison."""
    with TemporaryDirectory() as folder:
        store = BlockStore(Path(folder))
        for number in range(6):
            store.append(a_block(number, new={"decode_tokens_per_second": 90.0 + number}, seconds=1.5))
        return (Path(folder) / BLOCKS_FILE).read_bytes()


@cache
def suite_files() -> tuple[bytes, ...]:
    """The shipped suites, and one of a user's own candidates."""
    own = """title = "Mine"
corpus = "text:letters"
candidates = ["mine", "small", "theirs"]
variants = ["torch/fp32", "onnxruntime/int8/cpu"]
training = { learning_rate = 1e-3 }

[candidate.mine]
origin = "trained"
family = "causal"
architecture = "gpt2"
shape = { n_layer = 1, n_embd = 32, n_head = 2, n_positions = 64 }
vocabulary = 400
training = { tokens = 6000, block_size = 32, recipe = "tuned" }

[candidate.small]
origin = "distilled"
family = "causal"
architecture = "gpt2"
teacher = "mine"
training = { epochs = 1.5 }

[candidate.theirs]
origin = "published"
family = "masked"
path = "folder/of/theirs"

[[use_case]]
title = "Generation"
families = ["causal"]
objective = "bits_per_byte"
limits = ["peak_memory <= 1 GiB"]
weights = { bits_per_byte = 2.0, decode_tokens_per_second = 1.0 }

[thresholds]
decode_tokens_per_second = 0.03
"""
    return (own.encode(), *(path.read_bytes() for path in shipped_suites().values()))


@cache
def claims_file() -> bytes:
    """The shipped claims."""
    return (files("harness.selection") / "claims.toml").read_bytes()


def document(run: str) -> str:
    """A Markdown document with a table of every sort of a run, each empty as yet."""
    settings = ("", " columns=candidate,weights,decode_tokens_per_second,status rows=mini/* sort=-weights limit=3",
                " table=speed", " table=quality", ' table=recommendation case="Generation"', " table=claims",
                " table=training lang=fr")  # fmt: skip
    blocks = [
        f"<!-- harness:table name=t{number} run={run}{more} -->\n<!-- harness:end name=t{number} -->\n"
        for number, more in enumerate(settings)
    ]
    return (
        "# Models\n\nSome `code` and <b>HTML</b>.\n\n" + "\n".join(blocks) + "\n- a list\n\n```sh\nharness docs\n```\n"
    )


def corpus_files() -> dict[str, bytes]:
    """A corpus in each of the formats that are read, by name."""
    import pyarrow
    import pyarrow.parquet

    texts = [f"Letter {number} of the town.\nThe river rises, naïvely, in spring: 5 €." for number in range(12)]
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "number": list(range(12))}), table)
    wikitext = " \n = A Title = \n \n Some text with <unk> in it . \n = = Part = = \n More . \n = B = \n Last . \n"
    return {
        "letters.txt": "\n\n".join(texts).encode(),
        "letters.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts).encode(),
        "letters.parquet": table.getvalue(),
        "wikitext.raw": wikitext.encode(),
    }


def blimp_lines() -> bytes:
    """Two paradigms of BLiMP."""
    return "".join(json.dumps(row) + "\n" for row in _BLIMP).encode()


def blimp_zip(members: dict[str, bytes]) -> bytes:
    """A zip of members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _info() -> dict[str, Any]:
    suite = Suite.model_validate(
        {
            "title": "Mine",
            "candidates": ["gpt2-mini"],
            "variants": ["torch/fp32"],
            "use_case": [{"title": "Generation", "families": ["causal"], "objective": "decode_tokens_per_second",
                          "tie_breakers": ["perplexity"], "limits": ["peak_memory_bytes <= 1 GiB"]},
                         {"title": "Both", "families": ["causal"], "objective": "",
                          "weights": {"perplexity": 2.0, "decode_tokens_per_second": 1.0}}],
        }
    )  # fmt: skip
    return {**INFO, "suite": suite.model_dump(mode="json"), "command": "harness run --suite mine.toml"}


def _records() -> list[Record]:
    curve = [{"tokens": 1000, "loss": 5.0}, {"tokens": 2000, "loss": 4.0}]
    about = {"tokens": 2000, "initialised_from": "random", "unigram_loss": 6.0}
    losses = [Fact(name, value=4.0, samples=curve, protocol=about) for name in ("training_loss", "validation_loss")]
    machine = make_subject("machine")
    limits = [Fact("read_bandwidth", value=1e10), Fact("matmul_peak_fp32", value=1e11)]
    items = [
        item_fact("cloze_accuracy", [3.0, 4.0, 2.0, 5.0]),
        item_fact("unigram_cloze_accuracy", [1.0, 2.0, 1.0, 2.0]),
    ]
    text = Fact("text", text="peace and a good road", protocol={"prompt": "The people", "new_tokens": 8})
    exact = {"weights_bytes": 2.0**20, "parameters": 3e5, "step_bytes": 2.0**20, "quantised_share": 0.5}
    kept = {"load_1m": 0.5, "control_seconds": [0.01, 0.011], "disturbed": []}
    speeds = {
        "decode_tokens_per_second": QUIET,
        "prefill_tokens_per_second": times(QUIET, 9),
        "load_seconds": times(QUIET, 0.01),
    }
    found = [
        *make_task("limits", replace(machine, device="cpu"), *limits),
        *make_task("candidate", make_subject("mini"), Fact("parameters", value=3e5), *losses),
        *a_variant("mini/torch/fp32/cpu", exact, speeds,
                   [perplexity(), quality_fact("bits_per_byte", (300.0, 340.0, 280.0, 310.0)), *items, text],
                   memory=2.0**22),
        *a_variant("mini/onnxruntime/int8/cpu", {**exact, "quantised_share": 0.9},
                   {name: times(readings, 2) for name, readings in speeds.items()},
                   [perplexity([each * 1.01 for each in (300.0, 340.0, 280.0, 310.0, 330.0, 290.0, 305.0, 325.0)]),
                    Fact("perplexity_ratio", value=1.01, low=1.005, high=1.015, n=2),
                    Fact("kl_divergence", value=0.03, low=0.02, high=0.04, n=2), *items, text], memory=2.0**21),
        *failed("mini/openvino/int4/cpu"),
    ]  # fmt: skip
    return [replace(each, conditions=kept) if each.kind == "time" and each.fact is None else each for each in found]
