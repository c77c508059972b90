"""Pairs of texts that belong together, for training the encoder: from files, our guides, docstrings, and made of passages."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.chunks import split_document
from corpus.documents import language_of, read_guides
from corpus.questions import read_questions
from corpus.sentences import split_sentences

Pair = tuple[str, str]

_DOCSTRING_PACKAGES = ("torch", "transformers", "scikit-learn", "scipy", "numpy", "sentence-transformers")
"""Packages the project depends on, under BSD or Apache licences."""
_CLOZES_PER_PASSAGE = 3
_QUESTION_WORDS = (
    "what is",
    "how does",
    "why",
    "what are",
    "explain",
    "how to",
    "when to use",
    "what happens when",
    "",
)
_QUESTION_WORDS_ZH = ("什么是", "为什么", "如何", "怎么", "解释", "")
_LEAST_PASSAGE = 200
"""Letters of a passage that pairs are made of; below are single sentences and glosses."""
_OVERLAP = 16
"""Letters in a row by which a sentence is found in the passage it was taken from."""


@dataclass(frozen=True)
class Source:
    """Pairs of one origin; a batch is drawn from one source, so that its texts are hard to tell apart."""

    name: str
    pairs: Sequence[Pair]


def read_pairs(folder: Path) -> list[Source]:
    """Sources from a folder of `*.jsonl` files of `{q, d}`. Raises ValueError, naming file and line, for a broken one."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise ValueError(f"No pairs in {str(folder)!r}. Expected *.jsonl files with an object {{q, d}} a line.")
    sources = []
    for file in files:
        pairs = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                pairs.append((str(row["q"]), str(row["d"])))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{file.name}:{number}: expected an object with q and d ({error}).") from error
        sources.append(Source(file.stem, pairs))
    return sources


def corpus_pairs(guides: Path, questions: Path) -> list[Source]:
    """Sources from our own guides and bank: wordings, key points and their phrasings with the sections that they belong to."""
    documents, _ = read_guides([guides])
    bank, _ = read_questions([questions])
    sections: dict[str, str] = {}
    headings: list[Pair] = []
    clozes: list[Pair] = []
    for document in documents:
        for chunk in split_document(document, max_words=300):
            link = re.sub(r"\.md#", "#", chunk.id).split("~")[0]
            sections.setdefault(link, f"{chunk.heading}\n{chunk.text}")
            headings.append((chunk.heading, chunk.text))
            # Inverse cloze (Lee et al. 2019): a sentence asks for the passage it was taken from.
            clozes += [
                (sentence.text, chunk.text.replace(sentence.text, " "))
                for sentence in split_sentences(chunk.text)
                if sentence.kind in {"prose", "item"} and len(sentence.text) > 40
            ]
    asked, points, phrasings, translations = [], [], [], []
    for question in bank:
        heaviest = max(point.weight for point in question.key_points)
        links = dict.fromkeys(point.section for point in question.key_points if point.weight == heaviest)
        asked += [(wording, sections[link]) for wording in question.wordings for link in links if link in sections]
        translations += [(question.prompt, question.translation)] if question.translation else []
        for point in question.key_points:
            if point.section in sections:
                points.append((point.text, sections[point.section]))
            phrasings += [(phrasing, point.text) for phrasing in point.phrasings]
    return [
        Source("corpus questions", asked),
        Source("corpus points", points),
        Source("corpus phrasings", phrasings),
        Source("corpus translations", translations),
        Source("corpus headings", headings),
        Source("corpus clozes", clozes),
    ]


def docstring_pairs() -> Source:
    """Summary line and body of the docstrings of packages the project depends on."""
    pairs: list[Pair] = []
    for package in _DOCSTRING_PACKAGES:
        for file in importlib.metadata.files(package) or ():
            if file.suffix == ".py" and "test" not in str(file):
                pairs += _docstrings(Path(str(file.locate())))
    return Source("docstrings", sorted(set(pairs)))


def _docstrings(file: Path) -> Iterator[Pair]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            summary, _, body = (ast.get_docstring(node) or "").partition("\n\n")
            name = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", getattr(node, "name", ""))
            if 3 <= len(summary.split()) <= 40 and len(body.split()) >= 12:
                yield f"{name}: {' '.join(summary.split())}", " ".join(body.split()[:150])


def made_pairs(sources: Sequence[Source], *, seed: int) -> list[Source]:
    """Further sources, made of the passages of the given ones: clozes, and pairs across languages."""
    pairs = [pair for source in sources for pair in source.pairs]
    passages: dict[str, list[str]] = {"en": [], "zh": []}
    for passage in dict.fromkeys(passage for _, passage in pairs if len(passage) >= _LEAST_PASSAGE):
        passages[language_of(passage)].append(passage)
    dice = np.random.default_rng(seed)
    return [
        Source("made clozes", cloze_pairs(passages["en"], dice)),
        Source("made clozes zh", cloze_pairs(passages["zh"], dice)),
        Source("made across languages", pairs_across_languages(pairs, passages["en"], passages["zh"])),
    ]


def cloze_pairs(passages: Sequence[str], dice: np.random.Generator) -> list[Pair]:
    """Questions made of passages alone: some words of one of its sentences, half of the time after a question word.

    Mostly with the sentence taken out of the passage, so that the rest has to be known by its meaning (inverse cloze, Lee et al.
    2019). English and Chinese; a passage of fewer than two sentences gives none.
    """
    pairs: list[Pair] = []
    for passage in dict.fromkeys(passages):
        is_chinese = language_of(passage) == "zh"
        sentences = _chinese_sentences(passage) if is_chinese else _english_sentences(passage)
        if len(sentences) < 2:
            continue
        for number in dice.choice(len(sentences), size=min(_CLOZES_PER_PASSAGE, len(sentences)), replace=False):
            sentence = sentences[number]
            asked = _chinese_cloze(sentence, dice) if is_chinese else _english_cloze(sentence, dice)
            pairs.append((asked, passage.replace(sentence, " ") if dice.random() < 0.7 else passage))
    return pairs


def _english_sentences(passage: str) -> list[str]:
    found = split_sentences(passage)
    return [item.text for item in found if 30 < len(item.text) < 260 and item.kind in {"prose", "item"}]


def _chinese_sentences(passage: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[。！？])", passage) if 12 < len(sentence) < 120]


def _english_cloze(sentence: str, dice: np.random.Generator) -> str:
    """Four to thirteen words in a row."""
    tokens = sentence.split()
    size = int(dice.integers(4, max(5, min(14, len(tokens)))))
    start = int(dice.integers(0, max(1, len(tokens) - size)))
    return _asked(" ".join(tokens[start : start + size]), _QUESTION_WORDS, " ", dice)


def _chinese_cloze(sentence: str, dice: np.random.Generator) -> str:
    """The sentence without up to half of it."""
    size = len(sentence)
    start = int(dice.integers(0, size))
    end = min(size, start + int(dice.integers(2, max(3, size // 2))))
    return _asked(sentence[:start] + sentence[end:], _QUESTION_WORDS_ZH, "", dice)


def _asked(text: str, question_words: Sequence[str], space: str, dice: np.random.Generator) -> str:
    first = question_words[int(dice.integers(len(question_words)))]
    return first + space + text if dice.random() < 0.5 else text


def pairs_across_languages(
    sentences: Sequence[Pair], english_passages: Sequence[str], chinese_passages: Sequence[str]
) -> list[Pair]:
    """Short texts with passages in the other language.

    `sentences` say the same in both languages, in either order. Each is paired with the passage that its translation was taken
    from; a sentence of no passage gives none.
    """
    in_english, in_chinese = _passage_by_letters(english_passages), _passage_by_letters(chinese_passages)
    pairs: set[Pair] = set()
    for pair in sentences:
        if {language_of(text) for text in pair} != {"en", "zh"}:
            continue
        chinese, english = sorted(pair, key=language_of, reverse=True)
        if (row := _home(chinese, in_chinese)) is not None:
            pairs.add((english[:200], chinese_passages[row]))
        if (row := _home(english, in_english)) is not None:
            pairs.add((chinese[:120], english_passages[row]))
    return sorted(pairs)


def _passage_by_letters(passages: Sequence[str]) -> Mapping[str, int]:
    """The first passage with each run of letters."""
    first: dict[str, int] = {}
    for row, passage in enumerate(passages):
        letters = "".join(passage.split())
        for start in range(max(1, len(letters) - _OVERLAP)):
            first.setdefault(letters[start : start + _OVERLAP], row)
    return first


def _home(sentence: str, passages: Mapping[str, int]) -> int | None:
    letters = "".join(sentence.split())
    runs = (letters[start : start + _OVERLAP] for start in range(0, max(1, len(letters) - _OVERLAP), 5))
    return next((passages[run] for run in runs if run in passages), None)
