from __future__ import annotations

import json
import math

import pytest
from builders import make_record
from hypothesis import given
from hypothesis import strategies as st

from harness.records.metrics import METRICS
from harness.records.record import SCHEMA_VERSION, Fact, Record, Subject

numbers = st.floats(allow_nan=False, allow_infinity=False)
maybe = st.none() | numbers
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(st.text(), json_values, max_size=3)
subjects = st.builds(Subject, *[st.text()] * 9)
facts = st.builds(
    Fact,
    st.sampled_from(sorted(METRICS)),
    maybe,
    maybe,
    maybe,
    st.text(),
    st.integers(),
    st.lists(json_values, max_size=3),
    tables,
    st.text(),
)
records = st.builds(
    Record,
    run=st.text(),
    task=st.text(),
    kind=st.text(),
    subject=subjects,
    status=st.sampled_from(["ok", "failed", "timeout", "out-of-memory", "crashed", "skipped", "interrupted"]),
    environment=st.text(),
    fact=st.none() | facts,
    facts=st.integers(0),
    corpus=st.dictionaries(st.text(), st.text(), max_size=3),
    round=st.none() | st.integers(0),
    reason=st.text(),
    stderr_tail=st.text(),
    duration_seconds=maybe,
    conditions=tables,
)


@given(records)
def test_a_record_survives_the_way_through_json(record):
    assert Record.from_json(record.to_json().encode("utf-8").decode("utf-8")) == record


@given(records)
def test_a_record_is_one_line_with_the_schema_version_first(record):
    line = record.to_json()
    assert "\n" not in line
    assert next(iter(json.loads(line))) == "schema_version"


def test_text_stays_readable_in_the_file():
    assert "café €" in make_record(reason="café €").to_json()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["value", "low", "samples"])
def test_a_number_that_is_not_finite_is_not_written(number, place):
    fact = Fact("perplexity", **{place: [number] if place == "samples" else number})
    with pytest.raises(ValueError, match="not JSON compliant"):
        make_record(fact=fact).to_json()


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_not_read(constant):
    line = make_record(fact=Fact("perplexity", value=12.5)).to_json().replace("12.5", constant)
    with pytest.raises(ValueError, match=f"{constant} is not a number"):
        Record.from_json(line)


def _changed(**keys: object) -> str:
    return json.dumps({**json.loads(make_record().to_json()), **keys})


def test_a_newer_schema_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=rf"schema version {SCHEMA_VERSION + 1} is newer .* use a newer harness"):
        Record.from_json(_changed(schema_version=SCHEMA_VERSION + 1))


def test_a_schema_that_never_was_is_refused():
    with pytest.raises(ValueError, match="there was no schema version 0"):
        Record.from_json(_changed(schema_version=0))


def test_a_record_without_schema_version_is_refused():
    body = json.loads(make_record().to_json())
    del body["schema_version"]
    with pytest.raises(ValueError, match="'schema_version' is missing"):
        Record.from_json(json.dumps(body))


def test_an_unknown_key_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown key 'colour'"):
        Record.from_json(_changed(colour="red"))


@pytest.mark.parametrize("part", ["subject", "fact"])
def test_an_unknown_key_of_a_part_is_refused_by_name(part):
    body = json.loads(make_record(fact=Fact("perplexity")).to_json())
    body[part]["colour"] = "red"
    with pytest.raises((ValueError, TypeError), match="colour"):
        Record.from_json(json.dumps(body))


@pytest.mark.parametrize("key", ["run", "task", "kind", "subject", "status", "environment"])
def test_a_missing_key_is_refused_by_name(key):
    body = json.loads(make_record().to_json())
    del body[key]
    with pytest.raises((ValueError, TypeError), match=f"'{key}'"):
        Record.from_json(json.dumps(body))


@pytest.mark.parametrize("line", ["[]", "3", '"text"', "null"])
def test_json_that_is_not_an_object_is_refused(line):
    with pytest.raises(ValueError, match="expected a JSON object"):
        Record.from_json(line)


def test_no_optional_key_is_needed_to_read_a_record():
    body = {"schema_version": 1, "run": "r", "task": "t", "kind": "time", "status": "ok", "environment": "e"}
    subject = {"variant": "v", "candidate": "c", "family": "causal", "origin": "trained"}
    found = Record.from_json(json.dumps({**body, "subject": subject}))
    assert found == Record("r", "t", "time", Subject("v", "c", "causal", "trained"), "ok", "e")
