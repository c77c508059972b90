"""What was judged of each case, on disk: a run that was broken off goes on where it stopped, a second one is quick."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import corpus
import evals
import index
import tutor

_ROOMS = (corpus, index, tutor, evals)
"""Whose code and weights say what a judgement is, and how it is written."""
_TEXTS = frozenset({"guides", "questions", "cases", "baseline.json", "__pycache__"})
_LIBRARIES = ("numpy", "torch", "transformers")


@dataclass(frozen=True)
class CaseCache:
    """Judgements by the hash of all that they depend on, a file each.

    A file is written whole or not at all, so that neither a kill nor a second run at the same time can leave half of one.
    """

    folder: Path
    depends_on: Sequence[str]
    """What all cases depend on besides their content: the judge, its settings, the version of the code."""
    fresh: bool = False
    """Judge anew whatever there is."""

    def judged(self, content: object, judge: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The judgement of a case, from the disk where it is there. A file that cannot be read is judged and written anew.

        A judgement with `is_final` false, such as one that a model failed at, is not kept: the next run tries again.
        """
        key = sha256(json.dumps([*self.depends_on, content], sort_keys=True).encode()).hexdigest()
        file = self.folder / key[:2] / f"{key}.json"
        if not self.fresh and (found := _read(file)) is not None:
            return found
        judgement = judge()
        # What was read from the disk and what was judged now must be the same to the byte.
        text = json.dumps(judgement, ensure_ascii=False)
        if judgement.get("is_final", True):
            _write(file, text)
        return _parsed(text)


def _read(file: Path) -> Mapping[str, Any] | None:
    try:
        return _parsed(file.read_text(encoding="utf-8"))
    except (OSError, TypeError, ValueError):
        return None


def _parsed(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    return value


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(dir=file.parent, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(new).replace(file)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


@cache
def code_version() -> str:
    """A hash of the code and the weights that judge, and of the libraries below: after a change nothing old is taken for new."""
    digest = sha256("".join(f"{name} {version(name)} " for name in _LIBRARIES).encode())
    for room in _ROOMS:
        folder = Path(room.__path__[0])
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not _TEXTS & set(file.relative_to(folder).parts):
                digest.update(f"{room.__name__}/{file.relative_to(folder)}".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()
