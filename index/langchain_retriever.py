"""Our search and encoder for LangChain, and LangChain's stores for our search. The only file of this package that knows langchain_core."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Annotated, Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from langchain_core.vectorstores import VectorStore
from pydantic import Field, GetPydanticSchema
from pydantic_core.core_schema import is_instance_schema

from corpus.chunks import Chunk
from corpus.documents import language_of
from index.build import passage_words
from index.embedder import Embedder, ShippedEmbedder
from index.hits import Hit
from index.retriever import HEADING_CANDIDATES, Ranking, Retriever
from index.scope import EVERYWHERE, Scope
from index.words import words

_CHUNK_KEYS = {"id", "document", "title", "headings", "start_line", "end_line", "topic", "level", "language"}


class GuideRetriever(BaseRetriever):
    """Our search as a LangChain retriever: `invoke(question)` gives passages, best first.

    Each document's metadata holds what `to_document` writes and the scores of its `Hit`. The search is narrowed to what is
    `within`, before the count is cut off. The index is the one that `retriever` was made over.
    """

    # The schema that pydantic would make of our dataclasses ends at the arrays inside them.
    retriever: Annotated[Retriever, GetPydanticSchema(lambda _type, _handler: is_instance_schema(Retriever))]
    count: int = Field(ge=1)
    within: Scope = EVERYWHERE

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del run_manager
        return [_scored(hit) for hit in self.retriever.retrieve(query, count=self.count, within=self.within)]


class GuideEmbeddings(Embeddings):
    """An `Embedder` of ours, the shipped encoder unless another is given, as LangChain embeddings.

    Vectors have length 1, or 0 for a text without a known word: a store measures them by cosine or inner product.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or ShippedEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [list(map(float, vector)) for vector in self._embedder.embed_passages(texts)]

    def embed_query(self, text: str) -> list[float]:
        return list(map(float, self._embedder.embed_queries([text])[0]))


def to_document(chunk: Chunk) -> Document:
    """A passage as a LangChain document. The metadata is plain strings and numbers, which every store takes."""
    metadata = {
        "id": chunk.id,
        "document": chunk.document_id,
        "title": chunk.title,
        "heading": chunk.path,
        # A heading may hold " > " but no line break, so this one can be taken apart again.
        "headings": "\n".join(chunk.heading_path),
        "start_line": chunk.start_line,
        "end_line": chunk.end_line,
        "topic": chunk.topic,
        "level": chunk.level,
        "language": chunk.language,
    }
    return Document(id=chunk.id, page_content=chunk.text, metadata=metadata)


def _scored(hit: Hit) -> Document:
    document = to_document(hit.chunk)
    scores = {
        "score": hit.score,
        "dense_score": hit.dense_score,
        "keyword_score": hit.keyword_score,
        "heading_score": hit.heading_score,
        "matched": list(hit.matched),
    }
    return Document(id=document.id, page_content=document.page_content, metadata={**document.metadata, **scores})


def to_chunk(document: Document) -> Chunk:
    """The passage of a document: the very one where `to_document` wrote it, else what LangChain's loaders and splitters tell.

    A document of another origin has its `source` for a guide, `Header 1` and so on for headings, and lines 0, unknown.
    """
    said = document.metadata
    if said.keys() >= _CHUNK_KEYS:
        return Chunk(
            id=said["id"],
            document_id=said["document"],
            title=said["title"],
            heading_path=tuple(filter(None, said["headings"].split("\n"))),
            text=document.page_content,
            start_line=int(said["start_line"]),
            end_line=int(said["end_line"]),
            topic=said["topic"],
            level=said["level"],
            language=said["language"],
        )
    source = str(said.get("source") or "unknown source")
    # Citations are told apart by the ids of their passages, and not every store gives its documents one.
    own_id = document.id or hashlib.sha256(document.page_content.encode()).hexdigest()[:12]
    return Chunk(
        id=f"{source}#{own_id}",
        document_id=source,
        title=str(said.get("title") or PurePath(source).stem),
        heading_path=_headings(said),
        text=document.page_content,
        start_line=0,
        end_line=0,
        topic=str(said.get("topic") or ""),
        level=str(said.get("level") or ""),
        language=language_of(document.page_content),
    )


def _headings(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Headings from the outermost in, as MarkdownHeaderTextSplitter names them in LangChain's documentation."""
    return tuple(str(metadata[key]) for key in sorted(metadata) if key.startswith("Header "))


def search_in(source: VectorStore | RetrieverLike) -> Callable[[Retriever], Retriever]:
    """What makes a `Tutor` answer from a LangChain store: `Tutor(settings, search=search_in(store))`.

    A store is asked for as many passages as our own search looks at; to choose another number, or the kind of search, give
    `store.as_retriever(...)`, or any other LangChain retriever.
    """
    finder = source.as_retriever(search_kwargs={"k": HEADING_CANDIDATES}) if isinstance(source, VectorStore) else source
    return lambda own: DocumentRetriever(
        own.index, own.dense_weight, own.far_dense_weight, own.heading_weight, finder, reranker=own.reranker
    )


@dataclass(frozen=True)
class DocumentRetriever(Retriever):
    """Search in passages that a LangChain retriever proposes, scored here.

    Stores score by distances of their own making; scored with our embedder and the rarity of words in our index, hits compare
    and `confidence` means what it means for our own passages.
    """

    source: RetrieverLike

    def retrieve(
        self,
        question: str,
        *,
        count: int,
        ranking: Ranking = "fused",
        within: Scope = EVERYWHERE,
    ) -> list[Hit]:
        """As `Retriever.retrieve`, among what the source proposes, so that a narrow scope may leave fewer than `count`.

        What documents, topics, languages and levels the source has is not known: a scope that names others finds nothing.
        """
        terms = self._terms(question)
        proposed = {chunk.id: chunk for chunk in map(to_chunk, self.source.invoke(question))} if terms else {}
        chunks = [chunk for chunk in proposed.values() if within.admits(chunk)]
        if not chunks:
            return []
        passages = self.index.embedder.embed_passages([chunk.search_text for chunk in chunks])
        dense = passages @ self.embedded(question)[0]
        keyword = self.index.keywords.scores_beside(terms, [passage_words(chunk) for chunk in chunks])
        text = self._fused(question, dense, keyword, np.array([chunk.language for chunk in chunks], dtype=np.str_))
        scored = zip(chunks, dense.tolist(), keyword.tolist(), text.tolist(), strict=True)
        judged = [self._judge(*one, terms, ranking) for one in scored]
        found = sorted((hit for hit in judged if hit.score > 0), key=lambda hit: -hit.score)
        hits = self._reranked(question, found, ranking)[:count]
        return [replace(hit, around=self.index.neighbours(hit.chunk)) for hit in hits]

    def _judge(
        self, chunk: Chunk, dense: float, keyword: float, text: float, terms: Sequence[str], ranking: Ranking
    ) -> Hit:
        present = set(words(chunk.search_text))
        matched = tuple(term for term in terms if term in present)
        weights = {term: self.index.keywords.idf(term) for term in terms}
        heading = self._overlap(weights, sum(weights.values()), set(words(chunk.heading)))
        score = {
            "fused": (1 - self.heading_weight) * text + self.heading_weight * heading,
            "dense": dense,
            "keyword": keyword,
        }[ranking]
        return Hit(chunk, round(score, 6), round(dense, 6), round(keyword, 6), round(heading, 6), matched)
