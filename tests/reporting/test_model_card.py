"""The model card of a candidate, read back with the hub's own library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from builders import item_fact, make_subject, make_task, quality_fact
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from stored_runs import a_run, a_variant, failed, info_with

from harness.errors import HarnessError
from harness.language.say import speaking
from harness.records.record import Fact
from harness.reporting import model_index
from harness.reporting.model_card import model_card

NATS = [400.0, 410.0, 405.0]


def results(text: str) -> dict[str, object]:
    """The results that the hub reads, by the name of the metric; read, written and read again."""
    data = ModelCard(text).data
    _, found = model_index_to_eval_results(eval_results_to_model_index(data.model_name, data.eval_results))
    return {each.metric_name: each for each in found}


def student(*rows, origin: str = "distilled", teacher: str | None = "mini"):
    """Records of a student in fp32 torch, with how it was trained."""
    subject = make_subject("small/torch/fp32/cpu", origin=origin)
    about = {"tokens": 3000, "teacher": teacher, "unigram_loss": 6.0, "initialised_from": "layers 0 of its teacher"}
    losses = Fact("validation_loss", value=4.0, samples=[{"tokens": 3000, "loss": 4.0}], protocol=about)
    trained = make_task("candidate", make_subject("small", origin=origin), Fact("parameters", value=5e5), losses)
    return [*trained, *a_variant(subject.variant, quality=[quality_fact("perplexity", NATS)], about=subject), *rows]


def test_the_hub_reads_every_quality_metric_of_the_checkpoint(run):
    found = results(model_card(run, "gpt"))
    assert {name: each.metric_value for name, each in found.items()} == {
        "perplexity": 11.0001,
        "continuation bits per byte": 2.1,
        "cloze accuracy": 0.3,
        "forced choice": 0.9,
    }
    assert [each.metric_type for each in found.values()] == [
        "perplexity",
        "continuation_bits_per_byte",
        "accuracy",
        "accuracy",
    ]


def test_a_result_names_its_text_its_protocol_and_its_interval(run):
    result = results(model_card(run, "gpt"))["perplexity"]
    assert (result.dataset_name, result.dataset_split, result.dataset_args) == (
        "letters", "test", {"hash": "abc"},
    )  # fmt: skip
    assert result.metric_args["block_size"] == 128
    low, high = result.metric_args["interval_95"]
    assert low < result.metric_value < high


@pytest.mark.parametrize(
    ("candidate", "task", "metric"),
    [
        ("gpt", "text-generation", "perplexity"),
        ("bert", "fill-mask", "masked perplexity"),
        ("t5", "text2text-generation", "span perplexity"),
    ],
)
def test_the_pipeline_tag_is_that_of_the_family(run, candidate, task, metric):
    text = model_card(run, candidate)
    data = ModelCard(text).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", task)
    assert results(text)[metric].task_type == task


def test_only_what_comes_from_a_teacher_has_a_base_model(run):
    assert ModelCard(model_card(a_run("one", student()), "small")).data.base_model == "mini"
    assert "base_model" not in ModelCard(model_card(run, "gpt")).data.to_dict()


def test_a_teacher_whose_name_no_repository_can_have_stands_in_the_text_alone():
    card = ModelCard(model_card(a_run("one", student(teacher="a teacher")), "small"))
    assert "base_model" not in card.data.to_dict()
    assert "distilled from `a teacher`" in card.text


def test_a_student_stands_beside_its_teacher():
    parameters = make_task("candidate", make_subject("mini"), Fact("parameters", value=1e6))
    teacher = a_variant("mini/torch/fp32/cpu", quality=[quality_fact("perplexity", [each - 9 for each in NATS])])
    text = model_card(a_run("two", parameters, teacher, student()), "small")
    assert "teacher `mini`" in text.split("### Beside its teacher")[1]
    assert "### Beside its teacher" not in model_card(a_run("two", parameters, teacher, student()), "mini")


def test_without_fp32_torch_the_first_variant_that_is_ok_speaks_for_the_candidate():
    lost = failed("mini/torch/fp32/cpu")
    measured = a_variant("mini/onnxruntime/fp32/cpu", quality=[quality_fact("perplexity", NATS)])
    text = model_card(a_run("one", lost, measured))
    assert results(text)["perplexity"].metric_value > 1
    assert "Of `mini/onnxruntime/fp32/cpu`" in text


def test_what_a_variant_kept_of_its_parent_is_no_result_of_the_model():
    beside = [quality_fact("batched_perplexity", NATS), Fact("kl_divergence", value=0.03)]
    measured = a_variant("mini/onnxruntime/int8/cpu", quality=[quality_fact("perplexity", NATS), *beside])
    assert list(results(model_card(a_run("one", measured)))) == ["perplexity"]


def test_blimp_is_a_data_set_of_its_own():
    measured = a_variant(quality=[quality_fact("perplexity", NATS), item_fact("blimp_accuracy", [6.0, 7.0])])
    found = results(model_card(a_run("one", measured)))
    assert found["BLiMP"].dataset_type == "nyu-mll/blimp"
    assert found["perplexity"].dataset_type == "letters"


def test_every_variant_has_a_line_with_its_size_speed_and_status(run, parse):
    headers, lines = parse(model_card(run, "gpt")).table_with("engine")
    assert [line[:2] for line in lines] == [["torch", "fp32"], ["onnxruntime", "int8"]]
    assert {"weights", "decode", "status"} <= {header.split()[0] for header in headers}


def test_the_card_says_what_it_is_recommended_for(run):
    text = model_card(run, "gpt")
    assert "**Generation.** Use **`gpt/onnxruntime/int8/cpu`**" in text
    assert "**Understanding.**" not in text


def test_a_candidate_that_is_nowhere_recommended_is_said_to_be_so(run):
    assert "For none of the use cases of the run is a variant of it recommended." in model_card(run, "t5")


def test_training_machine_protocol_version_and_commit_are_told(run):
    text = model_card(run, "gpt")
    assert "5.000 → 4.000" in text
    assert "Example CPU &lt;v2&gt;" in text
    assert "block size 128" in text
    assert "commit abc123" in text
    assert "harness run --suite families.toml --offline" in text


def test_a_candidate_that_failed_altogether_has_a_card_without_numbers():
    text = model_card(a_run("one", failed(reason="no kernel for <int8>")))
    card = ModelCard(text)
    assert card.data.eval_results is None
    assert card.data.pipeline_tag == "text-generation"
    assert "None of its variants was measured to its end" in text
    assert "no kernel for &lt;int8&gt;" in text
    assert "## Quality" not in text


def test_random_weights_have_no_results():
    about = make_subject("shape/torch/fp32/cpu", origin="random")
    measured = a_variant(about.variant, {"weights_bytes": 2.0**20}, quality=[quality_fact("perplexity", NATS)],
                         about=about)  # fmt: skip
    text = model_card(a_run("one", measured))
    assert ModelCard(text).data.eval_results is None
    assert "has learnt nothing" in text
    assert "perplexity" not in text


def test_a_run_of_one_candidate_needs_no_name():
    assert "# mini" in model_card(a_run("one", a_variant()))


def test_of_several_candidates_one_must_be_named(run):
    with pytest.raises(HarnessError, match=r"several candidates; --candidate takes one of: gpt, bert, t5$"):
        model_card(run)


def test_an_unknown_candidate_gets_the_nearest_name(run):
    with pytest.raises(HarnessError, match=r"no candidate 'bort' \(did you mean 'bert'\?\)"):
        model_card(run, "bort")


def test_an_empty_run_has_no_candidate(empty_run):
    with pytest.raises(HarnessError, match="no candidate yet"):
        model_card(empty_run)


def test_a_title_of_the_suite_cannot_break_out_of_the_metadata():
    info = info_with(suite={"candidate": {"mini": {"title": "mine\n---\n<b>bold</b>"}}})
    text = model_card(a_run("one", a_variant(quality=[quality_fact("perplexity", NATS)]), info=info))
    card = ModelCard(text)
    assert card.data.model_name == "mine --- <b>bold</b>"
    assert card.text.strip().startswith("# mine --- &lt;b&gt;bold")


def test_a_published_candidate_names_its_repository():
    info = info_with(suite={"candidate": {"mini": {"hub": "somebody/mini@abc"}}})
    text = model_card(a_run("one", a_variant(about=make_subject(origin="published")), info=info))
    assert "They come from `somebody/mini@abc`" in text


def test_the_source_is_this_program_where_the_package_names_an_address(monkeypatch):
    addresses = {"source": "https://example.org/harness"}
    monkeypatch.setattr(model_index, "_project_addresses", lambda: addresses)
    measured = a_variant(quality=[quality_fact("perplexity", NATS)])
    info = info_with(environment={"versions": {"harness": "0.1.0"}})
    source = results(model_card(a_run("one", measured, info=info)))["perplexity"]
    assert (source.source_name, source.source_url) == ("harness 0.1.0 abc123", "https://example.org/harness")


def test_a_french_card_has_the_same_metadata(run):
    english = ModelCard(model_card(run, "gpt"))
    with speaking("fr"):
        french = ModelCard(model_card(run, "gpt"))
    assert french.data.to_dict() == english.data.to_dict()


def test_a_card_of_a_run_that_says_nothing_of_itself_can_be_written():
    measured = a_variant(quality=[quality_fact("perplexity", NATS)])
    card = ModelCard(model_card(a_run("one", measured, info={})))
    assert card.data.eval_results[0].dataset_name == "unknown"


def test_writing_a_card_imports_neither_torch_nor_an_engine(tmp_path: Path):
    script = (
        "import sys\n"
        "from stored_runs import a_run, a_variant\n"
        "from harness.reporting.model_card import model_card\n"
        "model_card(a_run('one', a_variant()))\n"
        "print([each for each in ('torch', 'transformers', 'onnxruntime', 'matplotlib') if each in sys.modules])\n"
    )
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tests)!r})\n{script}"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "[]\n"
