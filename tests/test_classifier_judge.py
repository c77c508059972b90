"""Classifiers as judges of grounding: small real ones, made and taught on the spot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from small_models import make_classifier, make_model, make_pair_tokenizer, make_tokenizer, save, teach_pairs

from tutor.classifier_judge import ClassifierJudge
from tutor.judgements import JudgeError

CLAIM = "dropout zeroes units in training"
PASSAGES = ("dropout zeroes random units while in training", "dropout zeroes no units in training", "bread is baked")
# Up to as long as what is read at once of a passage that is longer.
BREAD = ["bread is baked " * count for count in range(2, 19)]
PAIRS = [(passage, CLAIM) for passage in (*PASSAGES, *BREAD, *(text + PASSAGES[0] for text in BREAD[:-2]))]
TOKENIZER_TEXT = " ".join((*PASSAGES, CLAIM, "it was invented in 1850 . passage 1 2 :"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Models this small are slower on many."""
    torch.set_num_threads(1)


def taught(folder: Path, names: Sequence[str], supports: int, denies: int, neither: int) -> ClassifierJudge:
    """A judge that was taught the label of each of PAIRS."""
    labels = [supports, denies, neither, *[neither] * len(BREAD), *[supports] * len(BREAD[:-2])]
    tokenizer = make_pair_tokenizer(TOKENIZER_TEXT)
    model = make_classifier(tokenizer, names)
    teach_pairs(model, tokenizer, PAIRS, labels)
    return ClassifierJudge(str(save(model, tokenizer, folder)))


@pytest.fixture(scope="module")
def nli(tmp_path_factory: pytest.TempPathFactory) -> ClassifierJudge:
    """It finds the claim entailed by the first passage, contradicted by the second, neither by the third."""
    return taught(tmp_path_factory.mktemp("nli"), ["contradiction", "entailment", "neutral"], 1, 0, 2)


def judged(judge: ClassifierJudge, *passages: str, answer: str = CLAIM) -> tuple[float, bool]:
    [said] = judge.judge("", passages, answer, [(0, len(answer))])
    assert said.problem == ""
    return said.probability, said.contradicts


def test_the_passage_that_supports_best_counts(nli: ClassifierJudge):
    assert judged(nli, PASSAGES[0])[0] > 0.9
    assert judged(nli, PASSAGES[2])[0] < 0.1
    assert judged(nli, PASSAGES[2], PASSAGES[1], PASSAGES[0]) == judged(nli, PASSAGES[0])


def test_a_passage_that_says_the_opposite_is_told_from_one_of_something_else(nli: ClassifierJudge):
    assert judged(nli, PASSAGES[1])[1]
    assert not judged(nli, PASSAGES[2])[1]
    assert not judged(nli, PASSAGES[0])[1]


def test_each_sentence_is_judged_by_itself_and_the_same_again(nli: ClassifierJudge):
    answer = f"{CLAIM} bread is baked"
    places = [(0, len(CLAIM)), (len(CLAIM) + 1, len(answer))]

    first = nli.judge("", PASSAGES[:1], answer, places)

    assert first[0].probability == judged(nli, PASSAGES[0])[0]
    assert len(first) == 2
    assert nli.judge("", PASSAGES[:1], answer, places) == first


def test_a_passage_longer_than_the_window_is_read_to_its_end(nli: ClassifierJudge):
    long = "bread is baked " * 48

    assert judged(nli, long)[0] < 0.1
    assert judged(nli, long + PASSAGES[0])[0] > 0.9


def test_a_sentence_longer_than_the_window_is_unreadable_and_says_so(nli: ClassifierJudge):
    answer = "bread " * 60

    [said] = nli.judge("", PASSAGES, answer, [(0, len(answer))])

    assert said.problem == "the sentence has 62 tokens, and the model reads 64 of both"


def test_of_two_labels_without_a_name_the_second_supports(tmp_path: Path):
    judge = taught(tmp_path, ["LABEL_0", "LABEL_1"], 1, 0, 0)

    assert judged(judge, PASSAGES[0])[0] > 0.9
    assert judged(judge, PASSAGES[1]) == (pytest.approx(0, abs=0.1), False)


@pytest.mark.parametrize("names", [["a", "b"], ["LABEL_0", "LABEL_1", "LABEL_2"], ["not_entailment", "other"]])
def test_labels_that_mean_nothing_are_named(tmp_path: Path, names: list[str]):
    tokenizer = make_pair_tokenizer(TOKENIZER_TEXT)
    judge = ClassifierJudge(str(save(make_classifier(tokenizer, names), tokenizer, tmp_path)))

    with pytest.raises(JudgeError, match=rf"has the labels {names[0].lower()}, .*Expected one called entailment"):
        judge.judge("", PASSAGES, CLAIM, [(0, len(CLAIM))])


def test_a_model_that_computes_no_number_is_unreadable(tmp_path: Path):
    tokenizer = make_pair_tokenizer(TOKENIZER_TEXT)
    model = make_classifier(tokenizer, ["contradiction", "entailment"])
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    judge = ClassifierJudge(str(save(model, tokenizer, tmp_path)))

    [said] = judge.judge("", PASSAGES, CLAIM, [(0, len(CLAIM))])

    assert said.problem == "nan is no probability"


ANSWER = "dropout zeroes units . it was invented in 1850"
PLACES = [(0, 22), (23, 46)]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> ClassifierJudge:
    """It was taught that the answer's second sentence is invented."""
    tokenizer = make_pair_tokenizer(TOKENIZER_TEXT)
    model = make_classifier(tokenizer, ["LABEL_0", "LABEL_1"], by_token=True, window=128)
    prompt = f"passage 1: {PASSAGES[0]}"
    tokens = tokenizer(prompt, ANSWER)
    words = [tokens.token_to_chars(place) for place in range(len(tokens["input_ids"]))]
    labels = [
        int(part == 1 and span is not None and span.start >= PLACES[1][0])
        for part, span in zip(tokens.sequence_ids(0), words, strict=True)
    ]
    teach_pairs(model, tokenizer, [(prompt, ANSWER)], [labels])
    return ClassifierJudge(str(save(model, tokenizer, tmp_path_factory.mktemp("detector"))))


def test_a_detector_of_tokens_makes_a_sentence_as_supported_as_its_least_supported_token(detector: ClassifierJudge):
    sure, invented = detector.judge("", PASSAGES[:1], ANSWER, PLACES)

    assert sure.probability > 0.9
    assert invented.probability < 0.1


def test_a_detector_says_of_an_answer_beyond_its_window_that_it_cannot_be_read(detector: ClassifierJudge):
    answer = "bread " * 100

    said = detector.judge("", PASSAGES, answer, [(0, 5), (6, 11)])

    assert [item.problem for item in said] == ["the answer has 102 tokens, and the model reads 128 of both"] * 2


def test_only_a_classifier_that_is_here_can_be_one(nli: ClassifierJudge, detector: ClassifierJudge, tmp_path: Path):
    tokenizer = make_tokenizer(TOKENIZER_TEXT)
    writer = save(make_model(tokenizer), tokenizer, tmp_path)

    assert ClassifierJudge.can_be(nli.name.split()[0])
    assert ClassifierJudge.can_be(detector.name.split()[0])
    assert not ClassifierJudge.can_be(str(writer))
    assert not ClassifierJudge.can_be("nobody/no-such-model")


def test_a_judge_that_is_not_here_is_refused_without_a_call(tmp_path: Path):
    with pytest.raises(JudgeError, match="cannot be loaded"):
        ClassifierJudge(str(tmp_path)).judge("", PASSAGES, CLAIM, [(0, 5)])


def test_the_name_changes_with_the_model(tmp_path: Path):
    tokenizer = make_pair_tokenizer(TOKENIZER_TEXT)
    folder = save(make_classifier(tokenizer, ["contradiction", "entailment"]), tokenizer, tmp_path)
    before = ClassifierJudge(str(folder)).name

    os.utime(folder / "config.json", ns=(2**62, 2**62))

    assert ClassifierJudge(str(folder)).name != before
