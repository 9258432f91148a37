from __future__ import annotations

import pytest
from builders import make_row, single
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.records.baselines import open_baseline, save_baseline
from harness.records.metrics import METRICS
from harness.records.rows import make_rows
from harness.reporting.docs.request import TAKES, Request, read_request, short_names
from harness.reporting.docs.sources import Source
from harness.reporting.docs.tables import chosen_rows, table_markdown


@pytest.fixture
def source(run) -> Source:
    return Source(run.name, run.info, run.records())


def asked(**settings: str) -> Request:
    return read_request({"run": "r", **settings})


def names(text: str) -> list[str]:
    """The variants of a table, in its order."""
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]


def test_metrics_may_be_called_by_their_names_without_the_unit():
    assert asked(columns="variant,decode,peak_memory,latency_p95,weights_bytes,status") == Request(
        "r",
        lead=("variant",),
        metrics=("decode_tokens_per_second", "peak_memory_bytes", "latency_seconds_p95", "weights_bytes"),
        trail=("status",),
    )


def test_a_short_name_means_one_metric_and_no_other():
    short = short_names()
    assert all(short[name] == name for name in short.values())
    assert all(name not in METRICS or short[name] == name for name in short)
    assert {short["decode"], short["load"], short["load_cold"]} == {
        "decode_tokens_per_second",
        "load_seconds",
        "load_cold_seconds",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"table": "comparsion"}, "unknown table 'comparsion' (did you mean 'comparison'?)"),
        ({"colums": "decode"}, "unknown key 'colums' (did you mean 'columns'?)"),
        ({"table": "speed", "columns": "decode"}, "table=speed takes no 'columns'; it takes run, table, lang, rows"),
        ({"rows": " "}, "'rows' has no value"),
        ({"rows": "a,,b"}, "'rows' has an empty part: 'a,,b'"),
        ({"rows": "a,!"}, "'rows' has an empty part"),
        ({"columns": "decod"}, "unknown column or metric 'decod' (did you mean 'decode'?)"),
        ({"columns": "zzzzzz"}, "unknown column or metric 'zzzzzz'; see: harness list metrics"),
        ({"columns": "validation_loss"}, "unknown column or metric 'validation_loss'"),
        ({"columns": "decode,decode_tokens_per_second"}, "column 'decode_tokens_per_second' is named twice"),
        ({"columns": "decode,family,weights"}, "column 'family' stands between metrics"),
        ({"sort": "--decode"}, "unknown column or metric '-decode'"),
        ({"limit": "0"}, "limit=0: expected how many rows"),
        ({"limit": "many"}, "limit=many: expected how many rows"),
        ({"intervals": "no"}, "'intervals' goes with 'columns'"),
        ({"columns": "decode", "intervals": "off"}, "intervals=off: expected yes or no"),
        ({"lang": "de"}, "lang=de: expected en or fr"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_with_what_is_right(settings, message):
    with pytest.raises(HarnessError) as caught:
        asked(**settings)
    assert str(caught.value).startswith(message)


def test_a_run_must_be_named():
    with pytest.raises(HarnessError, match="no run is named; expected run=PATH"):
        read_request({"table": "speed"})


ROWS = [
    make_row("gpt2/torch/fp32/cpu", {"load_seconds": single(2.0)}),
    make_row("gpt2/onnxruntime/int8/cpu", {"load_seconds": single(1.0)}),
    make_row("bert/torch/fp32/cpu", family="masked"),
    make_row("distilgpt2/torch/fp32/cpu", {"load_seconds": single(3.0)}),
]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [0, 1, 2, 3]),
        ({"rows": "gpt2/*"}, [0, 1]),
        ({"rows": "bert/*, */int8/*"}, [1, 2]),
        ({"rows": "!*/int8/*"}, [0, 2, 3]),
        ({"rows": "gpt2/*,!*/int8/*"}, [0]),
        ({"rows": "[bd]*"}, [2, 3]),
        ({"sort": "load"}, [1, 0, 3, 2]),
        ({"sort": "-load_seconds"}, [3, 0, 1, 2]),
        ({"sort": "variant"}, [2, 3, 1, 0]),
        ({"sort": "-engine"}, [0, 2, 3, 1]),
        ({"limit": "2"}, [0, 1]),
        ({"sort": "-load", "limit": "1"}, [3]),
        ({"limit": "999"}, [0, 1, 2, 3]),
    ],
)
def test_rows_are_chosen_by_patterns_then_sorted_then_cut(settings, left):
    assert chosen_rows(ROWS, asked(**settings)) == [ROWS[index] for index in left]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": "t5*"}, "the pattern 't5*' matches no variant; there are gpt2/torch/fp32/cpu, "),
        ({"rows": "gpt2/*,!t5*"}, "the pattern '!t5*' matches no variant"),
        ({"rows": "!*"}, "no variant is left by rows=!*"),
        ({"sort": "decode"}, "none of the 4 rows has the metric 'decode_tokens_per_second'"),
    ],
)
def test_what_would_choose_nothing_is_refused(settings, message):
    with pytest.raises(HarnessError) as caught:
        chosen_rows(ROWS, asked(**settings))
    assert str(caught.value).startswith(message)


def test_an_error_names_a_few_variants_only():
    many = [make_row(f"m{number}/torch/fp32/cpu") for number in range(30)]
    with pytest.raises(HarnessError, match=r"m7/torch/fp32/cpu, and 22 more$"):
        chosen_rows(many, asked(rows="x"))


def test_a_comparison_has_every_variant(source, parse):
    ((headers, lines),) = parse(table_markdown(asked(), source)).tables
    assert headers[0] == "variant"
    assert [line[0] for line in lines] == [f"`{row.variant}`" for row in make_rows(source.records)]


def test_own_columns_stand_in_their_order(source, parse):
    settings = {"columns": "precision,variant,decode,prefill,family", "intervals": "no", "rows": "gpt/*"}
    ((headers, lines),) = parse(table_markdown(asked(**settings), source)).tables
    assert [header.split(" (")[0] for header in headers] == ["precision", "variant", "decode", "prefill", "family"]
    assert [line[:2] for line in lines] == [["fp32", "`gpt/torch/fp32/cpu`"], ["int8", "`gpt/onnxruntime/int8/cpu`"]]
    assert "[" not in lines[0][2]


def test_intervals_are_shown_unless_they_are_not_wanted(source):
    text = table_markdown(asked(columns="variant,decode"), source)
    assert "[" in text
    assert "[" not in table_markdown(asked(columns="variant,decode", intervals="no"), source)


def test_a_table_may_have_no_metric(source, parse):
    ((headers, lines),) = parse(table_markdown(asked(columns="candidate,status", limit="1"), source)).tables
    assert (headers, lines) == (["candidate", "status"], [["`gpt`", "ok"]])


def test_a_column_that_none_of_the_rows_has_is_refused(source):
    with pytest.raises(HarnessError, match="none of the 1 rows has the metric 'decode_tokens_per_second'"):
        table_markdown(asked(columns="variant,decode", rows="bert/*"), source)


def test_speed_has_a_table_for_generation_and_one_for_encoding(source, parse):
    text = table_markdown(asked(table="speed", sort="-variant"), source)
    assert len(parse(text).tables) == 2
    assert "**Generation**" in text
    assert names(text)[:2] == ["t5/torch/fp32/cpu", "gpt/torch/fp32/cpu"]


def test_quality_has_a_table_across_families_and_one_for_each(source, parse):
    text = table_markdown(asked(table="quality"), source)
    assert len(parse(text).tables) == 4
    assert "**Across families**" in text
    assert len(parse(table_markdown(asked(table="quality", rows="bert/*"), source)).tables) == 2


def test_training_has_its_losses_and_what_they_say(source, parse):
    text = table_markdown(asked(table="training"), source)
    assert len(parse(text).tables) == 1
    assert "- `gpt`: " in text


def test_baselines_which_keep_no_curves_have_no_training(source, run, tmp_path):
    kept = open_baseline(save_baseline(run, "kept", tmp_path))
    with pytest.raises(HarnessError, match="baseline 'kept' has no curves of training; name the folder of a run"):
        table_markdown(asked(table="training"), Source(kept.name, kept.info, kept.records()))


def test_a_recommendation_may_be_of_one_use_case(source):
    both = table_markdown(asked(table="recommendation"), source)
    one = table_markdown(asked(table="recommendation", case="Understanding"), source)
    assert both.startswith("**Generation.** ")
    assert both.endswith(one)
    assert one.startswith("**Understanding.** ")


def test_a_use_case_that_the_suite_has_not_is_refused(source):
    with pytest.raises(HarnessError, match=r"no use case 'Generating' \(did you mean 'Generation'\?\)"):
        table_markdown(asked(table="recommendation", case="Generating"), source)


def test_the_title_of_a_use_case_is_no_markdown(source):
    source.info["suite"]["use_case"][0]["title"] = "*<!-- harness:end name=a -->*"
    text = table_markdown(asked(table="recommendation"), source)
    assert "<!--" not in text
    assert text.startswith("**\\*&lt;!-- harness:end name=a --&gt;\\*.**")


def test_claims_are_held_against_the_run(source, parse):
    ((headers, lines),) = parse(table_markdown(asked(table="claims"), source)).tables
    assert headers[-1] == "verdict"
    assert lines


def test_a_table_is_in_the_language_that_is_asked_for(source):
    settings = {"columns": "variant,perplexity", "rows": "gpt/torch/*"}
    assert " 11." in table_markdown(asked(**settings), source)
    assert " 11," in table_markdown(asked(**settings, lang="fr"), source)


@pytest.mark.parametrize("table", sorted(TAKES.keys() - {"claims"}))
def test_a_run_with_nothing_to_show_is_refused(table):
    with pytest.raises(HarnessError, match=f"run 'empty' has nothing to show in table={table}"):
        table_markdown(asked(table=table), Source("empty", {}, []))


words = st.sampled_from(["gpt*", "!", "-", ",", "decode", "variant", "1", "no", "[", "é", "claims", " ", "*"])
values = st.lists(words, max_size=4).map("".join)


@given(st.dictionaries(st.sampled_from(["table", "columns", "rows", "sort", "limit", "intervals", "case"]), values))
def test_settings_are_read_or_refused_in_a_line(settings):
    try:
        request = asked(**settings)
        assert len(chosen_rows(ROWS, request)) <= len(ROWS)
    except HarnessError as error:
        line = str(error)
    else:
        line = "read"
    assert len(line.splitlines()) == 1
