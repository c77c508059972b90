from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

from corpus.documents import language_of
from index.embedder import LatentSemanticEmbedder, ShippedEmbedder
from index.langchain_retriever import (
    DocumentRetriever,
    GuideEmbeddings,
    GuideRetriever,
    search_in,
    to_chunk,
    to_document,
)
from index.retriever import Retriever
from index.scope import Scope, ScopeError
from tutor.tutor import Tutor

if TYPE_CHECKING:
    from tests.conftest import ScriptedEndpoint

GUIDE = Path(__file__).parent.parent / "docs" / "langchain.md"
QUESTION = "What does dropout do during training?"


@pytest.fixture
def retriever(tutor: Tutor) -> GuideRetriever:
    return GuideRetriever(retriever=tutor.retriever, count=3)


@pytest.fixture
def store(tutor: Tutor) -> InMemoryVectorStore:
    """The passages of the small corpus in a LangChain store."""
    store = InMemoryVectorStore(GuideEmbeddings())
    store.add_documents([to_document(chunk) for chunk in tutor.index.chunks])
    return store


def over(source: object, tutor: Tutor) -> Retriever:
    return search_in(source)(tutor.retriever)


def proposing(*documents: Document) -> RunnableLambda:
    """A LangChain retriever that finds the same documents for every question."""
    return RunnableLambda(lambda _question: list(documents))


# Our search for LangChain


def test_the_documents_are_the_hits_of_our_own_search(tutor: Tutor, retriever: GuideRetriever):
    hits = tutor.retrieve(QUESTION, count=3)

    documents = retriever.invoke(QUESTION)

    assert [to_chunk(document) for document in documents] == [hit.chunk for hit in hits]
    assert [document.metadata["score"] for document in documents] == [hit.score for hit in hits]


def test_a_document_tells_where_it_stands_and_why_it_was_found(retriever: GuideRetriever):
    document = retriever.invoke(QUESTION)[0]

    assert document.page_content.startswith("Dropout zeroes each activation")
    assert document.id == document.metadata["id"] == "regularization.md#dropout"
    said = document.metadata
    assert (said["document"], said["title"], said["heading"]) == ("regularization.md", "Regularization", "Dropout")
    assert (said["start_line"], said["end_line"]) == (11, 17)
    assert (said["topic"], said["level"], said["language"]) == ("regularization", "junior", "en")
    assert said["matched"] == ["dropout", "train"]
    assert 0 < said["score"] <= 1
    assert {"dense_score", "keyword_score", "heading_score"} <= said.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [("document", "normalization.md"), ("topic", "normalization"), ("language", "zh"), ("level", "mid")],
)
def test_a_filter_must_be_met(tutor: Tutor, name: str, value: str):
    filtered = GuideRetriever(retriever=tutor.retriever, count=9, within=Scope(**{f"{name}s": (value,)}))

    found = {document.metadata[name] for document in filtered.invoke("BatchNorm dropout 批归一化")}

    assert found == {value}


def test_filters_are_met_together(tutor: Tutor):
    within = Scope(topics=("normalization",), levels=("junior",))

    assert GuideRetriever(retriever=tutor.retriever, count=9, within=within).invoke("BatchNorm") == []


def test_a_filter_for_what_is_not_there_is_an_error(tutor: Tutor):
    lost = GuideRetriever(retriever=tutor.retriever, count=9, within=Scope(topics=("normalisation",)))

    with pytest.raises(ScopeError, match="Did you mean normalization"):
        lost.invoke("BatchNorm")


def test_async_and_batch_find_the_same(retriever: GuideRetriever):
    found = retriever.invoke(QUESTION)

    assert asyncio.run(retriever.ainvoke(QUESTION)) == found
    assert retriever.batch([QUESTION, "LayerNorm"])[0] == found


@pytest.mark.parametrize("fields", [{"count": 0}, {"count": 3, "retriever": "not a retriever"}, {}])
def test_a_retriever_that_cannot_work_is_refused(tutor: Tutor, fields: dict[str, object]):
    with pytest.raises(ValueError, match=r"count|retriever"):
        GuideRetriever(**{"retriever": tutor.retriever, **fields})


def test_embeddings_are_those_of_the_shipped_encoder():
    embeddings, embedder = GuideEmbeddings(), ShippedEmbedder()

    passages = embeddings.embed_documents(["dropout", "批归一化"])

    assert np.allclose(passages, embedder.embed_passages(["dropout", "批归一化"]))
    assert np.allclose(embeddings.embed_query("dropout"), passages[0])
    assert all(type(value) is float for value in passages[0])


def test_embeddings_of_another_embedder_are_its_own(tutor: Tutor):
    fitted = LatentSemanticEmbedder.fit([chunk.search_text for chunk in tutor.index.chunks], dimension=8)

    assert np.allclose(GuideEmbeddings(fitted).embed_documents(["dropout"]), fitted.embed_passages(["dropout"]))
    assert np.allclose(GuideEmbeddings(fitted).embed_query("dropout"), fitted.embed_queries(["dropout"])[0])


# LangChain's stores for our search


def test_a_passage_survives_being_a_document(tutor: Tutor):
    for chunk in tutor.index.chunks:
        assert to_chunk(to_document(chunk)) == chunk


def test_the_metadata_is_what_every_store_takes(tutor: Tutor):
    for chunk in tutor.index.chunks:
        assert {type(value) for value in to_document(chunk).metadata.values()} <= {str, int}


def test_a_document_of_another_origin_becomes_a_passage_with_what_is_known():
    document = Document(
        "动量累积梯度。",
        id="7",
        metadata={"source": "notes/momentum.md", "Header 2": "Momentum", "Header 1": "Optimizers", "page": 3},
    )

    chunk = to_chunk(document)

    assert (chunk.id, chunk.document_id, chunk.title) == ("notes/momentum.md#7", "notes/momentum.md", "momentum")
    assert chunk.heading_path == ("Optimizers", "Momentum")
    assert (chunk.start_line, chunk.language) == (0, "zh")


def test_documents_that_say_nothing_of_themselves_are_told_apart():
    one, other = to_chunk(Document("Momentum averages gradients.")), to_chunk(Document("Adam adapts rates."))

    assert one.document_id == other.document_id == "unknown source"
    assert one.id != other.id
    assert one.heading == "unknown source"


@pytest.mark.parametrize(
    "question", [QUESTION, "Which averages does BatchNorm use at inference?", "批归一化的计算过程是什么？"]
)
def test_the_tutor_answers_from_a_store_what_it_answers_from_its_own_index(
    tutor: Tutor, store: InMemoryVectorStore, question: str
):
    over_store = Tutor(tutor.settings, search=search_in(store))

    answer = over_store.ask(question)

    assert answer.answered
    assert answer.text == tutor.ask(question).text
    assert answer.citations[0].chunk in tutor.index.chunks


def test_the_tutor_declines_what_the_store_does_not_answer(tutor: Tutor, store: InMemoryVectorStore):
    answer = Tutor(tutor.settings, search=search_in(store)).ask(
        "How do I configure a kubernetes ingress with terraform?"
    )

    assert not answer.answered


def test_a_long_answer_from_a_foreign_document_is_that_document(tutor: Tutor):
    text = "Stochastic depth drops whole residual blocks in training. It shortens the network that a batch sees."
    document = Document(text, metadata={"source": "depth.md", "Header 1": "Stochastic depth"})
    over_store = Tutor(tutor.settings, search=search_in(proposing(document)))

    answer = over_store.ask("What does stochastic depth drop?", detailed=True)

    assert [sentence.text for sentence in answer.sentences] == text.replace(". ", ".\n").split("\n")
    assert answer.citations[0].chunk == to_chunk(document)


def test_a_store_with_our_passages_gives_our_hits(tutor: Tutor, store: InMemoryVectorStore):
    own = {hit.chunk: hit for hit in tutor.retrieve(QUESTION, count=9)}

    hits = over(store, tutor).retrieve(QUESTION, count=9)

    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.chunk for hit in hits} == set(own)
    for hit in hits:
        same = own[hit.chunk]
        scores = (hit.score, hit.dense_score, hit.keyword_score, hit.heading_score)
        assert scores == pytest.approx((same.score, same.dense_score, same.keyword_score, same.heading_score), abs=1e-5)
        assert hit.matched == same.matched


def test_what_a_store_finds_twice_is_one_hit(tutor: Tutor):
    document = to_document(tutor.index.chunks_of("regularization.md")[0])

    assert len(over(proposing(document, document), tutor).retrieve(QUESTION, count=9)) == 1


def test_what_a_store_proposes_without_a_likeness_is_left_out(tutor: Tutor):
    beside = proposing(Document("Adam adapts the rate of each weight."))

    assert over(beside, tutor).retrieve(QUESTION, count=9, ranking="keyword") == []


@pytest.mark.parametrize("question", ["", "?!", "what is it"])
def test_a_question_without_a_word_asks_the_store_nothing(tutor: Tutor, question: str):
    def fail(question: str) -> list[Document]:
        raise AssertionError(question)

    assert over(RunnableLambda(fail), tutor).retrieve(question, count=3) == []


def test_a_store_that_finds_nothing_gives_no_hits(tutor: Tutor):
    retriever = over(proposing(), tutor)

    assert retriever.retrieve(QUESTION, count=3) == []
    assert retriever.confidence(QUESTION, []) == 0


def test_passages_of_a_store_can_be_filtered_and_ranked(tutor: Tutor, store: InMemoryVectorStore):
    retriever = over(store, tutor)
    assert isinstance(retriever, DocumentRetriever)

    chinese = retriever.retrieve("BatchNorm 批归一化", count=5, within=Scope(languages=("zh",)))
    keyword = retriever.retrieve(QUESTION, count=5, ranking="keyword")
    dense = retriever.retrieve(QUESTION, count=5, ranking="dense")

    assert {language_of(hit.chunk.text) for hit in chinese} == {"zh"}
    assert [hit.around for hit in chinese] == [tutor.index.neighbours(hit.chunk) for hit in chinese]
    assert all(hit.score == hit.keyword_score for hit in keyword)
    assert all(hit.score == hit.dense_score for hit in dense)


def test_a_retriever_is_asked_as_it_was_made(tutor: Tutor, store: InMemoryVectorStore):
    one = store.as_retriever(search_kwargs={"k": 1})

    assert len(over(one, tutor).retrieve(QUESTION, count=9)) == 1


@pytest.mark.usefixtures("tutor")
def test_the_examples_of_the_documentation_run(
    small_corpus: Path,
    endpoint: ScriptedEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("TUTOR_GUIDES", f'["{(small_corpus / "guides").as_posix()}"]')
    monkeypatch.setenv("TUTOR_LANGUAGE_MODEL", f"openai:tiny@{endpoint.url}")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    examples = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}

    for example in examples:
        exec(example, names)

    printed = capsys.readouterr().out
    assert len(examples) == 6
    assert "Dropout zeroes each activation" in printed
    assert (
        "Dropout 11\nDropout zeroes each activation with probability p during training [1].\nqwen3: Dropout" in printed
    )
