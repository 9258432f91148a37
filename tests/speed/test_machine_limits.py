"""The limits of this machine, and the search for a peak on a clock that is made up."""

from __future__ import annotations

import time

import pytest

from harness.speed import limits
from harness.speed.limits import Bench, matmul_peak, measure_limits, read_bandwidth


class Machine:
    """Multiplies at a rate that it is told, on a clock of its own; the first product of a size takes ten times that."""

    def __init__(self, rate: float) -> None:
        self.now, self.rate, self.sizes = 0.0, rate, []

    def __call__(self) -> float:
        return self.now

    def product(self, bench: Bench, kind: str, size: int):
        self.sizes.append(size)
        calls = iter([10.0])

        def run() -> None:
            self.now += next(calls, 1.0) * 2 * size**3 / self.rate

        return run


def peak(monkeypatch, machine: Machine):
    monkeypatch.setattr(limits, "_product", machine.product)
    return matmul_peak(Bench("cpu", 1, machine), "fp32")


def test_the_peak_is_operations_over_the_best_time_without_the_first(monkeypatch):
    assert peak(monkeypatch, Machine(1e12)).value == pytest.approx(1e12)


def test_a_fast_machine_multiplies_up_to_the_largest_matrices(monkeypatch):
    machine = Machine(1e13)
    peak(monkeypatch, machine)
    assert machine.sizes == [256, 512, 1024, 2048, 4096]


def test_a_type_that_is_emulated_stops_at_small_matrices_within_its_time(monkeypatch):
    machine = Machine(5e8)
    assert peak(monkeypatch, machine).value == pytest.approx(5e8)
    assert machine.sizes == [256]
    assert machine.now < 1.0


def test_a_type_without_a_product_has_no_peak(monkeypatch):
    def refuse(*_):
        raise RuntimeError("not implemented")

    monkeypatch.setattr(limits, "_product", refuse)
    assert matmul_peak(Bench("cpu", 1, time.perf_counter), "int8") is None


@pytest.fixture
def small(monkeypatch):
    """Less to read and to multiply than a run does."""
    monkeypatch.setitem(limits.BLOCK_BYTES, "cpu", 2**26)
    for budget in ("READ_SECONDS", "PEAK_SECONDS", "SIZE_SECONDS"):
        monkeypatch.setattr(limits, budget, 0.05)


def test_this_machine_reads_and_multiplies(small):
    facts = {fact.metric: fact for fact in measure_limits(Bench("cpu", 1, time.perf_counter))}
    assert set(facts) == {"read_bandwidth", "matmul_peak_fp32", "matmul_peak_bf16", "matmul_peak_int8"}
    assert all(fact.value > 1e7 for fact in facts.values())
    assert {fact.protocol["threads"] for fact in facts.values()} == {1}


def test_the_bandwidth_is_that_of_the_best_way_of_reading(small):
    fact = read_bandwidth(Bench("cpu", 1, time.perf_counter))
    (ways,) = fact.samples
    assert fact.value == max(ways.values()) == ways[fact.protocol["method"]]
    assert fact.protocol["block_bytes"] == 2**26
