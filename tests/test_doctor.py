from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_models import make_model, make_tokenizer, save

from index.passage_index import read_manifest
from tutor.doctor import Finding, diagnose
from tutor.settings import Settings, read_settings
from tutor.tutor import Tutor


def findings(settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in diagnose(settings)}


def test_a_sound_tutor_has_nothing_wrong(tutor: Tutor):
    found = findings(tutor.settings)

    assert not [finding for finding in found.values() if finding.health == "wrong"]
    assert found["index"].text.startswith("3 documents, 9 passages, embedder ")
    assert "exact search: 9 passages, under 50,000" in found["index"].text
    assert found["questions"].text == "2 in 1 topics"
    assert found["history"].text == "0 graded answers of 'me'"
    assert found["language model"].text.startswith("none")


def test_versions_and_devices_are_told(settings: Settings):
    found = findings(settings)

    assert {"python", "torch", "transformers", "gradio", "faiss", "torch device", "home"} <= set(found)


def test_a_missing_index_is_a_note_and_looking_makes_no_folder(settings: Settings, home: Path):
    finding = findings(settings)["index"]

    assert (finding.health, finding.mend) == ("note", "tutor index")
    assert not home.exists()


def test_a_damaged_index_names_the_rebuild(tutor: Tutor):
    folder = tutor.settings.index_folder
    (folder / "generations" / read_manifest(folder).generation / "vectors.npy").unlink()

    finding = findings(tutor.settings)["index"]

    assert (finding.health, finding.mend) == ("wrong", "tutor index --rebuild")
    assert "damaged" in finding.text


def test_a_stale_index_names_what_differs(tutor: Tutor):
    finding = findings(tutor.settings.model_copy(update={"chunk_words": 100}))["index"]

    assert (finding.health, finding.mend) == ("wrong", "tutor index --rebuild")
    assert "chunk_words 300, now 100" in finding.text


def test_a_home_that_cannot_be_a_folder_is_wrong_and_the_rest_is_looked_at(tmp_path: Path, small_corpus: Path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    settings = read_settings(home=tmp_path / "file" / "home", questions=(small_corpus / "questions",))

    found = findings(settings)

    assert found["home"].health == found["index"].health == "wrong"
    assert "TUTOR_HOME" in found["home"].mend
    assert found["questions"].health == "ok"


def test_mistakes_in_the_question_bank_are_told_with_their_line(settings: Settings, small_corpus: Path):
    bank = small_corpus / "questions" / "broken.md"
    bank.write_text("---\ntopic: losses\n---\n\n## What is a loss?\n\nNo yaml.\n", encoding="utf-8")

    wrong = [finding for finding in diagnose(settings) if finding.health == "wrong"]

    assert wrong
    assert all(finding.subject == "questions" and "broken.md:5" in finding.text for finding in wrong)
    assert "tutor corpus check" in wrong[0].mend


def test_an_empty_question_bank_is_wrong(settings: Settings, tmp_path: Path):
    (tmp_path / "none").mkdir()

    assert findings(settings.model_copy(update={"questions": (tmp_path / "none",)}))["questions"].health == "wrong"


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + b"\xff" * 200])
def test_a_history_that_is_no_database_is_wrong(tutor: Tutor, content: bytes):
    tutor.settings.database.write_bytes(content)

    finding = findings(tutor.settings)["history"]

    assert finding.health == "wrong"
    assert "cannot be used" in finding.text


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = make_tokenizer("Dropout zeroes activations.")
    return save(make_model(tokenizer), tokenizer, tmp_path_factory.mktemp("models") / "small")


def with_model(settings: Settings, model: Path) -> Settings:
    changes = {"language_model": str(model), "precision": "bfloat16", "max_new_tokens": 16}
    return settings.model_copy(update=changes)


def test_a_language_model_is_told_with_its_device_numbers_and_memory(tutor: Tutor, small_model: Path):
    found = findings(with_model(tutor.settings, small_model))

    assert re.search(
        r"small: \w+, bfloat16, needs [\d.]+ MB \([\d.]+ MB of weights\) of [\d.]+ GB free .*memory; window of 2048 tokens",
        found["language model"].text,
    )
    assert "speed" not in found


def test_speed_is_measured_when_asked(tutor: Tutor, small_model: Path):
    found = {finding.subject: finding for finding in diagnose(with_model(tutor.settings, small_model), measure=True)}

    assert re.match(r"[\d.]+ tokens a second; loaded in [\d.]+ s", found["speed"].text)


def test_a_language_model_that_cannot_be_had_is_wrong(tutor: Tutor, tmp_path: Path):
    finding = findings(with_model(tutor.settings, tmp_path / "none"))["language model"]

    assert finding.health == "wrong"
    assert "none" in finding.text
