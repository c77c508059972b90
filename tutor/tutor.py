"""`Tutor`: the one place where guides, index, model, grader and history are joined."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from corpus.chunks import Chunk
from corpus.documents import MAX_CONVERTED_BYTES, Problem, UnreadableFileError, read_document
from corpus.questions import Question
from corpus.sentences import split_sentences
from corpus.web import FetchError, fetch_guide
from index.build import BuildReport, Progress, build_index
from index.duplicates import merge_near_duplicates
from index.embedder import ModelFolderError
from index.hits import Hit
from index.passage_index import (
    IndexDamagedError,
    IndexMissingError,
    IndexStaleError,
    PassageIndex,
    read_manifest,
)
from index.retriever import Ranking, Retriever
from index.scope import EVERYWHERE, Scope, ScopeError
from index.words import words
from tutor.answer_forms import analogy, whole_section, worked_example
from tutor.answers import (
    SHORT_ANSWER_WORDS,
    SHORTEST_ANSWER_WORDS,
    SUGGESTION_COUNT,
    Answer,
    Citation,
    compose_answer,
    renumber,
)
from tutor.code_sandbox import run_code
from tutor.conversations import Conversations
from tutor.disputes import check_dispute, judged_again, with_dispute
from tutor.exact import RunCode, judged_exactly
from tutor.follow_ups import rewrite_question, standalone_question
from tutor.generated_answers import MODEL_FAILURES, Reply, stream_from_memory, stream_generated, translated
from tutor.grader import shipped_grader
from tutor.grading import Grade, Verdict, completed, grade_attempt
from tutor.interviewer import Interviewer
from tutor.interviews import Interviews
from tutor.language_model import InTurn, LanguageModel
from tutor.modes import AnswerMode, Request, read_request
from tutor.progress import (
    Exchange,
    PointStanding,
    ProgressStore,
    Review,
    TopicProgress,
    most_missed,
    progress_by_topic,
)
from tutor.records import answer_record, grade_record
from tutor.rubrics import (
    REFERENCE_SECTION,
    question_from_guides,
    question_from_reference,
    reference_citation,
    rubric_remarks,
)
from tutor.schedule import Card, cards, due
from tutor.settings import EXTRACTIVE, AnswerFrom, Settings
from tutor.shared_parts import QuestionBank, SharedParts
from tutor.structured import ReplyError

MAX_QUESTION_CHARACTERS = 4_000
NAMED_IN_CHINESE = 0.9
"""Share of an English question's words that the best Chinese section must hold for it to answer, whatever the encoder says."""
MOST_CONTROL_CHARACTERS = 0.25
"""Share of control characters up to which a message is text."""
_QUESTION_FIRST = re.compile(r"(?P<question>[^?？\n]{8,300}[?？])\s*(?P<answer>\S.*)", re.DOTALL)
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
        self._shared = SharedParts(settings, model=model, search=search)
        self._turn: Callable[[], AbstractContextManager[None]] = nullcontext

    def for_learner(self, learner: str) -> Tutor:
        """The tutor of one learner of many: the same index, model and question bank, a history of their own.

        It does `settings.requests_at_once` things at once for them, and raises BusyError where more is asked for.
        """
        other = copy(self)
        other.settings = self.settings.model_copy(update={"learner": learner})
        other._turn = partial(self._shared.turns.of, learner)
        return other

    def prepare(self) -> None:
        """Load what the first question and the first grade would wait for."""
        try:
            self.retrieve("dropout", count=1)
        except (IndexMissingError, IndexStaleError, IndexDamagedError, ModelFolderError):
            return  # said where somebody asks
        for question in self.questions[:1]:
            self._judge_offline(question, question.prompt)

    # The index

    @property
    def index(self) -> PassageIndex:
        """The index in force, read at first use and again when another process has replaced it.

        Raises IndexMissingError, IndexStaleError or IndexDamagedError.
        """
        return self._shared.index

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

    @property
    def model(self) -> LanguageModel | None:
        """The language model of the settings; None in extractive mode, and where there is a `model_problem`."""
        return self._shared.model

    @property
    def model_problem(self) -> str:
        """Why the settings' language model cannot be had, so that the guides' own words must do; empty where it can.

        What goes wrong while it loads or answers is told in the notes of the answer.
        """
        return self._shared.model_problem

    @property
    def retriever(self) -> Retriever:
        """Search over the index in force, or what takes its place."""
        return self._shared.retriever

    def retrieve(
        self,
        question: str,
        *,
        count: int,
        ranking: Ranking = "fused",
        within: Scope = EVERYWHERE,
        merged: bool = False,
        before: str = "",
    ) -> list[Hit]:
        """The best passages for a standalone question, which may follow the one `before`.

        `merged`, those that say the same as a better one stand in its `also`. Raises ScopeError for a scope that names what is not in the guides.
        """
        wanted = 2 * count if merged else count
        found = self.retriever.retrieve_in_context(question, before, count=wanted, ranking=ranking, within=within)
        return merge_near_duplicates(found)[:count] if merged else found

    def ask(
        self,
        question: str,
        history: Sequence[Answer] = (),
        *,
        detailed: bool = False,
        answer_from: AnswerFrom | None = None,
        within: Scope = EVERYWHERE,
    ) -> Answer:
        """Answer a question, given the earlier answers of the conversation (oldest first).

        A message that asks for another form ("shorter", "quiz me on this") gets the last answer in it. `detailed` quotes whole
        sections; `answer_from` takes the place of the setting. Raises QuestionError for a question that is empty or too long,
        ScopeError for a scope that names what is not in the guides.
        """
        *_, answer = self.stream_answer(question, history, detailed=detailed, answer_from=answer_from, within=within)
        return answer

    def stream_answer(
        self,
        question: str,
        history: Sequence[Answer] = (),
        *,
        detailed: bool = False,
        answer_from: AnswerFrom | None = None,
        within: Scope = EVERYWHERE,
        stop: Event | None = None,
    ) -> Iterator[Answer]:
        """The answer as it grows; the last one is complete and is the one that is kept."""
        with self._turn():
            yield from self._stream_answer(question, history, detailed, answer_from, within, stop)

    def _stream_answer(
        self,
        question: str,
        history: Sequence[Answer],
        detailed: bool,
        answer_from: AnswerFrom | None,
        within: Scope,
        stop: Event | None,
    ) -> Iterator[Answer]:
        started = time.perf_counter()
        asked = checked_question(question)
        request = read_request(asked)
        standalone = self._standalone(request, history, stop)
        # Guides repeat themselves: what says the same is taken together, so that an answer draws on different passages.
        before = _asked_before(request, history)
        hits = self.retrieve(standalone, count=self.settings.hit_count, within=within, merged=True, before=before)
        retrieved = time.perf_counter()
        confidence = self.retriever.confidence(standalone, hits)
        narrowed = (f"Searched only in {within.words}.",) if within.words else ()
        answer = Answer(
            asked,
            standalone,
            confidence=round(confidence, 4),
            model=self.model_name,
            mode=AnswerMode.DEEPER if detailed else request.mode,
            notes=(*self.retriever.notes(standalone), *narrowed),
        )
        if confidence >= self.settings.answer_threshold:
            with closing(self._answers(answer, hits, history, detailed=detailed, within=within, stop=stop)) as growing:
                for answer in growing:
                    yield answer
        if not answer.answered and (answer_from or self.settings.answer_from) == "guides-first":
            with closing(self._from_memory(answer, history, stop)) as growing:
                for answer in growing:
                    yield answer
        if not answer.answered or answer.is_from_memory:
            answer = replace(answer, suggestions=tuple(hits[:SUGGESTION_COUNT]))
        timings = {"retrieve": retrieved - started, "answer": time.perf_counter() - retrieved}
        answer = replace(answer, timings=timings)
        self.progress.record_exchange(self.settings.learner, Exchange(asked, answer_record(answer), datetime.now(UTC)))
        yield answer

    def _standalone(self, request: Request, history: Sequence[Answer], stop: Event | None) -> str:
        if not request.question:
            if not history:
                raise QuestionError(
                    "There is no answer yet to put in another form. Ask a question first, e.g. “What is dropout?”"
                )
            return history[-1].standalone_question
        # What only asked for another form names no subject.
        earlier = [said for answer in history if (said := read_request(answer.question).question)]
        if self.model is None:
            return standalone_question(request.question, earlier)
        return rewrite_question(request.question, earlier, self.model, stop=stop)

    @property
    def waiting(self) -> int:
        """Requests that the model serves before one that comes now; 0 where nothing has to wait."""
        return self.model.waiting if isinstance(self.model, InTurn) else 0

    @property
    def model_name(self) -> str:
        """What answers are signed with."""
        return self.model.name if self.model else EXTRACTIVE

    def _answers(
        self,
        answer: Answer,
        hits: Sequence[Hit],
        history: Sequence[Answer],
        *,
        detailed: bool,
        within: Scope,
        stop: Event | None,
    ) -> Generator[Answer, None, None]:
        if answer.mode is AnswerMode.QUIZ:
            yield self._quiz(answer, hits, history)
        elif answer.mode is AnswerMode.IN_CHINESE:
            yield self._in_chinese(answer, hits, within, stop)
        elif self.model is None or detailed:
            yield self._quoted(answer, hits, history)
        else:
            yield from self._written(answer, hits, history, self.model, stop)

    def _written(
        self, answer: Answer, hits: Sequence[Hit], history: Sequence[Answer], model: LanguageModel, stop: Event | None
    ) -> Generator[Answer, None, None]:
        """The model's answer; the guides' own words where nothing that it says is borne out by what it cites."""
        reply, written, failure = Reply(), answer, ""
        try:
            for reply in stream_generated(
                answer.standalone_question,
                hits,
                model,
                self.index.keywords.idf,
                history=history,
                mode=answer.mode,
                level=self.settings.level,
                reply_tokens=self.settings.max_new_tokens,
                stop=stop,
            ):
                written = replace(
                    answer,
                    sentences=reply.sentences,
                    citations=reply.citations,
                    unknown_marks=reply.unknown_marks,
                )
                written = renumber(written)
                yield written
        except MODEL_FAILURES as error:
            failure = str(error) or type(error).__name__
        if reply.is_supported:
            yield replace(written, notes=(*written.notes, f"The answer breaks off: {failure}")) if failure else written
        elif not reply.is_declined or failure:
            why = failure or f"What {model.name} wrote is not borne out by the guides."
            quoted = self._quoted(answer, hits, history)
            yield replace(quoted, notes=(*quoted.notes, f"{why} These are the guides' own words."))
        else:
            yield answer

    def _quoted(self, answer: Answer, hits: Sequence[Hit], history: Sequence[Answer] = ()) -> Answer:
        """The answer in the guides' own sentences, in the form that was asked for as far as they have it.

        To a new question, what the `history` has not shown comes first.
        """
        index = self.index
        quoted, notes = None, answer.notes
        if answer.mode is AnswerMode.WORKED_EXAMPLE:
            quoted = worked_example(hits, index.chunks_of)
            if not quoted[0]:
                notes = (*notes, "The guides work no example of this. This is what they say about it.")
        elif answer.mode is AnswerMode.ANALOGY:
            quoted = analogy(hits, index.chunks_of)
            if not quoted[0]:
                notes = (
                    *notes,
                    "The guides give no analogy, and making one up needs a language model. This is what they say.",
                )
        if quoted is None or not quoted[0]:
            limit = SHORTEST_ANSWER_WORDS if answer.mode is AnswerMode.SHORTER else SHORT_ANSWER_WORDS
            quoted = compose_answer(
                answer.standalone_question,
                hits,
                index.embedder,
                index.keywords.idf,
                max_words=limit,
                shown=_shown(answer, history),
            )
        if answer.mode is AnswerMode.DEEPER and quoted[1]:
            # "More" is the section that the short answer opens with, not the one that search put first.
            opening = next(hit for hit in hits if hit.chunk.id == quoted[1][0].chunk.id)
            quoted = whole_section(opening, index.chunks_of)
        return renumber(replace(answer, sentences=quoted[0], citations=quoted[1], notes=notes, model=EXTRACTIVE))

    def _in_chinese(self, answer: Answer, hits: Sequence[Hit], within: Scope, stop: Event | None) -> Answer:
        """From the Chinese guides where they have it; else the answer translated by the model; else as it is, with a note."""
        question = answer.standalone_question
        try:
            chinese = self.retrieve(
                question, count=self.settings.hit_count, within=replace(within, languages=("zh",)), merged=True
            )
        except ScopeError:
            chinese = []
        # English names stand in Chinese guides as they are: where the section has them all, it speaks of the same.
        has_names = self.retriever.coverage(question, chinese[:1]) >= NAMED_IN_CHINESE
        if has_names or self.retriever.confidence(question, chinese) >= self.settings.answer_threshold:
            quoted = self._quoted(answer, chinese)
            if quoted.answered:
                return quoted
        quoted = self._quoted(answer, hits)
        why = "a translation needs a language model."
        if self.model is not None:
            try:
                in_chinese = translated(quoted.sentences, self.model, stop=stop)
            except MODEL_FAILURES as error:
                why = str(error) or type(error).__name__
            else:
                if in_chinese != quoted.sentences:
                    return replace(quoted, sentences=in_chinese, model=self.model.name)
                why = f"{self.model.name} gave no faithful translation."
        return replace(quoted, notes=(*quoted.notes, f"The guides have no Chinese section on this, and {why}"))

    def _from_memory(
        self, answer: Answer, history: Sequence[Answer], stop: Event | None
    ) -> Generator[Answer, None, None]:
        if self.model is None:
            note = "Only a language model can answer what the guides do not cover. Set TUTOR_LANGUAGE_MODEL."
            yield replace(answer, notes=(*answer.notes, note))
            return
        try:
            for sentences in stream_from_memory(
                answer.standalone_question,
                self.model,
                history=history,
                level=self.settings.level,
                reply_tokens=self.settings.max_new_tokens,
                stop=stop,
            ):
                answer = replace(answer, sentences=sentences, is_from_memory=bool(sentences))
                yield answer
        except MODEL_FAILURES as error:
            yield replace(answer, notes=(*answer.notes, str(error) or type(error).__name__))

    def _quiz(self, answer: Answer, hits: Sequence[Hit], history: Sequence[Answer]) -> Answer:
        """The question of the bank whose key points rest most on the passages found; one that was not put yet, if there is one."""
        nearness = {hit.chunk.id: 1 / (1 + rank) for rank, hit in enumerate(hits)}
        put = {earlier.quiz.id for earlier in history if earlier.quiz}
        tried = {review.question_id for review in self.progress.reviews(self.settings.learner)}
        rated = {
            question.id: sum(
                point.weight * max((nearness.get(chunk.id, 0.0) for chunk in self.section(point.section)), default=0.0)
                for point in question.key_points
            )
            / sum(point.weight for point in question.key_points)
            for question in self.questions
            if question.key_points and question.id not in put
        }
        best = max(rated.values(), default=0.0)
        near = [self._shared.bank.by_id[name] for name, share in rated.items() if share and share >= best / 2]
        near = (
            near or [item for item in self.search_questions(search=answer.standalone_question) if item.id in rated][:1]
        )
        if not near:
            return self._quoted(
                replace(answer, notes=(*answer.notes, "The question bank has no further question on this.")), hits
            )
        fresh = [question for question in near if question.id not in tried] or near
        chosen = max(
            fresh, key=lambda question: rated[question.id] + self._likeness(answer.standalone_question, question)
        )
        return replace(answer, quiz=chosen, model=EXTRACTIVE)

    def answer_given(self, history: Sequence[Answer], attempt: str) -> tuple[Question, str]:
        """The question that "my answer: …" answers, and the answer without it, where it stands before the answer.

        A question before the answer counts where the bank has it, or where no other was put: an answer may begin with a question too.
        Raises what `question_put` raises.
        """
        match = _QUESTION_FIRST.fullmatch(attempt)
        if match is None:
            return self.question_put(history), attempt
        asked, rest = match["question"].strip(), match["answer"].strip()
        known = max(self.questions, key=lambda item: self._likeness(asked, item), default=None)
        if known is not None and self._likeness(asked, known) >= SAME_QUESTION:
            return known, rest
        try:
            return self.question_put(history), attempt
        except QuestionError:
            return self.own_question(asked), rest

    def question_put(self, history: Sequence[Answer]) -> Question:
        """The question that "my answer: …" answers: the last one put, or the one that the learner asked.

        What the bank does not have is graded by what the guides say to it. Raises QuestionError where there is none.
        """
        for answer in reversed(history):
            if answer.quiz is not None:
                return answer.quiz
        if history:
            found = max(
                self.questions, key=lambda item: self._likeness(history[-1].standalone_question, item), default=None
            )
            if found is not None and self._likeness(history[-1].standalone_question, found) >= SAME_QUESTION:
                return found
            if history[-1].answered:
                return self.own_question(history[-1].standalone_question)
        raise QuestionError("No question was put that this could answer. Ask for one first: quiz me on dropout")

    # The question bank

    @property
    def questions(self) -> Sequence[Question]:
        """All questions of the bank."""
        return self._shared.bank.questions

    @property
    def question_problems(self) -> Sequence[Problem]:
        """What was left out of the bank, with the reason."""
        return self._shared.bank.problems

    def read_bank(self) -> QuestionBank:
        """Read the question bank anew from its files, for all learners."""
        return self._shared.read_bank()

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
        if wanted in self._shared.bank.by_id:
            return self._shared.bank.by_id[wanted]
        best = max(self.questions, key=lambda question: self._likeness(wanted, question), default=None)
        # One word of ASCII is an id that was mistyped; Chinese needs no spaces to be a text.
        is_text = " " in wanted or not wanted.isascii()
        if best is not None and is_text and self._likeness(wanted, best) >= SAME_QUESTION:
            return best
        near = get_close_matches(wanted, self._shared.bank.by_id, n=3, cutoff=0.4) or [
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

    @property
    def conversations(self) -> Conversations:
        """The learner's conversations in the chat."""
        return Conversations(self.settings.learner, self.progress)

    @property
    def interviews(self) -> Interviews:
        """The learner's interviews."""
        return Interviews(
            learner=self.settings.learner,
            store=self.progress,
            bank=self.questions,
            interviewer=Interviewer(
                judge=self.judge,
                judge_offline=self._judge_offline,
                judge_dispute=self.judge_dispute,
                cite=self.cite_section,
                explain=self._explain,
            ),
            is_bilingual=self._shared.model_grader is not None,
        )

    def _explain(self, question: str) -> list[Citation]:
        """The guides' own sentences that answer a question, each with its passage; none where they do not cover it."""
        hits = self.retrieve(question, count=self.settings.hit_count, merged=True)
        if self.retriever.confidence(question, hits) < self.settings.answer_threshold:
            return []
        sentences, citations = compose_answer(
            question, hits, self.index.embedder, self.index.keywords.idf, max_words=SHORT_ANSWER_WORDS
        )
        passages = {citation.number: citation for citation in citations}
        return [
            replace(passages[sentence.citations[0]], quote=sentence.text)
            for sentence in sentences
            if sentence.citations and sentence.kind == "prose"
        ]

    # Grading

    def grade(self, question: Question, attempt: str, *, hints: int = 0, learner: str = "") -> Grade:
        """Judge an attempt and keep the grade, for the learner of the settings or another one.

        Raises GradingError for an attempt that cannot be judged.
        """
        grade = self.judge(question, attempt)
        self._keep(grade, learner or self.settings.learner, hints)
        return grade

    def judge(self, question: Question, attempt: str) -> Grade:
        """The grade of an attempt, kept nowhere. Raises GradingError for an attempt that cannot be judged."""
        with self._turn():
            grade = self._judge_offline(question, attempt)
            return self._shared.model_grader.grade(grade) if self._shared.model_grader else grade

    def _judge_offline(self, question: Question, attempt: str) -> Grade:
        def cite(section: str, text: str) -> Citation | None:
            if section == REFERENCE_SECTION:
                return reference_citation(question, text)
            return self.cite_section(section, text)

        grade = judged_exactly(grade_attempt(question, attempt, grader=shipped_grader(), cite=cite), self._run_code)
        return completed(replace(grade, remarks=(*rubric_remarks(question), *grade.remarks)))

    @property
    def _run_code(self) -> RunCode | None:
        settings = self.settings
        if settings.run_code == "never":
            return None
        return partial(
            run_code,
            seconds=settings.code_seconds,
            memory_bytes=settings.code_memory_mb * 2**20,
            allow_weaker=settings.run_code == "anywhere",
        )

    def dispute(self, grade: Grade, number: int, argument: str, *, learner: str = "") -> Grade:
        """The grade with key point `number` (from 1) judged again in the light of an argument; both verdicts are kept.

        Raises GradingError for a point that was made or was not judged, and for an argument that is none.
        """
        disputed = self.judge_dispute(grade, number, argument)
        self._keep(disputed, learner or self.settings.learner, 0)
        return disputed

    def judge_dispute(self, grade: Grade, number: int, argument: str) -> Grade:
        """What `dispute` returns, kept nowhere."""
        check_dispute(grade, number, argument)
        with self._turn():
            again, reason = self._judged_again(grade, number, argument)
        return with_dispute(grade, number, argument, again, reason)

    def _judged_again(self, grade: Grade, number: int, argument: str) -> tuple[Verdict, str]:
        again, reason = judged_again(grade, number, argument, self._judge_offline)
        if self._shared.model_grader is None:
            return again, reason
        try:
            return self._shared.model_grader.weigh(grade, number, argument, again)
        except (ReplyError, *MODEL_FAILURES) as error:
            return again, f"{reason} {error} The offline grader judged alone."

    def own_question(self, text: str, *references: str) -> Question:
        """A question that is not in the bank, with key points drawn from a reference answer, or from what the guides say to it.

        Further references are answers that are as good as the first. Raises QuestionError where there is no reference and the guides do
        not cover it, GradingError for a reference without a sentence to grade by.
        """
        asked = checked_question(text)
        if given := [reference for reference in references if reference.strip()]:
            return question_from_reference(asked, *given)
        hits = self.retrieve(asked, count=self.settings.hit_count, merged=True)
        if self.retriever.confidence(asked, hits) < self.settings.answer_threshold:
            raise QuestionError(
                f"The bank has no question like {asked!r}, and the guides do not cover it. Give a model answer to grade by: "
                "--reference. Questions of the bank: tutor questions"
            )
        quoted = compose_answer(asked, hits, self.index.embedder, self.index.keywords.idf, max_words=SHORT_ANSWER_WORDS)
        return question_from_guides(asked, *quoted)

    def question_to_grade(self, id_or_text: str, *references: str) -> Question:
        """The question of the bank with this id or wording; one of the learner's own where there is none, or a reference is given.

        Raises QuestionError, naming the nearest ids, for an id that is unknown, and what `own_question` raises.
        """
        if any(reference.strip() for reference in references):
            known = self._shared.bank.by_id.get(id_or_text.strip())
            return self.own_question(known.prompt if known else id_or_text, *references)
        try:
            return self.find_question(id_or_text)
        except QuestionError:
            # One word of ASCII is an id that was mistyped.
            if " " not in id_or_text.strip() and id_or_text.isascii():
                raise
        return self.own_question(id_or_text)

    def _keep(self, grade: Grade, learner: str, hints: int) -> None:
        question = grade.question
        review = Review(
            question_id=question.id,
            topic=question.topic,
            attempt=grade.attempt,
            score=grade.score,
            grade=grade_record(grade),
            reviewed_at=datetime.now(UTC),
            hints=hints,
        )
        self.progress.record_review(learner, review)

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

    def most_missed(self) -> list[PointStanding]:
        """The key points the learner left open most often and still does."""
        return most_missed(self.progress.reviews(self.settings.learner))

    def cards(self) -> dict[str, Card]:
        """How well the learner remembers each question of the bank that they were asked."""
        known = {question.id for question in self.questions}
        replayed = cards(self.progress.reviews(self.settings.learner))
        return {name: card for name, card in replayed.items() if name in known}

    def due(self, now: datetime) -> list[Card]:
        """What is to be asked again by the end of the day of `now`, in its time zone; the least remembered first."""
        return due(self.cards(), now)


def _shown(answer: Answer, history: Sequence[Answer]) -> frozenset[str]:
    """Sentences that the conversation has shown; none where the last answer is wanted again or in another form."""
    if answer.mode is not AnswerMode.PLAIN:
        return frozenset()
    return frozenset(
        sentence.text
        for earlier in history
        if earlier.standalone_question != answer.standalone_question
        for sentence in earlier.sentences
    )


def _asked_before(request: Request, history: Sequence[Answer]) -> str:
    """The question before the one that is searched; empty where there is none."""
    # What only asked for another form of an answer is no question.
    asked = [said for answer in history if (said := read_request(answer.question).question)]
    if not request.question:
        asked = asked[:-1]
    return asked[-1] if asked else ""


def checked_question(question: str) -> str:
    """The question, stripped. Raises QuestionError where it is empty, broken, or too long to be one."""
    text = question.strip()
    # What the terminal could not decode arrives as lone surrogates, which no file or database takes.
    if re.search(r"[\ud800-\udfff]", text):
        raise QuestionError("The question is not UTF-8 text. Convert it first, e.g. with iconv.")
    # One or two slip in where text is copied; a file that was pasted is full of them.
    if len(re.findall(r"[\x00-\x08\x0e-\x1f]", text)) > MOST_CONTROL_CHARACTERS * len(text):
        raise QuestionError("The question is binary, not text. Paste the text that you want to ask about.")
    if not any(char.isalnum() for char in text):
        raise QuestionError(
            "The question is empty, or has no word in it. Ask something, e.g. “What does BatchNorm do at inference?”"
        )
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise QuestionError(
            f"The question has {len(text):,} characters. Expected at most {MAX_QUESTION_CHARACTERS:,}: ask one thing at a time."
        )
    return text
