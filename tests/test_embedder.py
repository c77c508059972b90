from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index.embedder import LatentSemanticEmbedder, SentenceEmbedder

PASSAGES = [
    "Dropout zeroes activations at random in training.",
    "BatchNorm standardizes each channel with the statistics of the mini-batch.",
    "LayerNorm normalizes over the features of one example.",
    "Early stopping ends training when the validation loss stops improving.",
    "批归一化用小批量的均值和方差做标准化。",
]


@pytest.fixture
def fitted() -> LatentSemanticEmbedder:
    return LatentSemanticEmbedder.fit(PASSAGES, dimension=3)


def test_vectors_have_length_one_and_the_asked_dimension(fitted: LatentSemanticEmbedder):
    vectors = fitted.embed_passages(PASSAGES)

    assert vectors.shape == (5, fitted.dimension) == (5, 3)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_a_question_is_nearest_to_the_passage_about_it(fitted: LatentSemanticEmbedder):
    scores = fitted.embed_passages(PASSAGES) @ fitted.embed_queries(["Which statistics does BatchNorm use?"])[0]

    assert int(np.argmax(scores)) == 1


def test_a_text_of_unknown_words_has_the_zero_vector(fitted: LatentSemanticEmbedder):
    assert not fitted.embed_queries(["kubernetes ingress"]).any()
    assert not fitted.embed_queries([""]).any()


def test_no_texts_give_no_rows(fitted: LatentSemanticEmbedder):
    assert fitted.embed_passages([]).shape == (0, 3)


def test_the_same_text_gives_the_same_vectors():
    first, second = (LatentSemanticEmbedder.fit(PASSAGES, dimension=3).embed_passages(PASSAGES) for _ in range(2))

    assert np.array_equal(first, second)


@pytest.mark.parametrize("texts", [["Dropout zeroes units."], ["dropout", "dropout"], ["Dropout zeroes units."] * 6])
def test_a_corpus_with_little_in_it_can_still_be_embedded(texts: list[str]):
    embedder = LatentSemanticEmbedder.fit(texts, dimension=256)

    vectors = embedder.embed_passages(texts)

    assert np.isfinite(vectors).all()
    assert vectors[0] @ embedder.embed_queries([texts[0]])[0] == pytest.approx(1)


def test_a_corpus_without_words_says_what_to_do():
    with pytest.raises(ValueError, match="no words to learn from"):
        LatentSemanticEmbedder.fit(["---", ""], dimension=8)


def test_what_was_saved_embeds_as_before(fitted: LatentSemanticEmbedder, tmp_path: Path):
    fitted.save(tmp_path)

    loaded = LatentSemanticEmbedder.load(tmp_path)

    assert np.array_equal(loaded.embed_queries(PASSAGES), fitted.embed_queries(PASSAGES))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model of a few words, with prompts for questions and passages."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    names = ["[UNK]", "question", "passage", "dropout", "batchnorm", "layernorm", "training", "inference", ":"]
    tokenizer = Tokenizer(WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.eye(len(names), 12, dtype=np.float32)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights)],
        prompts={"query": "question : ", "document": "passage : "},
        device="cpu",
    )
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def test_a_saved_sentence_transformers_model_embeds(model_folder: Path):
    embedder = SentenceEmbedder(str(model_folder), device="cpu")

    vectors = embedder.embed_passages(["dropout training", "batchnorm inference"])

    assert embedder.dimension == 12
    assert vectors.shape == (2, 12)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert embedder.embed_passages([]).shape == (0, 12)


def test_the_models_own_prompts_for_questions_and_passages_are_used(model_folder: Path):
    embedder = SentenceEmbedder(str(model_folder), device="cpu")
    question_word, passage_word = 1, 2

    query, passage = embedder.embed_queries(["dropout"])[0], embedder.embed_passages(["dropout"])[0]

    assert query[question_word] > 0 == query[passage_word]
    assert passage[passage_word] > 0 == passage[question_word]


def test_making_an_embedder_loads_nothing():
    assert SentenceEmbedder("nobody/nothing").name == "nobody/nothing"


@pytest.mark.parametrize("content", [{}, {"config.json": "{}"}, {"modules.json": "[]"}, {"modules.json": "not json"}])
def test_a_folder_that_is_no_model_is_a_clear_error(tmp_path: Path, content: dict[str, str]):
    for name, text in content.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=r"cannot be loaded.*Expected the folder of a sentence-transformers model"):
        SentenceEmbedder(str(tmp_path), device="cpu").embed_queries(["What is dropout?"])


def test_a_model_that_is_not_in_the_cache_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    with pytest.raises(ValueError, match="'nobody/no-such-embedder' cannot be loaded"):
        SentenceEmbedder("nobody/no-such-embedder", device="cpu").embed_queries(["What is dropout?"])
