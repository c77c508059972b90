"""What every tab needs of the page: how formulas are delimited, how known errors reach the learner, what topics are called."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from corpus.documents import UnreadableFileError
from index.build import IndexBusyError, Progress
from index.embedder import ModelFolderError
from index.passage_index import IndexDamagedError, IndexMissingError, IndexStaleError
from index.scope import ScopeError
from tutor.database import ProgressError
from tutor.grading import GradingError
from tutor.interview import InterviewError
from tutor.language_model import ModelUnavailableError
from tutor.turns import BusyError
from tutor.tutor import QuestionError, Tutor
from tutor.users import User, UserFile, UsersError

# `ui.render` gives formulas these delimiters; see there for why not `$`.
FORMULAS: list[dict[str, str | bool]] = [
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
INDEX_ERRORS = (IndexMissingError, IndexStaleError, IndexDamagedError)
KNOWN_ERRORS = (
    *INDEX_ERRORS,
    BusyError,
    GradingError,
    IndexBusyError,
    InterviewError,
    ModelFolderError,
    ModelUnavailableError,
    ProgressError,
    QuestionError,
    ScopeError,
    UnreadableFileError,
)
"""Errors whose messages are written for the learner."""


@contextmanager
def known_errors_shown() -> Iterator[None]:
    """Turn a known error into the message that the page shows; one that nobody foresaw is told as such, and logged whole."""
    try:
        yield
    except KNOWN_ERRORS as error:
        raise gr.Error(str(error), duration=12, print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("A click on the page could not be carried out.")
        message = f"Something went wrong ({type(error).__name__}). What you typed is still here: try again. The log has the details."
        raise gr.Error(message, duration=12, print_exception=False) from error


def shown_by(bar: gr.Progress) -> Progress:
    """The stages of an index or a draft that is being made, shown by a bar of the page."""

    def show(stage: str, done: int, total: int) -> None:
        bar(done / total if total else 0.0, desc=stage)

    return show


def learner_tutor(tutor: Tutor, request: gr.Request | None) -> Tutor:
    """The tutor of who is logged in; where nobody needs to be, the tutor as it is.

    Raises gr.Error for somebody who may not log in any more.
    """
    user = _user(tutor, request)
    name = user.name if user else getattr(request, "username", None)
    return tutor.for_learner(name) if name else tutor


def editor_tutor(tutor: Tutor, request: gr.Request | None) -> Tutor:
    """The tutor of somebody who may change guides and question banks. Raises gr.Error for anybody else."""
    if not may_edit(tutor, request):
        raise gr.Error("Only instructors may change the guides and the question banks.", print_exception=False)
    return learner_tutor(tutor, request)


def may_edit(tutor: Tutor, request: gr.Request | None) -> bool:
    """Whether guides and question banks are this person's to change: an instructor's, or anybody's where there is no login."""
    user = _user(tutor, request)
    return user is None or user.role == "instructor"


def _user(tutor: Tutor, request: gr.Request | None) -> User | None:
    """Who is logged in; None where nobody needs to be. Raises gr.Error where somebody needs to be, and is not."""
    file = tutor.settings.users_file
    if file is None:
        return None
    try:
        # A session outlives the entry in the file: who was removed, or has another role now, is looked up each time.
        user = UserFile(file).find(getattr(request, "username", None) or "")
    except UsersError as error:
        logging.getLogger(__name__).error("%s", error)
        raise gr.Error("Nobody can be let in at present. Please tell your instructor.", print_exception=False) from None
    if user is None:
        raise gr.Error("You are not logged in any more. Reload the page.", print_exception=False)
    return user


def picture_address(file: Path) -> str:
    """Where the page fetches a picture of a guide: from a copy in Gradio's own cache, so that no folder of ours is served."""
    return f"gradio_api/file={quote(save_file_to_cache(file, get_upload_folder()))}"


def topic_titles(tutor: Tutor) -> Mapping[str, str]:
    """Topics and the titles of their guides; empty where there is no sound index."""
    try:
        return {entry.topic: entry.title for entry in tutor.index.manifest.documents.values()}
    except INDEX_ERRORS:
        return {}
