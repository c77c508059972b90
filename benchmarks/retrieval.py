"""How fast passages are indexed and found, beside LangChain, bm25s, hnswlib and usearch, on passages made on the spot.

    python benchmarks/retrieval.py --sizes 1000 10000

Needs `pip install -e '.[bench]'`, and no data: passages are drawn, with a fixed seed, from the words of the shipped encoder's
vocabulary, each on a subject of its own words. Speeds and the recall of the vector search are real; what is found means nothing.
Each size is measured by itself and kept beside the report, so that sizes can be measured one at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from corpus.chunks import Chunk
    from index.passage_index import PassageIndex
    from index.retriever import Retriever

ROOT = Path(__file__).parent.parent
PASSAGE_WORDS = 80
SUBJECT_WORDS = 40
CHUNKS_PER_GUIDE = 10
QUERIES = 200
LANGCHAIN_PASSAGES = 512
"""Passages that LangChain embeds at most: what it takes for each does not depend on how many there are."""
LANGCHAIN_QUERIES = 50
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
MARKS = ("<!-- measured -->", "<!-- end -->")


@dataclass
class Stopwatch:
    """Times of what was done again and again, in milliseconds."""

    times: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.times.append(1000 * (time.perf_counter() - started))

    @property
    def summary(self) -> dict[str, float]:
        ordered = sorted(self.times)
        return {"p50_ms": statistics.median(ordered), "p95_ms": ordered[int(0.95 * (len(ordered) - 1))]}


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long some work took, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


@dataclass(frozen=True)
class Synthetic:
    """Passages on subjects: half of a passage's words are those of its subject, the chief ones again and again, half those of all."""

    count: int
    seed: int = 7

    def chunks(self) -> list[Chunk]:
        import numpy as np

        from corpus.chunks import Chunk

        dice = np.random.default_rng(self.seed)
        words, subjects, weights = self._language(dice)
        chunks = []
        for start in range(0, self.count, 10_000):
            size = min(10_000, self.count - start)
            of = dice.integers(len(subjects), size=size)
            chief = 1 / (1 + np.arange(SUBJECT_WORDS))
            drawn = dice.choice(SUBJECT_WORDS, p=chief / chief.sum(), size=(size, PASSAGE_WORDS // 2))
            own = words[subjects[of[:, None], drawn]]
            common = dice.choice(words, p=weights, size=(size, PASSAGE_WORDS // 2))
            for row in range(size):
                number = start + row
                guide = f"guide-{number // CHUNKS_PER_GUIDE:06}.md"
                heading = f"{own[row, 0]} {own[row, 1]} {own[row, 2]}".capitalize()
                text = " ".join(word for pair in zip(own[row], common[row], strict=True) for word in pair)
                chunks.append(Chunk(f"{guide}#{number}", guide, "Guide", (heading,), f"{text}.", 1, 2))
        return chunks

    def questions(self, chunks: Sequence[Chunk]) -> list[str]:
        """Questions of six words: four of a passage's subject, two of the language."""
        import numpy as np

        dice = np.random.default_rng(self.seed + 1)
        asked = [chunks[row].text.rstrip(".").split() for row in dice.integers(len(chunks), size=QUERIES)]
        return [f"How do {' '.join([*text[:8:2], *text[1:5:2]])}?" for text in asked]

    def _language(self, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Words of the encoder's vocabulary, the words of each subject as places among them, and how common each word is."""
        import numpy as np

        vocabulary = json.loads((ROOT / "index/encoder/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        words = np.array(sorted(word for word in vocabulary if re.fullmatch("[a-z]{3,}", word)))
        dice.shuffle(words)
        subjects = dice.integers(200, len(words), size=(max(20, self.count // 50), SUBJECT_WORDS))
        weights = 1 / (10 + np.arange(len(words)))
        return words, subjects, weights / weights.sum()


def measure(size: int, *, threads: int, langchain: bool, graphs: bool) -> dict[str, Any]:
    """All figures of one size."""
    chunks = Synthetic(size).chunks()
    questions = Synthetic(size).questions(chunks)
    result: dict[str, Any] = {"passages": size, "load_before": os.getloadavg()[0], "stages": {}}
    with tempfile.TemporaryDirectory() as folder:
        index = _ours(result, chunks, questions, Path(folder))
        del chunks
        if graphs:
            result["graphs"] = _graphs(index.vectors, index.embedder.embed_queries(questions))
    if size <= 10_000:
        result["files_per_second"] = _from_files(Synthetic(size).chunks())
    texts = [chunk.search_text for chunk in index.chunks[:LANGCHAIN_PASSAGES]]
    result["langchain"] = _langchain(size if langchain else 0, texts, questions, threads)
    result["times_langchain"] = result["passages_per_second"] / result["langchain"]["passages_per_second"]
    result["load_after"] = os.getloadavg()[0]
    return result


def _ours(result: dict[str, Any], chunks: list[Chunk], questions: Sequence[str], folder: Path) -> PassageIndex:
    from corpus.documents import Document
    from index.build import index_chunks
    from index.passage_index import save_index
    from index.retriever import Retriever
    from tutor.settings import Settings

    stages, last = result["stages"], ["", time.perf_counter()]

    def progress(stage: str, _done: int, _total: int) -> None:
        now = time.perf_counter()
        if last[0]:
            stages[last[0]] = stages.get(last[0], 0.0) + now - last[1]
        last[:] = [stage, now]

    settings = Settings(home=folder)
    guides = [Document(name, "Guide", "", "", "") for name in dict.fromkeys(chunk.document_id for chunk in chunks)]
    started = time.perf_counter()
    built = index_chunks(guides, chunks, embedder="shipped", dimension=0, chunk_words=300, progress=progress)
    progress("saving", 0, 1)
    index = save_index(replace(built, manifest=replace(built.manifest, generation="bench")), folder)
    progress("", 0, 1)
    result["indexed_seconds"] = time.perf_counter() - started
    result["passages_per_second"] = len(chunks) / result["indexed_seconds"]
    result["search"] = index.nearest.description
    result["disk_mb"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    result["opened"] = json.loads(
        subprocess.run(  # noqa: S603 - this file
            [sys.executable, __file__, "--open", folder], check=True, capture_output=True, text=True
        ).stdout
    )
    retriever = Retriever(
        index,
        dense_weight=settings.dense_weight,
        far_dense_weight=settings.far_dense_weight,
        heading_weight=settings.heading_weight,
    )
    result["queries"] = _queries(retriever, questions)
    result["bm25s"] = _bm25s(index, questions)
    if not index.nearest.is_exact:
        result["recall_at_10"] = _recall(index, questions)
    return index


def _queries(retriever: Retriever, questions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Whole queries and their parts; each question is new to all caches but those of words and headings."""
    from index.retriever import POOL
    from index.words import words

    index = retriever.index
    watches = {name: Stopwatch() for name in ("encode", "dense", "keyword", "whole")}
    retriever.retrieve("a first question opens files", count=6)
    for question in questions:
        with watches["whole"].running():
            retriever.retrieve(question, count=6)
    for question in questions:
        with watches["encode"].running():
            query = index.embedder.embed_queries([question])
        with watches["dense"].running():
            if index.nearest.is_exact:
                index.nearest.cosines(query, slice(None))
            else:
                index.nearest.search(query, POOL)
        with watches["keyword"].running():
            index.keywords.scores(words(question))
    summaries = {name: watch.summary for name, watch in watches.items()}
    parts = sum(summaries[name]["p50_ms"] for name in ("encode", "dense", "keyword"))
    summaries["fuse"] = {"p50_ms": max(0.0, summaries["whole"]["p50_ms"] - parts)}
    return summaries


def _recall(index: PassageIndex, questions: Sequence[str]) -> float:
    """The share of the ten nearest passages of each question that the lists find."""
    import faiss
    import numpy as np

    queries = index.embedder.embed_queries(questions)
    found = index.nearest.search(queries, 10)[1]
    truth = faiss.knn(queries, np.ascontiguousarray(index.vectors), 10, metric=faiss.METRIC_INNER_PRODUCT)[1]
    return float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]))


def _from_files(chunks: Sequence[Chunk]) -> float:
    """Passages a second of `tutor index` over guides as Markdown files: read, cut, embedded, saved."""
    from index.build import build_index

    with tempfile.TemporaryDirectory() as folder:
        guides = Path(folder) / "guides"
        guides.mkdir()
        for start in range(0, len(chunks), CHUNKS_PER_GUIDE):
            pieces = chunks[start : start + CHUNKS_PER_GUIDE]
            text = "\n\n".join(f"## {chunk.heading}\n\n{chunk.text}" for chunk in pieces)
            (guides / pieces[0].document_id).write_text(f"# Guide\n\n{text}\n", encoding="utf-8")
        taken, report = seconds(
            lambda: build_index(
                Path(folder) / "index",
                [guides],
                embedder="shipped",
                dimension=0,
                chunk_words=300,
                now=datetime.now(UTC),
            )
        )
        return len(report.index.chunks) / taken


def _bm25s(index: PassageIndex, questions: Sequence[str]) -> dict[str, float]:
    """The library alone, as its README has it: its own tokenizer, its own top ten."""
    import bm25s
    import Stemmer

    stemmer, texts = Stemmer.Stemmer("english"), [chunk.search_text for chunk in index.chunks]

    def build() -> bm25s.BM25:
        engine = bm25s.BM25()
        engine.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
        return engine

    taken, engine = seconds(build)
    watch = Stopwatch()
    for question in questions:
        with watch.running():
            tokens = bm25s.tokenize([question], stopwords="en", stemmer=stemmer, show_progress=False)
            engine.retrieve(tokens, k=10, show_progress=False)
    return {"passages_per_second": len(texts) / taken, **watch.summary}


def _graphs(vectors: np.ndarray, queries: np.ndarray) -> dict[str, dict[str, float]]:
    """Vector search alone: ours, and hnswlib and usearch over all dimensions with 32 links, breadth 80 to build and 400 to search."""
    import faiss
    import hnswlib
    import numpy as np
    import usearch.index

    from index.vector_index import VectorIndex

    count, dimension = vectors.shape
    truth = faiss.knn(queries, np.ascontiguousarray(vectors), 10, metric=faiss.METRIC_INNER_PRODUCT)[1]

    def hnsw() -> hnswlib.Index:
        graph = hnswlib.Index(space="ip", dim=dimension)
        graph.init_index(max_elements=count, M=32, ef_construction=80)
        graph.add_items(vectors)
        graph.set_ef(400)
        graph.set_num_threads(1)
        return graph

    def usearch_graph() -> usearch.index.Index:
        graph = usearch.index.Index(
            ndim=dimension, metric="ip", dtype="f16", connectivity=32, expansion_add=80, expansion_search=400
        )
        graph.add(np.arange(count), vectors)
        return graph

    searches: dict[str, tuple[Callable[[], Any], Callable[[Any, np.ndarray], np.ndarray]]] = {
        "ours": (lambda: VectorIndex(vectors, use_gpu=False), lambda built, query: built.search(query, 10)[1][0]),
        "hnswlib": (hnsw, lambda built, query: built.knn_query(query, k=10)[0][0]),
        "usearch": (usearch_graph, lambda built, query: built.search(query[0], 10).keys),
    }
    results = {}
    for name, (build, search) in searches.items():
        taken, built = seconds(build)
        watch, found = Stopwatch(), []
        search(built, queries[:1])
        for query in queries:
            with watch.running():
                found.append(search(built, query[None]))
        recall = float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]))
        results[name] = {"build_seconds": taken, "recall_at_10": recall, **watch.summary}
    return results


def _langchain(size: int, texts: Sequence[str], questions: Sequence[str], threads: int) -> dict[str, float]:
    """LangChain's usual pair, HuggingFaceEmbeddings and its FAISS store, with a random model of MiniLM's shape; queries where `size` is not 0."""
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that both are to be replaced
        from langchain_community.embeddings import HuggingFaceEmbeddings
        from langchain_community.vectorstores import FAISS

        _save_minilm(Path(folder))
        embeddings = HuggingFaceEmbeddings(model_name=folder, encode_kwargs={"normalize_embeddings": True})
        embeddings.embed_documents(list(texts[:32]))
        # On a busy machine threads that wait for each other are slower than one alone: LangChain gets the better of both.
        runs = []
        for count in dict.fromkeys((1, threads)):
            torch.set_num_threads(count)
            runs.append((seconds(lambda: FAISS.from_texts(list(texts), embeddings))[0], count))
        taken, best_threads = min(runs)
        result = {"passages_per_second": len(texts) / taken, "threads": best_threads}
        torch.set_num_threads(1)
        if size:
            dice = np.random.default_rng(0)
            # What a query takes depends on the number of vectors, not on what they say.
            numbers = dice.normal(size=(size, MINILM["hidden_size"])).astype(np.float32)
            store = FAISS.from_embeddings([("", vector) for vector in numbers], embeddings)
            watch = Stopwatch()
            for question in questions[:LANGCHAIN_QUERIES]:
                with watch.running():
                    store.similarity_search(question, k=6)
            result |= watch.summary
        torch.set_num_threads(threads)
    return result


def _save_minilm(folder: Path) -> None:
    """A BERT of MiniLM's shape with random weights that takes a word for a token, which spares it work."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = json.loads((ROOT / "index/encoder/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    words = ["[PAD]", "[UNK]", *sorted(word for word in vocabulary if re.fullmatch("[a-z]+", word))]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    bert = folder / "bert"
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=512, **MINILM)).save_pretrained(bert)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        model_max_length=256,
    ).save_pretrained(bert)
    transformer = Transformer(str(bert))
    SentenceTransformer(modules=[transformer, Pooling(MINILM["hidden_size"])], device="cpu").save(str(folder))


def open_index(folder: Path) -> dict[str, float]:
    """How long an index on disk takes to open in a fresh process, to its first answer, and the memory it then has of its own."""
    import faiss  # noqa: F401 - the time of the import is not that of the index

    from index.passage_index import load_index
    from index.retriever import Retriever

    before = _own_memory_mb()
    opened, index = seconds(lambda: load_index(folder))
    retriever = Retriever(index, dense_weight=0.5, far_dense_weight=0.5, heading_weight=0.2)
    answered, _ = seconds(lambda: retriever.retrieve("first question about gradient descent", count=6))
    return {"seconds": opened, "first_query_seconds": answered, "memory_mb": _own_memory_mb() - before}


def _own_memory_mb() -> float:
    """Memory that is not mapped from a file."""
    match = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(match[1]) / 1000 if match else 0.0


def report(results: Sequence[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [
        "",
        "| passages | search | indexed a second | from files | opens in | own memory | on disk |",
        f"|{'---|' * 7}",
    ]
    for result in results:
        files = f"{result['files_per_second']:,.0f}" if "files_per_second" in result else "–"
        opened = result["opened"]
        lines.append(
            f"| {result['passages']:,} | {'exact' if result['search'].startswith('exact') else 'graph'} | "
            f"{result['passages_per_second']:,.0f} | {files} | {opened['seconds']:.2f} s | {opened['memory_mb']:,.0f} MB | "
            f"{result['disk_mb']:,.0f} MB |"
        )
    lines += ["", "Milliseconds a query, p50 / p95:", ""]
    lines += ["| passages | encode | dense | keyword | fuse, headings | whole | recall@10 |", f"|{'---|' * 7}"]
    for result in results:
        cells = [_times(result["queries"][name]) for name in ("encode", "dense", "keyword", "fuse", "whole")]
        recall = f"{result['recall_at_10']:.3f}" if "recall_at_10" in result else "1 (exact)"
        lines.append(f"| {result['passages']:,} | {' | '.join(cells)} | {recall} |")
    lines += ["", "Beside LangChain with a model of MiniLM's shape, and bm25s alone:", ""]
    lines += [
        "| passages | LangChain: indexed a second | ours is times as fast | LangChain: query | bm25s: indexed a second | bm25s: query |",
        f"|{'---|' * 6}",
    ]
    for result in results:
        other, words = result["langchain"], result["bm25s"]
        speed = f"{other['passages_per_second']:,.0f} | {result['times_langchain']:,.0f}"
        query = _times(other) if "p50_ms" in other else "–"
        lines.append(
            f"| {result['passages']:,} | {speed} | {query} | {words['passages_per_second']:,.0f} | {_times(words)} |"
        )
    lines += ["", "The vector search alone, ten nearest:", ""]
    lines += ["| passages | library | build | query | recall@10 |", f"|{'---|' * 5}"]
    for result in results:
        for name, row in result.get("graphs", {}).items():
            lines.append(
                f"| {result['passages']:,} | {name} | {row['build_seconds']:,.1f} s | {_times(row)} | {row['recall_at_10']:.3f} |"
            )
    lines += [
        "",
        "Seconds of each stage of indexing, and how busy the machine was (load average before and after):",
        "",
    ]
    for result in results:
        stages = ", ".join(f"{name} {taken:,.1f}" for name, taken in result["stages"].items())
        lines.append(
            f"* {result['passages']:,}: {stages}. Load {result['load_before']:.1f}, {result['load_after']:.1f}."
        )
    machine = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    return "\n".join([*lines, "", f"Measured on {machine}.", ""])


def _times(row: dict[str, float]) -> str:
    p50 = f"{row['p50_ms']:.2f}"
    return f"{p50} / {row['p95_ms']:.2f}" if "p95_ms" in row else p50


def draw(results: Sequence[dict[str, Any]], file: Path) -> None:
    """Latency and speed of indexing over the number of passages."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    sizes = [result["passages"] for result in results]
    for name in ("encode", "dense", "keyword", "whole"):
        left.loglog(sizes, [result["queries"][name]["p50_ms"] for result in results], marker="o", label=name)
    compared = [result for result in results if "p50_ms" in result["langchain"]]
    counts = [result["passages"] for result in compared]
    left.loglog(
        counts, [r["langchain"]["p50_ms"] for r in compared], marker="x", linestyle="--", label="LangChain, whole"
    )
    left.set(xlabel="passages", ylabel="milliseconds a query, p50", title="Search")
    right.loglog(sizes, [result["passages_per_second"] for result in results], marker="o", label="ours")
    right.loglog(
        sizes, [r["langchain"]["passages_per_second"] for r in results], marker="x", linestyle="--", label="LangChain"
    )
    right.set(xlabel="passages", ylabel="passages a second", title="Indexing")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(file, metadata={"Date": None})


def write_report(kept: Path, page: Path) -> None:
    """Put the table of all sizes measured so far between the marks of the page, and the plot beside it."""
    results = sorted(json.loads(kept.read_text(encoding="utf-8")), key=lambda result: int(result["passages"]))
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    page.write_text(f"{before}{MARKS[0]}\n{report(results)}\n{MARKS[1]}{after}", encoding="utf-8")
    draw(results, page.with_suffix(".svg"))


def main() -> None:
    """Measure the sizes asked for and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000], help="numbers of passages")
    parser.add_argument("--threads", type=int, default=2, help="of every library (default 2)")
    parser.add_argument(
        "--langchain-up-to", type=int, default=100_000, help="largest size at which LangChain is queried"
    )
    parser.add_argument(
        "--graphs-up-to", type=int, default=100_000, help="largest size for hnswlib and usearch: slow builds"
    )
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs/benchmarks.md", help="the page whose tables are replaced"
    )
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, str(options.threads))
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    sys.path.insert(0, str(ROOT))
    if options.open:
        print(json.dumps(open_index(options.open)))
        return
    kept: Path = options.page.with_suffix(".json")
    for size in options.sizes:
        result = measure(
            size,
            threads=options.threads,
            langchain=size <= options.langchain_up_to,
            graphs=size <= options.graphs_up_to,
        )
        print(json.dumps(result, indent=1))
        others = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
        others = [other for other in others if other["passages"] != size]
        kept.write_text(json.dumps([*others, result], indent=1) + "\n", encoding="utf-8")
    write_report(kept, options.page)


if __name__ == "__main__":
    main()
