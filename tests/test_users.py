import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tutor.users import LONGEST_PASSWORD, UserFile, UsersError, checked_name, checked_password, made_password
from ui.cli import main

GOOD = "violet tractor hums"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    """A file with a learner and an instructor."""
    file = UserFile(tmp_path / "users.toml")
    file.add("ana", GOOD, role="learner")
    file.add("prof", "seven quiet lanterns", role="instructor")
    return file


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `tutor users …` with a line of standard input, and gives its status and what it printed."""

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        (tmp_path / "typed").write_text(typed, encoding="utf-8")
        with (tmp_path / "typed").open(encoding="utf-8") as lines:
            monkeypatch.setattr(sys, "stdin", lines)
            with pytest.raises(SystemExit) as end:
                main(["users", *arguments])
        return int(end.value.code or 0), *capsys.readouterr()

    return run


# The file


def test_a_password_is_known_again_and_no_other(users: UserFile):
    assert users.verify("ana", GOOD)
    assert not users.verify("ana", GOOD.upper())
    assert not users.verify("ana", "")
    assert not users.verify("prof", GOOD)


def test_an_unknown_name_is_refused_with_anybodys_password(users: UserFile):
    assert not users.verify("nobody", GOOD)
    assert not users.verify("", "")


def test_an_unknown_name_costs_a_comparison_too(users: UserFile, monkeypatch: pytest.MonkeyPatch):
    compared: list[str] = []

    class Hasher:
        def verify(self, _password: str, password_hash: str) -> bool:
            compared.append(password_hash)
            return True

    monkeypatch.setattr("tutor.users._hasher", Hasher)

    assert not users.verify("nobody", GOOD)
    assert compared == [users.users["ana"].password_hash]


def test_the_file_holds_no_password_and_is_for_its_owner_alone(users: UserFile):
    text = users.path.read_text(encoding="utf-8")

    assert "$argon2id$" in text
    assert GOOD not in text
    assert not users.is_open_to_others
    if sys.platform != "win32":
        assert users.path.stat().st_mode & 0o777 == 0o600


def test_two_equal_passwords_have_different_hashes(users: UserFile):
    users.add("ben", GOOD, role="learner")

    assert users.users["ana"].password_hash != users.users["ben"].password_hash


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_that_others_can_read_says_so_and_is_closed_by_the_next_change(users: UserFile):
    users.path.chmod(0o644)
    assert users.is_open_to_others

    users.set_password("ana", "green paper thunder")

    assert not users.is_open_to_others


def test_a_name_typed_another_way_is_the_same_user(tmp_path: Path):
    users = UserFile(tmp_path / "users.toml")
    users.add("jose\N{COMBINING ACUTE ACCENT}", GOOD, role="learner")

    assert users.verify("jos\N{LATIN SMALL LETTER E WITH ACUTE}", GOOD)


def test_a_name_that_differs_in_a_capital_is_taken(users: UserFile):
    with pytest.raises(UsersError, match="There is a user 'ana' already"):
        users.add("Ana", GOOD, role="learner")


@pytest.mark.parametrize("name", ["", " ana", "ana\n", "<b>", "../ana", "a" * 65, "ana ben", "\ud800"])
def test_a_name_that_cannot_be_read_with_certainty_is_refused(name: str):
    with pytest.raises(UsersError, match="cannot be a user's name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["ana", "Ana-Maria", "ana@school.example", "李雷", "b.e.n_7"])
def test_names_as_schools_give_them_will_do(name: str):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "has 0 characters"),
        ("seven7!", "has 7 characters"),
        ("x" * (LONGEST_PASSWORD + 1), "at most 1,000"),
        ("password1", "too weak"),
        ("interview1", "too weak"),
        ("aaaaaaaaaaaa", "too weak"),
        ("annabella", "too weak"),
    ],
)
def test_a_password_that_is_guessed_soon_is_refused_with_the_reason(password: str, said: str):
    with pytest.raises(UsersError, match=said) as caught:
        checked_password(password, "annabella")

    assert not password or password not in str(caught.value)


def test_a_made_password_will_do_and_is_new_each_time():
    passwords = {made_password() for _ in range(20)}

    assert len(passwords) == 20
    assert all(checked_password(password, "ana") for password in passwords)


def test_who_was_removed_is_not_let_in_and_a_comment_of_the_file_stays(users: UserFile):
    users.path.write_text(f"# The class of spring.\n{users.path.read_text(encoding='utf-8')}", encoding="utf-8")

    users.remove("ana")

    assert not users.verify("ana", GOOD)
    assert list(users.users) == ["prof"]
    assert users.path.read_text(encoding="utf-8").startswith("# The class of spring.")


def test_a_change_by_another_process_holds_at_once(users: UserFile):
    other = UserFile(users.path)
    assert other.verify("ana", GOOD)

    users.set_password("ana", "green paper thunder")

    assert other.verify("ana", "green paper thunder")
    assert not other.verify("ana", GOOD)


def test_a_change_that_breaks_off_leaves_the_file_as_it_was(users: UserFile, monkeypatch: pytest.MonkeyPatch):
    def fail(_descriptor: int) -> None:
        raise OSError("No space left on device")

    before = users.path.read_bytes()
    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="No space left"):
        users.remove("ana")

    assert users.path.read_bytes() == before
    assert sorted(file.name for file in users.path.parent.iterdir() if file.suffix != ".lock") == ["users.toml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[users.ana\n", "is not TOML"),
        ("users = 3\n", "no proper entry for 'users'"),
        ("[users.ana]\nrole = 'learner'\n", "no proper entry for 'ana'"),
        ("[users.ana]\nrole = 'king'\npassword = '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA'\n", "for 'ana'"),
        ("[users.ana]\nrole = 'learner'\npassword = 'in the clear'\n", "no proper entry for 'ana'"),
    ],
)
def test_a_broken_file_says_what_is_wrong_and_is_not_changed(tmp_path: Path, text: str, said: str):
    users = UserFile(tmp_path / "users.toml")
    users.path.write_text(text, encoding="utf-8")

    with pytest.raises(UsersError, match=said) as caught:
        users.add("ben", GOOD, role="learner")

    assert "in the clear" not in str(caught.value)
    assert users.path.read_text(encoding="utf-8") == text


def test_a_missing_file_says_how_to_make_it(tmp_path: Path):
    with pytest.raises(UsersError, match="tutor users add"):
        _ = UserFile(tmp_path / "users.toml").users


# The commands


def test_users_are_added_listed_and_removed(run: Run, home: Path):
    assert run("add", "ana", typed=f"{GOOD}\n") == (0, "ana: added\n", "")
    assert run("add", "prof", "--role", "instructor", typed="seven quiet lanterns\n")[0] == 0

    assert json.loads(run("list", "--json")[1]) == [
        {"name": "ana", "role": "learner"},
        {"name": "prof", "role": "instructor"},
    ]
    assert run("remove", "ana") == (0, "ana: removed\n", "")
    assert "ana" not in run("list")[1]
    assert UserFile(home / "users.toml").verify("prof", "seven quiet lanterns")


def test_passwords_are_made_up_for_a_whole_class(run: Run, home: Path):
    status, out, _ = run("add", "ana", "ben", "--generate")

    assert status == 0
    given = dict(line.split("\t") for line in out.splitlines())
    assert list(given) == ["ana", "ben"]
    assert all(UserFile(home / "users.toml").verify(name, password) for name, password in given.items())


def test_a_password_is_changed(run: Run, home: Path):
    run("add", "ana", typed=f"{GOOD}\n")

    assert run("password", "ana", typed="green paper thunder\n") == (0, "ana: has a new password\n", "")
    assert UserFile(home / "users.toml").verify("ana", "green paper thunder")


def test_the_file_may_be_named(run: Run, tmp_path: Path):
    run("add", "ana", "--file", str(tmp_path / "class.toml"), typed=f"{GOOD}\n")

    assert UserFile(tmp_path / "class.toml").verify("ana", GOOD)


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("add", "ben"), "12345678\n", "tutor: The password is too weak."),
        (("add", "ben"), "", "tutor: The password has 0 characters."),
        (("add", "ana"), f"{GOOD}\n", "tutor: There is a user 'ana' already."),
        (("remove", "nobody"), "", "tutor: There is no user 'nobody'. Those there are: ana."),
        (("password", "nobody"), "", "tutor: There is no user 'nobody'. Those there are: ana."),
    ],
)
def test_what_will_not_do_is_said_in_a_line(run: Run, arguments: tuple[str, ...], typed: str, said: str):
    run("add", "ana", typed=f"{GOOD}\n")

    status, out, error = run(*arguments, typed=typed)

    assert status == 1
    assert out == ""
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_a_password_is_no_argument(run: Run):
    status, _, error = run("password", "ana", GOOD)

    assert status == 2
    assert "unexpected extra argument" in error.lower()


@pytest.mark.parametrize(("text", "said"), [(None, "There is no file of users"), ("[users]\n", "has no users")])
def test_nothing_is_served_to_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str, home: Path
):
    file = tmp_path / "class.toml"
    if text is not None:
        file.write_text(text, encoding="utf-8")

    with pytest.raises(SystemExit) as end:
        main(["serve", "--auth", str(file)])

    assert end.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert "tutor users add" in error
    assert not home.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_that_others_can_read_is_warned_of(run: Run, home: Path):
    run("add", "ana", typed=f"{GOOD}\n")
    (home / "users.toml").chmod(0o644)

    assert "chmod 600" in run("list")[2]
