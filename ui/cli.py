"""The terminal face: `tutor` and its commands; those that have commands of their own stand in files beside this one.

Nothing heavy is imported before a command needs it, so that `tutor --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.eval_cli import eval_app
from ui.interview_cli import interview
from ui.models_cli import models_app
from ui.progress_cli import feedback, progress_app
from ui.questions_cli import questions_app
from ui.terminal import (
    Json,
    Model,
    RankingName,
    complain,
    console,
    effective_settings,
    make_tutor,
    open_tutor,
    print_grade,
    print_json,
    progress_bar,
    typed_lines,
)
from ui.users_cli import open_file_warning, users_app

if TYPE_CHECKING:
    from index.hits import Hit
    from index.scope import Scope
    from tutor.answers import Answer
    from tutor.settings import AnswerFrom, Settings
    from tutor.tutor import Tutor

app = typer.Typer(
    help="A tutor for deep-learning engineer interviews: ask, get cited answers, be interviewed, be graded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
corpus_app = typer.Typer(help="For authors of guides and questions.", no_args_is_help=True, rich_markup_mode=None)
train_app = typer.Typer(help="Train the models that the project ships.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(corpus_app, name="corpus")
app.add_typer(train_app, name="train")
app.add_typer(eval_app, name="eval")
app.add_typer(models_app, name="models")
app.add_typer(users_app, name="users")
app.add_typer(progress_app, name="progress")
app.add_typer(questions_app, name="questions")

_EXCERPT = 160
"""Characters of a passage that a list of hits shows."""
# What a search is narrowed to; each may be given more than once.
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only guides on this topic; may be repeated.")]
Levels = Annotated[list[str] | None, typer.Option("--level", help="Only guides of this level; may be repeated.")]
Languages = Annotated[list[str] | None, typer.Option("--language", help="Only guides in this language: en, zh.")]
Guides = Annotated[list[str] | None, typer.Option("--guide", help="Only this guide, e.g. optimization.md.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if debug:
        os.environ["TUTOR_DEBUG"] = "1"


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to serve at; 0.0.0.0 lets others in your network in.")] = "",
    port: Annotated[int, typer.Option(help="Port to serve at.", min=0, max=65535)] = 0,
    auth: Annotated[
        Path | None, typer.Option(help="File of those who may log in, made by tutor users; TUTOR_USERS_FILE.")
    ] = None,
    model: Model = "",
) -> None:
    """Serve the page; builds the index on the first start.

    Example: tutor serve --port 7861
    """
    from ui.app import launch

    settings = effective_settings(host=host, port=port, language_model=model, users_file=auth)
    _check_users(settings)
    tutor = open_tutor(settings, refresh=True)
    launch(tutor, host=settings.host, port=settings.port)


def _check_users(settings: Settings) -> None:
    """Say before anything is served what is wrong with the file of users, or with having none."""
    from tutor.users import UserFile, UsersError

    if settings.users_file is None:
        if settings.host not in {"127.0.0.1", "localhost", "::1"}:
            complain(
                "Everybody who can reach this address shares one history and may change the guides. For a class: --auth FILE"
            )
        return
    users = UserFile(settings.users_file)
    if not users.users:
        raise UsersError(f"{str(users.path)!r} has no users. Add one: tutor users add NAME --file {users.path}")
    if users.is_open_to_others:
        complain(open_file_warning(users))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    more: Annotated[bool, typer.Option("--more", help="Show the whole section.")] = False,
    topic: Topics = None,
    level: Levels = None,
    language: Languages = None,
    guide: Guides = None,
    guides_first: Annotated[
        bool, typer.Option("--guides-first", help="Let the model answer, marked, what the guides do not cover.")
    ] = False,
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Answer one question, with citations.

    Example: tutor ask "What does BatchNorm do at inference?"
    """
    source: AnswerFrom | None = "guides-first" if guides_first else None
    tutor = open_tutor(effective_settings(language_model=model))
    answer = tutor.ask(question, detailed=more, answer_from=source, within=_scope(topic, level, language, guide))
    _print_answer(answer, as_json=as_json)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    count: Annotated[int, typer.Option(help="How many passages.", min=1, max=100)] = 5,
    ranking: Annotated[RankingName, typer.Option(help="What orders them.")] = RankingName.FUSED,
    topic: Topics = None,
    level: Levels = None,
    language: Languages = None,
    guide: Guides = None,
    as_json: Json = False,
) -> None:
    """Find passages, without an answer: each with its scores, the reason, and what stands around it.

    Example: tutor search "learning rate warmup" --count 3 --language en
    """
    from tutor.records import search_record
    from tutor.tutor import checked_question

    tutor, within = open_tutor(), _scope(topic, level, language, guide)
    asked = checked_question(question)
    hits = tutor.retrieve(asked, count=count, ranking=ranking.value, within=within, merged=True)
    notes = tutor.retriever.notes(asked)
    if as_json:
        print_json(search_record(asked, hits, ranking=ranking.value, notes=notes))
        return
    for note in notes:
        complain(note)
    if not hits:
        console().print("No passage has a word of it. Search with other words, or leave out an option.")
    for rank, hit in enumerate(hits, start=1):
        _print_hit(hit, asked, rank)


@app.command()
def chat(model: Model = "", as_json: Json = False) -> None:
    """Answer one question a line, from the terminal or a pipe; follow-ups are understood.

    "shorter", "deeper", "a worked example", "an analogy", "in Chinese" and "quiz me on this" do that with the last answer;
    "my answer: …" grades yours.

    Example: echo "What is dropout?" | tutor chat --json
    """
    from tutor.grading import GradingError
    from tutor.modes import read_attempt
    from tutor.tutor import QuestionError

    tutor = open_tutor(effective_settings(language_model=model))
    history: list[Answer] = []
    for line in typed_lines("you> "):
        try:
            if attempt := read_attempt(line):
                print_grade(tutor.grade(*tutor.answer_given(history, attempt)), as_json=as_json)
                continue
            answer = tutor.ask(line, history)
        except (GradingError, QuestionError) as error:
            # One bad line of a pipe must not end the conversation.
            complain(error)
            continue
        history.append(answer)
        _print_answer(answer, as_json=as_json)


@app.command()
def grade(
    question: Annotated[
        str, typer.Option(help="Id or wording of a question of the bank, or a question of your own.")
    ] = "",
    answer: Annotated[str, typer.Option(help="Your answer; - reads it from standard input.")] = "",
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="A model answer to grade by, in place of the bank's key points; give it again for others that are as good."
        ),
    ] = None,
    dispute: Annotated[int, typer.Option(help="Number of a key point to be judged again.", min=0)] = 0,
    argument: Annotated[str, typer.Option(help="Why: quote the words of your answer that make the point.")] = "",
    batch: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns question and answer; learner, reference, human_score if you like."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="CSV to write the grades of --batch to.")] = None,
    as_json: Json = False,
) -> None:
    """Grade an answer key point by key point, or a file of answers.

    A question that is not in the bank is graded by --reference, or by what the guides say to it.

    Example: tutor grade --question norm-batchnorm-train-inference --answer "It uses running statistics at inference."
    """
    if batch is not None:
        if question or answer or reference or dispute or as_json:
            raise typer.BadParameter("--batch takes questions and answers from its file. Leave the other options out.")
        if output is None or output.resolve() == batch.resolve():
            raise typer.BadParameter("name another CSV file to write the grades to: --output graded.csv")
        _grade_batch(batch, output)
        return
    if not question or output is not None:
        raise typer.BadParameter("expected --question and --answer, or --batch and --output.")
    if bool(dispute) != bool(argument):
        raise typer.BadParameter("--dispute (the number of a key point) and --argument go together.")
    tutor = open_tutor()
    found = tutor.question_to_grade(question, *(reference or ()))
    result = tutor.grade(found, _standard_input() if answer == "-" else answer)
    if dispute:
        result = tutor.dispute(result, dispute, argument)
    print_grade(result, as_json=as_json)


def _grade_batch(batch: Path, output: Path) -> None:
    from tutor.batch_grading import grade_batch, read_batch

    tutor = open_tutor()
    rows = read_batch(batch, tutor.question_to_grade)
    # With the mark at its head Excel reads the file as UTF-8.
    with output.open("w", encoding="utf-8-sig", newline="") as file, progress_bar() as bar:
        failures = grade_batch(tutor, rows, file, progress=bar)
    for line, reason in failures:
        complain(f"{batch}:{line}: {reason}")
    console().print(f"{len(rows.rows) - len(failures)} of {len(rows.rows)} answers graded: {output}")
    if failures:
        raise typer.Exit(1)


# Here because `tutor --help` lists the commands in this order.
app.command()(interview)
app.command()(feedback)


@app.command()
def index(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Guides, folders or web addresses to add; none refreshes what is there."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make everything anew, e.g. after a change of settings.")
    ] = False,
    list_documents: Annotated[bool, typer.Option("--list", help="List the documents in the index.")] = False,
    remove: Annotated[list[str] | None, typer.Option(help="Id of a document to take out.")] = None,
    as_json: Json = False,
) -> None:
    """Add guides to the index, or refresh it: only what changed is embedded again.

    Example: tutor index --list
    """
    from corpus.web import is_url

    tutor = make_tutor(effective_settings())
    if list_documents:
        _list_documents(tutor, as_json=as_json)
        return
    files = [tutor.fetch_guide(path) if is_url(path) else Path(path) for path in paths or ()]
    with progress_bar() as bar:
        report = tutor.update_index(files, rebuild=rebuild, remove=remove or (), progress=bar)
    for problem in report.problems:
        complain(f"left out {problem}")
    for note in report.notes:
        complain(note)
    summary = {
        "documents": len(report.index.documents),
        "passages": len(report.index.chunks),
        "added": list(report.added),
        "changed": list(report.changed),
        "removed": list(report.removed),
        "embedded": report.embedded,
        "left_out": [str(problem) for problem in report.problems],
    }
    if as_json:
        print_json(summary)
    else:
        console().print(
            f"{summary['documents']} documents, {summary['passages']} passages: {len(report.added)} added, "
            f"{len(report.changed)} changed, {len(report.removed)} removed, {report.kept} unchanged."
        )
    if report.problems and paths:
        raise typer.Exit(1)


def _list_documents(tutor: Tutor, *, as_json: bool) -> None:
    from rich.table import Table

    entries = tutor.index.manifest.documents
    if as_json:
        print_json(
            [
                {
                    "document": name,
                    "title": entry.title,
                    "topic": entry.topic,
                    "language": entry.language,
                    "passages": entry.chunks,
                    "source": entry.source,
                }
                for name, entry in entries.items()
            ]
        )
        return
    table = Table("document", "title", "language", "passages", box=None, pad_edge=False)
    for name, entry in entries.items():
        table.add_row(name, entry.title, entry.language, str(entry.chunks))
    console().print(table)


@app.command()
def doctor(
    measure: Annotated[bool, typer.Option("--measure", help="Load the language model and time it.")] = False,
    as_json: Json = False,
) -> None:
    """Look at versions, GPU, index and models: what is wrong, and how to mend it.

    Example: tutor doctor
    """
    from dataclasses import asdict

    from tutor.doctor import diagnose

    findings = []
    for finding in diagnose(effective_settings(), measure=measure):
        findings.append(finding)
        if not as_json:
            mark = {"ok": "ok  ", "note": "note", "wrong": "!!  "}[finding.health]
            mend = f"  -> {finding.mend}" if finding.mend else ""
            typer.echo(f"{mark} {finding.subject}: {finding.text}{mend}")
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.health == "wrong" for finding in findings):
        raise typer.Exit(1)


@app.command("settings")
def show_settings(as_json: Json = False) -> None:
    """Show the effective settings, and where each comes from.

    Example: tutor settings
    """
    from rich.table import Table

    from tutor.settings import origins

    settings = effective_settings()
    places = origins(settings, os.environ)
    values = settings.model_dump(mode="json")
    if as_json:
        print_json({name: {"value": values[name], "from": places[name]} for name in values})
        return
    table = Table("setting", "value", "from", "what it is", box=None, pad_edge=False)
    for name, field in type(settings).model_fields.items():
        shown = values[name] if not isinstance(values[name], list) else ", ".join(map(str, values[name]))
        table.add_row(name, str(shown), places[name], field.description or "")
    console().print(table)


@corpus_app.command("check")
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with guides/ and questions/; the shipped corpus if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Report every mistake in a folder of guides and questions, with file and line.

    Example: tutor corpus check
    """
    from corpus.check import check_corpus
    from tutor.settings import CORPUS_FOLDER

    problems = check_corpus(folder or CORPUS_FOLDER)
    if as_json:
        print_json([{"path": item.path, "line": item.line, "message": item.message} for item in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(f"{len(problems)} problems" if problems else "No problems.")
    if problems:
        raise typer.Exit(1)


@train_app.command("encoder")
def train_encoder(
    pairs: Annotated[Path, typer.Option(help="Folder of *.jsonl files with {q, d} a line.")],
    output: Annotated[Path, typer.Option(help="Folder to write the encoder to.")],
    steps: Annotated[int, typer.Option(help="Batches to train on.", min=1)] = 2500,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train the encoder on pairs of texts, our guides and questions, and docstrings; about a quarter of an hour on one core.

    The same pairs and seed give the same encoder. Put it in force by copying it over index/encoder.
    """
    from index.encoder_training import train_encoder as train
    from index.training_pairs import corpus_pairs, docstring_pairs, made_pairs, read_pairs
    from tutor.settings import CORPUS_FOLDER

    ours = corpus_pairs(CORPUS_FOLDER / "guides", CORPUS_FOLDER / "questions")
    with progress_bar() as bar:
        given = read_pairs(pairs)
        sources = [*given, *ours, docstring_pairs(), *made_pairs(given, seed=seed)]
        report = train(sources, output, steps=steps, seed=seed, progress=bar)
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_json(report)


@train_app.command("grounding")
def train_grounding(
    data: Annotated[Path, typer.Option(help="Folder of judged claims: wice, wice_tokens, summedits.jsonl.")],
    output: Annotated[Path, typer.Option(help="Folder to write grounding.json and report.json to.")],
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train the grounding check on claims that people judged and on our question bank; two minutes on one core.

    The same data and seed give the same coefficients. Put them in force by copying grounding.json over tutor/grounding.json.
    """
    from tutor.grounding_training import train_grounding as train
    from tutor.settings import CORPUS_FOLDER

    with progress_bar() as bar:
        report = train(
            data,
            output,
            guides=CORPUS_FOLDER / "guides",
            bank=CORPUS_FOLDER / "questions",
            seed=seed,
            progress=bar,
        )
    print_json(report)


@train_app.command("grader")
def train_grader(
    data: Annotated[Path, typer.Option(help="Folder of judged answers: beetle.jsonl, scientsbank.jsonl and so on.")],
    texts: Annotated[Path, typer.Option(help="Folder of *.jsonl files with {q, d} a line, to learn words from.")],
    output: Annotated[Path, typer.Option(help="Folder to write the grader to.")],
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Train the offline grader on answers that people judged; some minutes on one core.

    The same data and seed give the same grader. Put it in force by copying it over tutor/grader.
    """
    from tutor.grader_training import train_grader as train
    from tutor.settings import CORPUS_FOLDER

    with progress_bar() as bar:
        report = train(
            data,
            texts,
            output,
            guides=CORPUS_FOLDER / "guides",
            bank=CORPUS_FOLDER / "questions",
            seed=seed,
            progress=bar,
        )
    print_json(report)


# What the commands share


def _print_answer(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        from tutor.records import answer_record

        print_json(answer_record(answer))
        return
    if answer.standalone_question != answer.question:
        typer.echo(f"(searched for: {answer.standalone_question})\n")
    for note in answer.notes:
        complain(note)
    if not answer.answered or answer.is_from_memory:
        typer.echo("The guides do not cover this.")
        for hit in answer.suggestions:
            typer.echo(f"  nearest: {hit.chunk.title} > {hit.chunk.path}")
    if not answer.answered:
        return
    if answer.is_from_memory:
        typer.echo(f"\nFrom the memory of {answer.model}, checked by nothing:")
    typer.echo(f"{answer.text}\n")
    if answer.quiz is not None:
        typer.echo("Answer with: my answer: …")
    for citation in answer.citations:
        typer.echo(f"[{citation.number}] {citation.chunk.title} > {citation.chunk.path} ({citation.chunk.place})")


def _print_hit(hit: Hit, question: str, rank: int) -> None:
    from ui.render import reason_line

    chunk = hit.chunk
    typer.echo(f"{rank}. {chunk.title} > {chunk.path} ({chunk.place})")
    scores = {"fused": hit.score, "dense": hit.dense_score, "keyword": hit.keyword_score, "heading": hit.heading_score}
    typer.echo("   " + "  ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    typer.echo(f"   {reason_line(hit, question)}")
    typer.echo(f"   {' '.join(chunk.text.split())[:_EXCERPT]}")
    for place, other in (("before", hit.around.before), ("after", hit.around.after)):
        if other:
            typer.echo(f"   {place}: {other.path}")
    for same in hit.also:
        typer.echo(f"   says the same: {same.title} > {same.path} ({same.place})")


def _scope(
    topics: Sequence[str] | None,
    levels: Sequence[str] | None,
    languages: Sequence[str] | None,
    guides: Sequence[str] | None,
) -> Scope:
    from index.scope import Scope

    return Scope(tuple(guides or ()), tuple(topics or ()), tuple(languages or ()), tuple(levels or ()))


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ValueError("Standard input is not UTF-8 text. Convert it first, e.g. with iconv.") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Known errors become one line; exit status 2 for misuse, 1 for failure."""
    try:
        # Ends in SystemExit: typer prints its own usage errors and exits with 2.
        app(args=list(arguments) if arguments is not None else None)
    except Exception as error:
        if os.environ.get("TUTOR_DEBUG"):
            raise
        complain(_one_line(error))
        sys.exit(2 if _is_misuse(error) else 1)


def _is_misuse(error: Exception) -> bool:
    from index.scope import ScopeError
    from tutor.grading import GradingError
    from tutor.interview import InterviewError
    from tutor.settings import SettingsError
    from tutor.tutor import QuestionError

    return isinstance(
        error, GradingError | InterviewError | QuestionError | ScopeError | SettingsError | FileNotFoundError
    )


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {str(error.filename)!r}. Check the path and its permissions, or set TUTOR_HOME."
    if isinstance(error, ValueError | RuntimeError | OSError) and str(error):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {error}. This is a bug; run again with --debug and report what it prints."
