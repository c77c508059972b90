from __future__ import annotations

from pathlib import Path

import pytest

from index.reranker import Reranker
from tutor.settings import Settings
from tutor.tutor import Tutor


@pytest.fixture
def cross_encoder(tmp_path: Path) -> Path:
    """A real BERT cross-encoder with random weights, small enough to make on the spot."""
    import torch
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(0)
    vocabulary = {
        token: place
        for place, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "dropout", "inference", "weight"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = BertConfig(
        vocab_size=7, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=1
    )
    folder = tmp_path / "bert"
    BertForSequenceClassification(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    CrossEncoder(str(folder), local_files_only=True).save_pretrained(str(tmp_path / "cross-encoder"))
    return tmp_path / "cross-encoder"


def test_reranker_orders_the_hits_by_the_models_scores(settings: Settings, cross_encoder: Path):
    plain = Tutor(settings)
    plain.update_index()
    reranked = Tutor(settings.model_copy(update={"reranker": str(cross_encoder)}))

    before = plain.retrieve("What does dropout do at inference?", count=4)
    after = reranked.retrieve("What does dropout do at inference?", count=4)

    scores = [hit.rerank_score for hit in after if hit.rerank_score is not None]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert {hit.chunk.id: hit.score for hit in before}.items() & {hit.chunk.id: hit.score for hit in after}.items()
    assert all(hit.rerank_score is None for hit in before)


def test_folder_that_is_no_cross_encoder_is_an_error_with_the_setting_to_mend(settings: Settings, tmp_path: Path):
    tutor = Tutor(settings.model_copy(update={"reranker": str(tmp_path / "nothing")}))
    tutor.update_index()

    with pytest.raises(ValueError, match=r"reranker .* cannot be loaded.*TUTOR_RERANKER"):
        tutor.retrieve("What does dropout do?", count=3)


def test_one_hit_needs_no_model(tmp_path: Path):
    assert Reranker(str(tmp_path / "nothing")).rerank("What is dropout?", []) == []
