"""What scripts and notebooks get of a stored run; the real thing is run in test_run_suite.py and test_api_docs.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from markdown_it import MarkdownIt
from stored_runs import INFO, QUIET, a_variant, failed, perplexity, times

import harness
from harness import api
from harness.errors import HarnessError
from harness.records.baselines import save_baseline
from harness.records.run_folder import RunFolder, create_run

SPEED = "decode_tokens_per_second"
CASE = {"title": "Fast <b>writing</b>", "families": ["causal"], "objective": SPEED, "tie_breakers": [], "limits": []}


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    """A run of two variants that were measured, the second twice as fast, and one that failed."""
    info = {**INFO, "suite": {**INFO["suite"], "use_case": [CASE]}}
    found = create_run(tmp_path / "runs", "mine", "identity-1", info)
    slow = a_variant(rounds={SPEED: QUIET}, quality=[perplexity()])
    fast = a_variant("mini/onnxruntime/fp32/cpu", rounds={SPEED: times(QUIET, 2.0)}, quality=[perplexity()])
    found.store.append([*slow, *fast, *failed("mini/onnxruntime/int8/cpu")])
    return found


@pytest.fixture
def run(folder) -> harness.Run:
    return harness.open_run(folder.path)


def imported_by(statement: str) -> set[str]:
    """Which of some heavy libraries a statement imports in a fresh interpreter."""
    heavy = "('torch', 'transformers', 'onnxruntime', 'pandas', 'numpy', 'pydantic', 'typer', 'matplotlib')"
    code = f"import sys, harness\n{statement}\nprint(*[each for each in {heavy} if each in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    assert imported_by("") == set()


def test_opening_a_run_imports_neither_an_engine_nor_pandas():
    assert not imported_by("harness.open_run") & {"torch", "transformers", "onnxruntime", "pandas", "matplotlib"}


def test_every_public_name_can_be_had_and_is_listed():
    assert set(harness.__all__) == set(api.__all__) <= set(dir(harness))
    assert all(getattr(harness, name) is getattr(api, name) for name in harness.__all__)


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'run_sweet'"):
        harness.run_sweet  # noqa: B018


def test_a_run_is_opened_by_folder_by_name_and_as_the_latest(folder, monkeypatch):
    runs = folder.path.parent
    opened = [harness.open_run(folder.path), harness.open_run(folder.name, runs), harness.open_run(runs_dir=str(runs))]
    assert {each.path for each in opened} == {folder.path}
    monkeypatch.chdir(runs.parent)
    assert harness.open_run().name == folder.name


def test_the_folder_of_a_run_is_found_whatever_the_runs_are_kept_in(folder):
    assert harness.open_run(str(folder.path), "elsewhere").path == folder.path


def test_a_baseline_is_opened_by_its_file(folder, tmp_path):
    opened = harness.open_run(save_baseline(folder, "kept", tmp_path))
    assert (opened.name, [row.variant for row in opened.rows()]) == (
        "kept",
        [row.variant for row in harness.open_run(folder.path).rows()],
    )


@pytest.mark.parametrize("missing", ["nowhere", "nowhere.json", "latest"])
def test_what_is_not_there_is_one_clear_line(missing, tmp_path):
    with pytest.raises(HarnessError) as error:
        harness.open_run(missing, tmp_path)
    assert "\n" not in str(error.value)


def test_a_run_that_goes_on_is_seen_to(run, folder):
    before = len(run.rows())
    folder.store.append(a_variant("mini/torch/bf16/cpu"))
    assert len(run.rows()) == before + 1


def test_the_table_has_a_line_a_variant_and_its_intervals_beside_each_metric(run):
    table = run.table()
    assert list(table.index) == ["mini/torch/fp32/cpu", "mini/onnxruntime/fp32/cpu", "mini/onnxruntime/int8/cpu"]
    assert list(table.status) == ["ok", "ok", "failed"]
    fast = table.loc["mini/onnxruntime/fp32/cpu"]
    assert fast[f"{SPEED}_low"] < fast[SPEED] < fast[f"{SPEED}_high"]
    assert pandas.isna(table.loc["mini/onnxruntime/int8/cpu", SPEED])


def test_a_metric_without_intervals_has_no_columns_of_them(tmp_path):
    found = create_run(tmp_path, "mine", "identity-1", INFO)
    found.store.append(a_variant(exact={"weights_bytes": 1000.0}))
    columns = set(harness.open_run(found.path).table().columns)
    assert "weights_bytes" in columns
    assert not columns & {"weights_bytes_low", "weights_bytes_high"}


def test_a_run_without_records_has_empty_tables(tmp_path):
    empty = harness.open_run(create_run(tmp_path, "mine", "identity-1", INFO).path)
    assert (len(empty.table()), len(empty.frame()), empty.rows(), empty.figures()) == (0, 0, [], [])
    assert "none yet" in empty._repr_html_()


def test_the_frame_has_a_line_a_fact(run):
    facts = run.frame()
    assert len(facts) == sum(record.fact is not None for record in run.records())
    assert list(facts[(facts.metric == SPEED) & (facts.engine == "torch")].value) == list(QUIET)


def test_a_recommendation_names_the_variant_and_says_why(run):
    advice = run.recommendation(CASE["title"])
    assert advice.variant == "mini/onnxruntime/fp32/cpu"
    assert advice.details.chosen is not None
    assert advice.variant in advice.words
    assert run.recommendations() == {CASE["title"]: advice}


def test_a_recommendation_can_be_had_in_french(run):
    assert run.recommendation(CASE["title"], lang="fr").variant == "mini/onnxruntime/fp32/cpu"


def test_an_unknown_use_case_gets_the_nearest_title(run):
    with pytest.raises(HarnessError, match=r"did you mean 'Fast <b>writing</b>'"):
        run.recommendation("Fast writing")


def test_an_unknown_language_is_refused(run):
    with pytest.raises(HarnessError, match="expected en or fr, not 'de'"):
        run.report(lang="de")


def test_claims_of_a_file_are_judged_on_the_run(run, tmp_path):
    file = tmp_path / "claims.toml"
    file.write_text(
        f'[[claim]]\ntext = "fast"\nsource = "me"\nnew = "mini"\nmetric = "{SPEED}"\nvalue = {{ at_least = 50 }}\n',
        encoding="utf-8",
    )
    assert {each.verdict for each in run.claims(file)} == {"holds"}
    assert {each.verdict for each in run.claims()} == {"not measured"}


def test_figures_are_pictures_that_can_be_kept(run, tmp_path):
    figures = run.figures()
    assert figures
    figures[0].save(tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8") == figures[0]._repr_svg_()
    assert figures[0].svg.startswith("<svg")
    assert "<svg" not in repr(figures)


def test_a_figure_that_cannot_be_written_is_one_clear_line(run, tmp_path):
    with pytest.raises(HarnessError, match="cannot write"):
        run.figures()[0].save(tmp_path / "nowhere" / "plot.svg")


def test_a_report_is_written_as_markdown_with_plots_or_as_one_page(run, tmp_path):
    run.write_report(tmp_path / "report.md")
    run.write_report(str(tmp_path / "report.html"), lang="fr")
    assert list((tmp_path / "report-plots").glob("*.svg"))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == run.html(lang="fr")
    assert '<html lang="fr"' in run.html(lang="fr")


def test_a_report_of_another_kind_is_refused(run, tmp_path):
    with pytest.raises(HarnessError, match=r"as \.md or \.html, not as 'report\.pdf'"):
        run.write_report(tmp_path / "report.pdf")


def test_the_markdown_is_that_of_the_command_line(run, folder):
    command = [sys.executable, "-m", "harness", "report", str(folder.path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert run.report() == printed


def test_a_model_card_can_be_had(run):
    assert run.model_card().startswith("---\n")


def test_a_notebook_shows_a_run_as_a_summary_without_markup_of_the_suite(run):
    shown = run._repr_html_()
    assert "2 ok, 1 failed" in shown
    assert "<code>mini/onnxruntime/fp32/cpu</code>" in shown
    assert "<b>writing</b>" not in shown


def test_a_notebook_shows_a_recommendation_as_its_paragraph(run):
    advice = run.recommendation(CASE["title"])
    shown = MarkdownIt().render(advice._repr_markdown_())
    assert "<strong>Fast &lt;b&gt;writing&lt;/b&gt;.</strong>" in shown


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suite": "smok"}, "did you mean 'smoke'"),
        ({"only": "nothing/*"}, "nothing"),
        ({"settings": ["rounds=many"]}, "rounds"),
        ({"corpus": "nowhere"}, "nowhere"),
        ({"executor": "rya"}, "--executor: expected local or ray, not 'rya'"),
        ({"address": "here:1"}, "--address is a cluster's: see --executor ray"),
        ({"storage": "nonsense://bucket"}, "cannot use the storage nonsense://bucket"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_the_process_as_it_was(wrong, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main = sys.modules["__main__"]
    with pytest.raises(HarnessError, match=message) as error:
        harness.run_suite(**{"suite": "smoke", "cache_dir": tmp_path / "cache", **wrong})
    assert "\n" not in str(error.value)
    assert sys.modules["__main__"] is main
    assert not Path("runs").exists()
