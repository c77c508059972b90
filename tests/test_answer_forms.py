"""The forms that an answer takes without a model: the guides' own words, or an honest note."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutor.answers import Answer
from tutor.settings import Settings
from tutor.tutor import QuestionError, Tutor

SOFTMAX_GUIDE = """\
# Softmax

## What softmax does

Softmax turns a vector of logits into probabilities that sum to one. It keeps the order of the logits.

Think of the logits as votes and of softmax as the count that turns votes into shares of the seats.

## Temperature

The temperature divides the logits before softmax. A low one sharpens the distribution.

### A worked example of softmax with temperature

Suppose the logits are 2 and 0. With temperature 1 the probabilities are 0.88 and 0.12, since $e^2 = 7.39$. With temperature 2
the logits become 1 and 0, and the probabilities 0.73 and 0.27.

```python
import math

shares = [math.exp(z) / (math.exp(2) + 1) for z in (2, 0)]
```
"""


@pytest.fixture
def softmax_tutor(settings: Settings, tmp_path: Path) -> Tutor:
    guide = tmp_path / "softmax.md"
    guide.write_text(SOFTMAX_GUIDE, encoding="utf-8")
    tutor = Tutor(settings)
    tutor.update_index([guide])
    return tutor


def flat(text: str) -> str:
    return " ".join(text.split())


def quoted_verbatim(answer: Answer) -> bool:
    passages = {citation.number: flat(citation.chunk.text) for citation in answer.citations}
    return bool(answer.sentences) and all(
        flat(sentence.text) in passages[sentence.citations[0]] for sentence in answer.sentences
    )


def test_worked_example_is_the_guides_own_with_its_numbers(softmax_tutor: Tutor):
    answer = softmax_tutor.ask("a worked example", [softmax_tutor.ask("What does the temperature of softmax do?")])

    assert answer.standalone_question == "What does the temperature of softmax do?"
    assert "With temperature 1 the probabilities are 0.88 and 0.12" in answer.text
    assert answer.citations[0].chunk.heading == "A worked example of softmax with temperature"
    assert quoted_verbatim(answer)
    assert answer.notes == ()


def test_without_an_example_the_answer_says_so(tutor: Tutor):
    answer = tutor.ask("give me an example", [tutor.ask("What is LayerNorm?")])

    assert "work no example" in answer.notes[-1]
    assert "LayerNorm normalizes over the features" in answer.text


def test_analogy_of_the_guide_is_quoted(softmax_tutor: Tutor):
    answer = softmax_tutor.ask("give me an analogy", [softmax_tutor.ask("What does softmax do?")])

    assert answer.text.startswith("Think of the logits as votes")
    assert answer.notes == ()
    assert quoted_verbatim(answer)


def test_without_an_analogy_the_answer_says_what_one_needs(tutor: Tutor):
    answer = tutor.ask("an analogy", [tutor.ask("What is dropout?")])

    assert "needs a language model" in answer.notes[-1]
    assert answer.answered


def test_shorter_is_shorter_and_still_quoted(softmax_tutor: Tutor):
    question = "What does the temperature of softmax do?"
    long = softmax_tutor.ask(question)
    short = softmax_tutor.ask("再短一点", [long])

    assert 0 < len(short.text) < len(long.text)
    assert len(short.sentences) <= 3
    assert quoted_verbatim(short)


def test_deeper_is_the_whole_section(tutor: Tutor):
    answer = tutor.ask("go deeper", [tutor.ask("What is dropout?")])

    assert "right before BatchNorm" in answer.text
    assert len(answer.sentences) == 4


def test_in_chinese_comes_from_the_chinese_guides_where_they_have_it(settings: Settings, tmp_path: Path):
    english, chinese = tmp_path / "tokens.md", tmp_path / "tokens-zh.md"
    english.write_text(
        "# Tokens\n\n## BPE\n\nBPE merges the most frequent pair of symbols until the vocabulary is full.\n"
    )
    chinese.write_text("# 分词\n\n## 子词\n\nBPE 反复合并最常见的符号对，直到词表达到预定大小。\n", encoding="utf-8")
    tutor = Tutor(settings)
    tutor.update_index([english, chinese])

    answer = tutor.ask("in Chinese", [tutor.ask("What is BPE?")])

    assert answer.citations[0].chunk.language == "zh"
    assert answer.sentences[0].text.startswith("BPE 反复合并最常见的符号对")
    assert answer.notes == ()


def test_in_chinese_without_a_chinese_section_says_what_a_translation_needs(tutor: Tutor):
    answer = tutor.ask("in Chinese", [tutor.ask("What is the patience of early stopping?")])

    assert "no Chinese section" in answer.notes[-1]
    assert "language model" in answer.notes[-1]
    assert answer.sentences[0].text.startswith("Early stopping")


def test_quiz_puts_the_question_whose_key_points_rest_on_the_passages_shown(tutor: Tutor):
    answer = tutor.ask("quiz me on this", [tutor.ask("What does dropout do in training?")])

    assert answer.quiz is not None
    assert answer.quiz.id == "dropout-train-inference"
    assert answer.answered
    assert answer.text == answer.quiz.prompt
    assert answer.quiz.answer not in answer.text


def test_quiz_puts_no_question_twice_and_says_when_there_is_none_left(tutor: Tutor):
    history = [tutor.ask("What does dropout do in training?")]
    put = []
    for _ in range(3):
        history.append(tutor.ask("another question", history))
        put.append(history[-1].quiz and history[-1].quiz.id)

    assert put[0] == "dropout-train-inference"
    assert len(set(filter(None, put))) == len(list(filter(None, put)))
    assert put[-1] is None
    assert "no further question" in history[-1].notes[-1]


def test_question_to_grade_is_the_one_put_or_the_one_asked(tutor: Tutor):
    put = tutor.ask("quiz me on dropout")
    asked = Answer("Explain dropout.", "Explain dropout.")

    assert tutor.question_put([put, asked]) == put.quiz
    assert tutor.question_put([asked]).id == "dropout-train-inference"
    for history in ([], [Answer("Who won?", "Who won?")]):
        with pytest.raises(QuestionError, match="quiz me"):
            tutor.question_put(history)


def test_a_question_may_stand_before_the_answer_to_it(tutor: Tutor):
    put = tutor.ask("quiz me on dropout")
    said = "It zeroes random activations."

    question, attempt = tutor.answer_given([], f"Explain dropout? {said}")
    assert (question.id, attempt) == ("dropout-train-inference", said)
    question, attempt = tutor.answer_given([], f"What is the patience of early stopping?\n{said}")
    assert (question.prompt, attempt) == ("What is the patience of early stopping?", said)
    rhetorical = f"Why would one do that? {said}"
    assert tutor.answer_given([put], rhetorical) == (put.quiz, rhetorical)
    with pytest.raises(QuestionError, match="quiz me"):
        tutor.answer_given([], said)


@pytest.mark.parametrize("message", ["shorter", "quiz me on this", "in Chinese", "再短一点"])
def test_form_without_an_answer_before_is_refused_with_the_next_step(tutor: Tutor, message: str):
    with pytest.raises(QuestionError, match="Ask a question first"):
        tutor.ask(message)


def test_follow_up_after_a_form_still_means_the_subject(tutor: Tutor):
    first = tutor.ask("What is dropout?")
    history = [first, tutor.ask("shorter please", [first])]

    assert tutor.ask("When would you avoid it?", history).standalone_question == "When would you avoid dropout?"


def test_form_of_what_the_guides_do_not_cover_is_declined(tutor: Tutor):
    answer = tutor.ask("quiz me on sourdough bread recipes")

    assert not answer.answered
    assert answer.suggestions
