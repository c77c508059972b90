"""Answers that a language model writes: the prompt it gets, and every shape that its reply can take."""

from __future__ import annotations

import json
from threading import Event

import pytest
from scripted_models import Script, ScriptedModel

from tutor.answers import NOT_IN_THE_GUIDES, Answer, AnswerSentence
from tutor.generated_answers import ANSWER_SYSTEM_PROMPT, read_reply
from tutor.language_model import Message, ModelUnavailableError
from tutor.settings import Settings
from tutor.tutor import Tutor

INFERENCE = "What does BatchNorm use at inference?"
GROUNDED = "BatchNorm uses running averages of the mean and variance at inference"
OTHERS = "A prediction does not depend on the other examples of its batch"
LAYERNORM = "LayerNorm works at any batch size"
MADE_UP = "It was invented by Alan Turing in 1936 for chess computers"
BREAD = "How do I bake bread with sourdough in training?"
DROPOUT = Answer("What is BatchNorm?", "What is BatchNorm?")


def tutor_with(settings: Settings, *replies: Script, **fields: object) -> Tutor:
    tutor = Tutor(settings.model_copy(update=fields), model=ScriptedModel(*replies))
    tutor.update_index()
    return tutor


def generated(settings: Settings, *replies: Script, question: str = INFERENCE) -> Answer:
    return tutor_with(settings, *replies).ask(question)


def prompts(tutor: Tutor) -> list[list[Message]]:
    """What the scripted model was given, call by call."""
    model = tutor.model
    assert isinstance(model, ScriptedModel)
    return [list(messages) for messages in model.prompts]


def test_good_reply_is_the_answer_with_its_source(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1]. {OTHERS} [1].")

    assert answer.model == "scripted"
    assert answer.text == (f"{GROUNDED}. [1] A prediction does not depend on the other examples of its batch. [1]")
    assert all(sentence.is_supported for sentence in answer.sentences)
    assert [citation.chunk.id for citation in answer.citations] == ["normalization.md#batchnorm-at-inference"]
    assert answer.citations[0].quote.startswith("At inference BatchNorm uses running averages")
    assert answer.unknown_marks == 0


def test_model_sees_the_rules_the_level_the_numbered_passages_and_the_standalone_question(settings: Settings):
    tutor = tutor_with(settings, "What does BatchNorm use at inference?", f"{GROUNDED} [1].", level="senior")

    tutor.ask("What does it use at inference?", [DROPOUT])

    _, [system, *_, user] = prompts(tutor)
    assert system == Message("system", ANSWER_SYSTEM_PROMPT.format(level="senior"))
    assert "prepares for a senior interview" in system.content
    assert ' number=1 from="Normalization: BatchNorm at inference">\nAt inference BatchNorm uses' in user.content
    assert user.content.endswith("Question: What does BatchNorm use at inference?")


@pytest.mark.parametrize(
    ("reply", "marks"),
    [
        (f"{GROUNDED} [1].", [(1,)]),
        (f"{GROUNDED}. [1]", [(1,)]),
        (f"{GROUNDED}.[1]", [(1,)]),
        (f"{GROUNDED} [1][2].", [(1, 2)]),
        (f"{GROUNDED} [1] [2].", [(1, 2)]),
        (f"{GROUNDED} [1, 2].", [(1, 2)]),
        (f"{GROUNDED}. [1,2]", [(1, 2)]),
        (f"{GROUNDED} [1][1].", [(1,)]),
        (f"{GROUNDED}. [1] LayerNorm works at any batch size. [2]", [(1,), (2,)]),
        (f"- {GROUNDED} [1].\n- LayerNorm works at any batch size [2].", [(1,), (2,)]),
        (f"{GROUNDED}。[1]", [(1,)]),
    ],
)
def test_marks_are_read_wherever_a_model_puts_them(settings: Settings, reply: str, marks: list[tuple[int, ...]]):
    answer = generated(settings, reply)

    assert [sentence.citations for sentence in answer.sentences] == marks
    assert all("[" not in sentence.text for sentence in answer.sentences)


def test_mark_outside_the_passages_is_dropped_and_counted(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1][9]. It never fails [42].")

    assert answer.unknown_marks == 2
    assert answer.sentences[0].citations == (1,)
    assert "[9]" not in answer.text
    assert "[42]" not in answer.text


def test_citations_of_a_reply_are_renumbered_in_the_order_of_use(settings: Settings):
    answer = generated(settings, f"LayerNorm works at any batch size [3]. {GROUNDED} [1].")

    assert [sentence.citations for sentence in answer.sentences] == [(1,), (2,)]
    assert [citation.number for citation in answer.citations] == [1, 2]


def test_sentence_that_its_passage_does_not_bear_out_is_not_supported(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1]. It was invented by Alan Turing in 1936 for chess computers [1].")

    assert [sentence.is_supported for sentence in answer.sentences] == [True, False]


def test_sentence_without_a_mark_is_not_supported(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1]. {LAYERNORM}.")

    assert [sentence.is_supported for sentence in answer.sentences] == [True, False]


@pytest.mark.parametrize(
    "reply",
    [
        "Bananas are yellow [1]. Turing invented chess computers [2].",
        f"{GROUNDED}.",
        f"{GROUNDED} [77].",
        "BatchNorm does not use running averages of 512 batches [1].",
    ],
)
def test_reply_without_a_supported_sentence_gives_way_to_the_guides(settings: Settings, reply: str):
    answer = generated(settings, reply)

    assert answer.model == "extractive"
    assert answer.sentences[0].text.startswith("At inference BatchNorm uses running averages")
    assert answer.unknown_marks == 0


@pytest.mark.parametrize("reply", ["NOT IN THE GUIDES", "Not in the guides.", "<think>Hm.</think>NOT IN\nTHE GUIDES"])
def test_reply_that_the_guides_do_not_answer_declines_with_suggestions(settings: Settings, reply: str):
    answer = generated(settings, reply)

    assert not answer.answered
    assert answer.suggestions[0].chunk.heading == "BatchNorm at inference"


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "  \n",
        "…",
        "[1]",
        '{"answer": "BatchNorm uses running',
        json.dumps({"answer": GROUNDED}),
        '```json\n{"a": 1',
    ],
)
def test_empty_reply_and_broken_json_give_way_to_the_guides_with_a_note(settings: Settings, reply: str):
    answer = generated(settings, reply)

    assert answer.model == "extractive"
    assert answer.sentences[0].text.startswith("At inference BatchNorm uses running averages")
    assert "not borne out by the guides" in answer.notes[-1]


def test_unsupported_sentence_is_marked_wherever_the_text_is_read(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1]. {MADE_UP} [1].")

    assert answer.text == f"{GROUNDED}. [1] {MADE_UP}. [1] ({NOT_IN_THE_GUIDES})"


def test_marks_that_close_a_run_of_sentences_count_for_all_that_they_support(settings: Settings):
    answer = generated(settings, f"{MADE_UP}. {OTHERS}. {GROUNDED} [1].")

    assert [sentence.citations for sentence in answer.sentences] == [(), (1,), (1,)]
    assert [sentence.is_supported for sentence in answer.sentences] == [False, True, True]


def test_thoughts_of_a_reasoning_model_are_no_part_of_the_answer(settings: Settings):
    answer = generated(settings, f"<think>{MADE_UP} [1]. So.</think>\n\n{GROUNDED} [1].")

    assert answer.text == f"{GROUNDED}. [1]"


@pytest.mark.parametrize("broken", ["\ud83d", "\ufffd\ufffd", "\0"])
def test_broken_characters_are_left_out_and_the_answer_is_kept(settings: Settings, broken: str):
    tutor = tutor_with(settings, [f"{GROUNDED}{broken} [1]. ", f"{OTHERS} {broken}[1]."])

    answer = tutor.ask(INFERENCE)

    assert len([sentence for sentence in answer.sentences if sentence.is_supported]) == 2
    assert broken not in answer.text
    assert len(tutor.progress.exchanges("me")) == 1


FAILURES = (
    ModelUnavailableError("The model went away."),
    ConnectionResetError("The model went away."),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "The model went away."),
)


@pytest.mark.parametrize("failure", FAILURES)
def test_model_that_fails_in_the_middle_leaves_what_is_supported_with_a_note(settings: Settings, failure: Exception):
    answer = generated(settings, [f"{GROUNDED} [1]. ", "And then ", failure])

    assert answer.text == f"{GROUNDED}. [1]"
    assert answer.model == "scripted"
    assert "breaks off" in answer.notes[-1]
    assert "The model went away." in answer.notes[-1]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("said", [[], [f"{MADE_UP} [1]. "], ["NOT IN THE "]])
def test_model_that_fails_before_anything_is_supported_gives_way_to_the_guides(
    settings: Settings, failure: Exception, said: list[str]
):
    answer = generated(settings, [*said, failure])

    assert answer.model == "extractive"
    assert all(sentence.is_supported for sentence in answer.sentences)
    assert "The model went away." in answer.notes[-1]


def test_code_in_a_reply_keeps_its_brackets(settings: Settings):
    answer = generated(settings, f"{GROUNDED} [1].\n\n```python\nmean = x[0][1]\n```\n")

    assert answer.sentences[1].text == "```python\nmean = x[0][1]\n```"
    assert answer.sentences[1].kind == "code"


def test_streamed_answer_grows_sentence_by_sentence(settings: Settings):
    reply = f"{GROUNDED} [1]. A prediction does not depend on the other examples [1]. LayerNorm works at any batch size [2]."
    tutor = Tutor(settings, model=ScriptedModel(reply))
    tutor.update_index()

    lengths = [len(answer.sentences) for answer in tutor.stream_answer(INFERENCE)]

    assert lengths == sorted(lengths)
    assert set(lengths) >= {1, 2, 3}


@pytest.mark.parametrize("said", [f"{GROUNDED} [1]. ", f"{GROUNDED} [1]. {OTHERS} [1].\n\n", f"{GROUNDED} [1]. la la "])
def test_endless_repetition_ends_by_itself_and_is_said_once(settings: Settings, said: str):
    tutor = tutor_with(settings, said * 400)

    answer = tutor.ask(INFERENCE)

    assert isinstance(tutor.model, ScriptedModel)
    assert tutor.model.pieces < 200
    assert answer.text.count(GROUNDED) == 1


def test_endless_syllables_after_the_answer_end_by_themselves(settings: Settings):
    tutor = tutor_with(settings, [f"{GROUNDED} [1]. ", *["ha"] * 5_000])

    answer = tutor.ask(INFERENCE)

    assert isinstance(tutor.model, ScriptedModel)
    assert tutor.model.pieces < 200
    assert answer.sentences[0].is_supported
    assert not any(sentence.is_supported for sentence in answer.sentences[1:])


def test_long_table_and_ruled_code_are_no_repetition(settings: Settings):
    rows = "\n".join(f"| {row} | {row * row} |" for row in range(40))
    answer = generated(
        settings, f"{GROUNDED} [1].\n\n| n | n² |\n{'|---' * 10}|\n{rows}\n\n```python\n# {'-' * 78}\n```\n"
    )

    assert {sentence.kind for sentence in answer.sentences} == {"prose", "table", "code"}
    assert "| 39 | 1521 |" in answer.text


def test_stop_ends_the_reply_and_keeps_what_was_said(settings: Settings):
    tutor = tutor_with(settings, " ".join(f"{GROUNDED} [1]. Step {step} is {step} [1]." for step in range(200)))
    stop = Event()

    for answer in tutor.stream_answer(INFERENCE, stop=stop):
        if len(answer.sentences) >= 3:
            stop.set()

    assert isinstance(tutor.model, ScriptedModel)
    assert answer.text.startswith(GROUNDED)
    assert tutor.model.pieces < 100


def test_stream_that_the_reader_leaves_is_closed(settings: Settings):
    model = ScriptedModel(f"{GROUNDED} [1]. " * 400)
    tutor = Tutor(settings, model=model)
    tutor.update_index()
    growing = tutor.stream_answer(INFERENCE)
    next(growing)

    growing.close()

    assert model.pieces < 100
    assert tutor.progress.exchanges("me") == []


def test_more_is_quoted_from_the_guides_even_with_a_model(settings: Settings):
    model = ScriptedModel()
    tutor = Tutor(settings, model=model)
    tutor.update_index()

    answer = tutor.ask(INFERENCE, detailed=True)

    assert model.prompts == []
    assert answer.model == "extractive"


def test_reply_over_no_passages_has_no_known_marks():
    reply = read_reply("Dropout helps [1].", [], lambda _word: 1.0)

    assert reply.sentences == (AnswerSentence("Dropout helps.", (), 0.0),)
    assert reply.citations == ()
    assert reply.unknown_marks == 1


# The conversation and the window


def test_earlier_turns_come_before_the_passages_without_what_was_not_supported(settings: Settings):
    tutor = tutor_with(settings, f"{GROUNDED} [1]. {MADE_UP} [1].", "What is LayerNorm?", f"{LAYERNORM} [1].")
    first = tutor.ask(INFERENCE)

    tutor.ask("What is LayerNorm?", [first])

    before, _, after = prompts(tutor)
    assert after[0] == before[0]
    assert after[1:3] == [Message("user", INFERENCE), Message("assistant", f"{GROUNDED}.")]
    assert [message.role for message in after] == ["system", "user", "assistant", "user"]


def test_conversation_longer_than_the_window_is_trimmed_from_its_beginning(settings: Settings):
    turns = [
        Answer(
            f"Question {turn}?", f"Question {turn}?", (AnswerSentence(f"Answer {turn}. " + "word " * 60, (1,), 1.0),)
        )
        for turn in range(40)
    ]
    model = ScriptedModel(INFERENCE, f"{GROUNDED} [1].", window_tokens=1_000)
    tutor = Tutor(settings.model_copy(update={"max_new_tokens": 200}), model=model)
    tutor.update_index()

    answer = tutor.ask(INFERENCE, turns)

    [_, prompt] = model.prompts
    assert answer.text == f"{GROUNDED}. [1]"
    assert model.count_tokens(prompt) <= 800
    assert prompt[-2].content.startswith("Answer 39.")
    assert 2 < len(prompt) < 2 * len(turns)


@pytest.mark.parametrize("window", [400, 330, 300, 280])
def test_passages_are_fitted_to_the_window(settings: Settings, window: int):
    model = ScriptedModel(f"{GROUNDED} [1].", window_tokens=window)
    tutor = Tutor(settings.model_copy(update={"max_new_tokens": 32}), model=model)
    tutor.update_index()

    tutor.ask(INFERENCE)

    [prompt] = model.prompts
    assert model.count_tokens(prompt) <= window - 32
    assert prompt[-1].content.endswith(f"Question: {INFERENCE}")


def test_question_that_fits_no_window_is_answered_by_the_guides(settings: Settings):
    model = ScriptedModel(window_tokens=64)
    tutor = Tutor(settings, model=model)
    tutor.update_index()

    answer = tutor.ask(INFERENCE)

    assert answer.model == "extractive"
    assert "does not fit the window of 'scripted' (64 tokens" in answer.notes[-1]


def test_conversation_of_fifty_turns_never_breaks(settings: Settings):
    model = ScriptedModel(
        f"{GROUNDED} [1].",
        *(reply for _ in range(49) for reply in (INFERENCE, f"{GROUNDED} [1].")),
        window_tokens=700,
    )
    tutor = Tutor(settings, model=model)
    tutor.update_index()
    history: list[Answer] = []

    for _ in range(50):
        history.append(tutor.ask(INFERENCE, history))

    assert all(answer.answered for answer in history)


# What the guides do not cover


def test_guides_only_never_asks_the_model_what_the_guides_do_not_cover(settings: Settings):
    tutor = tutor_with(settings)

    answer = tutor.ask(BREAD)

    assert not answer.answered
    assert 1 <= len(answer.suggestions) <= 3
    assert prompts(tutor) == []


def test_guides_first_gives_the_models_own_answer_marked_with_the_nearest_sections(settings: Settings):
    tutor = tutor_with(settings, "Mix flour and water. Wait a day [1].", answer_from="guides-first")

    answer = tutor.ask(BREAD)

    assert answer.is_from_memory
    assert answer.citations == ()
    assert not any(sentence.is_supported for sentence in answer.sentences)
    assert answer.text == f"Mix flour and water. ({NOT_IN_THE_GUIDES}) Wait a day. ({NOT_IN_THE_GUIDES})"
    assert 1 <= len(answer.suggestions) <= 3
    assert "own knowledge" in prompts(tutor)[0][0].content


def test_guides_first_for_one_question_where_the_model_finds_no_answer_in_the_passages(settings: Settings):
    tutor = tutor_with(settings, "NOT IN THE GUIDES", "I believe that it uses averages.")

    answer = tutor.ask(INFERENCE, answer_from="guides-first")

    assert answer.is_from_memory
    assert answer.text == f"I believe that it uses averages. ({NOT_IN_THE_GUIDES})"


def test_guides_first_still_answers_from_the_guides_what_they_cover(settings: Settings):
    answer = tutor_with(settings, f"{GROUNDED} [1].", answer_from="guides-first").ask(INFERENCE)

    assert not answer.is_from_memory
    assert answer.sentences[0].is_supported


@pytest.mark.parametrize("reply", ["", [ModelUnavailableError("The model went away.")]])
def test_guides_first_with_a_model_that_says_nothing_declines(settings: Settings, reply: Script):
    answer = tutor_with(settings, reply, answer_from="guides-first").ask(BREAD)

    assert not answer.answered
    assert answer.suggestions


def test_guides_first_without_a_model_says_what_it_needs(tutor: Tutor):
    answer = tutor.ask(BREAD, answer_from="guides-first")

    assert not answer.answered
    assert "needs a language model" in answer.notes[-1] or "TUTOR_LANGUAGE_MODEL" in answer.notes[-1]


# Follow-ups


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "BatchNorm uses running averages at inference.\nIt collects them in training.",
        "What does Alan Turing use at inference?",
        "Why?",
        "What does BatchNorm use at inference? " * 40,
        [ModelUnavailableError("gone")],
    ],
)
def test_rewriting_that_is_none_gives_way_to_the_rules(settings: Settings, reply: Script):
    tutor = tutor_with(settings, reply, f"{GROUNDED} [1].")

    answer = tutor.ask("What does it use at inference?", [DROPOUT])

    assert answer.standalone_question == "What does BatchNorm use at inference?"


def test_rewriting_of_the_model_is_what_is_searched_and_shown(settings: Settings):
    tutor = tutor_with(settings, "At inference, what does BatchNorm use?", f"{GROUNDED} [1].")

    answer = tutor.ask("And at inference, what is used?", [DROPOUT])

    assert answer.standalone_question == "At inference, what does BatchNorm use?"
    assert answer.sentences[0].is_supported


def test_first_question_is_not_rewritten(settings: Settings):
    tutor = tutor_with(settings, f"{GROUNDED} [1].")

    tutor.ask(INFERENCE)

    assert len(prompts(tutor)) == 1


# Forms


@pytest.mark.parametrize(
    ("message", "form"),
    [
        ("Shorter", "one or two sentences"),
        ("go deeper", "in depth"),
        ("An analogy", "analogy"),
        ("再举个例子", "one example"),
    ],
)
def test_form_is_asked_of_the_model_for_the_last_question(settings: Settings, message: str, form: str):
    tutor = tutor_with(settings, f"{GROUNDED} [1].", f"{GROUNDED} [1].")
    first = tutor.ask(INFERENCE)

    answer = tutor.ask(message, [first])

    assert answer.standalone_question == INFERENCE
    assert form in prompts(tutor)[-1][-1].content
    assert prompts(tutor)[-1][-1].content.endswith(f"Question: {INFERENCE}")


def test_translation_keeps_citations_and_numbers_and_leaves_the_rest_as_it_is(settings: Settings):
    tutor = tutor_with(
        settings, "1. 耐心值是验证损失连续没有改善的轮数。\n2. 耐心值常取 7 到 12 轮。", language_model="x"
    )

    answer = tutor.ask("What is the patience of early stopping? In Chinese")

    assert answer.model == "scripted"
    assert answer.sentences[0].text == "耐心值是验证损失连续没有改善的轮数。"
    assert answer.sentences[1].text == "A patience of 5 to 10 epochs is common."
    assert all(sentence.is_supported for sentence in answer.sentences)


def test_translation_that_fails_leaves_the_answer_with_a_note(settings: Settings):
    answer = generated(
        settings, [ModelUnavailableError("gone")], question="What is the patience of early stopping? In Chinese"
    )

    assert answer.sentences[0].text.startswith("Early stopping ends training")
    assert "gone" in answer.notes[-1]
