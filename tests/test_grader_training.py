"""The recipe of the grader, on judgements made for the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tutor.grader import Grader
from tutor.grader_training import (
    OUR_ANSWERS,
    OURS,
    TRAINING_SETS,
    make_lexicon,
    read_judgements,
    read_our_answers,
    train_grader,
    with_negatives,
)

FACTS = {
    "Why is dropout used?": "It keeps units from relying on each other.",
    "Why is momentum used?": "It averages past gradients and damps oscillations.",
    "Why is warm-up used?": "It keeps early steps small while estimates settle.",
    "Why is pooling used?": "It shrinks the map and ignores small shifts.",
    "Why is padding used?": "It keeps the borders and the size of the map.",
    "Why is caching used?": "It saves the keys and values of earlier tokens.",
}


def quiet(_stage: str, _done: int, _total: int) -> None:
    """No progress to show."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with every training set: right answers repeat the reference in other order, wrong ones are of another question."""
    folder = tmp_path / "data"
    folder.mkdir()
    answers = list(FACTS.values())
    for name in TRAINING_SETS:
        rows: list[dict[str, object]] = []
        for number, (question, reference) in enumerate(FACTS.items()):
            for turn in range(4):
                said = reference if turn % 2 else answers[(number + turn + 1) % len(answers)]
                row: dict[str, object] = {"id": f"{number}-{turn}", "question_id": str(number), "question": question}
                if name in {"argkp", "realsumm_scu"}:
                    row |= {"key_point": reference, "label": turn % 2}
                else:
                    row |= {"reference": reference, "score": float(turn % 2) if name != "saf" else 0.25 + turn % 2 / 2}
                rows.append(row | {"answer": f"I think {said.lower()}"})
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Open texts, a guide and a bank."""
    for name in ("texts", "guides", "questions", "statements"):
        (tmp_path / name).mkdir()
    said = "\n".join(f"Q: {question}\nS: {answer}\n+: so that {answer.lower()}\n" for question, answer in FACTS.items())
    (tmp_path / "statements" / "facts.txt").write_text(said, encoding="utf-8")
    pairs = [{"q": question, "d": f"{answer} {answer}"} for question, answer in FACTS.items()] * 3
    (tmp_path / "texts" / "facts.jsonl").write_text("\n".join(map(json.dumps, pairs)) + "\n", encoding="utf-8")
    (tmp_path / "answers").mkdir()
    ours = [
        {"id": str(number), "question": question, "key_points": [point]}
        | {"answers": [{"text": point, "verdicts": ["made"]}, {"text": "It is slow.", "verdicts": ["contradicted"]}]}
        for number, (question, point) in enumerate(FACTS.items())
    ]
    (tmp_path / "answers" / "ours.jsonl").write_text("\n".join(map(json.dumps, ours)) + "\n", encoding="utf-8")
    return tmp_path


def train(data: Path, corpus: Path, output: Path) -> dict[str, object]:
    return train_grader(
        data,
        corpus / "texts",
        output,
        guides=corpus / "guides",
        bank=corpus / "questions",
        answers=corpus / "answers",
        statements=corpus / "statements",
        progress=quiet,
    )


def test_training_learns_to_tell_right_from_wrong(data: Path, corpus: Path, tmp_path: Path):
    report = train(data, corpus, tmp_path / "grader")
    grader = Grader.load(tmp_path / "grader")
    question, reference = next(iter(FACTS.items()))

    right = grader.score_answer(question, f"I think {reference.lower()}", references=[reference])
    wrong = grader.score_answer(question, "It saves the keys and values of earlier tokens.", references=[reference])

    assert right > 0.5 > wrong
    assert set(report["sets"]) == {*TRAINING_SETS, OURS}  # type: ignore[call-overload]
    assert json.loads((tmp_path / "grader" / "report.json").read_text(encoding="utf-8")) == report


def test_same_data_give_the_same_grader(data: Path, corpus: Path, tmp_path: Path):
    for name in ("first", "again"):
        train(data, corpus, tmp_path / name)

    for file in ("weights.json", "report.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_missing_set_is_named(data: Path, corpus: Path, tmp_path: Path):
    (data / "saf.jsonl").unlink()

    with pytest.raises(FileNotFoundError, match=r"No saf\.jsonl"):
        train(data, corpus, tmp_path / "grader")


def test_broken_line_is_named(tmp_path: Path):
    (tmp_path / "beetle.jsonl").write_text('{"id": "a"}\n', encoding="utf-8")

    with pytest.raises(ValueError, match=r"beetle\.jsonl:1"):
        read_judgements(tmp_path, ["beetle"])


def test_made_up_answers_are_wrong_and_marked(data: Path):
    judged = read_judgements(data, ["beetle"])

    made = [judgement for judgement in with_negatives(judged * 5) if judgement.made_up]

    assert made
    assert {judgement.score for judgement in made} == {0.0}


def test_broken_statement_is_named(data: Path, corpus: Path, tmp_path: Path):
    (corpus / "statements" / "odd.txt").write_text("+: said of nothing\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"odd\.txt:1"):
        train(data, corpus, tmp_path / "grader")


def test_words_in_like_company_come_near_to_each_other():
    texts = [f"the {animal} eats {food} in the garden daily" for animal in ("cat", "dog") for food in ("meat", "fish")]
    texts += [
        f"a {tool} drives {part} into the wooden beam" for tool in ("hammer", "mallet") for part in ("nails", "pegs")
    ]

    lexicon = make_lexicon(texts * 4, [], progress=quiet)

    cat, dog, hammer = lexicon.company[lexicon.ids(["cat", "dog", "hammer"])]
    assert cat @ dog > cat @ hammer
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-3)


def test_too_little_text_is_refused():
    with pytest.raises(ValueError, match="Too little text"):
        make_lexicon(["three short words"], [], progress=quiet)


def test_our_answers_give_a_judgement_for_each_key_point():
    judged = read_our_answers(OUR_ANSWERS)

    assert len(judged) > 5_000
    assert all(judgement.is_point for judgement in judged)
    assert {judgement.score for judgement in judged} == {0.0, 0.5, 1.0}
    assert len({judgement.id for judgement in judged}) == len(judged)


def test_broken_line_of_our_answers_is_named(tmp_path: Path):
    row = {"id": "a", "question": "Why?", "key_points": ["One."], "answers": [{"text": "x", "verdicts": []}]}
    (tmp_path / "own.jsonl").write_text(json.dumps(row), encoding="utf-8")

    with pytest.raises(ValueError, match=r"own\.jsonl:1"):
        read_our_answers(tmp_path)
