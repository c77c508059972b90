"""What every tab needs of the page: how formulas are delimited, how known errors reach the learner, what topics are called."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import gradio as gr

from corpus.documents import UnreadableFileError
from index.build import IndexBusyError
from index.embedder import ModelFolderError
from index.passage_index import IndexDamagedError, IndexMissingError, IndexStaleError
from tutor.grading import GradingError
from tutor.language_model import ModelUnavailableError
from tutor.progress import ProgressError
from tutor.tutor import QuestionError, Tutor

# `ui.render` gives formulas these delimiters; see there for why not `$`.
FORMULAS: list[dict[str, str | bool]] = [
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
INDEX_ERRORS = (IndexMissingError, IndexStaleError, IndexDamagedError)
KNOWN_ERRORS = (
    *INDEX_ERRORS,
    GradingError,
    IndexBusyError,
    ModelFolderError,
    ModelUnavailableError,
    ProgressError,
    QuestionError,
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


def learner_tutor(tutor: Tutor, request: gr.Request | None) -> Tutor:
    """The tutor of who is logged in; where there is no login, the tutor as it is."""
    name = getattr(request, "username", None)
    return tutor.for_learner(name) if name else tutor


def topic_titles(tutor: Tutor) -> Mapping[str, str]:
    """Topics and the titles of their guides; empty where there is no sound index."""
    try:
        return {entry.topic: entry.title for entry in tutor.index.manifest.documents.values()}
    except INDEX_ERRORS:
        return {}
