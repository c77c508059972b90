from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from corpus.documents import parse_document
from index.build import index_documents
from index.embedder import LatentSemanticEmbedder
from index.passage_index import IndexStaleError
from index.retriever import Retriever
from index.scope import Scope
from index.vector_index import VectorIndex
from index.words import words
from tutor.settings import Settings
from tutor.tutor import Tutor


@pytest.fixture
def retriever(settings: Settings) -> Retriever:
    tutor = Tutor(settings.model_copy(update={"embedder": "corpus", "dense_weight": 0.3, "heading_weight": 0.2}))
    tutor.update_index()
    return tutor.retriever


def headings(retriever: Retriever, question: str, **options: object) -> list[str]:
    return [hit.chunk.heading for hit in retriever.retrieve(question, **{"count": 3, **options})]


@pytest.mark.parametrize("ranking", ["fused", "dense", "keyword"])
@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("What does dropout do to activations?", "Dropout"),
        ("Which averages does BatchNorm use at inference?", "BatchNorm at inference"),
        ("What is the patience of early stopping?", "Early stopping"),
        ("批归一化的计算过程是什么？", "批归一化的计算过程"),
    ],
)
def test_the_section_that_answers_comes_first(retriever: Retriever, ranking: str, question: str, heading: str):
    assert headings(retriever, question, ranking=ranking)[0] == heading


def test_a_formula_with_a_name_is_found_under_a_nested_heading(retriever: Retriever):
    assert headings(retriever, "Is L2 in Adam the same as weight decay?")[0].startswith("Common mistake")


def test_hits_come_best_first_with_the_scores_they_were_ordered_by(retriever: Retriever):
    hits = retriever.retrieve("Does dropout go well with BatchNorm?", count=5)

    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        text = 0.3 * hit.dense_score + 0.7 * hit.keyword_score
        assert hit.score == pytest.approx(0.8 * text + 0.2 * hit.heading_score, abs=1e-5)


def test_the_heading_that_says_what_is_asked_counts_as_much_as_its_weight(retriever: Retriever):
    (plain,) = retriever.retrieve("early stopping", count=1, ranking="keyword")
    (fused,) = retriever.retrieve("early stopping", count=1)

    assert fused.heading_score == 1
    assert plain.score == plain.keyword_score < fused.score


@pytest.mark.parametrize(("weight", "ranking"), [(1.0, "dense"), (0.0, "keyword")])
def test_the_dense_weight_moves_the_fused_order_between_both(retriever: Retriever, weight: float, ranking: str):
    fused = Retriever(retriever.index, dense_weight=weight, far_dense_weight=0.1, heading_weight=0.0)
    question = "Why is BatchNorm different at inference?"

    assert headings(fused, question) == headings(fused, question, ranking=ranking)


def test_a_hit_names_the_words_of_the_question_that_it_holds(retriever: Retriever):
    (hit,) = retriever.retrieve("patience of kubernetes early stopping", count=1)

    assert hit.matched == ("patienc", "earli", "stop")


def test_the_same_question_gives_the_same_hits(retriever: Retriever):
    question = "dropout BatchNorm weight decay"

    assert retriever.retrieve(question, count=8) == retriever.retrieve(question, count=8)


@pytest.mark.parametrize("question", ["", "?!", "what is it", "kubernetes ingress", "请问什么是"])
def test_a_question_without_a_known_word_finds_nothing(retriever: Retriever, question: str):
    assert retriever.retrieve(question, count=5) == []


def test_passages_can_be_filtered_by_what_they_say_of_themselves(retriever: Retriever):
    hits = retriever.retrieve("BatchNorm 批归一化", count=5, within=Scope(languages=("zh",)))

    assert {hit.chunk.document_id for hit in hits} == {"zh-notes.md"}


def test_the_filter_does_not_use_up_the_count(retriever: Retriever):
    question = "dropout BatchNorm training inference"
    everything = retriever.retrieve(question, count=20)
    kept = retriever.retrieve(question, count=2, within=Scope(documents=("normalization.md",)))

    assert kept == [hit for hit in everything if hit.chunk.document_id == "normalization.md"][:2]


def test_coverage_is_the_weighted_share_of_the_questions_words(retriever: Retriever):
    question = "patience of early stopping"
    hits = retriever.retrieve(question, count=3)

    assert retriever.coverage(question, hits) == 1
    assert 0 < retriever.coverage(f"{question} in kubernetes", hits) < 1
    assert retriever.coverage(question, []) == retriever.coverage("?", hits) == 0


def test_confidence_is_higher_for_what_the_guides_cover(retriever: Retriever):
    def confidence(question: str) -> float:
        return retriever.confidence(question, retriever.retrieve(question, count=6))

    covered = confidence("What does dropout do in training?")
    beside = confidence("How do I train a kubernetes ingress controller with terraform?")

    assert 1 >= covered > 1.5 * beside
    assert confidence("kubernetes") == 0


def test_an_index_of_one_passage_can_be_searched():
    document = parse_document("# Momentum\n\nMomentum averages gradients.", "momentum.md", sha256="")
    index = index_documents([document], embedder="corpus", dimension=8, chunk_words=100)

    assert headings(
        Retriever(index, dense_weight=0.3, far_dense_weight=0.1, heading_weight=0.2), "What is momentum?"
    ) == ["Momentum"]


SUBJECTS = "dropout momentum attention pooling softmax convolution batchnorm embedding gradient entropy".split()
ASPECTS = "cost benefit formula history rate layer batch depth width noise label token".split()


@pytest.fixture(scope="module")
def many() -> Retriever:
    """1,440 passages, each on a subject and two aspects of it."""
    documents = [
        parse_document(
            f"# {subject} {first}\n\nThe {first} of {subject} and its {second} in network {number} of the {subject} kind.",
            f"{subject}-{first}-{second}.md",
            sha256="",
        )
        for number, (subject, first, second) in enumerate(product(SUBJECTS, ASPECTS, ASPECTS))
    ]
    index = index_documents(documents, embedder="corpus", dimension=16, chunk_words=100)
    return Retriever(index, dense_weight=0.5, far_dense_weight=0.1, heading_weight=0.2)


@pytest.fixture(scope="module")
def linked(many: Retriever) -> Retriever:
    """The same passages as a large collection, of which only the nearest are looked at."""
    nearest = VectorIndex(many.index.vectors, use_gpu=False, exact_limit=1000)
    return replace(many, index=replace(many.index, nearest=nearest))


@pytest.mark.parametrize("ranking", ["fused", "dense", "keyword"])
@pytest.mark.parametrize("subject", SUBJECTS[:4])
def test_the_best_hits_of_a_large_collection_are_those_of_a_small_one(
    many: Retriever, linked: Retriever, ranking: str, subject: str
):
    question = f"What is the {ASPECTS[len(subject)]} of {subject} beside its depth?"

    expected = many.retrieve(question, count=5, ranking=ranking)
    found = linked.retrieve(question, count=5, ranking=ranking)

    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=2e-6)
    assert {hit.matched for hit in found} == {hit.matched for hit in expected}


def test_a_filter_that_few_passages_of_a_large_collection_pass_finds_them(linked: Retriever):
    hits = linked.retrieve("noise of momentum", count=3, within=Scope(documents=("entropy-noise-noise.md",)))

    assert [hit.chunk.document_id for hit in hits] == ["entropy-noise-noise.md"]


@pytest.mark.parametrize("ranking", ["fused", "dense", "keyword"])
@pytest.mark.parametrize("subjects", [("entropy",), tuple(SUBJECTS[1:])])
def test_within_a_part_of_a_large_collection_the_hits_are_the_best_of_that_part(
    linked: Retriever, ranking: str, subjects: tuple[str, ...]
):
    # What is asked about lies outside of it: the nearest of the whole collection are of no use.
    question = "rate of dropout in depth"
    rows = [row for row, chunk in enumerate(linked.index.chunks) if chunk.title.startswith(subjects)]
    part = tuple(linked.index.chunks[row].document_id for row in rows)

    hits = linked.retrieve(question, count=5, ranking=ranking, within=Scope(documents=part))

    dense = linked.index.vectors[rows] @ linked.index.embedder.embed_queries([question])[0]
    keyword = linked.index.keywords.scores(words(question))[rows]
    found = {
        "dense": [hit.dense_score for hit in hits],
        "keyword": [hit.keyword_score for hit in hits],
        "fused": [0.5 * hit.dense_score + 0.5 * hit.keyword_score for hit in hits],
    }[ranking]
    best = np.sort({"dense": dense, "keyword": keyword, "fused": 0.5 * dense + 0.5 * keyword}[ranking])[-5:]
    assert {hit.chunk.document_id for hit in hits} <= set(part)
    if ranking == "fused":
        # The heading has a say in the order, among the fifty best.
        assert len(found) == 5
        assert max(found) == pytest.approx(best[-1], abs=2e-6)
    else:
        assert found == pytest.approx(best[::-1].tolist(), abs=2e-6)


@pytest.mark.parametrize("question", ["dropout batchnorm " * 6_000, "x" * 100_000, "批归一化" * 25_000])
def test_a_text_of_a_hundred_thousand_characters_is_searched_like_another(retriever: Retriever, question: str):
    assert len(retriever.retrieve(question, count=3)) <= 3


@pytest.mark.parametrize("question", ["😀🔥", "what is it and why", "؟", "\u202e\u202c", "\0"])
def test_a_question_of_no_words_finds_nothing(retriever: Retriever, question: str):
    assert retriever.retrieve(question, count=3) == []


def test_of_mixed_scripts_the_known_words_find_their_section(retriever: Retriever):
    assert headings(retriever, "Что такое dropout 是什么 و لماذا؟")[0] == "Dropout"


RUSSIAN_GUIDE = """\
# Регуляризация

## Дропаут

Дропаут обнуляет случайные активации во время обучения.

## Ранняя остановка

Ранняя остановка прекращает обучение, когда ошибка на проверке перестала падать.
"""


@pytest.fixture(scope="module")
def russian() -> Retriever:
    document = parse_document(RUSSIAN_GUIDE, "ru.md", sha256="")
    index = index_documents([document], embedder="shipped", dimension=0, chunk_words=100)
    return Retriever(index, dense_weight=0.6, far_dense_weight=0.15, heading_weight=0.2)


def test_in_a_language_that_the_encoder_does_not_know_words_lead(russian: Retriever):
    hits = russian.retrieve("Когда помогает ранняя остановка?", count=2)

    assert hits[0].chunk.heading == "Ранняя остановка"
    text = 0.15 * hits[0].dense_score + 0.85 * hits[0].keyword_score
    assert hits[0].score == pytest.approx(0.8 * text + 0.2 * hits[0].heading_score, abs=1e-5)


@pytest.mark.parametrize("question", ["Что такое дропаут?", "ما هو التسرب؟", "드롭아웃이란 무엇인가"])
def test_a_reader_is_told_that_the_encoder_does_not_know_the_language(russian: Retriever, question: str):
    (note,) = russian.notes(question)

    assert "does not know the language" in note


@pytest.mark.parametrize(
    "question", ["What is dropout?", "drpout", "批归一化", "猫是什么", "Was ist Dropout?", "😀", ""]
)
def test_of_a_language_that_it_reads_nothing_is_told(russian: Retriever, question: str):
    assert russian.notes(question) == ()


def test_an_embedder_of_another_dimension_says_what_to_do(russian: Retriever):
    fitted = LatentSemanticEmbedder.fit(["dropout zeroes activations", "momentum averages gradients"], dimension=1)
    swapped = replace(russian, index=replace(russian.index, embedder=fitted))

    with pytest.raises(
        IndexStaleError, match=r"gives 1 dimensions, the index was made with 512.*tutor index --rebuild"
    ):
        swapped.retrieve("dropout", count=1)


def test_the_words_of_a_hit_are_those_of_its_text(many: Retriever):
    question = "rate of dropout, and batchnorm in a network"

    for hit in many.retrieve(question, count=20):
        assert set(hit.matched) == set(words(question)) & set(words(hit.chunk.search_text))


def test_question_is_also_searched_with_the_one_before_it(retriever: Retriever):
    before = "What does BatchNorm use at inference?"
    question = "Which averages of the variance?"

    hits = retriever.retrieve_in_context(question, before, count=3)

    assert hits[0].chunk.heading == "BatchNorm at inference"


def test_question_on_another_subject_is_found_beside_the_one_before_it(retriever: Retriever):
    hits = retriever.retrieve_in_context("What is early stopping?", "What does BatchNorm use at inference?", count=1)

    assert hits[0].chunk.heading == "Early stopping"


def test_hits_in_context_keep_the_scores_of_the_question_alone(retriever: Retriever):
    question = "What is early stopping?"
    alone = {hit.chunk.id: hit for hit in retriever.retrieve(question, count=50)}

    hits = retriever.retrieve_in_context(question, "What does BatchNorm use at inference?", count=3)

    assert [hit for hit in hits if hit.chunk.id in alone] == [
        alone[hit.chunk.id] for hit in hits if hit.chunk.id in alone
    ]


def test_nothing_before_is_a_search_for_the_question_alone(retriever: Retriever):
    assert retriever.retrieve_in_context("What is dropout?", "", count=3) == retriever.retrieve(
        "What is dropout?", count=3
    )
