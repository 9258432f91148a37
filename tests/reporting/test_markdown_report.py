from __future__ import annotations

import subprocess
import sys
from urllib.parse import unquote

import pytest
from builders import make_subject, make_task, quality_fact

from harness.errors import HarnessError
from harness.records.record import Fact
from harness.reporting.markdown import report, write_report
from harness.selection.limits import Limit
from harness.selection.use_cases import use_cases_of


def column(table, header: str) -> dict[str, str]:
    """The cells of a column by the first cell of their lines."""
    headers, lines = table
    return {line[0]: line[headers.index(header)] for line in lines}


def test_the_sections_stand_in_the_order_of_a_readers_questions(run, parse):
    headings = parse(report(run)).headings
    assert headings == [
        "All families",
        "Recommendations",
        "Comparison",
        "The candidates",
        "Quality",
        "Across families",
        "A family at a time",
        "Causal models: next-token perplexity",
        "Masked models: perplexity of masked tokens",
        "Sequence-to-sequence models: perplexity of corrupted spans",
        "Speed",
        "Generation",
        "Encoding",
        "What engine and precision changed",
        "What was quantised",
        "Each variant against its parent",
        "Size and speed",
        "Training",
        "Samples",
        "Failed and skipped",
        "Environment",
        "Reproduce",
    ]


def test_the_heading_tells_run_corpus_and_how_many_variants_went_well(run):
    text = report(run)
    assert f"Run `{run.name}` of families on " in text
    assert "corpus letters (forty letters); variants: 4 ok, 1 failed." in text


def test_every_use_case_has_its_recommendation(run):
    text = report(run)
    assert "**Generation.** Use **`gpt/onnxruntime/int8/cpu`**. It has the highest decode" in text
    assert "**Understanding.** Use **`bert/torch/fp32/cpu`**. It is the only one that qualifies" in text


def test_the_comparison_has_a_line_for_every_variant_that_failed_ones_too(run, parse):
    headers, lines = table = parse(report(run)).table_with("status")
    assert headers[:2] == ["variant", "family"]
    assert column(table, "status") == {
        "`gpt/torch/fp32/cpu`": "ok",
        "`gpt/onnxruntime/int8/cpu`": "ok",
        "`bert/torch/fp32/cpu`": "ok",
        "`t5/torch/fp32/cpu`": "ok",
        "`t5/onnxruntime/int8/cpu`": "failed",
    }
    assert len(lines[-1]) == len(headers)


def test_the_comparison_shows_values_of_the_candidate_and_of_the_variant(run, parse):
    table = parse(report(run)).table_with("status")
    assert column(table, "parameters")["`gpt/onnxruntime/int8/cpu`"] == "3.000"
    assert column(table, "weights")["`gpt/torch/fp32/cpu`"] == "1.000"
    assert column(table, "decode")["`gpt/onnxruntime/int8/cpu`"] == "102.5"
    assert column(table, "decode")["`bert/torch/fp32/cpu`"] == "–"


def test_the_comparison_says_units_and_directions_in_its_headers_and_what_is_best_in_bold(run, parse):
    headers, lines = next(table for table in parse(report(run)).tables if "status" in table[0])
    assert headers[2:5] == ["parameters (M)\u00a0↓", "weights (MiB)\u00a0↓", "continuation bits per byte\u00a0↓"]
    bold = {headers[at] for line in lines for at, cell in enumerate(line) if cell.startswith("**")}
    assert bold == {"continuation bits per byte\u00a0↓", "cloze accuracy (%)\u00a0↑", "prefill (tokens/s)\u00a0↑",
                    "decode (tokens/s)\u00a0↑"}  # fmt: skip
    assert "bold is the best of its column, with all that cannot be told from it" in report(run)


def test_the_comparison_says_why_a_value_is_missing(run, parse):
    table = parse(report(run)).table_with("status")
    assert column(table, "decode")["`t5/onnxruntime/int8/cpu`"] == "failed"
    assert column(table, "encode")["`t5/onnxruntime/int8/cpu`"] == "–"


def test_each_candidate_is_told_in_a_line_with_what_it_is_recommended_for(run, parse):
    table = parse(report(run)).table_with("recommended for")
    assert column(table, "recommended for") == {"`gpt`": "Generation", "`bert`": "Understanding", "`t5`": "–"}


def test_why_the_others_were_not_chosen_is_folded_away_below_the_recommendation(run, parse):
    text = report(run)
    assert text.count("<details>") == text.count("</details>") == 1
    assert list(column(parse(text).table_with("why not"), "why not")) == ["`gpt/torch/fp32/cpu`"]
    assert text.index("**Generation.**") < text.index("<details>") < text.index("**Understanding.**")


def test_what_nobody_has_is_no_column_of_the_comparison(run, parse):
    assert "peak memory" not in parse(report(run)).table_with("status")[0]


def test_the_comparison_shows_the_quality_that_compares_across_families_and_no_perplexity(run, parse):
    headers, _ = table = parse(report(run)).table_with("status")
    assert not [header for header in headers if "perplexity" in header]
    assert column(table, "continuation bits per byte")["`bert/torch/fp32/cpu`"] == "2.500"
    assert column(table, "cloze accuracy")["`t5/torch/fp32/cpu`"] == "50"


def test_all_variants_are_ranked_on_the_same_items_whatever_their_family(run, parse):
    found = parse(report(run)).table_with("cloze accuracy, both sides")
    cells = column(found, "continuation bits per byte")
    assert {name: cell.split(" · ")[0] for name, cell in cells.items() if "baseline" not in name} == {
        "`gpt/torch/fp32/cpu`": "#1",
        "`gpt/onnxruntime/int8/cpu`": "#1",
        "`bert/torch/fp32/cpu`": "#3",
        "`t5/torch/fp32/cpu`": "#4",
    }
    assert column(found, "cloze accuracy")["`t5/torch/fp32/cpu`"].startswith("#1 · 50 [")


def test_the_items_are_counted_above_the_table_across_families(run):
    words = "continuation bits per byte: 60 items in 6 clusters; cloze accuracy: 60 items in 6 clusters"
    assert f"Items: {words}; forced choice: 60 items in 6 clusters.\n" in report(run)


def test_the_report_says_how_ranks_come_about(run):
    assert "A rank is one more than the number of variants that are better by a paired 95 % interval" in report(run)


def test_the_report_says_why_perplexities_are_not_ranked_across_families(run):
    text = report(run)
    reason = "Perplexities are not ranked across families, because they are different quantities"
    assert text.index("### A family at a time") < text.index(reason) < text.index("#### Causal models")


def test_the_table_across_families_has_no_perplexity(run, parse):
    """Neither by its title nor by its value: those of the run begin with 11.0, 11.1, 20.0 and 30.0."""
    headers, lines = parse(report(run)).table_with("cloze accuracy, both sides")
    assert headers == ["variant", "family", "continuation bits per byte", "cloze accuracy", "forced choice",
                       "cloze accuracy, both sides"]  # fmt: skip
    values = [cell.partition(" · ")[2] or cell for line in lines for cell in line]
    assert not [value for value in values if value.startswith(("11.0", "11.1", "20.0 ", "30.00"))]


def test_a_run_without_items_has_no_table_across_families(empty_run, parse):
    empty_run.store.append(make_task("score", make_subject(), quality_fact("perplexity", [230.0, 240.0])))
    headings = parse(report(empty_run)).headings
    assert "A family at a time" in headings
    assert "Across families" not in headings


def test_every_family_has_a_quality_table_of_its_own(run, parse):
    found = parse(report(run))
    shown = {header: column(found.table_with(header), header) for header in
             ("perplexity", "masked perplexity", "span perplexity")}  # fmt: skip
    assert [list(lines) for lines in shown.values()] == [
        ["`gpt/torch/fp32/cpu`", "`gpt/onnxruntime/int8/cpu`", "*unigram baseline (gpt, its tokenizer)*"],
        ["`bert/torch/fp32/cpu`", "*unigram baseline (bert, its tokenizer)*"],
        ["`t5/torch/fp32/cpu`", "*unigram baseline (t5, its tokenizer)*"],
    ]
    assert shown["perplexity"]["`gpt/torch/fp32/cpu`"].startswith("11.0 [")
    assert shown["masked perplexity"]["`bert/torch/fp32/cpu`"].startswith("20.0 [")
    assert shown["span perplexity"]["`t5/torch/fp32/cpu`"].startswith("30.00 [")


def test_perplexities_of_different_families_never_share_a_table(run, parse):
    """Cells that begin with the perplexity of gpt, bert or t5: no table has those of two families."""
    perplexities = {"11.0 [": "causal", "11.1 [": "causal", "20.0 [": "masked", "30.00 [": "seq2seq"}
    seen = []
    for _, lines in parse(report(run)).bare_tables:
        cells = [cell for line in lines for cell in line]
        families = {family for start, family in perplexities.items() if any(cell.startswith(start) for cell in cells)}
        assert len(families) <= 1
        seen += families
    assert sorted(seen) == ["causal", "masked", "seq2seq"]


def test_quality_stands_beside_the_unigram_baseline(run, parse):
    table = parse(report(run)).table_with("of the baseline")
    assert column(table, "of the baseline")["`gpt/torch/fp32/cpu`"].startswith("0.0273 [")
    assert column(table, "of the baseline")["*unigram baseline (gpt, its tokenizer)*"] == "1.00"


def test_the_protocol_is_printed_once_a_table_with_the_tokens_scored(run):
    text = report(run)
    assert text.count("protocol block, block size 128, joined by nothing, BOS none, batches of 8") == 3
    assert text.count("; 200 tokens scored. Intervals: 95 %, clustered by document.") == 3


def test_the_protocol_tells_that_quantised_variants_are_scored_one_window_at_a_time(run):
    causal, masked = report(run).partition("#### Masked models")[::2]
    assert "(1 where quantised)" in causal
    assert "(1 where quantised)" not in masked


def test_a_protocol_with_a_special_token_is_shown_and_not_taken_for_html(empty_run, parse):
    fact = quality_fact("perplexity", [230.0, 240.0], protocol="lm-eval", prefix="<s>")
    empty_run.store.append(make_task("score", make_subject(), fact))
    text = report(empty_run)
    assert "prefix &lt;s&gt;" in text
    assert parse(text).html == []


def test_speed_has_intervals_over_six_rounds(run, parse):
    table = parse(report(run)).table_with("encode")
    assert "order statistics over the workers" in report(run)
    generation = next(t for t in parse(report(run)).bare_tables if t[0] == ["variant", "prefill", "decode"])
    assert column(generation, "decode")["`gpt/torch/fp32/cpu`"] == "51.2 [50.0, 52.5]"
    assert "`gpt/torch/fp32/cpu`" in column(table, "encode")


def test_what_a_lower_precision_changed_of_the_model_is_told_beside_its_parent(run, parse):
    headers, lines = parse(report(run)).table_with("verdict")
    assert headers == ["variant", "quantised", "perplexity ratio", "KL", "top-1 agreement", "perplexity in batches",
                       "verdict"]  # fmt: skip
    assert [line[0] for line in lines] == ["`gpt/onnxruntime/int8/cpu`"]
    assert lines[0][-1] == "equivalent"


def test_the_gates_of_equivalence_are_told_above_the_table(run):
    gates = (
        "Equivalent: perplexity within 0.1 % and top-1 agreement of 99.9 % or more (fp32), "
        "perplexity within 5.0 % and top-1 agreement of 95.0 % or more (other precisions)."
    )
    assert gates in report(run)


def test_what_a_lower_precision_changed_of_size_and_speed_is_told_in_ratios_to_fp32_torch(run, parse):
    table = next(t for t in parse(report(run)).bare_tables if t[0] == ["variant", "weights", "prefill", "decode"])
    assert list(column(table, "decode")) == ["`gpt/onnxruntime/int8/cpu`"]
    assert column(table, "decode")["`gpt/onnxruntime/int8/cpu`"].startswith("2.00")
    assert column(table, "weights")["`gpt/onnxruntime/int8/cpu`"] == "1.0000"


def test_a_run_of_checkpoints_alone_tells_of_no_change(empty_run, parse):
    subject = make_subject("gpt/torch/fp32/cpu")
    empty_run.store.append(make_task("score", subject, quality_fact("perplexity", [230.0, 240.0])))
    assert "What engine and precision changed" not in parse(report(empty_run)).headings


@pytest.mark.parametrize(("ratio", "agreement"), [(1.06, 0.99), (1.0, 0.94)], ids=["perplexity", "agreement"])
def test_a_variant_that_is_not_equivalent_is_marked_so_and_not_recommended(run, parse, ratio, agreement):
    subject = make_subject("bert/onnxruntime/int8/cpu", "masked", tokenizer="tokenizer of bert")
    beside = [Fact("perplexity_ratio", value=ratio), Fact("top1_agreement", value=agreement)]
    run.store.append(make_task("score", subject, quality_fact("masked_perplexity", [280.0, 280.0]), *beside))
    run.store.append([*make_task("memory", subject), *make_task("time", subject, round=0)])
    text = report(run)
    assert column(parse(text).table_with("status"), "status")[f"`{subject.variant}`"] == "not equivalent"
    assert column(parse(text).table_with("verdict"), "verdict")[f"`{subject.variant}`"] == "not equivalent"
    assert f"Use **`{subject.variant}`**" not in text


def test_training_shows_the_validation_loss_along_the_way(run, parse):
    table = parse(report(run)).table_with("validation loss along the way")
    assert column(table, "validation loss along the way") == {"`gpt`": "5.000 → 4.000"}
    assert column(table, "unigram") == {"`gpt`": "6.000"}


def test_samples_are_shown_once_where_variants_agree(run):
    assert "- **gpt** (torch/fp32, onnxruntime/int8): peace &#124; and a good road" in report(run)


def test_a_variant_that_failed_is_listed_with_its_reason(run, parse):
    found = parse(report(run))
    (line,) = next(lines for headers, lines in found.tables if headers == ["variant", "status", "reason"])
    assert line == ["`t5/onnxruntime/int8/cpu`", "failed", "no kernel for a&#124;b in &lt;int8&gt;"]


def test_the_environment_tells_machine_versions_and_uncommitted_changes(run):
    text = report(run)
    assert "- CPU: Example CPU &lt;v2&gt;, 4 cores, 4 threads used, ISA avx2" in text
    assert "- Memory: 8.000 GiB; GPU: none" in text
    assert "torch 2.6.0; commit abc123 (with uncommitted changes)" in text


def test_the_command_that_made_the_run_ends_the_report(run):
    assert report(run).endswith("## Reproduce\n\n```text\nharness run --suite families.toml --offline\n```\n")


@pytest.mark.parametrize("reason", ["saw <b>bold</b>", "first\n\n# A heading\n\n| a | table |\n|---|---|\n| x | y |"])
def test_nothing_that_a_task_wrote_becomes_markup_of_the_report(run, parse, reason):
    before = parse(report(run))
    subject = make_subject("gpt/torch/bf16/cpu")
    run.store.append(make_task("score", subject, Fact("text", text=reason), status="failed", reason=reason))
    after = parse(report(run))
    assert after.html == before.html
    assert after.headings == before.headings
    assert len(after.tables) == len(before.tables)


def test_a_prompt_with_a_mask_is_shown_and_not_taken_for_html(run, parse):
    assert parse(report(run)).html == []


def test_a_run_without_records_says_that_nothing_was_measured(empty_run):
    assert report(empty_run).endswith("variants: none yet.\n\nNothing has been measured yet.\n")


def test_use_cases_come_out_of_the_stored_suite_with_their_limits():
    stored = {"title": "t", "families": ["causal"], "objective": "perplexity", "tie_breakers": ["load_seconds"]}
    (case,) = use_cases_of({"use_case": [{**stored, "limits": ["load_seconds <= 2"]}]})
    assert (case.families, case.tie_breakers) == (("causal",), ("load_seconds",))
    assert case.limits == (Limit("load_seconds", "<=", 2.0),)


def test_a_written_report_has_its_plots_in_a_folder_beside_it(run, parse, tmp_path):
    path = tmp_path / "my report (1).md"
    write_report(run, path)
    images = parse(path.read_text(encoding="utf-8")).images
    assert images
    assert all(alt for _, alt in images)
    addressed = {tmp_path / unquote(source) for source, _ in images}
    assert addressed == set((tmp_path / "my report (1)-plots").iterdir())
    assert all(file.read_text(encoding="utf-8").startswith("<svg") for file in addressed)


def test_a_report_without_a_folder_has_no_plots(run, parse):
    assert parse(report(run)).images == []


def test_a_report_that_cannot_be_written_says_where(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"cannot write .*/file/report"):
        write_report(run, tmp_path / "file" / "report.md")


def test_reports_are_made_without_importing_an_engine():
    script = (
        "import sys, harness.reporting.markdown, harness.reporting.exports\n"
        "print(*{'torch', 'transformers', 'onnxruntime', 'matplotlib'} & set(sys.modules))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stdout.strip() == ""
