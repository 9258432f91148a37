from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "transformers", "onnxruntime", "datasets", "pandas", "scipy")


def test_the_quick_examination_imports_no_engine(workplace):
    code = f"""
import sys
from harness.cli import main
sys.argv = ["harness", "doctor", "--quick"]
try:
    main()
except SystemExit as stop:
    print(stop.code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    finished = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True, check=True)
    assert finished.stderr.splitlines()[-1] == "0 []"


def test_findings_are_a_table_with_the_advice_last(harness):
    finished = harness("doctor", "--quick")
    assert finished.returncode == 0
    assert finished.stderr == ""
    table, _, advice = finished.stdout.partition("\nadvice\n")
    for name in ("usable cores", "load", "clock", "torch", "cache folder", "not asked"):
        assert name in table
    numbers = [line.partition(".")[0].strip() for line in advice.splitlines()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_json_holds_findings_and_advice(harness, workplace):
    finished = harness("doctor", "--quick", "--json", "--runs-dir", "some/runs")
    found = json.loads(finished.stdout)
    assert (finished.returncode, found["noise"]) == (0, None)
    assert {each["status"] for each in found["findings"]} <= {"ok", "warning", "missing"}
    assert found["advice"] == list(dict.fromkeys(found["advice"]))
    assert [each["found"].endswith("free in some/runs") for each in found["findings"] if each["name"] == "runs folder"]
    assert not (workplace / "some").exists()


def test_the_noise_floor_is_measured_unless_it_is_left_out(harness):
    finished = harness("doctor", "--seconds", "3", "--json")
    assert finished.stderr == "measuring the noise floor for 3 s (--quick leaves it out)\n"
    found = json.loads(finished.stdout)["noise"]
    assert found["blocks"] == 6
    assert set(found["by_minimum"]["smallest"]) == {"6", "12", "20"}
    assert found["range"] >= found["moved"] >= 0


def test_too_short_a_measurement_is_refused(harness):
    finished = harness("doctor", "--seconds", "1")
    assert finished.returncode == 2
    assert "--seconds" in finished.stderr
