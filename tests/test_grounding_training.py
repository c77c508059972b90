"""The grounding check's recipe, on a few made-up claims."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tutor.grounding import GroundingWeights, check_sentence
from tutor.grounding_features import FEATURES, NEVER_GROWING
from tutor.grounding_training import SENTENCES, bank_claims, read_claims, read_sentences, train_grounding

GUIDE = """# Regularization

## Dropout

Dropout zeroes random activations in training. At inference dropout is switched off. It takes a rate of 0.5.

## Early stopping

Early stopping ends training when the validation loss has not fallen for 10 epochs.
"""
BANK = """---
topic: regularization
---

## What does dropout do?

```yaml
id: dropout
level: junior
kind: concept
```

### Answer

Dropout zeroes random activations.

### Key points

- [3] Dropout zeroes activations in training with a rate of 0.5. -> regularization#dropout
- [2] Dropout is switched off at inference. -> regularization#dropout

### Misconceptions

- Dropout stays on at inference. -> regularization#dropout
"""
ITEM = {
    "id": "s-1",
    "question": "What does dropout do?",
    "passages": ["Dropout zeroes random activations in training. At inference it is switched off."],
    "sentences": [
        {"text": "Dropout zeroes random activations.", "label": "supported"},
        {"text": "Dropout zeroes random activations, and it was patented.", "label": "partial"},
        {"text": "Dropout was invented in Toronto.", "label": "unsupported"},
        {"text": "At inference dropout is switched on.", "label": "contradicted"},
    ],
}
SUBJECTS = ("dropout", "warmup", "momentum", "attention", "pooling", "quantization", "distillation", "pruning")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    sets: dict[str, list[dict[str, object]]] = {"wice": [], "summedits": [], "wice_tokens": []}
    for number, subject in enumerate(SUBJECTS):
        passage = f"In {1990 + number} the method {subject} was shown to lower the loss of large networks."
        right, wrong = f"The method {subject} lowers the loss.", f"The method {subject} raises salaries in Paris."
        for name in ("wice", "summedits"):
            for text, unsupported in ((right, 0), (wrong, 1)):
                sets[name].append({"group": subject, "passages": [passage], "answer": text, "unsupported": unsupported})
        place = {"start": wrong.index("salaries"), "end": len(wrong) - 1}
        sets["wice_tokens"].append(
            {"group": subject, "passages": [passage], "answer": wrong, "unsupported": 1, "spans": [place]}
        )
    for name, rows in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    folder = tmp_path / "sentences"
    folder.mkdir()
    (folder / "part-01.jsonl").write_text(json.dumps(ITEM) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, Path]:
    guides, bank = tmp_path / "guides", tmp_path / "questions"
    guides.mkdir()
    bank.mkdir()
    (guides / "regularization.md").write_text(GUIDE, encoding="utf-8")
    (bank / "regularization.md").write_text(BANK, encoding="utf-8")
    return guides, bank


def test_same_data_give_the_same_coefficients_and_a_report(
    data: Path, corpus: tuple[Path, Path], sentences: Path, tmp_path: Path
):
    guides, bank = corpus
    for name in ("one", "two"):
        report = train_grounding(
            data,
            tmp_path / name,
            guides=guides,
            bank=bank,
            sentences=sentences,
            progress=lambda _stage, _done, _total: None,
        )

    assert (tmp_path / "one" / "grounding.json").read_bytes() == (tmp_path / "two" / "grounding.json").read_bytes()
    assert json.loads((tmp_path / "one" / "report.json").read_text(encoding="utf-8")) == report
    weights = GroundingWeights.load(tmp_path / "one" / "grounding.json")
    values = dict(zip(FEATURES, weights.sentence.tolist(), strict=True))
    assert all(values[name] <= 0 for name in NEVER_GROWING)
    passage = ["The method annealing was shown to lower the loss of large networks."]
    good, bad = (
        check_sentence(text, passage, lambda _word: 1.0, weights=weights).probability
        for text in ("Annealing lowers the loss of networks.", "Annealing raises salaries in Paris.")
    )
    assert good > bad


def test_bank_gives_key_points_as_supported_and_misconceptions_as_not(corpus: tuple[Path, Path]):
    claims = bank_claims(*corpus)

    supported = {claim.text for claim in claims if claim.is_supported}
    assert supported == {
        "Dropout zeroes activations in training with a rate of 0.5.",
        "Dropout is switched off at inference.",
    }
    assert any(claim.text == "Dropout stays on at inference." and not claim.is_supported for claim in claims)
    assert all("Dropout" in claim.passages[0] for claim in claims if claim.is_supported)


def test_missing_set_and_broken_line_are_named(data: Path, corpus: tuple[Path, Path], tmp_path: Path):
    guides, bank = corpus
    (data / "wice.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match="wice not in"):
        train_grounding(data, tmp_path, guides=guides, bank=bank, progress=lambda _stage, _done, _total: None)

    (data / "summedits.jsonl").write_text('{"group": "g"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"summedits\.jsonl:1: expected group"):
        read_claims(data / "summedits.jsonl")


def test_our_sentences_are_supported_or_not_and_contradictions_are_told_apart(sentences: Path):
    claims = read_sentences(sentences / "part-01.jsonl")

    assert [claim.is_supported for claim in claims] == [True, False, False, False]
    assert [claim.is_contradicted for claim in claims] == [False, False, False, True]
    assert {claim.group for claim in claims} == {"sentences/s-1"}


@pytest.mark.parametrize(
    "broken", ["{", "{}", json.dumps({**ITEM, "sentences": [{"text": "It is.", "label": "maybe"}]})]
)
def test_broken_line_of_our_sentences_is_named(tmp_path: Path, broken: str):
    file = tmp_path / "part-02.jsonl"
    file.write_text(f"{json.dumps(ITEM)}\n{broken}\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"part-02\.jsonl:2: expected id, question.*contradicted"):
        read_sentences(file)


def test_the_shipped_sentences_can_be_read_and_no_item_comes_twice():
    files = sorted(SENTENCES.glob("*.jsonl"))
    ids = [json.loads(line)["id"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]

    assert len(ids) == len(set(ids))
    claims = [claim for file in files for claim in read_sentences(file)]
    assert {
        len({claim.text for claim in claims if claim.group == group}) > 1 for group in {claim.group for claim in claims}
    } == {True}
    assert all(claim.passages and claim.text for claim in claims)
