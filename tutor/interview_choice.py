"""Which question an interview puts next: due, weak, not yet covered, at the level that the scores call for. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from corpus.documents import language_of
from corpus.questions import LEVELS, Kind, Question
from tutor.interview import Interview, InterviewError, InterviewPlan, Style
from tutor.progress import Review, progress_by_topic

STYLE_KINDS: Mapping[Style, frozenset[Kind]] = {
    "screening": frozenset({"concept", "compare", "compute"}),
    "deep-dive": frozenset({"concept", "compare", "derive", "compute", "code", "debug", "design"}),
    "behavioural": frozenset({"behavioural"}),
    "systems-gpu": frozenset({"concept", "compare", "derive", "compute", "code", "debug", "design"}),
    "mixed": frozenset({"concept", "compare", "derive", "compute", "code", "debug", "design", "behavioural"}),
}
SYSTEMS_TOPICS = frozenset(
    {
        "gpu-cuda",
        "distributed-training",
        "inference-deployment",
        "frameworks",
        "llm-training",
        "nvidia-interview",
    }
)
"""What a round on systems and GPUs draws on where the learner names no topics: kernels, performance, many devices, number formats."""
GOOD_SCORE, POOR_SCORE = 0.7, 0.4
LEVEL_STEP = 0.5
"""How far a good answer raises the level that is aimed at, and a poor one lowers it, in levels."""
LEVEL_RANGE = 1.0
"""How far it moves from a level that the learner chose."""
# What makes one question better than another, each term 0 to 1 but for the distances.
DUE, NEW, WEAK, LEVEL_DISTANCE, SAME_TOPIC, SAME_KIND, CHANCE = 1.0, 0.6, 0.6, 0.8, 0.5, 0.15, 0.4


def suitable_questions(bank: Sequence[Question], plan: InterviewPlan, *, is_bilingual: bool) -> list[Question]:
    """The questions that the plan names, or those of its topics and style, that are asked in its language.

    `is_bilingual` says that an answer in another language than the question's own can be judged. Raises InterviewError, naming what to
    change, where there is none.
    """
    topics = set(plan.topics) or {question.topic for question in bank}
    if plan.style == "systems-gpu" and not plan.topics:
        topics &= SYSTEMS_TOPICS
    found = [
        question
        for question in bank
        if (
            question.id in plan.only
            if plan.only
            else question.topic in topics and question.kind in STYLE_KINDS[plan.style]
        )
        and (language_of(question.prompt) == plan.language or (is_bilingual and question.translation))
    ]
    if not found:
        raise InterviewError(_why_none(bank, plan))
    return found


def _why_none(bank: Sequence[Question], plan: InterviewPlan) -> str:
    if plan.only:
        return "None of these questions stands in the bank any more, asked in this language. Start another interview."
    known = {question.topic for question in bank}
    unknown = [topic for topic in plan.topics if topic not in known]
    if unknown:
        return f"There is no topic {unknown[0]!r}. Expected one of {', '.join(sorted(known))}."
    if plan.language == "zh":
        return (
            "No question of this choice is asked in Chinese. Choose all topics: the Chinese questions stand together; "
            "with a language model the others are asked in Chinese too."
        )
    where = f" on {', '.join(plan.topics)}" if plan.topics else ""
    return f"The bank has no question of the style {plan.style!r}{where}. Choose other topics, or the style 'mixed'."


def choose_question(
    bank: Sequence[Question],
    interview: Interview,
    *,
    reviews: Sequence[Review],
    due: Collection[str],
    is_bilingual: bool,
) -> Question | None:
    """The next question, never one that was put before; None where none is left.

    `due` holds the ids of the questions that spaced repetition wants now. The same interview gets the same question.
    """
    asked = [round_.question for round_ in interview.rounds]
    taken = {question.id for question in asked}
    left = [one for one in suitable_questions(bank, interview.plan, is_bilingual=is_bilingual) if one.id not in taken]
    if not left:
        return None
    dice = random.Random(f"{interview.plan.seed}:{len(asked)}")  # noqa: S311 - which question comes next is no secret
    seen = {review.question_id for review in reviews}
    weakness = {item.topic: 1 - item.score for item in progress_by_topic(reviews)}
    topics, kinds = Counter(one.topic for one in asked), Counter(one.kind for one in asked)
    fewest = min(topics[one.topic] for one in left)
    aim = level_aimed_at(interview)
    # A deep dive stays where it began; the other styles cover the topics.
    goes_deep = interview.plan.style == "deep-dive"

    def worth(question: Question) -> float:
        return (
            DUE * (question.id in due)
            + NEW * (question.id not in seen)
            # A topic that nobody was asked about is neither weak nor strong.
            + WEAK * weakness.get(question.topic, 0.5)
            - LEVEL_DISTANCE * abs(LEVELS.index(question.level) - aim)
            + SAME_TOPIC * (topics[question.topic] if goes_deep else fewest - topics[question.topic])
            - SAME_KIND * kinds[question.kind]
            + CHANCE * dice.random()
        )

    return max(left, key=worth)


def level_aimed_at(interview: Interview) -> float:
    """The level that the next question should have, as a place in `LEVELS`: up after good answers, down after poor ones."""
    chosen = interview.plan.level
    start = float(LEVELS.index(chosen or "mid"))
    scores = [round_.score for round_ in interview.rounds if round_.score is not None]
    steps = sum((score >= GOOD_SCORE) - (score < POOR_SCORE) for score in scores)
    reach = LEVEL_RANGE if chosen else float(len(LEVELS))
    aim = start + min(max(LEVEL_STEP * steps, -reach), reach)
    return min(max(aim, 0.0), len(LEVELS) - 1.0)
