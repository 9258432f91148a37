from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.selection.limits import UNITS, parse_bytes


@pytest.mark.parametrize(
    ("text", "limit"), [("'2 GiB'", 2**31), ("'500MB'", 500_000_000), ("'1.5 KiB'", 1536), ("4096", 4096)]
)
def test_a_memory_limit_is_an_amount_or_a_number_of_bytes(load, text, limit):
    limits = load(f"[memory_limits]\nscore = {text}").memory_limits
    assert (limits.prepare, limits.score, limits.time) == (None, limit, None)


@pytest.mark.parametrize(
    "text", ["2 GB/s", "GiB", "2 gib", "2", "", "-2 GiB", "0 GiB", "1e999 GiB", "1e GiB", "nan GiB"]
)
def test_what_is_no_amount_of_memory_is_refused_with_an_example(refusal, text):
    expected = "expected an amount of memory in B, KiB, MiB, GiB, TiB, kB, MB, GB, TB, such as '2 GiB', not "
    assert refusal(f"[memory_limits]\ntime = '{text}'") == f"memory_limits.time: {expected}'{text}'"


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "true"])
def test_a_memory_limit_below_a_byte_or_of_another_type_is_refused(refusal, text):
    assert refusal(f"[memory_limits]\ntime = {text}").startswith("memory_limits.time: ")


def test_a_mistyped_memory_limit_suggests_the_nearest(refusal):
    assert refusal("[memory_limits]\nscores = '1 GiB'") == "unknown key 'memory_limits.scores' (did you mean 'score'?)"


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS["bytes"])))
def test_whole_amounts_are_exact(number, unit):
    assert parse_bytes(f"{number} {unit}") == number * int(UNITS["bytes"][unit])
