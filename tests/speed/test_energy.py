"""Joules per token from a powercap folder that is made up, of real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_timing import Clock, Steady

from harness.errors import UnavailableError
from harness.speed import energy
from harness.speed.energy import Meter, PackageCounter, energy_facts, open_meter

PROMPT = np.arange(100)


def domain(root: Path, folder: str, name: str, microjoules: int = 0, most: int = 1_000_000) -> Path:
    """A domain of a powercap folder."""
    place = root / folder
    place.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", most)):
        (place / file).write_text(f"{text}\n", encoding="ascii")
    return place


def count_on(place: Path, microjoules: int) -> None:
    (place / "energy_uj").write_text(f"{microjoules}\n", encoding="ascii")


def test_packages_are_summed_and_what_lies_within_or_around_them_is_not(tmp_path: Path):
    places = [
        domain(tmp_path, "intel-rapl:0", "package-0"),
        domain(tmp_path, "intel-rapl:1", "package-1"),
        domain(tmp_path, "intel-rapl:0:0", "core"),
        domain(tmp_path, "intel-rapl:0:1", "dram"),
        domain(tmp_path, "intel-rapl:2", "psys"),
        domain(tmp_path, "intel-rapl-mmio:0", "package-0"),
    ]
    counter = PackageCounter(tmp_path)
    for place in places:
        count_on(place, 300_000)
    assert counter() == pytest.approx(0.6)


def test_a_counter_that_ran_over_its_range_goes_on_from_zero(tmp_path: Path):
    place = domain(tmp_path, "intel-rapl:0", "package-0", 900_000)
    counter = PackageCounter(tmp_path)
    readings = []
    for microjoules in (200_000, 900_000, 100_000):
        count_on(place, microjoules)
        readings.append(counter())
    assert readings == pytest.approx([0.3, 1.0, 1.2])


def test_a_machine_without_a_counter_says_so(tmp_path: Path):
    with pytest.raises(UnavailableError, match="no counter of energy"):
        open_meter("cpu", tmp_path / "missing")


def test_a_counter_that_may_not_be_read_says_who_may(tmp_path: Path, monkeypatch):
    domain(tmp_path, "intel-rapl:0", "package-0")

    def refuse(file: Path, encoding: str) -> str:
        if file.name == "energy_uj":
            raise PermissionError
        return "package-0"

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(energy, "_is_package", lambda folder: True)
    with pytest.raises(UnavailableError):
        open_meter("cpu", tmp_path)


def watts(clock: Clock, power: float) -> Meter:
    """A meter of a machine that always draws the same power."""
    return Meter("made up", lambda: clock() * power, seconds=1.0)


def test_joules_a_token_follow_from_power_and_time():
    clock = Clock()
    found = energy_facts(Steady(clock), PROMPT, 11, watts(clock, 20.0), clock)
    values = {fact.metric: fact.value for fact in found}
    assert values["prefill_joules_per_token"] == pytest.approx(20 * 0.5 / 100)
    assert values["decode_joules_per_token"] == pytest.approx(20 * 0.01)


def test_masked_models_have_joules_of_an_encoded_token():
    clock = Clock()
    (fact,) = energy_facts(Steady(clock, "masked"), PROMPT, 11, watts(clock, 20.0), clock)
    assert fact.metric == "encode_joules_per_token"
    assert fact.value == pytest.approx(20 * 0.001)


def test_a_measurement_takes_as_long_as_the_counter_needs():
    clock = Clock()
    found = energy_facts(Steady(clock), PROMPT, 11, watts(clock, 20.0), clock)
    assert all(fact.samples[0]["seconds"] >= 1.0 for fact in found)


def test_a_counter_that_stands_still_gives_no_number_rather_than_zero():
    clock = Clock()
    with pytest.raises(UnavailableError, match="stands still"):
        energy_facts(Steady(clock), PROMPT, 11, watts(clock, 0.0), clock)
