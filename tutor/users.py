"""Who may log in to a class's server: names, roles and hashed passwords in a file that only its owner can read."""

from __future__ import annotations

import os
import re
import secrets
import sys
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, get_args

from filelock import FileLock

Role = Literal["learner", "instructor"]
ROLES: tuple[Role, ...] = get_args(Role)
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1_000
STRONG_ENOUGH = 3
"""Of zxcvbn's 0 to 4: withstands ten thousand million guesses at a slow hash."""
_NAME = re.compile(r"\w[\w.@+-]{0,63}")


class UsersError(ValueError):
    """The file of users cannot be used or changed so; the message says why and what to do."""


@dataclass(frozen=True)
class User:
    """Somebody who may log in."""

    name: str
    role: Role
    password_hash: str


@dataclass(frozen=True)
class UserFile:
    """The file of users. It is read again whenever it has changed, so that a change holds at once."""

    path: Path

    @property
    def users(self) -> Mapping[str, User]:
        """The users by name. Raises UsersError where the file is missing or broken."""
        try:
            state = self.path.stat()
            return _read_users(self.path, state.st_mtime_ns, state.st_size, state.st_ino)
        except FileNotFoundError:
            raise UsersError(
                f"There is no file of users {str(self.path)!r}. Make it with its first user: "
                "tutor users add NAME --role instructor --file FILE"
            ) from None
        except OSError as error:
            raise UsersError(f"The file of users {str(self.path)!r} cannot be read ({error.strerror}).") from error

    @property
    def is_open_to_others(self) -> bool:
        """Whether other users of this machine can read it, and so try passwords on its hashes."""
        return sys.platform != "win32" and bool(self.path.stat().st_mode & 0o077)

    def find(self, name: str) -> User | None:
        """The user of a name as it was typed; None where there is none. Raises UsersError as `users` does."""
        return self.users.get(_normal(name))

    def verify(self, name: str, password: str) -> bool:
        """Whether it is this user's password. Takes as long where there is no such user.

        Raises UsersError where the file is missing or broken.
        """
        user = self.find(name)
        # An unknown name costs as much: the password is compared with somebody's.
        compared = user or next(iter(self.users.values()), None)
        if compared is None or len(password) > LONGEST_PASSWORD:
            return False
        is_right: bool = _hasher().verify(_normal(password), compared.password_hash)
        return is_right and user is not None

    def add(self, name: str, password: str, *, role: Role) -> None:
        """Add a user; the file is made where there is none. Raises UsersError for a name or password that will not do."""
        name = checked_name(name)
        password_hash = _hasher().hash(checked_password(password, name))
        with self._changing(make=True) as users:
            # Two histories that differ in a capital letter are one too many.
            taken = next((other for other in users if other.casefold() == name.casefold()), None)
            if taken:
                raise UsersError(
                    f"There is a user {taken!r} already. Choose another name, or: tutor users password {taken}"
                )
            users[name] = {"role": role, "password": password_hash}

    def remove(self, name: str) -> None:
        """Take a user out; the history stays. Raises UsersError for an unknown name."""
        with self._changing() as users:
            del users[self._known(name)]

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password. Raises UsersError for an unknown name, or a password that will not do."""
        known = self._known(name)
        password_hash = _hasher().hash(checked_password(password, known))
        with self._changing() as users:
            users[known]["password"] = password_hash

    def _known(self, name: str) -> str:
        user = self.find(name)
        if user is None:
            raise UsersError(f"There is no user {name!r}. Those there are: {', '.join(self.users) or 'none'}.")
        return user.name

    @contextmanager
    def _changing(self, *, make: bool = False) -> Iterator[MutableMapping[str, Any]]:
        """The table of users, written back as a whole once the block ends. Comments in the file stay."""
        import tomlkit

        place = self.path.resolve()
        if make:
            place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not make or place.exists():
                _ = self.users  # says what is wrong with it, before it is changed
                document = tomlkit.parse(place.read_text(encoding="utf-8"))
            else:
                document = tomlkit.document()
            users = document.setdefault("users", tomlkit.table(is_super_table=True))
            yield users
            _write_privately(place, tomlkit.dumps(document))


def _write_privately(place: Path, text: str) -> None:
    """Put a file in place at once or not at all, for its owner's eyes alone."""
    # A temporary file is made with mode 600.
    with NamedTemporaryFile("w", dir=place.parent, prefix=place.name, encoding="utf-8", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(place)


def checked_name(name: str) -> str:
    """The name as it is kept. Raises UsersError for one that cannot be typed or read with certainty."""
    if not _NAME.fullmatch(_normal(name)):
        raise UsersError(
            f"{name!r} cannot be a user's name. Expected up to 64 letters and digits, and . _ - @ + after the first."
        )
    return _normal(name)


def checked_password(password: str, name: str) -> str:
    """The password as it is hashed. Raises UsersError for one that is empty, too short, too long or easily guessed."""
    from zxcvbn import zxcvbn

    password = _normal(password)
    if len(password) < SHORTEST_PASSWORD:
        raise UsersError(f"The password has {len(password)} characters. Expected at least {SHORTEST_PASSWORD}.")
    if len(password) > LONGEST_PASSWORD:
        raise UsersError(f"The password has {len(password):,} characters. Expected at most {LONGEST_PASSWORD:,}.")
    # What stands further back makes no password easier to guess, and zxcvbn takes no more.
    guessed = zxcvbn(password[:72], user_inputs=[name, "interview", "tutor"])
    if guessed["score"] < STRONG_ENOUGH:
        why = guessed["feedback"]["warning"] or "It would be guessed soon."
        raise UsersError(f"The password is too weak. {why} Take three or more words that do not belong together.")
    return password


def made_password() -> str:
    """A password that nobody guesses: 16 characters, 96 random bits."""
    return secrets.token_urlsafe(12)


def _normal(text: str) -> str:
    """One spelling of letters that can be typed in several ways (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", text)


@lru_cache(maxsize=8)
def _read_users(path: Path, _changed_ns: int, _size: int, _inode: int) -> Mapping[str, User]:
    """The users of a file in one of its states."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("users", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsersError(f"The file of users {str(path)!r} is not TOML ({error}). Mend it by hand.") from error
    wrong = [name for name, entry in tables.items() if not _is_user(entry)] if isinstance(tables, dict) else ["users"]
    if wrong:
        raise UsersError(
            f"The file of users {str(path)!r} has no proper entry for {', '.join(map(repr, wrong))}. Expected [users.NAME] with "
            f"role ({' or '.join(ROLES)}) and password (its Argon2 hash), as tutor users add writes them."
        )
    return {_normal(name): User(_normal(name), entry["role"], entry["password"]) for name, entry in tables.items()}


def _is_user(entry: object) -> bool:
    from pwdlib.hashers.argon2 import Argon2Hasher

    return (
        isinstance(entry, dict)
        and entry.get("role") in ROLES
        and isinstance(entry.get("password"), str)
        and Argon2Hasher.identify(entry["password"])
    )


@cache
def _hasher() -> Any:  # noqa: ANN401 - pwdlib is loaded at first use
    """Argon2id at the least cost that OWASP's Password Storage Cheat Sheet allows: a class logs in at the same minute."""
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    return PasswordHash((Argon2Hasher(memory_cost=19 * 1024, time_cost=2, parallelism=1),))
