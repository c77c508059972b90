"""Turns of the chat as the history keeps them, and back."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from scripted_models import ScriptedModel

from index.hits import Hit, Neighbours
from index.scope import Scope
from tutor.answers import Answer
from tutor.conversation import Conversation, Turn
from tutor.conversation_records import conversation_markdown, conversation_record, read_turn, searched_text, turn_record
from tutor.database import ProgressError
from tutor.modes import MODE_WORDS
from tutor.tutor import Tutor
from ui.render_chat import reply_markdown, turn_sources

ATTEMPT = "Dropout zeroes random activations during training. Dropout stays active when predicting."


def kept(turn: Turn) -> Turn:
    """What is left of a turn that was written and read."""
    return read_turn(json.loads(json.dumps(turn_record(turn))))


def without_surroundings(answer: Answer) -> Answer:
    """An answer without what is not kept: the texts around its passages, and passages that say the same."""

    def bare(hit: Hit) -> Hit:
        before, after = (replace(chunk, text="") if chunk else None for chunk in (hit.around.before, hit.around.after))
        return replace(hit, also=(), around=Neighbours(before, after))

    return replace(
        answer,
        citations=tuple(replace(one, hit=bare(one.hit) if one.hit else None) for one in answer.citations),
        suggestions=tuple(map(bare, answer.suggestions)),
    )


@pytest.mark.parametrize(
    "question",
    [
        "What does dropout do during training?",
        "What is the formula of weight decay?",
        "Show code that standardizes x with numpy",
        "批归一化怎么计算？",
        "Who won the football world cup with probability p in 1998?",
        "quiz me on dropout",
    ],
)
def test_answer_comes_back_as_it_was_given_and_is_shown_alike(tutor: Tutor, question: str):
    turn = Turn(question, tutor.ask(question), scope=Scope(languages=("en",)), thumb="down")
    assert turn.answer is not None
    back = kept(turn)

    assert back == replace(turn, answer=without_surroundings(turn.answer))
    assert back.id == turn.id
    assert reply_markdown(back, 3) == reply_markdown(turn, 3)
    assert turn_sources(Conversation((back,)), 0) == turn_sources(Conversation((turn,)), 0)


@pytest.mark.parametrize("form", MODE_WORDS.values())
def test_answer_that_came_back_can_be_followed_up_in_any_form(tutor: Tutor, form: str):
    answer = tutor.ask("What does dropout do during training?")
    back = kept(Turn(answer.question, answer)).answer
    assert back is not None

    assert tutor.ask(form, [back]).text == tutor.ask(form, [answer]).text


def test_answer_of_a_model_comes_back_with_its_marks(tutor: Tutor):
    said = (
        "Dropout zeroes each activation with probability $p$ during training [1]. It was invented by Alan Turing [1]."
    )
    answer = Tutor(tutor.settings, model=ScriptedModel(said)).ask("What does dropout do during training?")
    back = kept(Turn(answer.question, answer)).answer

    assert back is not None
    assert [sentence.is_supported for sentence in back.sentences] == [True, False]
    assert back.text == answer.text


def test_grade_comes_back_with_its_dispute_and_passages(tutor: Tutor):
    grade = tutor.grade(tutor.find_question("dropout-train-inference"), ATTEMPT)
    number = next(n for n, verdict in enumerate(grade.verdicts, start=1) if verdict.verdict != "made")
    turn = Turn("my answer: …", grade=tutor.dispute(grade, number, "See “zeroes random activations”."))

    assert kept(turn) == turn
    assert reply_markdown(kept(turn), 0) == reply_markdown(turn, 0)


def test_question_without_an_answer_says_so():
    assert "Ask it again" in kept(Turn("What is dropout?")).failure
    assert kept(Turn("What is dropout?", failure="Stopped.")).failure == "Stopped."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "kept by another version"),
        ({"version": None}, "kept by another version"),
        ({"question": 3}, "cannot be read"),
        ({"answer": {"question": "?"}}, "cannot be read"),
    ],
)
def test_record_that_cannot_be_read_is_a_clear_error(change: dict[str, object], said: str):
    with pytest.raises(ProgressError, match=said):
        read_turn({**turn_record(Turn("What is dropout?")), **change})


def test_words_of_question_answer_and_grade_are_searched(tutor: Tutor):
    answer = tutor.ask("What is early stopping?")
    grade = tutor.grade(tutor.find_question("dropout-train-inference"), ATTEMPT)

    assert "patience" in searched_text(turn_record(Turn(answer.question, answer)))
    assert grade.feedback in searched_text(turn_record(Turn("my answer", grade=grade)))
    assert "early" in searched_text(turn_record(Turn("early", failure="Stopped.")))


def test_export_names_every_source_and_what_became_of_each_question(tutor: Tutor):
    declined = "Who won the football world cup with probability p in 1998?"
    grade = tutor.grade(tutor.find_question("dropout-train-inference"), ATTEMPT)
    turns = (
        Turn("What is early stopping?", tutor.ask("What is early stopping?")),
        Turn(declined, tutor.ask(declined)),
        Turn("my answer: …", grade=grade),
        Turn("And?", failure="Stopped."),
    )
    conversation = Conversation(turns, "c", "Before the interview")
    text, record = conversation_markdown(conversation), conversation_record(conversation)

    assert text.startswith("# Before the interview\n\n## What is early stopping?\n\nEarly stopping ends training")
    assert "**[1]** Regularization, Early stopping (regularization.md:19)\n\n> Early stopping ends training" in text
    assert "The guides do not cover this.\n\nThe nearest sections:\n\n* " in text
    assert re.search(r"\n\* \w+: Dropout zeroes random activations during training\. \(you said: “Dropout zeroes", text)
    assert text.endswith("## And?\n\nStopped.\n")
    assert [turn["question"] for turn in record["turns"]] == [turn.question for turn in turns]
    assert record["turns"][0]["answer"]["citations"][0]["heading"] == "Early stopping"
    assert json.loads(json.dumps(record)) == record
