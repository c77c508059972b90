"""What is installed, what is set up, what is wrong, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from index.passage_index import IndexDamagedError, IndexMissingError, IndexStaleError
from index.vector_index import gpu_count
from tutor.database import ProgressError
from tutor.language_model import LanguageModel, Message, ModelUnavailableError
from tutor.settings import Settings
from tutor.transformers_model import TransformersModel
from tutor.tutor import Tutor

Health = Literal["ok", "note", "wrong"]
_LIBRARIES = ("torch", "transformers", "sentence-transformers", "langchain-core", "gradio", "bm25s")
_MIN_FREE_BYTES = 500_000_000
_OTHER_MODEL = "Set TUTOR_LANGUAGE_MODEL to one of: tutor models"
_MEASURED_QUESTION = "Explain in a few sentences what dropout does during training, and what changes at inference."


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    text: str
    health: Health = "ok"
    mend: str = ""
    """What to do about it."""


def diagnose(settings: Settings, *, measure: bool = False) -> Iterator[Finding]:
    """Look at everything the tutor needs, the quick things first; `measure` loads the language model and times it."""
    yield Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in (*_LIBRARIES, "faiss-gpu", "faiss-cpu"):
        try:
            yield Finding(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            if not name.startswith("faiss"):
                yield Finding(name, "not installed", "wrong", "Install again: make run")
    if sys.version_info >= (3, 14):
        yield Finding("python", "newer than tested", "note", "Use Python 3.11 to 3.13.")
    yield from _devices()
    yield from _home(settings)
    tutor = Tutor(settings)
    yield from _index(tutor)
    yield from _questions(tutor)
    yield from _model(tutor, measure=measure)
    try:
        reviews = tutor.progress.reviews(settings.learner)
        yield Finding("history", f"{len(reviews)} graded answers of {settings.learner!r}")
    except ProgressError as error:
        yield Finding(
            "history", str(error), "wrong", "Make the file writable or move it away; or mend TUTOR_DATABASE_URL."
        )


def _devices() -> Iterator[Finding]:
    count = gpu_count()
    yield Finding("faiss", f"{count} GPU" if count else "no GPU; searches on the CPU")
    import torch

    if torch.cuda.is_available():
        yield Finding("torch device", f"{torch.cuda.get_device_name()} ({torch.cuda.device_count()} in all)")
    else:
        yield Finding("torch device", f"CPU, {torch.get_num_threads()} threads")


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        yield Finding("home", f"{home} is not writable", "wrong", "Set TUTOR_HOME to a folder you may write to.")
        return
    free = shutil.disk_usage(existing).free
    yield Finding(
        "home",
        f"{home}, {free / 1e9:.1f} GB free",
        "ok" if free > _MIN_FREE_BYTES else "wrong",
        "" if free > _MIN_FREE_BYTES else "Free some disk, or set TUTOR_HOME to another one.",
    )


def _index(tutor: Tutor) -> Iterator[Finding]:
    try:
        index = tutor.index
    except IndexMissingError as error:
        yield Finding("index", str(error), "note", "tutor index")
        return
    except (IndexStaleError, IndexDamagedError, ValueError) as error:
        yield Finding("index", str(error), "wrong", "tutor index --rebuild")
        return
    except OSError as error:
        yield Finding("index", str(error), "wrong", "Set TUTOR_HOME to a folder you may write to.")
        return
    manifest = index.manifest
    yield Finding(
        "index",
        f"{len(index.documents)} documents, {len(index.chunks)} passages, embedder {manifest.embedder!r} "
        f"({manifest.dimension} dimensions), {index.nearest.description}, built {manifest.created_at}",
    )


def _questions(tutor: Tutor) -> Iterator[Finding]:
    topics = {question.topic for question in tutor.questions}
    yield Finding("questions", f"{len(tutor.questions)} in {len(topics)} topics", "ok" if tutor.questions else "wrong")
    for problem in tutor.question_problems:
        yield Finding("questions", str(problem), "wrong", "Mend the file: tutor corpus check FOLDER")


def _model(tutor: Tutor, *, measure: bool) -> Iterator[Finding]:
    if tutor.model_problem:
        yield Finding("language model", tutor.model_problem, "wrong", _OTHER_MODEL)
        return
    model = tutor.model
    if model is None:
        yield Finding("language model", "none: answers are composed of the guides' own sentences")
        return
    try:
        if isinstance(model, TransformersModel):
            window = f"window of {model.window_tokens} tokens" if model.window_tokens else "window not known"
            yield Finding("language model", f"{model.name}: {model.placement}; {window}")
        else:
            yield Finding("language model", f"{model.name}, answers outside this process")
        if measure:
            yield _speed(model)
    except ModelUnavailableError as error:
        yield Finding("language model", str(error), "wrong", _OTHER_MODEL)


def _speed(model: LanguageModel) -> Finding:
    started = perf_counter()
    for _ in model.stream([Message("user", "Hello")]):
        break
    loaded = perf_counter()
    pieces = model.stream([Message("user", _MEASURED_QUESTION)])
    reply = next(pieces, "")
    first = perf_counter()
    rest = "".join(pieces)
    seconds = perf_counter() - first
    # The marks around a turn are no part of the reply.
    count = model.count_tokens([Message("user", rest)]) - model.count_tokens([Message("user", "")])
    if not reply:
        return Finding("speed", "the model said nothing", "wrong", "Choose an instruction-tuned model.")
    return Finding(
        "speed",
        f"{count / max(seconds, 1e-9):.1f} tokens a second; loaded in {loaded - started:.1f} s, first words after "
        f"{first - loaded:.1f} s",
    )
