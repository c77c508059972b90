from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from index.langchain_retriever import GuideEmbeddings, search_in, to_chunk, to_document
from tutor.settings import read_settings
from tutor.tutor import Tutor

if TYPE_CHECKING:
    from langchain_milvus import Milvus

pytestmark = pytest.mark.milvus


@pytest.fixture(scope="module")
def tutor(tmp_path_factory: pytest.TempPathFactory) -> Tutor:
    tutor = Tutor(read_settings(home=tmp_path_factory.mktemp("home")))
    tutor.update_index()
    return tutor


@pytest.fixture(scope="module")
def store(tutor: Tutor, tmp_path_factory: pytest.TempPathFactory) -> Milvus:
    """The passages of the shipped guides in a local Milvus file."""
    library = pytest.importorskip(
        "langchain_milvus", reason="Milvus Lite has an environment of its own: make test-milvus"
    )
    store = library.Milvus(
        embedding_function=GuideEmbeddings(),
        connection_args={"uri": str(tmp_path_factory.mktemp("milvus") / "guides.db")},
        index_params={"index_type": "FLAT", "metric_type": "COSINE"},
        enable_dynamic_field=True,
    )
    documents = [to_document(chunk) for chunk in tutor.index.chunks]
    store.add_documents(documents, ids=[document.id for document in documents])
    # Until then Milvus Lite searches what was inserted row by row.
    store.client.flush(store.collection_name)
    return store


def test_passages_come_back_from_milvus_as_they_went_in(tutor: Tutor, store: Milvus):
    found = [to_chunk(document) for document in store.similarity_search("dropout", k=len(tutor.index.chunks))]

    assert sorted(found, key=lambda chunk: chunk.id) == sorted(tutor.index.chunks, key=lambda chunk: chunk.id)


@pytest.mark.parametrize(
    "question",
    [
        "What does BatchNorm do differently at inference, and why?",
        "When should I use dropout?",
        "Why does LSTM mitigate vanishing gradients?",
        "批归一化在推理时怎么做？",
    ],
)
def test_the_tutor_answers_from_milvus_what_it_answers_from_its_own_index(tutor: Tutor, store: Milvus, question: str):
    over_milvus = Tutor(tutor.settings, search=search_in(store))

    answer = over_milvus.ask(question)

    assert answer.answered
    assert answer.text == tutor.ask(question).text


def test_the_tutor_declines_over_milvus_too(tutor: Tutor, store: Milvus):
    answer = Tutor(tutor.settings, search=search_in(store)).ask(
        "How do I configure a kubernetes ingress with terraform?"
    )

    assert not answer.answered


def test_milvus_filters_by_our_metadata(tutor: Tutor, store: Milvus):
    chinese = store.as_retriever(search_kwargs={"k": 10, "expr": 'language == "zh"'})

    hits = search_in(chinese)(tutor.retriever).retrieve("BatchNorm 推理", count=5)

    assert {hit.chunk.language for hit in hits} == {"zh"}
