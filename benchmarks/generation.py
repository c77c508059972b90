"""How fast replies are written: our decoding beside plain `generate()` of transformers, on the same model in the same run.

    python benchmarks/generation.py                   # a random model made on the spot: its speed is real, its words are not
    python benchmarks/generation.py --model FOLDER    # or a hub id in the local cache

A conversation of four turns, laid out as the tutor asks (instructions, earlier questions and answers, then the passages of the
guides and the question) and with all passages kept in the conversation. Each way of decoding answers it several times, in turn, and the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Clock = Callable[[], float]
"""Seconds: on the wall, or of the processor."""
ROOT = Path(__file__).parent.parent
QUESTIONS = (
    ("regularization-normalization.md", "What does dropout do during training?"),
    ("regularization-normalization.md", "And when would you avoid it?"),
    ("regularization-normalization.md", "What does BatchNorm use at inference?"),
    ("optimization.md", "Why is the learning rate warmed up?"),
)
INSTRUCTIONS = (
    "You are a tutor who prepares people for deep-learning interviews. Answer from the numbered passages alone, in a few "
    "sentences, and cite after each sentence the passage that supports it, as [1]. Say so where they do not answer."
)
PASSAGES = 6
PASSAGE_WORDS = 120
DRAFT_TOKENS = 10
MARKS = ("<!-- generation -->", "<!-- generation end -->")
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True)
class Reply:
    """One reply's tokens and times."""

    tokens: tuple[int, ...]
    first_seconds: float
    """Until the first token."""
    rest_seconds: float

    @property
    def tokens_per_second(self) -> float:
        """After the first computation, that of the prompt."""
        return (len(self.tokens) - 1) / self.rest_seconds


@dataclass(frozen=True)
class Turn:
    """What one turn took with each way of decoding, medians."""

    prompt_tokens: int
    kept_tokens: int
    """Of the prompt, what the turn before began with as well."""
    first_seconds: dict[str, float]
    tokens_per_second: dict[str, float]
    same_tokens: bool
    """Whether all ways gave the same reply."""


def make_model(folder: Path, *, guides: Sequence[Path]) -> Path:
    """A random model of Qwen3's architecture (34 million parameters), and a tokenizer that knows the guides' words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([guide.read_text(encoding="utf-8") for guide in guides], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>")  # noqa: S106
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=8192,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def conversation(guides: Path, *, passages_stay: bool) -> list[list[dict[str, str]]]:
    """The messages of each turn; in earlier ones the passages may stay beside the question."""
    turns = []
    earlier: list[dict[str, str]] = []
    for number, (guide, question) in enumerate(QUESTIONS):
        text = (guides / guide).read_text(encoding="utf-8").split("---", 2)[2].split()
        # Other passages of a guide that is asked about again.
        words = text[number * PASSAGE_WORDS :]
        passages = [
            f"[{i + 1}] {' '.join(words[i * PASSAGE_WORDS : (i + 1) * PASSAGE_WORDS])}" for i in range(PASSAGES)
        ]
        asked = {"role": "user", "content": "\n\n".join([*passages, question])}
        turns.append([{"role": "system", "content": INSTRUCTIONS}, *earlier, asked])
        earlier += [
            asked if passages_stay else {"role": "user", "content": question},
            {"role": "assistant", "content": " ".join(words[:60])},
        ]
    return turns


def timed(write: Callable[[Callable[[Sequence[int]], None]], None], clock: Clock) -> Reply:
    """Run what hands over tokens as it makes them."""
    tokens: list[int] = []
    first = 0.0

    def take(new: Sequence[int]) -> None:
        nonlocal first
        first = first or clock() - started
        tokens.extend(new)

    started = clock()
    write(take)
    return Reply(tuple(tokens), first, clock() - started - first)


def plain(model: PreTrainedModel, prompt: Sequence[int], *, max_new_tokens: int, clock: Clock) -> Reply:
    """`generate()` with its defaults, greedily."""
    import torch
    from transformers.generation.streamers import BaseStreamer

    class Taker(BaseStreamer):  # type: ignore[misc]
        def __init__(self, take: Callable[[Sequence[int]], None]) -> None:
            self._take = take
            self._is_prompt = True

        def put(self, value: torch.Tensor) -> None:
            if not self._is_prompt:
                self._take(value.flatten().tolist())
            self._is_prompt = False

        def end(self) -> None:
            pass

    inputs = torch.tensor([prompt], device=model.device)
    return timed(
        lambda take: model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            streamer=Taker(take),
        ),
        clock,
    )


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[list[dict[str, str]]],
    *,
    max_new_tokens: int,
    repeats: int,
    clock: Clock,
) -> list[Turn]:
    """Every way of decoding over the whole conversation, again and again."""
    from transformers import DynamicCache

    from tutor.decoding import KeptCaches, decode
    from tutor.placement import CACHE_TOKENS

    config = model.generation_config
    ends = frozenset([config.eos_token_id] if isinstance(config.eos_token_id, int) else config.eos_token_id or [])
    # What came with the model would have `generate()` sample, or shun what was said.
    config.update(do_sample=False, temperature=None, top_p=None, top_k=None, repetition_penalty=None)
    prompts = []
    for turn in turns:
        text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False, enable_thinking=False)
        prompts.append(list(tokenizer(text, add_special_tokens=False)["input_ids"]))

    def ours(prompt: Sequence[int], kept: KeptCaches, draft_tokens: int) -> Reply:
        def write(take: Callable[[Sequence[int]], None]) -> None:
            for new in decode(model, prompt, kept, max_new_tokens=max_new_tokens, ends=ends, draft_tokens=draft_tokens):
                take(new)

        return timed(write, clock)

    replies: dict[str, list[list[Reply]]] = {"plain": [], "kept": [], "kept, drafts": []}
    plain(model, prompts[0][:64], max_new_tokens=4, clock=clock)
    for _ in range(repeats):
        replies["plain"].append(
            [plain(model, prompt, max_new_tokens=max_new_tokens, clock=clock) for prompt in prompts]
        )
        for name, draft_tokens in (("kept", 0), ("kept, drafts", DRAFT_TOKENS)):
            kept = KeptCaches(lambda: DynamicCache(config=model.config), max_tokens=CACHE_TOKENS)
            replies[name].append([ours(prompt, kept, draft_tokens) for prompt in prompts])

    def median(of: Callable[[Reply], float], turn: int) -> dict[str, float]:
        return {name: statistics.median(of(run[turn]) for run in runs) for name, runs in replies.items()}

    return [
        Turn(
            len(prompt),
            shared(prompt, prompts[turn - 1]) if turn else 0,
            median(lambda reply: reply.first_seconds, turn),
            median(lambda reply: reply.tokens_per_second, turn),
            len({run[turn].tokens for runs in replies.values() for run in runs}) == 1,
        )
        for turn, prompt in enumerate(prompts)
    ]


def shared(prompt: Sequence[int], before: Sequence[int]) -> int:
    """How many tokens from the start are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, before, strict=False)))


def cost_of_drafts(model: PreTrainedModel, clock: Clock, *, context: int = 1000, repeats: int = 15) -> float:
    """How many times as long as for one token it takes for one and its drafts."""
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    seconds: dict[int, list[float]] = {1: [], 1 + DRAFT_TOKENS: []}
    with torch.inference_mode():
        model(input_ids=torch.full((1, context), 7, device=model.device), past_key_values=cache, logits_to_keep=1)
        for _ in range(repeats):
            for count, times in seconds.items():
                started = clock()
                fed = torch.full((1, count), 7, device=model.device)
                model(input_ids=fed, past_key_values=cache).logits.argmax(-1).tolist()
                times.append(clock() - started)
                cache.crop(-count)
    one, many = (statistics.median(times) for times in seconds.values())
    return many / one


def report(result: dict[str, Any]) -> str:
    """The table as Markdown."""
    lines = [
        f"{result['model']}, {result['parameters'] / 1e6:,.0f} million parameters, {result['dtype']} on {result['device']}; "
        f"{result['max_new_tokens']} tokens a reply, median of {result['repeats']}, seconds {result['seconds']}.",
    ]
    for title, turns in result["conversations"].items():
        lines += [
            "",
            f"{title}:",
            "",
            "| turn | prompt tokens | of them kept | first token: `generate()` | ours | tokens a second: `generate()` | ours, no drafts | ours | same reply |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for number, turn in enumerate(turns, start=1):
            first, speed = turn["first_seconds"], turn["tokens_per_second"]
            lines.append(
                f"| {number} | {turn['prompt_tokens']:,} | {turn['kept_tokens']:,} | {first['plain']:.2f} s | {first['kept, drafts']:.2f} s "
                f"| {speed['plain']:.0f} | {speed['kept']:.0f} | {speed['kept, drafts']:.0f} | {'yes' if turn['same_tokens'] else 'no'} |"
            )
    return "\n".join(
        [
            *lines,
            "",
            f"One token and {DRAFT_TOKENS} drafts took {result['cost_of_drafts']:.1f} times as long as one token alone: drafts pay where more "
            "tokens than that are right at a time.",
            "",
            f"Measured on {result['machine']}, load {result['load_before']:.1f} before and {result['load_after']:.1f} after.",
            "",
        ]
    )


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", help="folder or hub id in the local cache (default: a random one, made on the spot)")
    parser.add_argument("--precision", choices=["float32", "float16", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="count processor time, with one thread: on a busy machine without a GPU",
    )
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", type=Path, default=ROOT / "docs/benchmarks.md", help="its section is replaced")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.path.insert(0, str(ROOT))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    threads = 1 if options.cpu_seconds else options.threads
    clock = time.process_time if options.cpu_seconds else time.perf_counter
    torch.set_num_threads(threads)
    guides = ROOT / "corpus" / "guides"
    with tempfile.TemporaryDirectory() as place:
        source = options.model or str(make_model(Path(place), guides=sorted(guides.glob("*.md"))))
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = getattr(torch, options.precision)
        model = AutoModelForCausalLM.from_pretrained(source, local_files_only=True, dtype=dtype).to(device).eval()
    load_before = os.getloadavg()[0]
    conversations = {
        title: measure(
            model,
            tokenizer,
            conversation(guides, passages_stay=passages_stay),
            max_new_tokens=options.max_new_tokens,
            repeats=options.repeats,
            clock=clock,
        )
        for title, passages_stay in (
            ("As the tutor asks", False),
            ("Where the passages stay in the conversation", True),
        )
    }
    result = {
        "model": options.model or "A random model of Qwen3's architecture",
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "dtype": options.precision,
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU ({threads} thread{'s' * (threads > 1)})",
        "max_new_tokens": options.max_new_tokens,
        "repeats": options.repeats,
        "seconds": "of the processor" if options.cpu_seconds else "on the wall",
        "conversations": {title: [asdict(turn) for turn in turns] for title, turns in conversations.items()},
        "cost_of_drafts": cost_of_drafts(model, clock),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
    }
    print(json.dumps(result, indent=1))
    options.page.with_name("generation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    before, _, rest = options.page.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    options.page.write_text(f"{before}{MARKS[0]}\n{report(result)}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
