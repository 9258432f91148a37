from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from said_texts import all_said

import harness
from harness.language.say import LANGUAGES, digits, retell, say, speaking
from harness.records.units import quantity

PACKAGE = Path(harness.__file__).parent
PLACE = re.compile(r"\{(\w+)\}")


def catalogue(language: str) -> dict[str, str]:
    with (PACKAGE / "language" / f"{language}.po").open("rb") as stream:
        return {str(each.id): str(each.string) for each in read_po(stream) if each.id}


def test_english_is_what_the_code_says():
    assert say("{count} cores", count=2) == "2 cores"


def test_a_text_without_a_translation_stays_english():
    with speaking("fr"):
        assert say("no such text in {place}", place="any catalogue") == "no such text in any catalogue"


def test_braces_in_a_value_are_left_alone():
    assert say("{name}", name="{weird}") == "{weird}"


def test_another_language_is_refused():
    with pytest.raises(ValueError, match="expected en or fr, not 'de'"), speaking("de"):
        pass


def test_the_language_is_english_again_after_the_block():
    with speaking("fr"):
        pass
    assert digits("1,036.5") == "1,036.5"


@pytest.mark.parametrize(
    ("english", "french"),
    [("1,036.5", "1\u202f036,5"), ("-2.5", "-2,5"), ("12", "12"), ("1.2e-05", "1,2e-05"), ("v2.13.0", "v2.13.0")],
)
def test_numbers_have_the_separators_of_french(english, french):
    with speaking("fr"):
        assert digits(english) == french


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_every_text_is_translated(language):
    known = catalogue(language)
    said = [(text, each.where) for each in all_said() for text in each.texts or ()]
    assert {text: where for text, where in said if not known.get(text)} == {}


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_translations_have_the_places_of_their_texts(language):
    for text, spoken in catalogue(language).items():
        assert set(PLACE.findall(spoken)) == set(PLACE.findall(text)), text


def test_a_stored_sentence_is_retold_by_its_pattern_with_its_numbers():
    stored = (
        "bf16 matrix products take 70.5 times as long as fp32 ones here (measured): this CPU has no bf16 instructions "
        "and torch emulates them"
    )
    with speaking("fr"):
        retold = retell(stored)
    assert retold != stored
    assert "70,5" in retold


def test_what_another_program_said_stays_as_it_is():
    with speaking("fr"):
        assert retell("CUDA error: no kernel image") == "CUDA error: no kernel image"


@pytest.mark.parametrize(
    ("stored", "retold"),
    [
        ("timing: the prompt is empty", "chronométrage\u00a0: l’invite est vide"),
        ("scoring: RuntimeError: CUDA error", "évaluation\u00a0: RuntimeError: CUDA error"),
        ("not measured yet: score, time", "pas encore mesuré\u00a0: qualité, vitesse"),
    ],
)
def test_a_reason_within_a_sentence_and_a_list_of_words_are_retold_too(stored, retold):
    with speaking("fr"):
        assert retell(stored) == retold


def test_what_is_said_of_a_run_is_no_pattern_for_what_it_stored():
    """``{status}: {reason}`` is a sentence of reports; an error of another program may look like it."""
    with speaking("fr"):
        assert retell("RuntimeError: weights are kept with 3 bits.") == "RuntimeError: weights are kept with 3 bits."


def test_a_number_and_its_unit_stay_on_one_line_in_french():
    with speaking("fr"):
        assert quantity(3 * 2.0**20, "bytes") == "3,000\u00a0Mio"
    assert quantity(3 * 2.0**20, "bytes") == "3.000 MiB"
