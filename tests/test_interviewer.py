"""What the interviewer says: hints, clarifications, follow-ups, lessons."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest
from interview_making import answer, grade, put, question

from corpus.questions import KeyPoint, Quantity, Question
from tutor.grading import Grade, GradingError, Verdict
from tutor.interview import FollowUp, Interview, InterviewError, InterviewPlan, Round
from tutor.interview_messages import Message, Move
from tutor.interview_phrases import PHRASES
from tutor.interviewer import next_follow_up, shown_grade, wants_questions, withheld_points
from tutor.tutor import Tutor

HALF = "Dropout zeroes random activations during training."
WHOLE = (
    "Dropout zeroes random activations during training. Dropout is switched off at inference. "
    "Dropout reduces co-adaptation of units."
)


def say(tutor: Tutor, run: Interview, move: Move, text: str = "", point: int = 0) -> Interview:
    return tutor.interviews.take_turn(run, Message(move, text, point))


def reply(run: Interview) -> str:
    return run.turns[-1].reply


@pytest.fixture
def dropout(tutor: Tutor) -> Interview:
    """An interview that begins with the question about dropout."""
    return tutor.interviews.start(InterviewPlan(topics=("regularization",), level="junior", style="deep-dive"))


def test_the_interview_of_these_tests_begins_with_dropout(dropout: Interview):
    assert dropout.rounds[0].question.id == "dropout-train-inference"


# Hints


def test_hints_grow_from_the_questions_own_to_the_first_words_of_the_weightiest_point(tutor: Tutor, dropout: Interview):
    hints = []
    for _ in range(4):
        dropout = say(tutor, dropout, "hint")
        hints.append(reply(dropout))

    assert hints == [
        "Think of what happens to single units.",
        "What differs between training and prediction?",
        "Think of what belongs under “Dropout”.",
        "One point begins: “Dropout zeroes …”",
    ]
    with pytest.raises(InterviewError, match="no more hints"):
        say(tutor, dropout, "hint")


def test_a_hint_on_a_follow_up_is_about_its_point(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", HALF)

    assert run.phase == "follow-up"
    assert reply(say(tutor, run, "hint")) == "One point begins: “Dropout is …”", "the follow-up has named the section"


def test_hints_cost_and_the_cost_is_on_the_question(tutor: Tutor, dropout: Interview):
    plain = say(tutor, dropout, "answer", WHOLE)
    hinted = tutor.interviews.start(
        InterviewPlan(topics=("regularization",), level="junior", style="deep-dive", seed=1)
    )
    hinted = say(tutor, hinted, "hint")
    if hinted.rounds[0].question == plain.rounds[0].question:
        hinted = say(tutor, hinted, "answer", WHOLE)
        assert plain.rounds[0].score == 1.0
        assert hinted.rounds[0].score == 0.95
    else:
        pytest.fail("both interviews should begin with the same question")


# Clarifications


def test_a_clarification_says_the_question_in_other_words_and_what_is_expected(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "clarification", "Could you rephrase that?")

    assert "Explain dropout." in reply(run)
    assert "explanation in your own words" in reply(run)
    assert "junior" in reply(run)
    assert run.phase == "question"
    assert run.rounds[0].score is None


def test_a_clarification_in_chinese_gets_the_chinese_wording(tutor: Tutor, dropout: Interview):
    assert "推理时有什么变化" in reply(say(tutor, dropout, "clarification", "能解释一下问题吗？"))


def test_a_term_is_defined_by_the_guides(tutor: Tutor, dropout: Interview):
    said_of = reply(say(tutor, dropout, "clarification", "What do you mean by patience?"))

    assert "patience" in said_of
    assert "Regularization > Early stopping" in said_of


def test_a_term_whose_definition_is_the_answer_is_not_defined(tutor: Tutor, dropout: Interview):
    said_of = reply(say(tutor, dropout, "clarification", "What is dropout?"))

    assert "zeroes" not in said_of
    assert "belongs to the answer" in said_of


def test_a_term_that_no_guide_knows_is_said_to_be_unknown(tutor: Tutor, dropout: Interview):
    assert "do not define “quuxification”" in reply(
        say(tutor, dropout, "clarification", "What do you mean by quuxification?")
    )


@pytest.mark.parametrize(
    "text", ["", "What is expected?", "Could you rephrase?", "What is co-adaptation?", "能解释一下吗？"]
)
def test_no_clarification_gives_a_point_away(tutor: Tutor, dropout: Interview, text: str):
    said_of = reply(say(tutor, dropout, "clarification", text))

    verdicts = tutor.judge(dropout.rounds[0].question, said_of or "Nothing.").verdicts
    assert not [verdict.key_point.text for verdict in verdicts if verdict.verdict == "made"]


# Follow-ups


def test_a_follow_up_is_aimed_at_the_weightiest_point_that_is_missing(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", HALF)

    assert run.rounds[0].follow_up == FollowUp("What can you add about “Dropout”?", 2)


def test_an_answer_to_a_follow_up_is_judged_for_its_point_alone(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", HALF)
    before = run.rounds[0].score

    run = say(tutor, run, "answer", "Dropout is switched off at inference. It reduces co-adaptation of units.")

    verdict = run.turns[-1].verdict
    assert verdict is not None
    assert verdict.key_point.text == "Dropout is switched off at inference."
    assert verdict.verdict == "made"
    assert before == 0.5
    assert run.rounds[0].score == pytest.approx(0.5 + 0.5 * 2 / 6, abs=1e-4)
    assert "That makes the point: +17%" in reply(run)
    assert run.rounds[0].verdict_after(3) == "missing"


def test_a_follow_up_that_is_not_met_tells_what_was_wanted_and_where_it_stands(tutor: Tutor, dropout: Interview):
    run = say(tutor, say(tutor, dropout, "answer", HALF), "answer", "Cats are nice animals.")

    assert "does not make the point" in reply(run)
    assert "Dropout is switched off at inference. (Regularization > Dropout)" in reply(run)
    assert run.rounds[0].score == 0.5


def test_the_second_follow_up_is_about_another_point_and_there_is_no_third(tutor: Tutor, dropout: Interview):
    run = say(tutor, say(tutor, dropout, "answer", "Cats are nice animals."), "answer", "Dogs are too.")

    assert [asked.point for asked, _ in run.rounds[0].follow_ups] == [1, 2]
    run = say(tutor, run, "answer", "And birds.")
    assert run.phase == "between"


def test_who_made_every_point_is_asked_a_step_deeper_without_a_grade(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", WHOLE)

    assert run.rounds[0].follow_up == FollowUp("Why does inverted dropout divide by the keep probability?")
    run = say(tutor, run, "answer", "So that the expected activation stays the same.")
    assert "not graded" in reply(run)
    assert "The guides say" in reply(run)
    assert run.rounds[0].score == 1.0


def test_not_knowing_a_follow_up_teaches_its_point_and_ends_the_question(tutor: Tutor, dropout: Interview):
    run = say(tutor, say(tutor, dropout, "answer", HALF), "dont-know")

    assert "Dropout is switched off at inference." in reply(run)
    assert run.phase == "between"
    assert run.rounds[0].score == 0.5


def test_the_summary_of_a_grade_keeps_quiet_about_the_point_that_is_asked_for(tutor: Tutor, dropout: Interview):
    now = say(tutor, dropout, "answer", HALF).rounds[0]

    grade_shown = shown_grade(now)

    assert now.grade is not None
    assert "Dropout is switched off" in now.grade.feedback
    assert grade_shown is not None
    assert "Dropout is switched off" not in grade_shown.feedback
    assert grade_shown.feedback.startswith("You made 1 of 3 key points.")


def test_what_was_said_in_part_is_asked_for_in_the_learners_own_words():
    asked = question()
    now = Round((put(asked), answer(grade(asked, "partial", "made", attempt="It drops things."))))

    follow_up = next_follow_up(now, InterviewPlan())

    assert follow_up is not None
    assert "You said: “It drops things.”" in follow_up.text


def computing(attempt: str, *points: str, unit: str = "1") -> Round:
    """A wrong answer to a question for the number 12, before any follow-up; the first point is the result."""
    asked = replace(
        question(kind="compute"),
        key_points=tuple(KeyPoint(text, 1, "") for text in points),
        quantity=Quantity(12, unit, "3 * 4"),
    )
    verdicts = tuple(Verdict(KeyPoint(text, 1, ""), "missing") for text in ("The result is 12.", *points))
    return Round((put(asked), answer(Grade(asked, attempt, verdicts))))


def test_a_number_that_is_asked_for_is_not_told_by_another_point():
    now = computing("It is 11.", "The product of 3 and 4 is 12.", "The layer has 120 units, 12.5 of them idle.")
    waits = Round((now.turns[0], replace(now.turns[1], follow_up=next_follow_up(now, InterviewPlan()))))

    assert withheld_points(waits) == {1, 2}
    assert withheld_points(now) == frozenset()


def test_the_summary_leaves_a_wrong_number_to_the_remark_about_it(tutor: Tutor):
    [asked] = [one for one in tutor.questions if one.quantity][:1]

    grade = tutor.judge(asked, "The result is 123456789.")

    assert grade.remarks
    assert grade.feedback.endswith(grade.remarks[-1])
    assert "The result is" not in grade.feedback.removesuffix(grade.remarks[-1])


@pytest.mark.parametrize(("unit", "is_asked"), [("1", False), ("GiB", True)])
def test_a_unit_is_asked_for_where_the_result_has_one(unit: str, *, is_asked: bool):
    follow_up = next_follow_up(computing("It is 11.", "Multiply.", unit=unit), InterviewPlan())

    assert follow_up is not None
    assert ("unit" in follow_up.text) is is_asked


def test_code_is_asked_for_where_there_was_none():
    asked = question(kind="code")
    verdicts = (Verdict(KeyPoint("The code passes its tests.", 3, ""), "missing"),)
    told, written = (
        next_follow_up(Round((put(asked), answer(Grade(asked, attempt, verdicts)))), InterviewPlan())
        for attempt in ("I would loop over it.", "```python\ndef f():\n    return 1\n```")
    )

    assert told == FollowUp(PHRASES["en"].show_code, 1)
    assert written == FollowUp(PHRASES["en"].mend_code, 1)


def test_long_words_are_repeated_in_part_and_never_twice():
    asked = question()
    long = "我" * 400
    first = answer(grade(asked, "partial", "partial", attempt=long), follow_up=FollowUp("…", 1))
    said_before = next_follow_up(Round((put(asked), replace(first, follow_up=None))), InterviewPlan())

    assert said_before is not None
    assert "我" * 200 + " …" in said_before.text
    again = next_follow_up(Round((put(asked), replace(first, follow_up=said_before))), InterviewPlan())
    assert again is not None
    assert again.point == 2
    assert again.text != said_before.text


def test_a_story_without_a_number_is_asked_for_one():
    point = KeyPoint("The result is quantified before and after.", 2, "behavioural#star")
    asked = Question(
        "story",
        "behavioural",
        "Tell me about a time when you sped a model up.",
        "mid",
        "behavioural",
        "A story.",
        (point,),
    )
    graded = Grade(
        asked, "Last year our detector was slow. I profiled it and fused the operators.", (Verdict(point, "missing"),)
    )

    follow_up = next_follow_up(Round((put(asked), answer(graded))), InterviewPlan())

    assert follow_up == FollowUp("What came of it? Give a number if you have one: before and after.", 1)


def test_no_follow_up_comes_after_an_answer_that_could_not_be_judged():
    asked = question()

    assert next_follow_up(Round((put(asked), answer(grade(asked, "unjudged", "unjudged")))), InterviewPlan()) is None


# In Chinese


def test_in_a_chinese_interview_the_interviewer_speaks_chinese(tutor: Tutor):
    # With a model that grades in both languages the English questions are asked too.
    interviews = replace(tutor.interviews, is_bilingual=True)
    run = interviews.start(InterviewPlan(language="zh", level="junior", style="deep-dive", topics=("regularization",)))

    hinted = interviews.take_turn(run, Message("clarification", ""))
    answered = interviews.take_turn(hinted, Message("answer", HALF))
    known = interviews.take_turn(answered, Message("dont-know", "不知道"))

    assert "我希望听到用自己的话解释" in reply(hinted)
    assert answered.rounds[0].follow_up == FollowUp("关于“Dropout”，你还能补充什么？", 2)
    assert reply(known).startswith("没关系。 完整的回答会说：Dropout is switched off")


def test_every_language_has_every_sentence():
    english, chinese = (asdict(PHRASES[language]) for language in ("en", "zh"))

    def blanks(value: object) -> list[str]:
        return sorted(re.findall(r"\{\w+\}", str(value)))

    assert all(english.values())
    for name, sentence in english.items():
        assert chinese[name], name
        assert blanks(chinese[name]) == blanks(sentence), name
        assert set(chinese[name]) == set(sentence) if isinstance(sentence, dict) else chinese[name] != sentence


# I don't know


def test_i_dont_know_teaches_the_points_with_their_sections(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "dont-know", "I don't know")

    lesson = run.rounds[0].lesson
    assert lesson is not None
    assert lesson.grade is not None
    assert "counts as 0" in lesson.reply
    assert {verdict.citation.chunk.heading for verdict in lesson.grade.verdicts if verdict.citation} == {"Dropout"}
    assert run.phase == "between"
    assert [review.score for review in tutor.progress.reviews("me")] == [0.0]


# Turns that do not fit


@pytest.mark.parametrize(
    ("move", "message"),
    [("answer", "This question is done"), ("hint", "This question is done"), ("clarification", "is done")],
)
def test_a_question_that_is_done_takes_no_more(tutor: Tutor, dropout: Interview, move: Move, message: str):
    run = say(tutor, dropout, "dont-know")

    with pytest.raises(InterviewError, match=message):
        say(tutor, run, move, "More.")


def test_an_interview_that_is_over_takes_nothing(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "end")

    with pytest.raises(InterviewError, match="over"):
        say(tutor, run, "answer", HALF)


def test_a_dispute_needs_a_grade_a_point_and_an_argument(tutor: Tutor, dropout: Interview):
    with pytest.raises(InterviewError, match="no grade to dispute"):
        say(tutor, dropout, "dispute", "I said so.", 1)
    run = say(tutor, dropout, "answer", HALF)
    with pytest.raises(GradingError, match="by its number"):
        say(tutor, run, "dispute", "I said so.")
    with pytest.raises(GradingError, match="no key point 9"):
        say(tutor, run, "dispute", "I said so.", 9)


def test_a_dispute_keeps_both_verdicts_in_its_turn(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", "At random, some activations are knocked out while we are learning.")
    before = run.rounds[0].grade
    assert before is not None
    number = next(number for number, verdict in enumerate(before.verdicts, 1) if verdict.verdict != "made")

    run = say(tutor, run, "dispute", "By knocked out I mean zeroed.", number)

    after = run.rounds[0].grade
    assert after is not None
    dispute = after.verdicts[number - 1].dispute
    assert dispute is not None
    assert dispute.before == before.verdicts[number - 1]
    assert run.turns[-1].reply == dispute.reason
    assert run.turns[-2].grade == before


@pytest.mark.parametrize("text", ["", "   ", "x" * 50_001, "a\0b"])
def test_what_cannot_be_graded_leaves_the_interview_as_it_was(tutor: Tutor, dropout: Interview, text: str):
    with pytest.raises(GradingError):
        say(tutor, dropout, "answer", text)

    assert tutor.interviews.resume(dropout.id) == dropout


def test_one_word_is_an_answer(tutor: Tutor, dropout: Interview):
    assert say(tutor, dropout, "answer", "Zeroes.").rounds[0].score == 0.0


def test_an_answer_in_another_language_is_not_judged_and_may_be_given_again(tutor: Tutor, dropout: Interview):
    run = say(tutor, dropout, "answer", "随机把一些激活置零，推理时关闭。")

    assert run.rounds[0].score is None
    assert run.phase == "question"
    again = say(tutor, run, "answer", WHOLE)
    assert again.rounds[0].score == 1.0
    skipped = say(tutor, tutor.interviews.resume(dropout.id), "skip") if again.phase == "follow-up" else again
    assert skipped.rounds[0].score == 1.0
    assert skipped.rounds[0].grade is not None


def test_a_question_that_wants_questions_is_known():
    asked = question(kind="behavioural", prompt="What questions do you have for us?")

    assert wants_questions(asked)
    assert not wants_questions(question())
