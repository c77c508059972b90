"""The Interview tab's handlers, without a browser."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import unquote

import gradio as gr
import pytest

from tutor.interview import Interview
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.interview_tab import InterviewHandlers, RoomView

pytestmark = pytest.mark.usefixtures("closed_event_loops")
HALF = "Dropout zeroes random activations during training."


@pytest.fixture
def handlers(tutor: Tutor) -> InterviewHandlers:
    return InterviewHandlers(tutor)


def begin(handlers: InterviewHandlers, length: str = "1 question", level: str = "junior") -> RoomView:
    """An interview whose first question is the one about dropout."""
    return handlers.start(["regularization"], level, "deep-dive", length, "en", shows_timer=True)


def state(view: RoomView) -> Interview:
    assert view.interview is not None
    return view.interview


def sets_the_text(view: RoomView) -> bool:
    """Whether the field is emptied; what is being typed would be lost."""
    return "value" in view.attempt.constructor_args


def test_a_new_interview_shows_its_question_and_where_it_stands(handlers: InterviewHandlers):
    view = begin(handlers, "3 questions")

    assert view.room.visible
    assert not view.setup.visible
    assert "What does dropout do" in view.question
    assert "Question 1 of 2" in view.status, "of no more questions than there are"
    assert "Regularization · junior · concept" in view.status
    assert re.search(r'data-used="\d+"', view.status)
    assert view.talk.visible
    assert not view.after.visible
    assert not view.dispute.visible


def test_an_interview_without_a_limit_counts_and_one_without_a_timer_shows_none(handlers: InterviewHandlers):
    view = handlers.start([], "", "mixed", "Until I end it", "en", shows_timer=False)

    assert "<b>Question 1</b>" in view.status
    assert "timer" not in view.status


def test_a_choice_without_questions_says_what_to_change(handlers: InterviewHandlers):
    with pytest.raises(gr.Error, match="style 'behavioural'"):
        handlers.start([], "", "behavioural", "1 question", "en", shows_timer=True)


def test_help_stands_below_the_question_with_its_cost_and_what_is_typed_stays(handlers: InterviewHandlers):
    hinted = handlers.hint(state(begin(handlers)))
    clarified = handlers.clarify("What do you mean by patience?", state(hinted))

    assert "Think of what happens to single units. <small>(-5%)</small>" in hinted.transcript
    assert sets_the_text(clarified)
    assert not sets_the_text(hinted)
    assert "What do you mean by patience?" in clarified.transcript
    assert clarified.talk.visible


def test_a_typed_word_to_the_interviewer_is_not_graded_and_that_is_said(
    handlers: InterviewHandlers, tutor: Tutor, capsys: pytest.CaptureFixture[str]
):
    view = handlers.send("Could you clarify?", state(begin(handlers)))

    # Outside of a page Gradio prints what it would show.
    assert "Taken for a question to the interviewer" in capsys.readouterr().out
    assert "Put another way" in view.transcript
    assert tutor.progress.reviews("me") == []


def test_an_answer_is_graded_at_once_and_the_point_that_is_asked_for_is_not_given_away(handlers: InterviewHandlers):
    view = handlers.send(HALF, state(begin(handlers)))

    assert "✓ Made" in view.transcript
    assert "You said: “Dropout zeroes random activations during training.”" in view.transcript
    assert "Model answer" not in view.transcript, "it would tell what the follow-up asks for"
    assert "What can you add about “Dropout”?" in view.transcript
    assert "Dropout is switched off at inference." not in view.transcript
    assert view.attempt.label == "Your answer to the follow-up"
    assert view.skip.value == "See the report"
    assert [number for _, number in view.point.choices] == [3], "what is asked for is not listed to be disputed yet"


def test_an_answer_in_another_language_gives_no_point_away_and_may_be_given_again(handlers: InterviewHandlers):
    view = handlers.send("随机把一些激活置零，推理时关闭。", state(begin(handlers)))

    assert "another language than the question" in view.transcript
    assert "Dropout is switched off" not in view.transcript
    assert view.talk.visible
    assert not view.dispute.visible
    assert "✓ Made" in handlers.send(HALF, state(view)).transcript


def test_a_follow_up_adds_to_the_score_and_the_arithmetic_is_shown(handlers: InterviewHandlers):
    view = handlers.send(HALF, state(handlers.hint(state(begin(handlers)))))
    view = handlers.send("Dropout is switched off at inference.", state(view))
    view = handlers.send("Cats are nice animals.", state(view))

    assert "That makes the point: +17%" in view.transcript
    assert "<b>This question: 62%</b> (grade 50%, follow-ups +17%, 1 hint -5%)" in view.transcript
    assert view.after.visible
    assert not view.talk.visible
    assert view.next.value == "See the report"


def test_i_dont_know_teaches_with_sections_and_the_model_answer(handlers: InterviewHandlers):
    view = handlers.dont_know(state(begin(handlers)))

    assert "What a good answer says" in view.transcript
    assert "#read-regularization.md--dropout" in view.transcript
    assert '<details class="model-answer" open>' in view.transcript
    assert view.after.visible


def test_skip_goes_on_to_the_next_question_and_then_to_the_report(handlers: InterviewHandlers):
    second = handlers.skip(state(begin(handlers, "3 questions")))
    over = handlers.skip(state(second))

    assert "Question 2 of 2" in second.status
    assert over.report.visible
    assert not over.room.visible
    assert "No score" in over.how_it_went


def test_a_dispute_shows_both_verdicts_and_the_follow_up_still_waits(handlers: InterviewHandlers):
    view = handlers.send("Some activations are knocked out while we are learning.", state(begin(handlers)))
    number = view.point.choices[0][1]
    view = handlers.dispute(number, "I meant “knocked out”.", state(view))

    assert "Disputed (it was ✗ Missing): “I meant “knocked out”.”" in view.transcript
    assert not sets_the_text(view)
    assert state(view).phase == "follow-up"


def test_a_dispute_of_nothing_is_an_error(handlers: InterviewHandlers):
    view = handlers.send(HALF, state(begin(handlers)))

    with pytest.raises(gr.Error, match="Choose the point"):
        handlers.dispute(None, "I said so.", state(view))
    with pytest.raises(gr.Error, match="There is no argument"):
        handlers.dispute(3, " ", state(view))


@pytest.mark.parametrize(
    ("text", "message"),
    [("   ", "empty"), ("x" * 50_001, "50,001 characters"), ("a\0b", "binary"), ("/hnit", "no command")],
)
def test_what_cannot_be_taken_is_an_error_and_changes_nothing(
    handlers: InterviewHandlers, tutor: Tutor, text: str, message: str
):
    run = state(begin(handlers))

    with pytest.raises(gr.Error, match=message):
        handlers.send(text, run)
    assert tutor.interviews.resume(run.id) == run


def test_a_turn_without_an_interview_is_an_error(handlers: InterviewHandlers):
    with pytest.raises(gr.Error, match="Start one"):
        handlers.send(HALF, None)
    with pytest.raises(gr.Error, match="Choose the interview"):
        handlers.resume(None)


def test_html_of_an_answer_is_shown_as_text(handlers: InterviewHandlers):
    view = handlers.send("<img src=x onerror=alert(1)> Dropout zeroes activations.", state(begin(handlers)))

    assert "<img" not in view.transcript
    assert "&lt;img" in view.transcript


def test_the_second_tab_is_warned_and_shown_where_it_stands_with_what_it_typed(handlers: InterviewHandlers):
    run = state(begin(handlers))
    ahead = state(handlers.send(HALF, run))

    with pytest.warns(UserWarning, match="another tab"):
        view = handlers.send("Something else.", run)

    assert state(view) == ahead
    assert not sets_the_text(view)
    assert "✓ Made" in view.transcript


def test_an_interview_that_was_left_is_offered_and_gone_on_with(handlers: InterviewHandlers):
    assert not handlers.look().left_row.visible
    left = handlers.send(HALF, state(begin(handlers)))

    offered = handlers.look()
    view = handlers.resume(offered.left.value)

    assert offered.left_row.visible
    assert "Question 1 of 1 · Deep dive · " in offered.left.choices[0][0]
    assert state(view) == state(left)
    assert view.transcript == left.transcript


def test_the_report_has_links_to_read_and_three_files_to_save(handlers: InterviewHandlers):
    view = handlers.end(state(handlers.send(HALF, state(begin(handlers)))))

    assert "Score 50%" in view.how_it_went
    assert "[Regularization › Dropout](#read-regularization.md--dropout" in view.how_it_went
    assert "Dropout is switched off at inference." in view.how_it_went, "no follow-up waits any more"
    assert '<details class="model-answer">' in view.how_it_went
    files = dict(re.findall(r'download="[^"]+\.(\w+)" href="data:[\w/]+;charset=utf-8;base64,([^"]+)"', view.downloads))
    texts = {ending: base64.b64decode(unquote(text)).decode() for ending, text in files.items()}
    assert list(texts) == ["md", "html", "json"]
    assert HALF in texts["md"]
    assert texts["html"].startswith("<!doctype html>")
    assert json.loads(texts["json"])["score"] == 0.5


def test_a_question_of_the_report_can_be_tried_again(handlers: InterviewHandlers):
    over = handlers.end(state(handlers.send(HALF, state(begin(handlers)))))
    asked = state(over).rounds[0].question

    assert f"[Try this question again](#practise-question/{asked.id})" in over.how_it_went
    again = handlers.practise(gr.EventData(None, {"kind": "question", "name": asked.id}))
    assert asked.prompt in again[1 + RoomView._fields.index("question")]


def test_another_interview_begins_at_the_set_up(handlers: InterviewHandlers):
    view = handlers.set_up()

    assert view.interview is None
    assert view.setup.visible
    assert not view.report.visible


def test_every_view_has_a_value_for_each_component(handlers: InterviewHandlers, tutor: Tutor):
    from ui.app import build_app

    app = build_app(tutor)

    sizes = {
        function.fn.__name__: len(function.outputs)
        for function in app.fns.values()
        if getattr(function.fn, "__self__", None) == handlers
    }
    # A link from another tab turns to this one first.
    others = {"look": 3, "practise": 1 + len(RoomView._fields)}
    assert sizes == {name: others.get(name, len(RoomView._fields)) for name in sizes}
    assert {"start", "resume", "send", "hint", "clarify", "dont_know", "skip", "next", "end", "dispute"} <= set(sizes)


def test_the_tab_of_a_tutor_without_index_offers_the_topics_of_the_bank(settings: Settings):
    handlers = InterviewHandlers(Tutor(settings))

    assert handlers.topics() == [("Regularization", "regularization")]
    with pytest.raises(gr.Error, match="tutor index"):
        begin(handlers).interview and handlers.send(HALF, state(begin(handlers)))
