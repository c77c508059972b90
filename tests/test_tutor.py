"""`Tutor`, where all parts meet."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from index.passage_index import IndexDamagedError, IndexMissingError, IndexStaleError
from tutor.grading import GradingError
from tutor.settings import Settings
from tutor.tutor import MAX_QUESTION_CHARACTERS, QuestionError, Tutor

CHINESE_BANK = """\
---
topic: zh-notes
---

## 非极大值抑制的计算过程是什么？

```yaml
id: zh-nms
level: mid
kind: concept
en: How does non-maximum suppression work?
```

### Answer

先按置信度对检测框排序，再依次保留得分最高的框，并删除与它重叠过大的框。

### Key points

- [2] 先按置信度对检测框排序。 -> zh-notes#非极大值抑制
"""


def long_guide() -> str:
    """A section of many short paragraphs, too long for one passage; the passages overlap by a paragraph."""
    paragraphs = [
        f"Gradient checkpointing step {number} drops the activations of block {number} and computes them again backward."
        for number in range(40)
    ]
    return "# Memory\n\n## Gradient checkpointing\n\n" + "\n\n".join(paragraphs) + "\n"


# Asking


def test_answer_is_kept_in_the_history(tutor: Tutor):
    answer = tutor.ask("  What is dropout?\n")

    [exchange] = tutor.progress.exchanges("me")
    assert exchange.question == answer.question == "What is dropout?"
    assert exchange.answer["answer"] == answer.text
    assert exchange.answer["citations"][0]["heading"] == "Dropout"


def test_declined_question_is_kept_too(tutor: Tutor):
    tutor.ask("xyzzy plugh?")

    [exchange] = tutor.progress.exchanges("me")
    assert exchange.answer["answered"] is False


def test_follow_up_is_searched_with_its_subject(tutor: Tutor):
    answer = tutor.ask("What happens to it at inference?", [tutor.ask("What is dropout?")])

    assert answer.question == "What happens to it at inference?"
    assert answer.standalone_question == "What happens to dropout at inference?"
    assert answer.citations[0].chunk.heading == "Dropout"


def test_answer_says_how_long_its_stages_took(tutor: Tutor):
    timings = tutor.ask("What is dropout?").timings

    assert set(timings) == {"retrieve", "answer"}
    assert all(seconds >= 0 for seconds in timings.values())


@pytest.mark.parametrize("question", ["", "   ", "\n\t", "???", "…！"])
def test_empty_question_is_refused(tutor: Tutor, question: str):
    with pytest.raises(QuestionError, match="The question is empty"):
        tutor.ask(question)

    assert tutor.progress.exchanges("me") == []


def test_question_of_broken_characters_is_refused(tutor: Tutor) -> None:
    with pytest.raises(QuestionError, match="not UTF-8 text"):
        tutor.ask("What is dropout\udcff?")


def test_question_may_have_so_many_characters_and_no_more(tutor: Tutor):
    longest = "What is dropout? ".ljust(MAX_QUESTION_CHARACTERS - 1, "x") + "?"

    assert tutor.ask(longest).question == longest
    with pytest.raises(QuestionError, match=r"4,001 characters. Expected at most 4,000"):
        tutor.ask(longest + "?")


@pytest.mark.parametrize(
    "question",
    ["'; DROP TABLE reviews; --", "<script>alert(1)</script> dropout", "dropout \0\x07", "𝔡𝔯𝔬𝔭𝔬𝔲𝔱", "dropout " * 400],
)
def test_odd_question_gets_an_answer_or_a_refusal_but_no_failure(tutor: Tutor, question: str):
    answer = tutor.ask(question)

    assert 0 <= answer.confidence <= 1


def test_many_threads_may_ask_at_once(tutor: Tutor):
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(tutor.ask("What is dropout?").text)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(texts) == 6
    assert len(set(texts)) == 1
    assert len(tutor.progress.exchanges("me")) == 6


def test_more_shows_all_passages_of_a_long_section_once(settings: Settings, tmp_path: Path):
    guide = tmp_path / "memory.md"
    guide.write_text(long_guide())
    tutor = Tutor(settings)
    tutor.update_index([guide])

    answer = tutor.ask("How does gradient checkpointing save memory?", detailed=True)

    assert len(answer.citations) > 1
    assert [citation.number for citation in answer.citations] == list(range(1, len(answer.citations) + 1))
    assert len(answer.sentences) == 40
    for number in range(40):
        assert answer.text.count(f"step {number} drops") == 1


# The index


def test_without_an_index_the_next_step_is_named(settings: Settings):
    tutor = Tutor(settings)

    assert not tutor.has_index
    with pytest.raises(IndexMissingError, match="Build it: tutor index"):
        tutor.ask("What is dropout?")


def test_damaged_index_is_there_but_cannot_be_used(tutor: Tutor):
    (tutor.settings.index_folder / "current.json").write_text("{")

    assert tutor.has_index
    with pytest.raises(IndexDamagedError, match="tutor index --rebuild"):
        tutor.ask("What is dropout?")


def test_index_made_with_other_settings_is_refused(tutor: Tutor):
    other = Tutor(tutor.settings.model_copy(update={"chunk_words": 80}))

    with pytest.raises(IndexStaleError, match="chunk_words 300, now 80"):
        other.ask("What is dropout?")


def test_index_that_somebody_else_replaced_is_picked_up(tutor: Tutor, tmp_path: Path):
    assert not tutor.ask("What is the lottery ticket hypothesis?").answered
    guide = tmp_path / "pruning.md"
    guide.write_text(
        "# Pruning\n\n## Lottery ticket hypothesis\n\nThe lottery ticket hypothesis says that a small subnetwork trains alone.\n"
    )

    Tutor(tutor.settings).update_index([guide])

    assert tutor.ask("What is the lottery ticket hypothesis?").answered


def test_guide_that_cannot_be_read_is_reported_and_the_rest_indexed(settings: Settings, tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "good.md").write_text(
        "# Ring all-reduce\n\nRing all-reduce sends each gradient around a ring of workers.\n"
    )
    (folder / "bad.md").write_bytes("批归一化".encode("gb18030"))
    (folder / "empty.md").write_text("")
    tutor = Tutor(settings)

    report = tutor.update_index([folder])

    assert {problem.path for problem in report.problems} == {"bad.md", "empty.md"}
    assert "UTF-8" in str(next(problem for problem in report.problems if problem.path == "bad.md"))
    assert tutor.ask("How does ring all-reduce work?").answered


def test_path_that_does_not_exist_is_named(tutor: Tutor, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="missing"):
        tutor.update_index([tmp_path / "missing"])


# The question bank


@pytest.mark.parametrize(
    "text",
    [
        "dropout-train-inference",
        "  dropout-train-inference ",
        "What does dropout do, and what changes at inference?",
        "what does dropout do and what changes at inference",
        "Explain dropout.",
        "Dropout 的作用是什么？推理时有什么变化？",
    ],
)
def test_question_is_found_by_its_id_and_by_each_of_its_wordings(tutor: Tutor, text: str):
    assert tutor.find_question(text).id == "dropout-train-inference"


def test_chinese_wording_without_a_space_is_found(settings: Settings) -> None:
    bank = settings.home / "questions" / "zh.md"
    bank.parent.mkdir(parents=True)
    bank.write_text(CHINESE_BANK, encoding="utf-8")
    tutor = Tutor(settings)
    tutor.update_index()

    assert tutor.question_problems == []
    assert tutor.find_question("非极大值抑制的计算过程是什么？").id == "zh-nms"
    assert tutor.find_question("非极大值抑制的计算过程").id == "zh-nms"


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("dropout-train-inferense", "dropout-train-inference"),
        ("batchnorm", "batchnorm-count"),
        ("channel images", "batchnorm-count"),
    ],
)
def test_near_ids_are_named_where_a_question_is_not_found(tutor: Tutor, text: str, near: str):
    with pytest.raises(
        QuestionError, match=rf"No question '{text}' in the bank\. Did you mean .*{near}.*tutor questions"
    ):
        tutor.find_question(text)


@pytest.mark.parametrize("text", ["", "zzz", "How do I bake bread?"])
def test_unknown_question_is_refused(tutor: Tutor, text: str):
    with pytest.raises(QuestionError, match="See: tutor questions"):
        tutor.find_question(text)


def test_questions_are_searched_by_topic_level_and_words(tutor: Tutor):
    assert [question.id for question in tutor.search_questions()] == ["dropout-train-inference", "batchnorm-count"]
    assert [question.id for question in tutor.search_questions(level="mid")] == ["batchnorm-count"]
    assert [question.id for question in tutor.search_questions(search="images per channel")] == ["batchnorm-count"]
    assert tutor.search_questions(topic="biology") == []
    assert tutor.search_questions(search="mitochondria") == []


def test_questions_of_ones_own_are_asked_too_and_their_mistakes_reported(settings: Settings):
    own = settings.home / "questions"
    own.mkdir(parents=True)
    (own / "mine.md").write_text("---\ntopic: mine\n---\n\n## What is a warp?\n\nNo yaml, no points.\n")
    tutor = Tutor(settings)

    assert len(tutor.questions) == 2
    assert any(problem.path == "mine.md" and problem.line for problem in tutor.question_problems)


# Interview and grading


def test_grade_is_kept_as_a_review(tutor: Tutor):
    question = tutor.find_question("dropout-train-inference")

    grade = tutor.grade(question, "  Dropout zeroes random activations during training. ", hints=1)

    [review] = tutor.progress.reviews("me")
    assert (review.question_id, review.topic, review.hints) == ("dropout-train-inference", "regularization", 1)
    assert review.attempt == grade.attempt == "Dropout zeroes random activations during training."
    assert review.score == grade.score
    assert review.grade["verdicts"][0]["verdict"] == "made"
    assert review.grade["verdicts"][0]["citation"]["document"] == "regularization.md"


def test_refused_attempt_leaves_no_review(tutor: Tutor):
    with pytest.raises(GradingError):
        tutor.grade(tutor.find_question("batchnorm-count"), "  ")

    assert tutor.progress.reviews("me") == []


def test_progress_is_that_of_the_learner_of_the_settings(tutor: Tutor):
    tutor.grade(tutor.find_question("batchnorm-count"), "It is 50,176.")
    other = Tutor(tutor.settings.model_copy(update={"learner": "bo"}))

    assert [topic.attempts for topic in tutor.topic_progress()] == [1]
    assert other.topic_progress() == []


def test_section_is_cited_with_the_sentence_that_supports(tutor: Tutor):
    citation = tutor.cite_section("regularization#early-stopping", "patience of 5 to 10 epochs")

    assert citation is not None
    assert citation.quote == "A patience of 5 to 10 epochs is common."
    assert citation.chunk.id == "regularization.md#early-stopping"


@pytest.mark.parametrize("link", ["regularization#no-such-section", "nothing", ""])
def test_section_that_is_not_indexed_has_no_citation(tutor: Tutor, link: str):
    assert tutor.cite_section(link, "patience") is None
    assert tutor.section(link) == []


def test_another_learner_has_the_same_index_and_another_history(tutor: Tutor):
    other = tutor.for_learner("ada")

    other.ask("What does dropout do?")

    assert other.index is tutor.index
    assert [exchange.question for exchange in tutor.progress.exchanges("ada")] == ["What does dropout do?"]
    assert tutor.progress.exchanges(tutor.settings.learner) == []


def test_an_index_that_one_learner_rebuilt_is_in_force_for_all(tutor: Tutor, tmp_path: Path):
    other = tutor.for_learner("ada")
    guide = tmp_path / "pruning.md"
    guide.write_text("# Pruning\n\nPruning removes the weights of least magnitude.\n", encoding="utf-8")

    other.update_index([guide])

    assert "pruning.md" in tutor.index.manifest.documents
    assert other.index is tutor.index
