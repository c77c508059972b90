"""Which question an interview puts next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import pytest
from interview_making import NOON, answer, grade, interview, put, question

from corpus.questions import LEVELS, Question, read_questions
from tutor.grading import VerdictName
from tutor.interview import Interview, InterviewError, InterviewPlan
from tutor.interview_choice import SYSTEMS_TOPICS, choose_question, level_aimed_at, suitable_questions
from tutor.progress import Review
from tutor.settings import CORPUS_FOLDER


def choose(
    bank: Sequence[Question], run: Interview, reviews: Sequence[Review] = (), due: Collection[str] = ()
) -> Question | None:
    return choose_question(bank, run, reviews=reviews, due=due, is_bilingual=False)


def chosen(bank: Sequence[Question], run: Interview, reviews: Sequence[Review] = (), due: Collection[str] = ()) -> str:
    found = choose(bank, run, reviews, due)
    assert found is not None
    return found.id


def planned(seed: int = 0, **plan: object) -> Interview:
    return interview([], InterviewPlan(seed=seed, **plan))  # type: ignore[arg-type]


def asked(plan: InterviewPlan, *answers: tuple[Question, VerdictName]) -> Interview:
    return interview([turn for one, name in answers for turn in (put(one), answer(grade(one, name, name)))], plan)


def review(name: str, score: float, topic: str = "regularization") -> Review:
    return Review(name, topic, "…", score, {}, NOON)


def run_through(bank: Sequence[Question], plan: InterviewPlan, verdict: VerdictName, count: int) -> list[Question]:
    run = interview([], plan)
    for _ in range(count):
        one = choose(bank, run)
        assert one is not None
        graded = grade(one, verdict, verdict)
        run = run.after(put(one)).after(answer(graded))
    return [round_.question for round_ in run.rounds]


@pytest.fixture(scope="module")
def shipped_bank() -> list[Question]:
    return read_questions([CORPUS_FOLDER / "questions"])[0]


def test_an_interview_on_certain_questions_asks_no_other_whatever_their_topic_and_kind():
    bank = [
        question("attention", topic="transformers"),
        question("conflict", topic="behavioral", kind="behavioural"),
        question("dropout"),
        question("batch", topic="zh-notes", prompt="批量大小如何设置？"),
    ]
    plan = InterviewPlan(only=("dropout", "conflict", "batch", "gone"), style="screening")

    found = suitable_questions(bank, plan, is_bilingual=False)

    assert [one.id for one in found] == ["conflict", "dropout"], "the Chinese one is asked in a Chinese interview"


def test_an_interview_on_questions_that_are_gone_says_so():
    with pytest.raises(InterviewError, match="None of these questions"):
        suitable_questions([question("dropout")], InterviewPlan(only=("gone",)), is_bilingual=False)


def test_what_is_due_comes_first():
    bank = [question(f"q{number}") for number in range(8)]

    for seed in range(10):
        assert chosen(bank, planned(seed), [review(one.id, 0.5) for one in bank], due={"q5"}) == "q5"


def test_a_new_question_comes_before_one_that_was_answered():
    bank = [question("old"), question("new")]

    assert chosen(bank, planned(), [review("old", 0.5)]) == "new"


def test_a_weak_topic_comes_before_a_strong_one():
    bank = [question("a", topic="strong"), question("b", topic="weak")]
    reviews = [review("x", 1.0, "strong"), review("y", 0.0, "weak")]

    for seed in range(10):
        assert chosen(bank, planned(seed), reviews) == "b"


def test_no_question_comes_twice_and_none_is_left_in_the_end():
    bank = [question(f"q{number}") for number in range(5)]

    run = interview([], InterviewPlan(questions=0))
    for _ in bank:
        one = choose(bank, run)
        assert one is not None
        run = run.after(put(one))

    assert {round_.question.id for round_ in run.rounds} == {one.id for one in bank}
    assert choose(bank, run) is None


def test_the_same_seed_puts_the_same_questions_and_another_one_others(shipped_bank: list[Question]):
    def ids(seed: int) -> list[str]:
        return [one.id for one in run_through(shipped_bank, InterviewPlan(seed=seed), "made", 4)]

    assert ids(1) == ids(1)
    assert len({tuple(ids(seed)) for seed in range(6)}) > 3


def test_good_answers_raise_the_level_and_poor_ones_lower_it(shipped_bank: list[Question]):
    plan = InterviewPlan(level="mid", questions=8)

    rising = run_through(shipped_bank, plan, "made", 8)
    falling = run_through(shipped_bank, plan, "missing", 8)

    def mean_level(questions: Sequence[Question]) -> float:
        return sum(LEVELS.index(one.level) for one in questions) / len(questions)

    assert mean_level(rising[4:]) > 1.5
    assert mean_level(falling[4:]) < 0.5


def test_the_level_moves_by_one_from_the_one_that_was_chosen():
    one = question()
    plan = InterviewPlan(level="senior")

    assert level_aimed_at(asked(plan)) == 2
    assert level_aimed_at(asked(plan, *[(one, "made")] * 2)) == 3
    assert level_aimed_at(asked(plan, *[(one, "made")] * 9)) == 3
    assert level_aimed_at(asked(plan, *[(one, "missing")] * 9)) == 1
    assert level_aimed_at(asked(plan, *[(one, "partial")] * 9)) == 2


def test_without_a_chosen_level_the_scores_decide():
    one = question()

    assert level_aimed_at(asked(InterviewPlan(), *[(one, "made")] * 9)) == 3
    assert level_aimed_at(asked(InterviewPlan(), *[(one, "missing")] * 9)) == 0


def test_an_interview_covers_topics_and_a_deep_dive_stays(shipped_bank: list[Question]):
    mixed = run_through(shipped_bank, InterviewPlan(seed=3), "partial", 8)
    deep = run_through(shipped_bank, InterviewPlan(style="deep-dive", seed=3), "partial", 8)

    assert max(Counter(one.topic for one in mixed).values()) <= 2
    assert max(Counter(one.topic for one in deep).values()) >= 6


@pytest.mark.parametrize("style", ["screening", "deep-dive", "behavioural", "systems-gpu"])
def test_a_style_asks_its_kinds_of_questions(shipped_bank: list[Question], style: str):
    plan = InterviewPlan(style=style)  # type: ignore[arg-type]

    found = suitable_questions(shipped_bank, plan, is_bilingual=False)

    is_story = {one.kind == "behavioural" for one in found}
    assert is_story == {style == "behavioural"}
    assert (style == "screening") == (not {one.kind for one in found} & {"code", "design", "debug", "behavioural"})
    if style == "systems-gpu":
        assert {one.topic for one in found} == SYSTEMS_TOPICS


def test_named_topics_take_the_place_of_those_of_the_style(shipped_bank: list[Question]):
    plan = InterviewPlan(topics=("vision",), style="systems-gpu")

    assert {one.topic for one in suitable_questions(shipped_bank, plan, is_bilingual=False)} == {"vision"}


def test_the_language_is_that_of_the_question_unless_another_one_can_be_judged():
    bank = [question("en", translation="什么是随机失活？"), question("zh", prompt="什么是随机失活？"), question("only")]
    plan = InterviewPlan(language="zh")

    assert [one.id for one in suitable_questions(bank, plan, is_bilingual=False)] == ["zh"]
    assert [one.id for one in suitable_questions(bank, plan, is_bilingual=True)] == ["en", "zh"]
    assert [one.id for one in suitable_questions(bank, InterviewPlan(), is_bilingual=False)] == ["en", "only"]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (InterviewPlan(topics=("biology",)), "no topic 'biology'. Expected one of regularization"),
        (InterviewPlan(language="zh"), "asked in Chinese"),
        (InterviewPlan(style="behavioural", topics=("regularization",)), "style 'behavioural' on regularization"),
        (InterviewPlan(style="systems-gpu"), "Choose other topics"),
    ],
)
def test_a_plan_that_nothing_suits_says_what_to_change(plan: InterviewPlan, message: str):
    with pytest.raises(InterviewError, match=message):
        suitable_questions([question()], plan, is_bilingual=False)
