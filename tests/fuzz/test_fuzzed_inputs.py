"""Whatever a file holds, it is read or refused in one line, soon, and nothing is written where nobody asked to.

bench/fuzz.py tries 10,000 inputs a kind in the same way.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import fuzz_hub
import fuzz_kinds
import fuzz_models
import pytest
from fuzz_property import Kind, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS = (*fuzz_kinds.KINDS, *fuzz_models.KINDS, *fuzz_hub.KINDS)
_FEW = {
    "run.json": 8,
    "stored-runs": 8,
    "baselines": 15,
    "documents": 15,
    "suites": 25,
    "blimp-zips": 10,
    "hub": 12,
    "tokenizers": 20,
    "corpora": 30,
}
"""Of the kinds that take long."""
_folders = itertools.count()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_damaged_input_is_read_or_refused_in_one_line(kind: Kind, tmp_path: Path):
    @settings(max_examples=_FEW.get(kind.name, 60), database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(min_value=0, max_value=2**32))
    def all_hold(seed: int) -> None:
        found = tried(kind, seed, tmp_path / str(next(_folders)))
        assert not found.broken, f"seed {seed}: {found.broken}"

    all_hold()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_some_inputs_are_read_and_some_refused(kind: Kind, tmp_path: Path):
    """Else the inputs would be too damaged, or not damaged at all, to show anything."""
    found = set()
    for seed in range(120):
        found.add(tried(kind, seed, tmp_path / str(seed)).refused)
        if found == {True, False}:
            break
    assert found == {True, False}
