"""A real causal language model, small and made on the spot, behind `TransformersModel`."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from small_models import WINDOW, make_model, make_tokenizer, save, teach
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedTokenizerFast

from tutor.decoding import KeptCaches, decode, turns_in_a_circle
from tutor.language_model import Message, ModelUnavailableError
from tutor.settings import Settings
from tutor.transformers_model import TransformersModel, _Text
from tutor.tutor import Tutor

REPLY = "Dropout zeroes each activation with probability p during training [1]."
QUESTION = [Message("system", "You are a tutor."), Message("user", "What does dropout do in training?")]
VERDICT = {
    "type": "object",
    "properties": {"made": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 5}},
    "required": ["made", "score"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(REPLY)


@pytest.fixture(scope="module")
def taught(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that gives one reply to every question."""
    model = make_model(tokenizer)
    teach(model, tokenizer, REPLY)
    return save(model, tokenizer, tmp_path_factory.mktemp("models") / "taught")


@pytest.fixture(scope="module")
def untaught(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says anything, and never ends of itself."""
    model = make_model(tokenizer)
    model.generation_config.eos_token_id = None
    return save(model, tokenizer, tmp_path_factory.mktemp("models") / "untaught")


@pytest.fixture(autouse=True)
def _no_circle(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets untaught models go on for ever, which would soon turn in a circle."""
    if "circle" not in request.node.name:
        monkeypatch.setattr("tutor.decoding.turns_in_a_circle", lambda _tokens: False)


def model_of(folder: Path | str, *, max_new_tokens: int = 64, draft_tokens: int = 10) -> TransformersModel:
    # float32: in bfloat16 the untaught are undecided between words all the time.
    return TransformersModel(
        str(folder),
        max_new_tokens=max_new_tokens,
        precision="float32",
        quantization="none",
        draft_tokens=draft_tokens,
    )


def reply_of(folder: Path | str, messages: Sequence[Message] = QUESTION, *, max_new_tokens: int = 64) -> str:
    return "".join(model_of(folder, max_new_tokens=max_new_tokens).stream(messages))


def turns_of(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def generated(folder: Path, messages: Sequence[Message], *, max_new_tokens: int) -> str:
    """The reply of `generate()` of transformers, with nothing around it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template(
        turns_of(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    tokens = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)[0]
    return str(tokenizer.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True)).replace("\ufffd", "")


def steps_of(model: TransformersModel) -> list[int]:
    """Tokens that each computation of the model is fed from now on."""
    steps: list[int] = []
    model._loaded.model.get_input_embeddings().register_forward_hook(
        lambda _m, given, _o: steps.append(given[0].numel())
    )
    return steps


# The reply


def test_pieces_make_up_the_reply_that_was_learned(taught: Path):
    pieces = list(model_of(taught).stream(QUESTION))

    assert "".join(pieces) == REPLY
    assert len(pieces) > 3


@pytest.mark.parametrize("draft_tokens", [0, 10])
def test_reply_equals_that_of_plain_generation(untaught: Path, draft_tokens: int):
    model = model_of(untaught, max_new_tokens=200, draft_tokens=draft_tokens)

    assert "".join(model.stream(QUESTION)) == generated(untaught, QUESTION, max_new_tokens=200)


def test_drafts_from_the_prompt_save_computations(untaught: Path):
    model = model_of(untaught, max_new_tokens=200)
    steps = steps_of(model)

    list(model.stream(QUESTION))

    assert len(steps) < 150


def test_conversation_is_answered_as_if_nothing_had_been_kept(untaught: Path):
    model = model_of(untaught, max_new_tokens=24)
    steps = steps_of(model)
    messages = list(QUESTION)
    for number in range(4):
        reply = "".join(model.stream(messages))
        assert reply == generated(untaught, messages, max_new_tokens=24)
        prompt, fed = model.count_tokens(messages), steps[0]
        assert fed < prompt or number == 0
        steps.clear()
        messages += [Message("assistant", reply), Message("user", f"And question {number}, when would you avoid it?")]


def test_two_conversations_in_turn_are_both_kept(untaught: Path):
    model = model_of(untaught, max_new_tokens=8)
    system = Message("system", "You are a tutor.")
    first = [system, Message("user", "What does dropout do in training? " * 5)]
    second = [system, Message("user", "Which numbers does BatchNorm use at inference? " * 5)]
    replies = ["".join(model.stream(messages)) for messages in (first, second)]
    steps = steps_of(model)

    for messages, reply in zip((first, second), replies, strict=True):
        longer = [*messages, Message("assistant", reply), Message("user", "Why?")]
        steps.clear()
        assert "".join(model.stream(longer)) == generated(untaught, longer, max_new_tokens=8)
        assert steps[0] < model.count_tokens(longer) - model.count_tokens(messages) + 16


def test_stopped_prompt_is_computed_right_the_next_time(untaught: Path):
    model = model_of(untaught, max_new_tokens=24)
    long = [Message("user", "Dropout zeroes activations. " * 40)]
    stop = threading.Event()
    layer = model._loaded.model.model.layers[1]
    handle = layer.register_forward_pre_hook(lambda *_: stop.set())
    assert list(model.stream(long, stop=stop)) == []
    handle.remove()

    assert "".join(model.stream(long)) == generated(untaught, long, max_new_tokens=24)


def test_sliding_windows_are_kept_only_where_nothing_needs_to_be_taken_back(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
):
    model = make_model(tokenizer, layer_types=["sliding_attention", "full_attention"], sliding_window=16, use_sliding_window=True)  # fmt: skip
    model.generation_config.eos_token_id = None
    folder = save(model, tokenizer, tmp_path / "sliding")
    ours = model_of(folder, max_new_tokens=24)
    reply = "".join(ours.stream(QUESTION))
    longer = [*QUESTION, Message("assistant", reply), Message("user", "Why?")]

    assert reply == generated(folder, QUESTION, max_new_tokens=24)
    assert "".join(ours.stream(longer)) == generated(folder, longer, max_new_tokens=24)
    assert "".join(ours.stream(QUESTION)) == reply


def test_kept_conversations_are_forgotten_oldest_first(tokenizer: PreTrainedTokenizerFast):
    model = make_model(tokenizer)
    kept = KeptCaches(lambda: DynamicCache(config=model.config), max_tokens=50)
    prompts = [[start, *range(20, 40)] for start in (5, 6, 7)]
    for prompt in prompts:
        list(decode(model, prompt, kept, max_new_tokens=3, ends=frozenset(), draft_tokens=0))

    assert [kept.take(prompt)[1] for prompt in prompts] == [0, 20, 20]


def test_long_prompt_is_computed_in_parts_to_the_same_end(untaught: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tutor.decoding.PREFILL_TOKENS", 50)
    long = [Message("user", "Dropout zeroes activations. " * 40)]
    model = model_of(untaught, max_new_tokens=24)
    steps = steps_of(model)

    assert "".join(model.stream(long)) == generated(untaught, long, max_new_tokens=24)
    assert max(steps) <= 60


def test_tokens_of_a_character_are_shown_when_it_is_whole(tokenizer: PreTrainedTokenizerFast):
    written = "Dropout 随机 – ε→0 🙂 done"
    text = _Text(tokenizer)

    pieces = [text.add(token) for token in tokenizer(written)["input_ids"]]

    assert "".join(pieces) == written
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_make_no_character_are_left_out(tokenizer: PreTrainedTokenizerFast):
    text = _Text(tokenizer)
    half = tokenizer("🙂")["input_ids"][:2]
    tokens = [*half, *tokenizer("abc")["input_ids"], *half * 3, *tokenizer("d")["input_ids"], *half]

    assert "".join(map(text.add, tokens)) + text.rest() == "abcd"


def test_reply_that_turns_in_a_circle_is_ended(untaught: Path):
    reply = reply_of(untaught, max_new_tokens=1500)

    assert len(AutoTokenizer.from_pretrained(untaught)(reply)["input_ids"]) < 1000


def test_a_circle_is_the_same_few_tokens_again_and_again():
    assert turns_in_a_circle([1, 2, *[7] * 96])
    assert turns_in_a_circle([1, 2, *[7, 8, 9] * 40])
    assert turns_in_a_circle([1, 2, *list(range(30)) * 4])
    assert not turns_in_a_circle([7] * 95)
    assert not turns_in_a_circle(list(range(30)) * 3)
    assert not turns_in_a_circle([*[7] * 96, 8])


def test_reply_under_a_schema_follows_it(untaught: Path):
    model = model_of(untaught)
    for question in ("Is it made?", "Judge!", "dropout", "0 or 5"):
        value = json.loads("".join(model.stream([Message("user", question)], schema=VERDICT)))
        assert value.keys() == {"made", "score"}
        assert isinstance(value["made"], bool)
        assert 0 <= value["score"] <= 5


# The window


def test_reply_is_cut_at_the_longest_allowed_length(untaught: Path):
    steps: list[int] = []
    model = model_of(untaught, max_new_tokens=16, draft_tokens=0)
    steps = steps_of(model)

    assert list(model.stream(QUESTION))
    assert len(steps) == 16


def test_prompt_tokens_are_counted_as_the_template_writes_them(untaught: Path):
    tokenizer = AutoTokenizer.from_pretrained(untaught)
    prompt = tokenizer.apply_chat_template(turns_of(QUESTION), add_generation_prompt=True, return_dict=True)
    model = model_of(untaught)

    assert model.count_tokens(QUESTION) == len(prompt["input_ids"])
    assert model.window_tokens == WINDOW


def test_prompt_longer_than_the_window_is_refused(taught: Path):
    with pytest.raises(ModelUnavailableError, match=rf"takes {WINDOW}\. .*TUTOR_HIT_COUNT"):
        reply_of(taught, [Message("user", "Dropout zeroes activations. " * WINDOW)])


def test_prompt_that_nearly_fills_the_window_gets_the_room_that_is_left(untaught: Path):
    model = model_of(untaught, draft_tokens=0)
    frame = model.count_tokens([Message("user", "")])
    steps = steps_of(model)

    list(model.stream([Message("user", "7" * (WINDOW - frame - 5))]))

    assert sum(steps) == WINDOW - 1


# Turns


def test_stop_ends_the_reply_within_a_second(untaught: Path):
    stop = threading.Event()
    pieces = model_of(untaught, max_new_tokens=1500).stream(QUESTION, stop=stop)
    next(pieces)

    stop.set()
    started = time.perf_counter()
    rest = list(pieces)

    assert time.perf_counter() - started < 1
    assert len(rest) < 1000


def test_closing_the_iterator_ends_the_computation(untaught: Path):
    model = model_of(untaught, max_new_tokens=1500)
    steps = steps_of(model)
    pieces = model.stream(QUESTION)
    next(pieces)

    pieces.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "generate"]
    assert sum(steps) < 1000


def test_finished_reply_leaves_the_callers_stop_unset(taught: Path):
    stop = threading.Event()

    list(model_of(taught).stream(QUESTION, stop=stop))

    assert not stop.is_set()


def test_requests_are_served_in_the_order_in_which_they_came(untaught: Path):
    model = model_of(untaught, max_new_tokens=1900)
    served: list[int] = []
    running = model.stream(QUESTION)
    next(running)

    def read(number: int) -> None:
        next(model.stream([Message("user", f"Question {number}")]))
        served.append(number)

    threads = [threading.Thread(target=read, args=[number]) for number in range(4)]
    patience = time.monotonic() + 20
    for number, thread in enumerate(threads):
        thread.start()
        while model.waiting < number + 2 and time.monotonic() < patience:
            time.sleep(0.001)
    running.close()
    for thread in threads:
        thread.join(timeout=30)

    assert model.waiting == 0
    assert served == [0, 1, 2, 3]


def test_who_waits_can_stop_and_keeps_nobody_waiting(untaught: Path):
    model = model_of(untaught, max_new_tokens=1500)
    running = model.stream(QUESTION)
    next(running)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()

    assert list(model.stream(QUESTION, stop=stop)) == []
    running.close()
    assert next(model.stream(QUESTION))


def test_reader_who_went_away_without_a_word_keeps_nobody_waiting(taught: Path):
    model = model_of(taught)
    forgotten = model.stream(QUESTION)
    next(forgotten)

    assert "".join(model.stream(QUESTION)) == REPLY
    forgotten.close()


# What can be wrong


def test_model_without_a_chat_template_is_refused(taught: Path, tmp_path: Path):
    folder = shutil.copytree(taught, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()

    with pytest.raises(ModelUnavailableError, match=r"no chat template.*instruction-tuned"):
        reply_of(folder)


def test_instructions_go_before_the_question_where_the_template_knows_no_system_turn(taught: Path, tmp_path: Path):
    folder = shutil.copytree(taught, tmp_path / "strict")
    template = (folder / "chat_template.jinja").read_text()
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refusal + template)
    merged = [Message("user", f"{QUESTION[0].content}\n\n{QUESTION[1].content}")]

    assert reply_of(folder) == REPLY
    assert model_of(folder).count_tokens(QUESTION) == model_of(taught).count_tokens(merged)


def test_template_that_cannot_be_used_is_named(taught: Path, tmp_path: Path):
    folder = shutil.copytree(taught, tmp_path / "strict")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('No questions, please') }}")

    with pytest.raises(ModelUnavailableError, match=r"chat template .*No questions, please"):
        reply_of(folder)


@pytest.mark.parametrize("name", ["missing", "some-lab/some-model-7b"])
def test_missing_model_gives_the_next_step_at_once(name: str, tmp_path: Path):
    name = str(tmp_path / name) if name == "missing" else name
    started = time.perf_counter()

    with pytest.raises(ModelUnavailableError, match="TUTOR_LANGUAGE_MODEL=extractive") as failure:
        reply_of(name)

    assert repr(name) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert time.perf_counter() - started < 5


def test_folder_with_a_broken_model_is_refused(taught: Path, tmp_path: Path):
    folder = shutil.copytree(taught, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not a model")

    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        reply_of(folder)


def test_folder_with_a_part_of_the_weights_is_refused(taught: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(taught, tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(ModelUnavailableError, match=r"1 of its weights are missing, model\.layers\.1\.mlp"):
        reply_of(folder)


def test_folder_of_another_kind_of_model_is_refused(taught: Path, tmp_path: Path):
    folder = shutil.copytree(taught, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}))

    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        reply_of(folder)


def test_failure_of_the_computation_reaches_the_caller_and_frees_the_model(untaught: Path):
    model = model_of(untaught)
    head = model._loaded.model.lm_head
    model._loaded.model.lm_head = torch.nn.Linear(7, 7)

    with pytest.raises(ModelUnavailableError, match="failed"):
        list(model.stream(QUESTION))

    model._loaded.model.lm_head = head
    assert next(model.stream(QUESTION))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_running_out_of_memory_says_what_to_do_and_gives_it_back(untaught: Path, error: Exception):
    model = model_of(untaught)
    list(model.stream(QUESTION))

    def fail(*_: object) -> None:
        raise error

    handle = model._loaded.model.lm_head.register_forward_pre_hook(fail)
    with pytest.raises(ModelUnavailableError, match=r"out of memory at a prompt of \d+ tokens.*TUTOR_QUANTIZATION"):
        list(model.stream(QUESTION))

    handle.remove()
    steps = steps_of(model)
    assert list(model.stream(QUESTION))
    assert steps[0] == model.count_tokens(QUESTION)


# In 8 and 4 bits


@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_quantized_model_answers(tokenizer: PreTrainedTokenizerFast, tmp_path: Path, quantization: str):
    pytest.importorskip("bitsandbytes")
    model = make_model(tokenizer, hidden_size=64, intermediate_size=128, head_dim=32)
    teach(model, tokenizer, REPLY)
    folder = save(model, tokenizer, tmp_path / "model")

    small = TransformersModel(
        str(folder), max_new_tokens=64, precision="float32", quantization=quantization, draft_tokens=10
    )

    assert "".join(small.stream(QUESTION)) == REPLY
    plain = model_of(folder)
    assert small.placement.weight_bytes < plain.placement.weight_bytes
    # As loaded: what the config told before is what is there.
    assert small._loaded.model.get_memory_footprint() == pytest.approx(small.placement.weight_bytes, rel=0.05)


def test_missing_library_names_the_extra(untaught: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    model = TransformersModel(str(untaught), max_new_tokens=8, precision="auto", quantization="4bit", draft_tokens=0)

    with pytest.raises(ModelUnavailableError, match=r"pip install 'interview-tutor\[quantized\]'"):
        list(model.stream(QUESTION))


# Behind the tutor


def tutor_with(settings: Settings, folder: Path | str, *, max_new_tokens: int = 64) -> Tutor:
    changes = {"language_model": str(folder), "max_new_tokens": max_new_tokens, "precision": "float32"}
    tutor = Tutor(settings.model_copy(update=changes))
    tutor.update_index()
    return tutor


def test_tutor_answers_with_the_model_and_checks_what_it_cites(settings: Settings, taught: Path):
    tutor = tutor_with(settings, taught)

    *growing, answer = tutor.stream_answer("What does dropout do during training?")

    assert answer.text == "Dropout zeroes each activation with probability p during training. [1]"
    assert answer.sentences[0].is_supported
    assert answer.citations[0].chunk.id == "regularization.md#dropout"
    assert answer.model == str(taught)
    assert growing
    assert tutor.progress.exchanges("me")[0].answer["answer"] == answer.text


def test_nonsense_of_a_model_gives_way_to_the_guides(settings: Settings, untaught: Path):
    answer = tutor_with(settings, untaught).ask("What does dropout do during training?")

    assert answer.model == "extractive"
    assert all(sentence.is_supported for sentence in answer.sentences)


def test_stop_ends_the_tutors_answer_and_keeps_the_exchange(settings: Settings, untaught: Path):
    tutor = tutor_with(settings, untaught, max_new_tokens=8000)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    started = time.perf_counter()

    list(tutor.stream_answer("What does dropout do during training?", stop=stop))

    assert time.perf_counter() - started < 3
    assert tutor.progress.exchanges("me")[0].question == "What does dropout do during training?"
