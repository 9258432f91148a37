"""A run of all families in a real folder, and a real Markdown parser to read its report with."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import item_fact, make_subject, make_task, quality_fact
from markdown_it import MarkdownIt

from harness.records.record import Fact, Record
from harness.records.run_folder import RunFolder, create_run
from harness.suites.schema import Suite

COMMAND = "harness run --suite families.toml --offline"
SUITE = Suite.model_validate(
    {
        "title": "All families",
        "candidates": ["gpt", "bert", "t5"],
        "variants": ["torch/fp32", "onnxruntime/int8"],
        "rounds": 6,
        "use_case": [
            {"title": "Generation", "families": ["causal"], "objective": "decode_tokens_per_second"},
            {"title": "Understanding", "families": ["masked"], "objective": "masked_perplexity"},
        ],
    }
)
INFO: dict[str, Any] = {
    "suite_name": "families",
    "suite": SUITE.model_dump(mode="json"),
    "corpus": {"name": "letters", "note": "forty letters", "hash": "abc"},
    "command": COMMAND,
    "environment": {
        "cpu": "Example CPU <v2>",
        "cores": 4,
        "threads": 4,
        "isa": ["avx2"],
        "memory_bytes": 2**33,
        "system": "Linux 6.1 x86_64",
        "python": "3.12.1",
        "versions": {"torch": "2.6.0"},
        "commit": "abc123",
        "dirty": True,
    },
}


_UNIT = re.compile(r"( \([^()]*\))?(\s[↑↓])?$")
_BOLD = re.compile(r"^\*\*(.*)\*\*$")
_FOLD = re.compile(r"<details>\n<summary>[^<>]*</summary>\n|</details>\n")


@dataclass(frozen=True)
class Document:
    """What a Markdown parser finds: headings, tables as (headers, lines), raw HTML other than folds, code blocks, and
    images as (address, alternative text)."""

    headings: list[str]
    tables: list[tuple[list[str], list[list[str]]]]
    html: list[str]
    code: list[str]
    images: list[tuple[str, str]]

    @property
    def bare_tables(self) -> list[tuple[list[str], list[list[str]]]]:
        """The tables without units and arrows in their headers and without bold."""
        return [
            ([_UNIT.sub("", each) for each in headers], [[_BOLD.sub(r"\1", cell) for cell in line] for line in lines])
            for headers, lines in self.tables
        ]

    def table_with(self, title: str) -> tuple[list[str], list[list[str]]]:
        """The first bare table with a column of that title."""
        return next(table for table in self.bare_tables if title in table[0])


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Document]:
    """Parse Markdown with tables, as GitHub does."""
    parser = MarkdownIt("commonmark").enable("table")

    def parsed(text: str) -> Document:
        found = Document([], [], [], [], [])
        tokens = parser.parse(text)
        for before, token in zip([None, *tokens], tokens, strict=False):
            opened = before.type if before else ""
            if opened == "heading_open":
                found.headings.append(token.content)
            elif token.type == "table_open":
                found.tables.append(([], []))
            elif opened == "th_open":
                found.tables[-1][0].append(token.content)
            elif token.type == "tr_open" and opened in ("tbody_open", "tr_close"):
                found.tables[-1][1].append([])
            elif opened == "td_open":
                found.tables[-1][1][-1].append(token.content)
            for each in (token, *(token.children or ())):
                if each.type in ("html_block", "html_inline") and not _FOLD.fullmatch(each.content):
                    found.html.append(each.content)
                elif each.type == "fence":
                    found.code.append(each.content)
                elif each.type == "image":
                    found.images.append((str(each.attrs["src"]), each.content))
        return found

    return parsed


def _items(family: str, bits: float, right: float) -> list[Fact]:
    """Facts of the same items for each family: ``bits`` of a continuation and ``right`` clozes of ten a document."""
    sides = ["", "_both_sides"] if family != "causal" else [""]
    shifts = [0.1 * (-1) ** i for i in range(6)]
    facts = []
    for prefix, more_bits, fewer_right in (("", 0.0, 0.0), ("unigram_", 40.0, right)):
        found = {"continuation_bits_per_byte": bits + more_bits, "forced_choice_accuracy": 9.0 - fewer_right}
        found |= {f"cloze_accuracy{side}": right - fewer_right for side in sides}
        facts += [item_fact(prefix + metric, [each + shift for shift in shifts]) for metric, each in found.items()]
    return facts


def _variant(name: str, family: str, metric: str, nats: list[float], speeds: dict[str, float],
             *more: Fact, bits: float, right: float, batch_size: int = 8) -> list[Record]:  # fmt: skip
    subject = make_subject(name, family, tokenizer=f"tokenizer of {name.split('/')[0]}")
    facts = [
        Fact("weights_bytes", value=2.0**20),
        quality_fact(metric, nats, batch_size=batch_size),
        quality_fact("unigram_perplexity", [600.0] * len(nats), batch_size=batch_size),
        *_items(family, bits, right),
        *more,
        Fact("text", text="peace | and a good road", protocol={"prompt": "The people of <mask>"}),
    ]
    records = [*make_task("score", subject, *facts), *make_task("memory", subject)]
    for number in range(6):
        times = [Fact(speed, value=value * (1 + 0.01 * number)) for speed, value in speeds.items()]
        records += make_task("time", subject, *times, round=number)
    return records


@pytest.fixture
def records() -> list[Record]:
    """A causal, a masked and a seq2seq candidate on torch, an int8 variant, and one that failed.

    The perplexities are 11.0 (gpt), 11.1 (its int8), 20.0 (bert) and 30.0 (t5). Of six clusters of ten clozes each, t5
    fills in the most, and gpt predicts continuations best.
    """
    generation = {"prefill_tokens_per_second": 900.0, "decode_tokens_per_second": 50.0}
    curve = [{"tokens": 1000, "loss": 5.0}, {"tokens": 2000, "loss": 4.0}]
    about = {"tokens": 2000, "initialised_from": "random", "unigram_loss": 6.0}
    losses = Fact("validation_loss", value=4.0, samples=curve, protocol=about)
    beside_parent = [
        Fact("quantised_share", value=0.75),
        Fact("perplexity_ratio", value=1.01, low=1.005, high=1.015, n=2),
        Fact("kl_divergence", value=0.0321, low=0.03, high=0.035, n=2),
        Fact("top1_agreement", value=0.962, low=0.951, high=0.973, n=2),
        quality_fact("batched_perplexity", [240.5, 242.07]),
    ]
    failed = make_subject("t5/onnxruntime/int8/cpu", "seq2seq", tokenizer="")
    return [
        *make_task("candidate", make_subject("gpt"), Fact("parameters", value=3e6), losses),
        *_variant("gpt/torch/fp32/cpu", "causal", "perplexity", [239.0, 240.58], generation, bits=21.0, right=3.0),
        *_variant("gpt/onnxruntime/int8/cpu", "causal", "perplexity", [240.0, 241.57],
                  {"prefill_tokens_per_second": 1800.0, "decode_tokens_per_second": 100.0}, *beside_parent,
                  bits=21.0, right=3.0, batch_size=1),
        *_variant("bert/torch/fp32/cpu", "masked", "masked_perplexity", [299.0, 300.146],
                  {"encode_tokens_per_second": 4000.0}, bits=25.0, right=4.0),
        *_variant("t5/torch/fp32/cpu", "seq2seq", "span_perplexity", [340.0, 340.239], generation, bits=29.0,
                  right=5.0),
        *make_task("variant", failed, status="failed", reason="no kernel for a|b\nin <int8>"),
    ]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, records: list[Record]) -> RunFolder:
    """A run folder with these records."""
    folder = create_run(tmp_path, "families", "identity-1", copy.deepcopy(INFO))
    folder.store.append(records)
    return folder


@pytest.fixture
def empty_run(tmp_path: Path) -> RunFolder:
    """A run folder in which nothing has finished."""
    return create_run(tmp_path, "families", "identity-1", copy.deepcopy(INFO))
