"""An interview follows from its turns: where it stands, what it scores, how long it took."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interview_making import HEAVY, LIGHT, answer, at, grade, interview, put, question, said

from tutor.grading import Grade, Verdict, VerdictName
from tutor.interview import (
    FOLLOW_UP_SHARE,
    HINT_COST,
    LONGEST_TURN_SECONDS,
    FollowUp,
    Interview,
    InterviewError,
    InterviewPlan,
    Round,
    Turn,
)

DROPOUT = question()
ASKED = FollowUp("What can you add?", 1)


def after_answer(*verdicts: VerdictName, follow_up: FollowUp | None = None, more: tuple[Turn, ...] = ()) -> Round:
    return Round((put(DROPOUT), answer(grade(DROPOUT, *verdicts), follow_up=follow_up), *more))


def follow_up_answer(name: VerdictName, point: int = 1) -> Turn:
    return Turn("follow-up", at(0), "Because.", verdict=Verdict((HEAVY, LIGHT)[point - 1], name))


# Where it stands


def test_an_interview_begins_between_questions():
    assert interview([]).phase == "between"
    assert interview([]).current is None
    assert interview([]).score is None


@pytest.mark.parametrize(
    ("turns", "phase"),
    [
        ([], "question"),
        ([said("hint")], "question"),
        ([said("clarification")], "question"),
        ([said("skip")], "between"),
        ([said("dont-know")], "between"),
        ([answer(grade(DROPOUT, "made", "missing"))], "between"),
        ([answer(grade(DROPOUT, "made", "missing"), follow_up=ASKED)], "follow-up"),
        ([answer(grade(DROPOUT, "made", "missing"), follow_up=ASKED), said("hint")], "follow-up"),
        ([answer(grade(DROPOUT, "made", "missing"), follow_up=ASKED), said("skip")], "between"),
        ([answer(grade(DROPOUT, "made", "missing"), follow_up=ASKED), said("dont-know")], "between"),
        ([answer(grade(DROPOUT, "made", "missing"), follow_up=ASKED), follow_up_answer("made")], "between"),
        ([said("end")], "over"),
    ],
)
def test_what_was_said_last_decides_what_is_expected(turns: list[Turn], phase: str):
    assert interview([put(DROPOUT), *turns]).phase == phase


def test_a_dispute_leaves_the_follow_up_waiting():
    graded = grade(DROPOUT, "missing", "missing")
    disputed = grade(DROPOUT, "partial", "missing")
    turns = [
        put(DROPOUT),
        answer(graded, follow_up=ASKED),
        Turn("dispute", at(1), "I said so.", grade=disputed, point=1),
    ]

    run = interview(turns)

    assert run.phase == "follow-up"
    assert run.rounds[0].follow_up == ASKED
    assert run.rounds[0].grade == disputed


def test_each_question_has_its_own_turns():
    run = interview([put(DROPOUT), said("skip"), put(question("bptt")), said("hint"), said("end")])

    assert [round_.question.id for round_ in run.rounds] == ["dropout", "bptt"]
    assert run.rounds[0].is_skipped
    assert len(run.rounds[1].hints) == 1
    assert run.is_over
    assert run.current is None


def test_a_turn_makes_a_new_interview_and_leaves_the_old_one_as_it_was():
    run = interview([put(DROPOUT)])

    after = run.after(said("skip"))

    assert run.phase == "question"
    assert after.phase == "between"
    assert after.turns[:-1] == run.turns


# The score


def test_the_score_is_that_of_the_grade_less_the_hints():
    run = after_answer("made", "missing")
    hinted = Round((put(DROPOUT), said("hint"), said("hint"), answer(grade(DROPOUT, "made", "missing"))))

    assert run.score == 0.75
    assert hinted.score == pytest.approx(0.75 - 2 * HINT_COST)


def test_a_point_made_when_asked_for_counts_half():
    run = after_answer("missing", "made", follow_up=ASKED, more=(follow_up_answer("made"),))

    assert run.score == pytest.approx(0.25 + FOLLOW_UP_SHARE * 0.75)
    assert run.verdict_after(1) == "made"
    assert run.grade is not None
    assert run.grade.score == 0.25, "the grade itself stays what it was"


def test_a_follow_up_answer_that_says_less_takes_nothing_away():
    for name in ("missing", "contradicted", "partial"):
        run = after_answer("partial", "made", follow_up=ASKED, more=(follow_up_answer(name),))
        assert run.score == 0.625


def test_a_point_that_a_dispute_has_won_is_not_paid_twice():
    run = after_answer("missing", "made", follow_up=ASKED, more=(follow_up_answer("made"),))
    won = Turn("dispute", at(2), "See there.", grade=grade(DROPOUT, "made", "made"), point=1)

    assert Round((*run.turns, won)).score == 1.0


def test_not_knowing_counts_nothing_and_skipping_does_not_count():
    unknown = Round((put(DROPOUT), said("dont-know")))
    skipped = Round((put(DROPOUT), said("skip")))

    assert unknown.score == 0.0
    assert skipped.score is None
    made = answer(grade(DROPOUT, "made", "made"))
    assert interview([*unknown.turns, *skipped.turns, put(DROPOUT), made]).score == 0.5


def test_an_answer_that_could_not_be_judged_has_no_score_whatever_the_hints():
    run = Round((put(DROPOUT), said("hint"), answer(grade(DROPOUT, "unjudged", "unjudged"))))

    assert run.score is None


@given(
    verdicts=st.tuples(*[st.sampled_from(["made", "partial", "missing", "contradicted"])] * 2),
    hints=st.integers(0, 30),
    asked=st.lists(
        st.tuples(st.sampled_from([1, 2]), st.sampled_from(["made", "partial", "missing", "contradicted"])), max_size=2
    ),
)
def test_the_score_stays_between_nothing_and_one(verdicts: tuple[Any, Any], hints: int, asked: list[tuple[int, Any]]):
    turns = [put(DROPOUT), *[said("hint")] * hints, answer(grade(DROPOUT, *verdicts), follow_up=FollowUp("?", 1))]
    for point, name in asked:
        turns[-1] = replace(turns[-1], follow_up=FollowUp("?", point))
        turns.append(follow_up_answer(name, point))

    run = Round(tuple(turns))

    assert run.score is not None
    assert 0 <= run.score <= 1
    unasked = Round(tuple(turns[: 2 + hints])).score
    assert unasked is not None
    assert run.score >= unasked


# The time


def test_breaks_and_clocks_that_jump_do_not_count_as_time():
    day = 24 * 3600
    turns = [put(DROPOUT), said("hint", 60), said("hint", day), said("hint", 30), said("end", 90)]

    assert interview(turns).seconds == 60 + LONGEST_TURN_SECONDS + 0 + 60


def test_the_time_runs_on_while_the_learner_thinks():
    run = interview([put(DROPOUT), said("hint", 10)])

    assert run.seconds_at(at(70)) == 70
    assert run.seconds_at(at(0)) == 10, "a clock that was set back"


def test_questions_end_when_all_were_put_or_the_time_is_up():
    by_number = interview([put(DROPOUT)], InterviewPlan(questions=1))
    by_time = interview([put(DROPOUT)], InterviewPlan(questions=0, minutes=2))

    assert by_number.is_used_up(at(0))
    assert not by_time.is_used_up(at(119))
    assert by_time.is_used_up(at(120))


# The plan


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": "guru"}, "no level 'guru'. Expected one of junior"),
        ({"style": "chat"}, "no style 'chat'. Expected one of screening"),
        ({"language": "de"}, "no language 'de'. Expected one of en, zh"),
        ({"questions": 51}, "Expected 0 to 50"),
        ({"questions": -1}, "Expected 0 to 50"),
        ({"minutes": 241}, "Expected 0 to 240"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_names_what_is_expected(wrong: dict[str, Any], message: str):
    with pytest.raises(InterviewError, match=message):
        InterviewPlan(**wrong)


def test_a_screening_asks_less_after_each_answer_than_a_deep_dive():
    assert InterviewPlan(style="screening").max_follow_ups < InterviewPlan(style="deep-dive").max_follow_ups == 2


def test_a_round_without_its_question_says_so():
    with pytest.raises(InterviewError, match="without a question"):
        _ = Round((Turn("question", at(0)),)).question


def test_interviews_with_the_same_turns_are_equal():
    turns = [put(DROPOUT), answer(grade(DROPOUT, "made", "made"))]

    assert isinstance(interview(turns).rounds[0].grade, Grade)
    assert interview(turns) == interview(turns)
    assert interview(turns) != Interview("two", InterviewPlan(questions=3), at(0), tuple(turns))
