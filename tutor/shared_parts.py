"""What every learner's tutor shares: the index in force, the question bank, the models. Each is read at first use, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock

from corpus.documents import Problem
from corpus.questions import Question, read_questions
from index.build import check_settings
from index.passage_index import PassageIndex, load_index, read_manifest
from index.reranker import Reranker
from index.retriever import Retriever
from tutor.language_model import LanguageModel, ModelUnavailableError
from tutor.model_catalog import make_language_model
from tutor.model_grading import ModelGrader
from tutor.settings import Settings
from tutor.turns import Turns


@dataclass(frozen=True)
class QuestionBank:
    """All questions, and what was left out with the reason."""

    questions: Sequence[Question]
    problems: Sequence[Problem]

    @cached_property
    def by_id(self) -> Mapping[str, Question]:
        """The questions by their ids."""
        return {question.id: question for question in self.questions}


class SharedParts:
    """The heavy parts, for many learners and many threads at once."""

    def __init__(
        self, settings: Settings, *, model: LanguageModel | None, search: Callable[[Retriever], Retriever]
    ) -> None:
        """`model` takes the place of the one that the settings name; `search` makes of our own search the one to answer from."""
        self._settings = settings
        self._given_model = model
        self._search = search
        self._index: PassageIndex | None = None
        self._bank: QuestionBank | None = None
        self._named_model: tuple[LanguageModel | None, str] | None = None
        self._lock = RLock()
        self.turns = Turns(settings.requests_at_once)

    @property
    def index(self) -> PassageIndex:
        """The index in force, read again when another process has replaced it.

        Raises IndexMissingError, IndexStaleError or IndexDamagedError.
        """
        folder = self._settings.index_folder
        with self._lock:
            manifest = read_manifest(folder)
            if self._index is None or self._index.manifest.generation != manifest.generation:
                check_settings(manifest, embedder=self._settings.embedder, chunk_words=self._settings.chunk_words)
                self._index = load_index(folder)
            return self._index

    @property
    def bank(self) -> QuestionBank:
        """The question bank as it stood when it was first asked for, or read again."""
        with self._lock:
            return self._bank or self.read_bank()

    def read_bank(self) -> QuestionBank:
        """Read the question bank anew from its files."""
        settings = self._settings
        banks = [path for path in (*settings.questions, settings.home / "questions") if path.exists()]
        with self._lock:
            self._bank = QuestionBank(*read_questions(banks))
            return self._bank

    @property
    def model(self) -> LanguageModel | None:
        """The language model; None in extractive mode, and where there is a `model_problem`."""
        return self._given_model or self._model_or_problem[0]

    @property
    def model_problem(self) -> str:
        """Why the settings' language model cannot be had; empty where it can."""
        return "" if self._given_model else self._model_or_problem[1]

    @property
    def _model_or_problem(self) -> tuple[LanguageModel | None, str]:
        # Two threads that both found nothing would read a model twice.
        with self._lock:
            if self._named_model is None:
                try:
                    self._named_model = make_language_model(self._settings), ""
                except ModelUnavailableError as error:
                    self._named_model = None, str(error)
            return self._named_model

    @cached_property
    def model_grader(self) -> ModelGrader | None:
        """The second grader; None without a language model, or where the settings want the offline one alone."""
        if self.model is None or self._settings.grader == "offline":
            return None
        return ModelGrader(self.model, reply_tokens=self._settings.max_new_tokens)

    @cached_property
    def _reranker(self) -> Reranker | None:
        return Reranker(self._settings.reranker) if self._settings.reranker else None

    @property
    def retriever(self) -> Retriever:
        """Search over the index in force, or what takes its place."""
        return self._search(make_retriever(self.index, self._settings, self._reranker))


def make_retriever(index: PassageIndex, settings: Settings, reranker: Reranker | None) -> Retriever:
    """Search over an index with the weights of the settings."""
    return Retriever(
        index,
        dense_weight=settings.dense_weight,
        far_dense_weight=settings.far_dense_weight,
        heading_weight=settings.heading_weight,
        reranker=reranker,
    )
