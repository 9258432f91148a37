"""What is seen of a process from outside."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from harness.execution.telemetry import Telemetry
from harness.reporting.training import telemetry_words

BUSY = "x = bytearray(50_000_000)\nprint('ready', flush=True)\nwhile True: x[0] = 1"


@pytest.fixture
def busy():
    """A process that uses one core and 50 MB."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_cores_and_memory_are_those_of_the_process(busy):
    seen = Telemetry(busy.pid)
    time.sleep(1.0)
    seen.look()
    found = seen.summary()
    assert found["samples"] == 1
    assert 0.2 < found["cores"] < 1.5
    assert 50_000_000 < found["memory_bytes"] < 200_000_000


def test_a_process_that_is_gone_gives_no_sample(busy):
    busy.kill()
    busy.wait()
    seen = Telemetry(busy.pid)
    seen.look()
    assert seen.summary()["samples"] == 0
    assert "cores" not in seen.summary()


def test_it_is_said_in_words():
    gpu = {"watts": 300.4, "utilisation_percent": 97.0, "memory_bytes": 2.0**30, "memory_mhz": 2619.0}
    seen = {"samples": 9, "seconds": 10.0, "cores": 1.9, "memory_bytes": 2**29, "joules": 500.0, "gpu": gpu}
    words = telemetry_words({"telemetry": seen})
    assert words == (
        "In 10 s it took 1.90 cores, at most 512 MiB of memory, 500 J of all CPU packages, GPU memory clock 2,619 MHz, "
        "GPU power 300 W, GPU utilisation 97 %, GPU memory 1,024 MiB, sampled 9 times from outside."
    )


@pytest.mark.parametrize("conditions", [{}, {"cached": True, "telemetry": {"cores": 1.0}}, {"telemetry": {}}])
def test_nothing_is_said_where_nothing_was_trained(conditions):
    assert telemetry_words(conditions) == ""
