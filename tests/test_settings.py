from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tutor.settings import CORPUS_FOLDER, SettingsError, origins, read_settings


def write_file(home: Path, text: str) -> None:
    home.mkdir()
    (home / "settings.toml").write_text(text, encoding="utf-8")


def test_without_anything_set_the_shipped_corpus_is_used_and_nothing_is_written(home: Path):
    settings = read_settings()

    assert settings.guides == (CORPUS_FOLDER / "guides",)
    assert settings.index_folder == home / "index"
    assert settings.database == home / "progress.db"
    assert not home.exists()


def test_arguments_win_over_variables_and_variables_over_the_file(home: Path, monkeypatch: pytest.MonkeyPatch):
    write_file(home, "port = 7001\nhit_count = 3\nlearner = 'ada'\n")
    monkeypatch.setenv("TUTOR_PORT", "7002")
    monkeypatch.setenv("TUTOR_HIT_COUNT", "4")

    settings = read_settings(hit_count=5)

    assert (settings.hit_count, settings.port, settings.learner) == (5, 7002, "ada")


def test_the_home_can_be_given_as_an_argument_and_has_its_own_file(tmp_path: Path):
    write_file(tmp_path / "other", "port = 7003\n")

    assert read_settings(home=tmp_path / "other").port == 7003


def test_several_folders_are_given_as_json(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTOR_GUIDES", '["mine", "yours"]')

    assert read_settings().guides == (Path("mine"), Path("yours"))


def test_where_each_setting_comes_from_is_told(home: Path, monkeypatch: pytest.MonkeyPatch):
    write_file(home, "port = 7001\nlearner = 'ada'\n")
    monkeypatch.setenv("TUTOR_PORT", "7002")

    places = origins(read_settings(), os.environ)

    assert places["home"] == "TUTOR_HOME"
    assert places["port"] == "TUTOR_PORT"
    assert places["learner"] == str(home / "settings.toml")
    assert places["chunk_words"] == "default"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TUTOR_PORT", "http", r"port: .*Got 'http'\. Set TUTOR_PORT"),
        ("TUTOR_CHUNK_WORDS", "5", r"chunk_words: .*greater than or equal to 40.*Got '5'"),
        ("TUTOR_DENSE_WEIGHT", "1.5", "dense_weight: .*less than or equal to 1"),
        ("TUTOR_LEARNER", "", "learner: "),
        ("TUTOR_GUIDES", "/my/guides", r"TUTOR_ variable cannot be read.*\"guides\".*Expected JSON"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError, match=said):
        read_settings()


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTOR_PORT", "0")
    monkeypatch.setenv("TUTOR_HIT_COUNT", "0")

    with pytest.raises(SettingsError, match=r"hit_count: .*port: "):
        read_settings()


def test_an_unknown_setting_in_the_file_lists_the_known_ones(home: Path):
    write_file(home, "chunkwords = 100\n")

    with pytest.raises(SettingsError, match=r"chunkwords: .*Known settings: .*chunk_words"):
        read_settings()


@pytest.mark.parametrize("text", ["port 7861", "port = \n", "[["])
def test_a_file_that_is_not_toml_is_named(home: Path, text: str):
    write_file(home, text)

    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read \(.*Expected TOML lines"):
        read_settings()


def test_a_file_that_is_not_utf8_is_named(home: Path):
    home.mkdir()
    (home / "settings.toml").write_bytes(b'learner = "\xff"\n')

    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read"):
        read_settings()


def test_settings_do_not_change_once_they_are_read():
    settings = read_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_every_setting_says_what_it_is():
    assert all(field.description for field in type(read_settings()).model_fields.values())


def test_the_key_is_neither_shown_nor_dumped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TUTOR_API_KEY", "s3cret")

    settings = read_settings()

    assert settings.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings) + str(settings.model_dump(mode="json")) + settings.model_dump_json()


def test_what_was_given_for_a_key_is_not_repeated_in_the_error(home: Path):
    write_file(home, "api_key = 31337\n")

    with pytest.raises(SettingsError, match=r"api_key: .*Set TUTOR_API_KEY") as failure:
        read_settings()

    assert "31337" not in str(failure.value)
