"""`tutor users`: who may log in where the page is served to a class."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.terminal import Json, complain, console, effective_settings, print_json

if TYPE_CHECKING:
    from tutor.users import UserFile

users_app = typer.Typer(
    help="Who may log in where the page is served to a class: add and remove them, list them, change a password.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
File = Annotated[
    Path | None, typer.Option(help="The file of users; TUTOR_USERS_FILE, or users.toml at home, if left out.")
]
Name = Annotated[str, typer.Argument(help="Name to log in with.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password up, and print it.")]


class RoleName(StrEnum):
    """The roles, as an option takes them."""

    LEARNER = "learner"
    INSTRUCTOR = "instructor"


@users_app.command()
def add(
    names: Annotated[list[str], typer.Argument(help="Names to log in with.")],
    role: Annotated[
        RoleName, typer.Option(help="An instructor may also change guides and question banks.")
    ] = RoleName.LEARNER,
    generate: Generate = False,
    file: File = None,
) -> None:
    """Add users. The password is typed hidden, or read from standard input, a line for each name.

    Example: tutor users add ana ben --generate
    """
    users = _user_file(file)
    for name in names:
        password = _password(name, generate=generate)
        users.add(name, password, role=role.value)
        _tell(name, password, generate=generate, done="added")
    _warn(users)


@users_app.command()
def remove(names: Annotated[list[str], typer.Argument(help="Names.")], file: File = None) -> None:
    """Take users out: they are let in no more, from their next click on. Their histories stay.

    Example: tutor users remove ana
    """
    users = _user_file(file)
    for name in names:
        users.remove(name)
        console().print(f"{name}: removed")
    _warn(users)


@users_app.command("list")
def list_users(file: File = None, as_json: Json = False) -> None:
    """List the users and their roles.

    Example: tutor users list
    """
    from rich.table import Table

    users = _user_file(file)
    found = [users.users[name] for name in sorted(users.users)]
    if as_json:
        print_json([{"name": user.name, "role": user.role} for user in found])
    else:
        table = Table("name", "role", box=None, pad_edge=False)
        for user in found:
            table.add_row(user.name, user.role)
        console().print(table if found else "There are no users. Add one: tutor users add NAME")
    _warn(users)


@users_app.command()
def password(name: Name, generate: Generate = False, file: File = None) -> None:
    """Give a user another password: typed hidden, or read from standard input.

    Example: tutor users password ana
    """
    users = _user_file(file)
    if users.find(name) is None:
        # Said before a password is asked for.
        users.set_password(name, "")
    new = _password(name, generate=generate)
    users.set_password(name, new)
    _tell(name, new, generate=generate, done="has a new password")
    _warn(users)


def _user_file(file: Path | None) -> UserFile:
    from tutor.users import UserFile

    settings = effective_settings()
    return UserFile(file or settings.users_file or settings.home / "users.toml")


def _password(name: str, *, generate: bool) -> str:
    from tutor.users import made_password

    if generate:
        return made_password()
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True))
    # Never an argument: those stand in the shell's history, and in every list of processes.
    return sys.stdin.readline().rstrip("\r\n")


def _tell(name: str, password: str, *, generate: bool, done: str) -> None:
    typer.echo(f"{name}\t{password}" if generate else f"{name}: {done}")


def _warn(users: UserFile) -> None:
    if users.is_open_to_others:
        complain(open_file_warning(users))


def open_file_warning(users: UserFile) -> str:
    """What is said of a file of users that others can read."""
    return f"Other users of this machine can read {str(users.path)!r}. Close it: chmod 600 {users.path}"
