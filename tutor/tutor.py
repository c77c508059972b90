"""`Tutor`: the one place where guides, index, model, grader and history are joined."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, RLock

from corpus.chunks import Chunk
from corpus.documents import MAX_CONVERTED_BYTES, Problem, UnreadableFileError, read_document, reason
from corpus.questions import Question, read_questions
from corpus.sentences import split_sentences
from corpus.web import FetchError, fetch_guide
from index.build import BuildReport, Progress, build_index, check_settings
from index.duplicates import merge_near_duplicates
from index.hits import Hit
from index.passage_index import (
    IndexDamagedError,
    IndexMissingError,
    IndexStaleError,
    PassageIndex,
    load_index,
    read_manifest,
)
from index.reranker import Reranker
from index.retriever import Ranking, Retriever
from index.words import words
from tutor.answers import (
    SHORT_ANSWER_WORDS,
    SUGGESTION_COUNT,
    Answer,
    AnswerSentence,
    Citation,
    compose_answer,
    renumber,
    stream_generated,
)
from tutor.follow_ups import standalone_question
from tutor.grading import Grade, grade_attempt
from tutor.interview import Interview, choose_question, start_interview
from tutor.language_model import LanguageModel, TransformersModel
from tutor.progress import (
    Exchange,
    MissedPoint,
    ProgressStore,
    Review,
    TopicProgress,
    most_missed,
    progress_by_topic,
)
from tutor.records import answer_record, grade_record
from tutor.settings import EXTRACTIVE, Settings

MAX_QUESTION_CHARACTERS = 4_000
SAME_QUESTION = 0.75
"""Share of a bank question's words, weighted by rarity, from which a free text is taken for that question."""


class QuestionError(ValueError):
    """A question that cannot be asked or found; the message says why and what to do."""


class Tutor:
    """Answers questions, asks and grades, and keeps what was said. One serves many threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        model: LanguageModel | None = None,
        search: Callable[[Retriever], Retriever] = lambda own: own,
    ) -> None:
        """`model` takes the place of the one that the settings name; `search` makes of our own search the one to answer from."""
        self.settings = settings
        self.progress = ProgressStore(settings.database)
        self._model = model
        self._search = search
        self._index: PassageIndex | None = None
        self._lock = RLock()
        self._dice = random.Random()  # noqa: S311 - which question comes next is no secret

    # The index

    @property
    def index(self) -> PassageIndex:
        """The index in force, read at first use and again when another process has replaced it.

        Raises IndexMissingError, IndexStaleError or IndexDamagedError.
        """
        folder = self.settings.index_folder
        with self._lock:
            manifest = read_manifest(folder)
            if self._index is None or self._index.manifest.generation != manifest.generation:
                check_settings(manifest, embedder=self.settings.embedder, chunk_words=self.settings.chunk_words)
                self._index = load_index(folder)
            return self._index

    @property
    def has_index(self) -> bool:
        """Whether an index was ever built, sound or not."""
        try:
            read_manifest(self.settings.index_folder)
        except IndexMissingError:
            return False
        except (IndexDamagedError, IndexStaleError):
            return True
        return True

    def update_index(
        self,
        paths: Sequence[Path] = (),
        *,
        rebuild: bool = False,
        remove: Collection[str] = (),
        progress: Progress = lambda _stage, _done, _total: None,
    ) -> BuildReport:
        """Bring the index up to date with the shipped guides, those added before, and `paths`.

        Raises FileNotFoundError for a path that does not exist, and what `build_index` raises.
        """
        return build_index(
            self.settings.index_folder,
            [*self.settings.guides, *paths],
            embedder=self.settings.embedder,
            dimension=self.settings.embedding_dimension,
            chunk_words=self.settings.chunk_words,
            now=datetime.now(UTC),
            rebuild=rebuild,
            remove=remove,
            restore=paths,
            progress=progress,
        )

    def upload_guide(self, file: Path, *, progress: Progress = lambda _stage, _done, _total: None) -> BuildReport:
        """Copy a guide into the home folder and index it, so that it outlives the uploaded file.

        A file that cannot be read is reported and not copied.
        """
        try:
            read_document(file, file.name)
        except (UnreadableFileError, OSError) as error:
            return BuildReport(self.index, problems=(Problem(file.name, 0, reason(error)),))
        folder = self.settings.home / "guides"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / file.name)
        return self.update_index([folder / file.name], progress=progress)

    def fetch_guide(self, url: str) -> Path:
        """Fetch a guide from the public web into the home folder, ready to be indexed.

        Raises FetchError where it cannot be fetched, or cannot be read once it is.
        """
        with TemporaryDirectory() as place:
            fetched = fetch_guide(
                url, Path(place), max_bytes=MAX_CONVERTED_BYTES, timeout_seconds=self.settings.fetch_seconds
            )
            try:
                read_document(fetched, fetched.name)
            except UnreadableFileError as error:
                raise FetchError(f"{url!r} was fetched, but {error}") from error
            kept = self.settings.home / "guides" / fetched.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fetched, kept)
        return kept

    # Asking

    @cached_property
    def model(self) -> LanguageModel | None:
        """The language model of the settings; None in extractive mode."""
        if self._model is not None:
            return self._model
        name = self.settings.language_model
        return None if name == EXTRACTIVE else TransformersModel(name, max_new_tokens=self.settings.max_new_tokens)

    @cached_property
    def _reranker(self) -> Reranker | None:
        return Reranker(self.settings.reranker) if self.settings.reranker else None

    @property
    def retriever(self) -> Retriever:
        """Search over the index in force, or what takes its place."""
        return self._search(make_retriever(self.index, self.settings, self._reranker))

    def retrieve(self, question: str, *, count: int, ranking: Ranking = "fused") -> list[Hit]:
        """The best passages for a standalone question."""
        return self.retriever.retrieve(question, count=count, ranking=ranking)

    def ask(self, question: str, history: Sequence[str] = (), *, detailed: bool = False) -> Answer:
        """Answer a question, given the earlier questions of the conversation (oldest first).

        `detailed` quotes whole sections. Raises QuestionError for a question that is empty or too long.
        """
        *_, answer = self.stream_answer(question, history, detailed=detailed)
        return answer

    def stream_answer(
        self, question: str, history: Sequence[str] = (), *, detailed: bool = False, stop: Event | None = None
    ) -> Iterator[Answer]:
        """The answer as it grows; the last one is complete and is the one that is kept."""
        started = time.perf_counter()
        asked = checked_question(question)
        standalone = standalone_question(asked, history)
        # Guides repeat themselves: what says the same is taken together, so that an answer draws on different passages.
        found = self.retrieve(standalone, count=2 * self.settings.hit_count)
        hits = merge_near_duplicates(found)[: self.settings.hit_count]
        retrieved = time.perf_counter()
        confidence = self.retriever.confidence(standalone, hits)
        answer = Answer(asked, standalone, confidence=round(confidence, 4), model=self.model_name)
        if confidence >= self.settings.answer_threshold:
            with closing(self._answers(answer, hits, detailed=detailed, stop=stop)) as growing:
                for answer in growing:
                    yield answer
        if not answer.answered:
            answer = replace(answer, suggestions=tuple(hits[:SUGGESTION_COUNT]))
        timings = {"retrieve": retrieved - started, "answer": time.perf_counter() - retrieved}
        answer = replace(answer, timings=timings)
        self.progress.record_exchange(self.settings.learner, Exchange(asked, answer_record(answer), datetime.now(UTC)))
        yield answer

    @property
    def model_name(self) -> str:
        """What answers are signed with."""
        return self.model.name if self.model else EXTRACTIVE

    def _answers(
        self, answer: Answer, hits: Sequence[Hit], *, detailed: bool, stop: Event | None
    ) -> Generator[Answer, None, None]:
        question, idf = answer.standalone_question, self.index.keywords.idf
        if self.model is not None and not detailed:
            latest = answer
            for sentences, citations, unknown in stream_generated(question, hits, self.model, idf, stop=stop):
                latest = renumber(replace(answer, sentences=sentences, citations=citations, unknown_marks=unknown))
                yield latest
            if any(sentence.is_supported for sentence in latest.sentences) or not latest.sentences:
                return
            # Nothing that the model said is borne out by what it cites: the guides' own words take its place.
        sentences, citations = compose_answer(question, hits, self.index.embedder, idf, max_words=SHORT_ANSWER_WORDS)
        if detailed and citations:
            # "More" is the section that the short answer opens with, not the one that search put first.
            opening = next(hit for hit in hits if hit.chunk.id == citations[0].chunk.id)
            sentences, citations = _whole_section(opening, self.index.chunks_of(opening.chunk.document_id))
        yield renumber(replace(answer, sentences=sentences, citations=citations, model=EXTRACTIVE))

    # The question bank

    @cached_property
    def _bank(self) -> tuple[Sequence[Question], Sequence[Problem]]:
        banks = [path for path in (*self.settings.questions, self.settings.home / "questions") if path.exists()]
        return read_questions(banks)

    @property
    def questions(self) -> Sequence[Question]:
        """All questions of the bank."""
        return self._bank[0]

    @property
    def question_problems(self) -> Sequence[Problem]:
        """What was left out of the bank, with the reason."""
        return self._bank[1]

    @cached_property
    def _questions_by_id(self) -> Mapping[str, Question]:
        return {question.id: question for question in self.questions}

    def search_questions(self, *, topic: str = "", level: str = "", search: str = "") -> list[Question]:
        """Questions of a topic and level; with `search`, those that share words with it, best first."""
        found = [
            question
            for question in self.questions
            if (not topic or question.topic == topic) and (not level or question.level == level)
        ]
        if not search.strip():
            return found
        degrees = {question.id: self._likeness(search, question) for question in found}
        return sorted(
            (question for question in found if degrees[question.id] > 0), key=lambda question: -degrees[question.id]
        )

    def find_question(self, id_or_text: str) -> Question:
        """A question by its id, or by its wording. Raises QuestionError, naming the nearest ones, where there is none."""
        wanted = id_or_text.strip()
        if wanted in self._questions_by_id:
            return self._questions_by_id[wanted]
        best = max(self.questions, key=lambda question: self._likeness(wanted, question), default=None)
        # One word of ASCII is an id that was mistyped; Chinese needs no spaces to be a text.
        is_text = " " in wanted or not wanted.isascii()
        if best is not None and is_text and self._likeness(wanted, best) >= SAME_QUESTION:
            return best
        near = get_close_matches(wanted, self._questions_by_id, n=3, cutoff=0.4) or [
            question.id for question in self.search_questions(search=wanted.replace("-", " "))[:3]
        ]
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        raise QuestionError(f"No question {wanted!r} in the bank.{hint} See: tutor questions")

    def _likeness(self, text: str, question: Question) -> float:
        """How much of the closer wording of a question a text shares, both ways, weighted by rarity, 0 to 1."""
        given = set(words(text))
        idf = self.index.keywords.idf
        best = 0.0
        for wording in question.wordings:
            asked = set(words(wording))
            everything = sum(map(idf, asked | given))
            best = max(best, sum(map(idf, asked & given)) / everything if everything else 0.0)
        return best

    def next_question(self, *, topic: str = "", level: str = "", exclude: Collection[str] = ()) -> Question | None:
        """A question the learner has not had, else the one they did worst; None where none fits."""
        reviews = self.progress.reviews(self.settings.learner)
        return choose_question(self.questions, reviews, topic=topic, level=level, exclude=exclude, dice=self._dice)

    def interview(self, *, topic: str = "", level: str = "", count: int) -> Interview:
        """A new interview of up to `count` questions."""
        reviews = self.progress.reviews(self.settings.learner)
        return start_interview(self.questions, reviews, topic=topic, level=level, count=count, dice=self._dice)

    # Grading

    def grade(self, question: Question, attempt: str, *, hints: int = 0) -> Grade:
        """Judge an attempt and keep the grade. Raises GradingError for an attempt that cannot be judged."""
        index = self.index
        grade = grade_attempt(
            question, attempt, idf=index.keywords.idf, embed=index.embedder.embed_queries, cite=self.cite_section
        )
        review = Review(
            question_id=question.id,
            topic=question.topic,
            attempt=grade.attempt,
            score=grade.score,
            grade=grade_record(grade),
            reviewed_at=datetime.now(UTC),
            hints=hints,
        )
        self.progress.record_review(self.settings.learner, review)
        return grade

    def cite_section(self, section: str, text: str) -> Citation | None:
        """The passage of a guide section (`topic#anchor`) that supports a text; None where the section is not indexed."""
        chunks = self.section(section)
        if not chunks:
            return None
        terms = set(words(text))
        idf = self.index.keywords.idf
        quotes = [(chunk, sentence.text) for chunk in chunks for sentence in split_sentences(chunk.text)]
        chunk, quote = max(quotes, key=lambda item: sum(map(idf, terms & set(words(item[1])))), default=(chunks[0], ""))
        return Citation(1, chunk, quote, 1.0)

    def section(self, link: str) -> list[Chunk]:
        """The passages of a guide section, given as `topic#anchor`."""
        return list(self.index.by_section.get(link, ()))

    # Progress

    def topic_progress(self) -> list[TopicProgress]:
        """How the learner stands in each topic, weakest first."""
        return progress_by_topic(self.progress.reviews(self.settings.learner))

    def most_missed(self) -> list[MissedPoint]:
        """The key points the learner left open most often and still does."""
        return most_missed(self.progress.reviews(self.settings.learner))


def make_retriever(index: PassageIndex, settings: Settings, reranker: Reranker | None) -> Retriever:
    """Search over an index with the weights of the settings."""
    return Retriever(
        index,
        dense_weight=settings.dense_weight,
        far_dense_weight=settings.far_dense_weight,
        heading_weight=settings.heading_weight,
        reranker=reranker,
    )


def checked_question(question: str) -> str:
    """The question, stripped. Raises QuestionError where it is empty, broken, or too long to be one."""
    text = question.strip()
    # What the terminal could not decode arrives as lone surrogates, which no file or database takes.
    if re.search(r"[\ud800-\udfff]", text):
        raise QuestionError("The question is not UTF-8 text. Convert it first, e.g. with iconv.")
    if not any(char.isalnum() for char in text):
        raise QuestionError("The question is empty. Ask something, e.g. “What does BatchNorm do at inference?”")
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise QuestionError(
            f"The question has {len(text):,} characters. Expected at most {MAX_QUESTION_CHARACTERS:,}: ask one thing at a time."
        )
    return text


def _whole_section(hit: Hit, chunks: Sequence[Chunk]) -> tuple[tuple[AnswerSentence, ...], tuple[Citation, ...]]:
    """All of the section that a hit stands in; a long one was cut into several passages, whose ends may overlap.

    Of a passage that is not of these chunks, from another store, the passage itself.
    """
    section = (hit.chunk.document_id, hit.chunk.heading_path)
    pieces = [chunk for chunk in chunks if (chunk.document_id, chunk.heading_path) == section] or [hit.chunk]
    sentences: list[AnswerSentence] = []
    citations: list[Citation] = []
    said: set[str] = set()
    for chunk in pieces:
        new = [sentence for sentence in split_sentences(chunk.text) if sentence.text not in said]
        said.update(sentence.text for sentence in new)
        number = len(citations) + 1
        sentences.extend(AnswerSentence(sentence.text, (number,), 1.0, sentence.kind) for sentence in new)
        citations.append(Citation(number, chunk, "\n".join(sentence.text for sentence in new), hit.score))
    return tuple(sentences), tuple(citations)
