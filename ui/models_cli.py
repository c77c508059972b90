"""`tutor models`: which language models there are and which fit this machine, how to fetch one, and what one can do here."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tutor.language_model import LanguageModel, Message

models_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
CHECK_QUESTIONS = (
    "What does batch normalization do differently at inference?",
    "Why does attention divide by the square root of the key dimension?",
    "学习率如何设置？",
)


@models_app.callback()
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """Language models: list those that suit the tutor, fetch one, try one.

    The list says what a model takes, whether it fits this machine, and which are here.

    Example: tutor models --json
    """
    if context.invoked_subcommand is not None:
        return
    from tutor.model_catalog import CATALOGUE, CATALOGUE_DATE, cached_models, this_machine
    from tutor.settings import read_settings

    in_use = read_settings().language_model
    machine = this_machine()
    cached = {model.id: model.size_bytes for model in cached_models()}
    rows = [
        {
            "id": model.id,
            "parameters_billions": model.billions,
            "licence": model.licence,
            "gated": model.is_gated,
            "context_tokens": model.context_tokens,
            "memory_gb": {
                "bf16": round(model.memory_gb("bf16"), 1),
                "4-bit": round(model.memory_gb("4-bit"), 1),
            },
            "fits": machine.fits(model),
            "cached": model.id in cached,
            "in_use": model.id == in_use,
        }
        for model in CATALOGUE
    ]
    others = sorted(cached.keys() - {model.id for model in CATALOGUE})
    if as_json:
        record = {
            "version": 1,
            "catalogue_date": CATALOGUE_DATE,
            "in_use": in_use,
            "machine": asdict(machine),
            "models": rows,
            "other_cached": others,
        }
        typer.echo(json.dumps(record, ensure_ascii=False))
        return
    _print_table(rows)
    where = (
        f"{machine.gpu_gb:.0f} GB of GPU memory free"
        if machine.gpu_gb
        else f"{machine.ram_gb:.0f} GB of RAM free, no GPU"
    )
    typer.echo(f"\nThis machine: {where}. In use (TUTOR_LANGUAGE_MODEL): {in_use}. List of {CATALOGUE_DATE}.")
    if others:
        typer.echo(f"Also in the cache: {', '.join(others)}")
    typer.echo(
        "Fetch one: tutor models pull NAME   Try it: tutor models check NAME   Any other hub id will do as well."
    )


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "params", "licence", "context", "bf16", "4-bit", "fits", "", box=None, pad_edge=False)
    for row in rows:
        marks = [mark for mark, holds in (("in use", row["in_use"]), ("here", row["cached"])) if holds]
        table.add_row(
            row["id"],
            f"{row['parameters_billions']:g} B",
            row["licence"] + (" (gated)" if row["gated"] else ""),
            f"{row['context_tokens'] // 1024}k",
            *(f"{row['memory_gb'][precision]:g} GB" for precision in ("bf16", "4-bit")),
            row["fits"] or "-",
            ", ".join(marks),
        )
    Console(width=None if sys.stdout.isatty() else 10_000, markup=False, highlight=False).print(table)


@models_app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name of the list, or any hub id owner/name.")],
) -> None:
    """Fetch a model from the Hugging Face hub into the local cache. After a break, pull again: whole files are kept.

    Example: tutor models pull Qwen/Qwen3-4B-Instruct-2507
    """
    from tutor.model_catalog import fetch_model, find_model, plan_fetch

    plan = plan_fetch(find_model(name))
    typer.echo(
        f"{plan.id}: {plan.total_bytes / 1e9:.1f} GB, {plan.missing_bytes / 1e9:.1f} GB of it to fetch.", err=True
    )
    folder = fetch_model(plan)
    typer.echo(f"{plan.id} is in {folder}")
    typer.echo(f"Try it: tutor models check {plan.id}   Use it: TUTOR_LANGUAGE_MODEL={plan.id} tutor serve")


@models_app.command()
def check(
    name: Annotated[str, typer.Argument(help="A name of the list, a hub id, a folder, or openai:<model>@<base url>.")],
    as_json: Json = False,
) -> None:
    """Load a model and have it answer three questions from the shipped guides: how fast, and how well borne out.

    Example: tutor models check Qwen/Qwen3-0.6B
    """
    from tutor.endpoint_model import ENDPOINT_PREFIX
    from tutor.language_model import Message
    from tutor.model_catalog import find_model, make_language_model
    from tutor.settings import EXTRACTIVE, Settings, read_settings
    from tutor.tutor import Tutor

    is_named = name.startswith(ENDPOINT_PREFIX) or Path(name).is_dir()
    settings = read_settings(language_model=name if is_named else find_model(name))
    model = make_language_model(settings)
    if model is None:
        raise typer.BadParameter(f"{EXTRACTIVE!r} is the tutor without a language model.")
    timed = TimedModel(model)
    started = time.perf_counter()
    stop = Event()
    for _ in timed.stream([Message("user", "Say yes.")], stop=stop):
        stop.set()
    ready = time.perf_counter() - started
    if not as_json:
        typer.echo(f"{model.name}: first words after {ready:.1f} s, loading included.")
    rows = []
    with TemporaryDirectory() as home:
        guides = Settings.model_fields["guides"].default
        tutor = Tutor(settings.model_copy(update={"home": Path(home), "guides": guides}), model=timed)
        tutor.update_index()
        for question in CHECK_QUESTIONS:
            timed.calls.clear()
            answer = tutor.ask(question)
            sentences = answer.sentences if answer.model == model.name else ()
            rows.append(
                {
                    "question": question,
                    "answer": answer.text,
                    "by_the_model": answer.model == model.name,
                    "sentences": len(sentences),
                    "supported": sum(sentence.is_supported for sentence in sentences),
                    "first_token_seconds": round(timed.first_seconds, 3),
                    "tokens_per_second": round(timed.tokens_per_second, 2),
                    "notes": list(answer.notes),
                }
            )
            if not as_json:
                _print_check(rows[-1])
    if as_json:
        record = {"version": 1, "model": model.name, "ready_seconds": round(ready, 3), "questions": rows}
        typer.echo(json.dumps(record, ensure_ascii=False))


def _print_check(row: Mapping[str, Any]) -> None:
    typer.echo(f"\n{row['question']}\n  {row['answer']}")
    if row["by_the_model"]:
        typer.echo(f"  {row['supported']} of {row['sentences']} sentences are borne out by the guides.")
    typer.echo(f"  First token after {row['first_token_seconds']:.2f} s, then {row['tokens_per_second']:.1f} tokens/s.")
    for note in row["notes"]:
        typer.echo(f"tutor: {note}", err=True)


@dataclass(frozen=True)
class Call:
    """How long a reply took, in seconds from the call, and how long it was."""

    first_seconds: float
    last_seconds: float
    tokens: int


@dataclass
class TimedModel:
    """A language model whose replies are timed."""

    model: LanguageModel
    calls: list[Call] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.name

    @property
    def window_tokens(self) -> int | None:
        """Of the model."""
        return self.model.window_tokens

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """As the model counts them."""
        return self.model.count_tokens(messages)

    def stream(
        self, messages: Sequence[Message], *, stop: Event | None = None, schema: Mapping[str, object] | None = None
    ) -> Iterator[str]:
        """The model's reply; the call is noted when it ends."""
        from tutor.language_model import Message as Turn

        started = time.perf_counter()
        first = last = 0.0
        text = ""
        try:
            for piece in self.model.stream(messages, stop=stop, schema=schema):
                last = time.perf_counter() - started
                first = first or last
                text += piece
                yield piece
        finally:
            # What the marks around a turn take is no part of the reply.
            tokens = self.model.count_tokens([Turn("assistant", text)]) - self.model.count_tokens(
                [Turn("assistant", "")]
            )
            self.calls.append(Call(first, last, tokens))

    @property
    def first_seconds(self) -> float:
        """Seconds to the first piece of the first reply; 0 where there was none."""
        return self.calls[0].first_seconds if self.calls else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Of all replies, after their first pieces; 0 where no reply had a second piece."""
        seconds = sum(call.last_seconds - call.first_seconds for call in self.calls)
        return sum(call.tokens for call in self.calls) / seconds if seconds else 0.0
