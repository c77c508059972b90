"""How well the grader agrees with people, and what it does not fall for: scores, verdicts on key points, the battery of attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from corpus.documents import Problem
from corpus.questions import Question, read_questions
from evals.agreement import auc, confusion, f1, grid_of, pearson, reliability, score_figures, verdict_figures
from evals.answer_cases import JUDGEMENTS, OUR_JUDGED_ANSWERS, JudgedAnswer, judged_answer
from evals.case_cache import CaseCache
from evals.cases_format import CaseError, read_lines
from evals.grading_battery import Trial, by_case, run_battery
from evals.grounding import REPEATED
from evals.report import CaseDetail, CaseFigures, Confusion, Curve, EvalReport
from evals.statistics import Interval, bootstrap_figures, bootstrap_means
from index.build import Progress
from tutor.calibration import LEAST_GRADED, Calibration, GradedAnswer, calibration
from tutor.grader import Grader, shipped_grader
from tutor.grading import Grade, GradingError, VerdictName, grade_attempt
from tutor.rubrics import question_from_reference
from tutor.settings import CORPUS_FOLDER

Numbers = NDArray[np.float64]
Judge = Callable[[Question, str], Grade]
RIGHT = 0.5
"""Score from which an answer that people call right or wrong counts as right."""


@dataclass(frozen=True)
class Sample:
    """Another answer to a case's question, and what people gave it."""

    answer: str
    score: float
    """0 to 1."""


@dataclass(frozen=True)
class GradingCase:
    """An answer to score, and what people gave it where that is known."""

    id: str
    question: str
    references: tuple[str, ...]
    key_points: tuple[str, ...]
    answer: str
    question_id: str = ""
    score: float | None = None
    """0 to 1."""
    in_marks: bool = False
    """Whether people gave marks, of more than one, and not just right or wrong."""
    samples: tuple[Sample, ...] = ()
    """By these, if they are three or more, the score is calibrated."""

    @cached_property
    def rubric(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """What all answers to one question share: the question, its references and its key points."""
        return self.question, self.references, self.key_points


@dataclass(frozen=True)
class Battery:
    """Questions on which every attempt is tried, and who grades them."""

    questions: Sequence[Question]
    judge: Judge
    name: str
    """Of the grader."""


@dataclass(frozen=True)
class PointVerdicts:
    """What the grader made of one judged answer."""

    case: JudgedAnswer
    verdicts: tuple[VerdictName, ...]
    """For each key point of the question, in their order."""
    score: float | None
    """None where the answer could not be judged."""
    feedback: str

    @property
    def met(self) -> float:
        """The share of people's verdicts that the grader gave too."""
        pairs = list(zip(self.case.verdicts, self.verdicts, strict=True))
        return sum(wanted == found for wanted, found in pairs) / len(pairs)


def read_grading_cases(
    path: Path, questions: Sequence[Question]
) -> tuple[list[GradingCase], list[JudgedAnswer], list[Problem]]:
    """Cases of a file or a folder of JSON lines: answers with a score, answers with verdicts, and what is wrong with other lines.

    A line has `id` and `answer`, one of `reference`, `references`, `key_point` and `key_points`, and may have `question`,
    `question_id`, `max_score` (above 1: people gave marks), `samples` (answers to the same question, each with `answer` and `score`),
    and `score` or `label`. With `verdicts` in their place, one for each
    key point, `question` is the id of a question of the bank. Raises CaseError where no line holds a case.
    """
    by_id = {question.id: question for question in questions}
    cases, problems = read_lines(
        path,
        lambda row: judged_answer(row, by_id) if "verdicts" in row else _case(row),
        "id, answer, and a reference, references, key_point or key_points (or verdicts)",
    )
    scored = [case for case in cases if isinstance(case, GradingCase)]
    return scored, [case for case in cases if isinstance(case, JudgedAnswer)], problems


def _case(row: Mapping[str, Any]) -> GradingCase | JudgedAnswer:
    references, points = (
        [*_texts(row, many), *([str(row[one])] if row.get(one) else [])]
        for one, many in (("reference", "references"), ("key_point", "key_points"))
    )
    if not (references or points):
        raise ValueError("nothing to judge the answer by")
    answer, label = row["answer"], row.get("score", row.get("label"))
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("the answer is empty")
    return GradingCase(
        str(row["id"]),
        str(row.get("question") or ""),
        tuple(dict.fromkeys(references)),
        tuple(points),
        answer,
        str(row.get("group") or row.get("question_id") or row["id"]),
        None if label is None else _score(label),
        float(str(row.get("max_score") or 1)) > 1,
        _samples(row),
    )


def _samples(row: Mapping[str, Any]) -> tuple[Sample, ...]:
    value = row.get("samples") or []
    if not isinstance(value, list):
        raise TypeError("samples is no list")
    samples = []
    for number, item in enumerate(value, start=1):
        try:
            answer, score = item["answer"], _score(item["score"])
        except (KeyError, TypeError, ValueError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"sample {number} is no answer with a score: {reason}") from error
        if not isinstance(answer, str) or not answer.strip():
            raise ValueError(f"the answer of sample {number} is empty")
        samples.append(Sample(answer, score))
    return tuple(samples)


def _score(label: object) -> float:
    score = float(str(label))
    if not 0 <= score <= 1:
        raise ValueError(f"the score {label!r} is not between 0 and 1")
    return score


def _texts(row: Mapping[str, Any], name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list):
        raise TypeError(f"{name} is no list")
    return [str(text) for text in value if str(text).strip()]


def with_graded_answers(cases: Sequence[GradingCase], count: int, *, seed: int) -> tuple[list[GradingCase], list[str]]:
    """The other cases, with `count` answers that people scored drawn as samples from those of the same question; and what was left out.

    For a seed, a larger count draws the same answers and more. A question too few of whose answers have a score is left out and named.
    Raises CaseError where all are, or the count is too small to calibrate by.
    """
    if count < LEAST_GRADED:
        raise CaseError(
            f"{count} graded answers calibrate nothing. Expected 0, or {LEAST_GRADED} or more of each question."
        )
    questions: dict[object, list[GradingCase]] = {}
    for case in cases:
        questions.setdefault(case.rubric, []).append(case)
    kept: dict[str, GradingCase] = {}
    left_out = []
    for members in questions.values():
        scored = [case for case in members if case.score is not None]
        if len(scored) < count or len(members) == count:
            left_out.append(
                f"the question {members[0].question[:60]!r}: {len(members)} answers, {len(scored)} with a score. "
                f"Expected {count} with a score, and another to judge."
            )
            continue
        # Each question has its own draw, so that cases of others change nothing.
        dice = np.random.default_rng([seed, crc32(repr(members[0].rubric).encode())])
        drawn = [scored[place] for place in dice.permutation(len(scored))[:count]]
        samples = tuple(Sample(case.answer, case.score) for case in drawn if case.score is not None)
        taken = {case.id for case in drawn}
        kept |= {case.id: replace(case, samples=case.samples + samples) for case in members if case.id not in taken}
    if not kept:
        raise CaseError(
            f"No question has more than {count} answers, {count} of them with a score: {'; '.join(left_out[:3])}"
        )
    return [kept[case.id] for case in cases if case.id in kept], left_out


def scores_report(
    cases: Sequence[GradingCase],
    problems: Sequence[Problem],
    grader: Grader,
    *,
    cache: CaseCache,
    seed: int,
    progress: Progress,
    left_out: Sequence[str] = (),
) -> EvalReport:
    """The offline grader's score of each case, calibrated by its samples, and how far it agrees with people's.

    `left_out` are questions that were, and why.
    """
    scores, calibrated, repeated = [], [], []
    shown: list[float] = []
    learned: dict[object, Calibration | None] = {}
    for done, case in enumerate(cases):
        progress("grading", done, len(cases))
        scores.append(_cached_score(case, case.answer, grader, cache))
        if done % (-(-len(cases) // REPEATED)) == 0:
            repeated.append({"repeatable": float(_answer_score(case, case.answer, grader) == scores[-1])})
        if case.references and case.score is not None:
            shown.append(_shown_score(case, grader, cache))
        key = case.rubric, case.in_marks, case.samples
        if key not in learned:
            graded = [
                GradedAnswer(item.answer, _cached_score(case, item.answer, grader, cache), item.score)
                for item in case.samples
            ]
            learned[key] = calibration(graded, grader.lexicon)
        found = learned[key]
        calibrated.append(found.calibrated(case.question, case.answer, scores[-1]) if found else scores[-1])
    known = [(case, case.score, score) for case, score in zip(cases, calibrated, strict=True) if case.score is not None]
    gold, given = (np.array([row[place] for row in known], dtype=np.float64) for place in (1, 2))
    figures = agreement(cases, calibrated, seed=seed)
    if any(learned.values()):
        as_graded = agreement(cases, scores, seed=seed)
        figures |= {f"uncalibrated_{name}": interval for name, interval in as_graded.items()}
    elif len(shown) == len(known):
        labelled = [case for case, *_ in known]
        figures |= {f"shown_{name}": interval for name, interval in agreement(labelled, shown, seed=seed).items()}
    return EvalReport(
        "grading",
        {"answers": {case.id: {"score_met": 1 - abs(wanted - found)} for case, wanted, found in known}}
        if known
        else {},
        seed,
        figures=figures | bootstrap_means(repeated, seed=seed),
        details={
            case.id: CaseDetail(
                case.question,
                (*case.references, *case.key_points),
                case.answer,
                f"score {found:.2f}; people: {wanted:.2f}",
            )
            for case, wanted, found in known
        },
        curves=[reliability("Reliability of the scores", "score of the grader", given, gold)] if known else [],
        notes=[
            *(f"left out {problem}" for problem in (*problems, *left_out)),
            *_calibration_notes(cases),
            f"{len(cases)} answers scored, {len(problems)} left out; {len(known)} have a label to compare with",
        ],
        predictions=[
            {"id": case.id, "score": round(score, 6)}
            | ({"uncalibrated_score": round(raw, 6)} if len(case.samples) >= LEAST_GRADED else {})
            for case, score, raw in zip(cases, calibrated, scores, strict=True)
        ],
    )


def _cached_score(case: GradingCase, answer: str, grader: Grader, cache: CaseCache) -> float:
    content = ["score", case.question, case.references, case.key_points, answer, case.in_marks]
    return float(cache.judged(content, lambda: {"score": _answer_score(case, answer, grader)})["score"])


def _shown_score(case: GradingCase, grader: Grader, cache: CaseCache) -> float:
    """The score of the grade that `tutor grade --reference` shows; 0 where it shows none."""

    def graded() -> dict[str, float]:
        try:
            question = question_from_reference(case.question, *case.references)
            return {"score": grade_attempt(question, case.answer, grader=grader, cite=lambda *_: None).score or 0.0}
        except GradingError:
            return {"score": 0.0}

    content = ["shown", case.question, case.references, case.answer]
    return float(cache.judged(content, graded)["score"])


def _answer_score(case: GradingCase, answer: str, grader: Grader) -> float:
    """The score of an answer to the case's question."""
    return grader.score_answer(
        case.question, answer, references=case.references, key_points=case.key_points, in_marks=case.in_marks
    )


def _calibration_notes(cases: Sequence[GradingCase]) -> list[str]:
    counts = [len(case.samples) for case in cases if len(case.samples) >= LEAST_GRADED]
    few = sum(0 < len(case.samples) < LEAST_GRADED for case in cases)
    notes = []
    if counts:
        span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        questions = len({case.rubric for case in cases if len(case.samples) >= LEAST_GRADED})
        notes.append(
            f"{len(counts)} answers to {questions} questions calibrated by {span} graded answers each; "
            "uncalibrated_ figures are of the same answers without them"
        )
    if few:
        notes.append(f"{few} answers have fewer than {LEAST_GRADED} samples: their scores stay as they are")
    return notes


def agreement(cases: Sequence[GradingCase], scores: Sequence[float], *, seed: int = 0) -> dict[str, Interval]:
    """Agreement with people, each figure with an interval by question; empty where no case has a label.

    Right-or-wrong labels: Pearson, AUC and macro-F1 at 0.5. Marks: Pearson, RMSE and quadratic weighted kappa (Cohen 1968) on the
    coarsest grid that holds the marks.
    """
    known = [(case, score) for case, score in zip(cases, scores, strict=True) if case.score is not None]
    gold = np.array([case.score for case, _ in known], dtype=np.float64)
    given = np.array([score for _, score in known], dtype=np.float64)
    is_binary, grid = set(gold) <= {0.0, 1.0}, grid_of(gold) if known else 1

    def figures(places: NDArray[np.intp]) -> dict[str, float]:
        wanted, found = gold[places], given[places]
        if not is_binary:
            return score_figures(wanted, found, grid)
        right, passed = wanted == 1, found >= RIGHT
        return {
            "pearson": pearson(wanted, found),
            "auc": auc(right, found),
            "macro_f1": (f1(right, passed) + f1(~right, ~passed)) / 2,
        }

    return bootstrap_figures([case.question_id for case, _ in known], figures, seed=seed)


def verdicts_report(
    cases: Sequence[JudgedAnswer],
    problems: Sequence[Problem],
    judge: Judge,
    *,
    grader: str,
    cache: CaseCache,
    seed: int,
    progress: Progress,
    battery: Battery | None = None,
) -> EvalReport:
    """The grader's verdict on each key point beside people's; and every attempt of the battery on its questions.

    An answer that the grader refuses, or cannot judge, counts as one without a right verdict, and is named. `grader` is who is
    to grade; where a model failed and another did, that is counted too.
    """
    graded, repeated, refused, replaced = [], [], [], 0
    for done, case in enumerate(cases):
        progress("grading", done, len(cases))

        def grade(case: JudgedAnswer = case) -> Mapping[str, Any]:
            return _graded(case, judge, grader)

        found = cache.judged(["verdicts", repr(case.question), case.answer], grade)
        replaced += not found["is_final"]
        if found["refused"]:
            refused.append(f"{case.id}: {found['refused']}")
        graded.append(PointVerdicts(case, tuple(found["verdicts"]), found["score"], found["feedback"]))
        if done % (-(-len(cases) // REPEATED)) == 0:
            repeated.append({"repeatable": float(grade() == found)})
    groups: dict[str, CaseFigures] = {}
    if battery is not None:
        groups = _battery_groups(battery, cache, seed, progress)
    if graded:
        groups["judged answers"] = {item.case.id: {"verdicts_met": item.met} for item in graded}
    unjudged = [item.case.id for item in graded if item.score is None]
    return EvalReport(
        "grading",
        groups,
        seed,
        figures=_verdict_agreement(graded, seed) | bootstrap_means(repeated, seed=seed),
        details={item.case.id: _detail(item) for item in graded},
        curves=[_score_reliability(graded)] if graded else [],
        confusions=[_point_confusion(graded)] if graded else [],
        notes=[
            *(f"left out {problem}" for problem in problems),
            *(f"refused {reason}" for reason in refused),
            *([f"{replaced} answers were not graded by {grader}, but offline"] if replaced else []),
            f"{len(graded)} answers graded, {len(problems)} left out"
            + (f"; without a score: {', '.join(unjudged)}" if unjudged else ""),
            *([f"battery: every attempt on {len(battery.questions)} questions of the bank"] if battery else []),
        ],
        predictions=[{"id": item.case.id, "score": item.score, "verdicts": list(item.verdicts)} for item in graded],
    )


def plain_grade(question: Question, attempt: str) -> Grade:
    """What the offline grader says from the words alone, without a guide to cite."""
    return grade_attempt(question, attempt, grader=shipped_grader(), cite=lambda _section, _text: None)


def our_questions() -> Sequence[Question]:
    """The bank that our cases and the battery rest on, whatever other banks the settings name."""
    return read_questions([CORPUS_FOLDER / "questions"])[0]


def read_ours() -> tuple[list[JudgedAnswer], list[Problem]]:
    """Our learners' answers with people's verdicts."""
    _, judged, problems = read_grading_cases(OUR_JUDGED_ANSWERS, our_questions())
    return judged, problems


def _graded(case: JudgedAnswer, judge: Judge, grader: str) -> Mapping[str, Any]:
    points = [point.text for point in case.question.key_points]
    try:
        grade = judge(case.question, case.answer)
    except GradingError as error:
        return {
            "verdicts": ["unjudged"] * len(points),
            "score": None,
            "feedback": "",
            "refused": str(error),
            "is_final": True,
        }
    # A calculation has its result as a point besides.
    found = {verdict.key_point.text: verdict.verdict for verdict in grade.verdicts}
    return {
        "verdicts": [found.get(text, "unjudged") for text in points],
        "score": grade.score,
        "feedback": grade.feedback,
        "refused": "",
        "is_final": grade.grader == grader,
    }


def _battery_groups(battery: Battery, cache: CaseCache, seed: int, progress: Progress) -> dict[str, CaseFigures]:
    """What passed, by kind of attempt; and of each question the share of all attempts."""
    trials = []
    for done, question in enumerate(battery.questions):
        progress("battery of attempts", done, len(battery.questions))

        def attempts(question: Question = question) -> Mapping[str, Any]:
            return {trial.kind: trial.passed for trial in run_battery([question], battery.judge, seed=seed)}

        found = cache.judged(["battery", battery.name, seed, repr(question)], attempts)
        trials += [Trial(kind, question.id, passed) for kind, passed in found.items()]
    kinds = by_case(trials)
    passed: dict[str, list[float]] = {}
    for trial in trials:
        passed.setdefault(trial.question_id, []).append(float(trial.passed))
    whole = {question: {"passed": sum(found) / len(found)} for question, found in passed.items()}
    return {**kinds, "every attempt": whole} if whole else {}


def _verdict_agreement(graded: Sequence[PointVerdicts], seed: int) -> dict[str, Interval]:
    clusters = [item.case.question.id for item in graded for _ in item.verdicts]
    wanted = np.array([name for item in graded for name in item.case.verdicts], dtype=np.str_)
    found = np.array([name for item in graded for name in item.verdicts], dtype=np.str_)
    scored = [(item.case.question.id, item.case.score, item.score) for item in graded if item.score is not None]
    gold, given = (np.array([row[place] for row in scored], dtype=np.float64) for place in (1, 2))
    figures = bootstrap_figures(
        clusters, lambda places: verdict_figures(wanted[places], found[places], JUDGEMENTS), seed=seed
    )
    grid = grid_of(gold) if scored else 1
    return figures | bootstrap_figures(
        [question for question, _, _ in scored],
        lambda places: score_figures(gold[places], given[places], grid),
        seed=seed,
    )


def _score_reliability(graded: Sequence[PointVerdicts]) -> Curve:
    scored = [(item.score, item.case.score) for item in graded if item.score is not None]
    given, gold = (np.array([row[place] for row in scored], dtype=np.float64) for place in (0, 1))
    return reliability("Reliability of the scores", "score of the grader", given, gold)


def _point_confusion(graded: Sequence[PointVerdicts]) -> Confusion:
    wanted = [name for item in graded for name in item.case.verdicts]
    found = [name for item in graded for name in item.verdicts]
    return confusion("people's verdict \\ the grader's", wanted, found, JUDGEMENTS)


def _detail(item: PointVerdicts) -> CaseDetail:
    question = item.case.question
    rows = zip(question.key_points, item.case.verdicts, item.verdicts, strict=True)
    wrong = [f"“{point.text}” {found}; people: {wanted}." for point, wanted, found in rows if wanted != found]
    return CaseDetail(
        question.prompt,
        tuple(f"[{point.weight:g}] {point.text}" for point in question.key_points),
        item.case.answer,
        "\n".join((*wrong, item.feedback)),
    )
