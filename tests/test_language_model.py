"""A real causal language model, tiny and made on the spot, behind `TransformersModel`."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tutor.language_model import Message, ModelUnavailableError, TransformersModel
from tutor.settings import Settings
from tutor.tutor import Tutor

REPLY = "Dropout zeroes each activation with probability p during training [1]."
QUESTION = [Message("system", "You are a tutor."), Message("user", "What does dropout do in training?")]
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WINDOW = 2048


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE that knows the words of the reply."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([REPLY] * 5, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def untrained(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=WINDOW,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tutor_model(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was taught one reply, which it gives to every question: each of its words follows from the one before."""
    model = untrained(tokenizer)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.requires_grad_(False).zero_()
    reply = tokenizer(f"<|assistant|>{REPLY}<|end|>", return_tensors="pt")["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        model(input_ids=reply, labels=reply).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return save(model, tokenizer, tmp_path_factory.mktemp("models") / "tutor")


@pytest.fixture(scope="module")
def endless_model(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends a reply of itself."""
    model = untrained(tokenizer)
    model.generation_config.eos_token_id = None
    return save(model, tokenizer, tmp_path_factory.mktemp("models") / "endless")


def generation_threads() -> int:
    return sum("generate" in thread.name for thread in threading.enumerate())


def test_pieces_make_up_the_reply_that_was_learned(tutor_model: Path):
    pieces = list(TransformersModel(str(tutor_model), max_new_tokens=64).stream(QUESTION))

    assert "".join(pieces) == REPLY
    assert len(pieces) > 3


def test_streamed_text_equals_that_of_plain_generation(endless_model: Path):
    tokenizer = AutoTokenizer.from_pretrained(endless_model)
    model = AutoModelForCausalLM.from_pretrained(endless_model)
    turns = [{"role": message.role, "content": message.content} for message in QUESTION]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids = model.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :]

    text = "".join(TransformersModel(str(endless_model), max_new_tokens=40).stream(QUESTION))

    assert text == tokenizer.decode(ids, skip_special_tokens=True)


def test_stop_ends_the_reply_within_a_second(endless_model: Path):
    stop = threading.Event()
    pieces = TransformersModel(str(endless_model), max_new_tokens=1500).stream(QUESTION, stop=stop)
    next(pieces)

    stop.set()
    started = time.perf_counter()
    rest = list(pieces)

    assert time.perf_counter() - started < 1
    assert len(rest) < 1000
    assert generation_threads() == 0


def test_closing_the_iterator_ends_the_computation(endless_model: Path) -> None:
    model = TransformersModel(str(endless_model), max_new_tokens=1500)
    steps: list[int] = []
    model._loaded[0].register_forward_hook(lambda *_: steps.append(1))
    pieces = model.stream(QUESTION)
    next(pieces)

    pieces.close()

    assert generation_threads() == 0
    assert len(steps) < 1000


def test_finished_reply_leaves_the_callers_stop_unset(tutor_model: Path):
    stop = threading.Event()

    list(TransformersModel(str(tutor_model), max_new_tokens=64).stream(QUESTION, stop=stop))

    assert not stop.is_set()


def test_reply_is_cut_at_the_longest_allowed_length(endless_model: Path):
    tokenizer = AutoTokenizer.from_pretrained(endless_model)

    text = "".join(TransformersModel(str(endless_model), max_new_tokens=16).stream(QUESTION))

    assert 0 < len(tokenizer(text)["input_ids"]) <= 32


def test_prompt_longer_than_the_window_is_refused(tutor_model: Path):
    long = [Message("user", "Dropout zeroes activations. " * WINDOW)]

    with pytest.raises(ModelUnavailableError, match=rf"takes {WINDOW}\. .*TUTOR_HIT_COUNT"):
        list(TransformersModel(str(tutor_model), max_new_tokens=64).stream(long))


def test_prompt_that_nearly_fills_the_window_gets_the_room_that_is_left(endless_model: Path):
    tokenizer = AutoTokenizer.from_pretrained(endless_model)
    frame = len(tokenizer("<|user|><|end|><|assistant|>")["input_ids"])
    long = [Message("user", "7" * (WINDOW - frame - 5))]

    text = "".join(TransformersModel(str(endless_model), max_new_tokens=64).stream(long))

    assert len(text) <= 5 * 16


def test_model_without_a_chat_template_is_refused(tutor_model: Path, tmp_path: Path):
    folder = shutil.copytree(tutor_model, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()

    with pytest.raises(ModelUnavailableError, match=r"no chat template.*instruction-tuned"):
        list(TransformersModel(str(folder), max_new_tokens=64).stream(QUESTION))


@pytest.mark.parametrize("name", ["missing", "some-lab/some-model-7b"])
def test_missing_model_gives_the_next_step_at_once(name: str, tmp_path: Path):
    name = str(tmp_path / name) if name == "missing" else name
    started = time.perf_counter()

    with pytest.raises(ModelUnavailableError, match="TUTOR_LANGUAGE_MODEL=extractive") as failure:
        list(TransformersModel(name, max_new_tokens=64).stream(QUESTION))

    assert repr(name) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert time.perf_counter() - started < 5


def test_folder_with_a_broken_model_is_refused(tutor_model: Path, tmp_path: Path):
    folder = shutil.copytree(tutor_model, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not a model")

    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        list(TransformersModel(str(folder), max_new_tokens=64).stream(QUESTION))


def test_folder_of_another_kind_of_model_is_refused(tutor_model: Path, tmp_path: Path):
    folder = shutil.copytree(tutor_model, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}))

    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        list(TransformersModel(str(folder), max_new_tokens=64).stream(QUESTION))


def test_failure_of_the_computation_reaches_the_caller(endless_model: Path):
    model = TransformersModel(str(endless_model), max_new_tokens=64)
    list(model.stream(QUESTION))
    model._loaded[0].lm_head = torch.nn.Linear(7, 7)

    with pytest.raises(ModelUnavailableError, match="failed"):
        list(model.stream(QUESTION))


def test_two_at_once_are_served_one_after_the_other(tutor_model: Path):
    model = TransformersModel(str(tutor_model), max_new_tokens=64)
    replies: list[str] = []

    def read() -> None:
        replies.append("".join(model.stream(QUESTION)))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert replies == [REPLY] * 3


def test_tutor_answers_with_the_model_and_checks_what_it_cites(settings: Settings, tutor_model: Path):
    own = settings.model_copy(update={"language_model": str(tutor_model)})
    tutor = Tutor(own)
    tutor.update_index()

    *growing, answer = tutor.stream_answer("What does dropout do during training?")

    assert answer.text == "Dropout zeroes each activation with probability p during training. [1]"
    assert answer.sentences[0].is_supported
    assert answer.citations[0].chunk.id == "regularization.md#dropout"
    assert answer.model == str(tutor_model)
    assert growing
    assert tutor.progress.exchanges("me")[0].answer["answer"] == answer.text


def test_tutor_with_a_missing_model_says_so(settings: Settings):
    tutor = Tutor(settings.model_copy(update={"language_model": "/nowhere/model"}))
    tutor.update_index()

    with pytest.raises(ModelUnavailableError, match="/nowhere/model"):
        tutor.ask("What does dropout do during training?")


def test_nonsense_of_a_model_gives_way_to_the_guides(settings: Settings, endless_model: Path):
    tutor = Tutor(settings.model_copy(update={"language_model": str(endless_model), "max_new_tokens": 64}))
    tutor.update_index()

    answer = tutor.ask("What does dropout do during training?")

    assert answer.model == "extractive"
    assert all(sentence.is_supported for sentence in answer.sentences)


def test_stop_ends_the_tutors_answer_and_keeps_the_exchange(settings: Settings, endless_model: Path):
    tutor = Tutor(settings.model_copy(update={"language_model": str(endless_model), "max_new_tokens": 8000}))
    tutor.update_index()
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.perf_counter()

    list(tutor.stream_answer("What does dropout do during training?", stop=stop))

    assert time.perf_counter() - started < 3
    assert tutor.progress.exchanges("me")[0].question == "What does dropout do during training?"
