"""The terminal face: `tutor serve | ask | search | chat | grade | questions | interview | progress | index | eval | doctor | settings`.

Nothing heavy is imported before a command needs it, so that `tutor --help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ui.models_cli import models_app

if TYPE_CHECKING:
    from evals.report import CaseFigures, EvalReport
    from evals.retrieval import RetrievalReport
    from index.build import Progress
    from index.hits import Hit
    from index.scope import Scope
    from tutor.answers import Answer
    from tutor.grading import Grade
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
eval_app = typer.Typer(help="How good is it? Measured on cases.", no_args_is_help=True, rich_markup_mode=None)
train_app = typer.Typer(help="Train the models that the project ships.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(corpus_app, name="corpus")
app.add_typer(train_app, name="train")
app.add_typer(eval_app, name="eval")
app.add_typer(models_app, name="models")


class RankingName(StrEnum):
    """The rankings of the retrieval eval, as an option takes them."""

    KEYWORD = "keyword"
    DENSE = "dense"
    FUSED = "fused"


Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Topic = Annotated[str, typer.Option(help="Only this topic, e.g. optimization.")]
Level = Annotated[str, typer.Option(help="Only this level: junior, mid, senior or staff.")]
_EXCERPT = 160
"""Characters of a passage that a list of hits shows."""
Model = Annotated[
    str, typer.Option("--model", help="Language model in place of TUTOR_LANGUAGE_MODEL; see: tutor models.")
]
Cases = Annotated[Path | None, typer.Option(help="Cases as JSON lines; ours if left out.")]
EvalGuides = Annotated[Path | None, typer.Option("--guides", help="Index this folder alone, in a temporary home.")]
KindLimit = Annotated[int, typer.Option("--limit", help="The first so many cases of each kind; 0 for all.", min=0)]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")]
Html = Annotated[Path | None, typer.Option(help="Write the report here as one HTML page with plots.")]
FailUnder = Annotated[list[str] | None, typer.Option(help="METRIC=VALUE: exit with 1 below it.")]
Baseline = Annotated[Path | None, typer.Option(help="Report of an earlier run (--json) that --max-drop compares with.")]
MaxDrop = Annotated[
    list[str] | None, typer.Option(help="METRIC=VALUE: exit with 1 if it fell by more since the baseline.")
]
Seed = Annotated[int, typer.Option(help="Of the draws behind the intervals.")]
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
    model: Model = "",
) -> None:
    """Serve the page; builds the index on the first start.

    Example: tutor serve --port 7861
    """
    from ui.app import launch

    settings = _settings(host=host, port=port, language_model=model)
    tutor = _open(settings, refresh=True)
    launch(tutor, host=settings.host, port=settings.port)


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
    tutor = _open(_settings(language_model=model))
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

    tutor, within = _open(), _scope(topic, level, language, guide)
    asked = checked_question(question)
    hits = tutor.retrieve(asked, count=count, ranking=ranking.value, within=within, merged=True)
    notes = tutor.retriever.notes(asked)
    if as_json:
        _print_json(search_record(asked, hits, ranking=ranking.value, notes=notes))
        return
    for note in notes:
        _complain(note)
    if not hits:
        _console().print("No passage has a word of it. Search with other words, or leave out an option.")
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

    tutor = _open(_settings(language_model=model))
    history: list[Answer] = []
    for line in _lines("you> "):
        try:
            if attempt := read_attempt(line):
                _print_grade(tutor.grade(tutor.question_put(history), attempt), as_json=as_json)
                continue
            answer = tutor.ask(line, history)
        except (GradingError, QuestionError) as error:
            # One bad line of a pipe must not end the conversation.
            _complain(error)
            continue
        history.append(answer)
        _print_answer(answer, as_json=as_json)


@app.command()
def grade(
    question: Annotated[
        str, typer.Option(help="Id or wording of a question of the bank, or a question of your own.")
    ] = "",
    answer: Annotated[str, typer.Option(help="Your answer; - reads it from standard input.")] = "",
    reference: Annotated[str, typer.Option(help="A model answer to grade by, in place of the bank's key points.")] = "",
    dispute: Annotated[int, typer.Option(help="Number of a key point to be judged again.", min=0)] = 0,
    argument: Annotated[str, typer.Option(help="Why: quote the words of your answer that make the point.")] = "",
    batch: Annotated[
        Path | None, typer.Option(help="CSV with the columns question and answer; learner and reference if you like.")
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
    tutor = _open()
    found = tutor.question_to_grade(question, reference)
    result = tutor.grade(found, _standard_input() if answer == "-" else answer)
    if dispute:
        result = tutor.dispute(result, dispute, argument)
    _print_grade(result, as_json=as_json)


def _grade_batch(batch: Path, output: Path) -> None:
    from tutor.batch_grading import grade_batch, read_batch

    tutor = _open()
    rows = read_batch(batch, tutor.question_to_grade)
    # With the mark at its head Excel reads the file as UTF-8.
    with output.open("w", encoding="utf-8-sig", newline="") as file, _progress_bar() as bar:
        failures = grade_batch(tutor, rows, file, progress=bar)
    for line, reason in failures:
        _complain(f"{batch}:{line}: {reason}")
    _console().print(f"{len(rows.rows) - len(failures)} of {len(rows.rows)} answers graded: {output}")
    if failures:
        raise typer.Exit(1)


@app.command()
def questions(
    topic: Topic = "",
    level: Level = "",
    search: Annotated[str, typer.Option(help="Words to look for.")] = "",
    as_json: Json = False,
) -> None:
    """List the questions of the bank.

    Example: tutor questions --topic optimization --search "learning rate"
    """
    from rich.table import Table

    tutor = _open()
    _check_choices(tutor, topic, level)
    found = tutor.search_questions(topic=topic, level=level, search=search)
    if as_json:
        rows = [
            {"id": item.id, "topic": item.topic, "level": item.level, "kind": item.kind, "question": item.prompt}
            for item in found
        ]
        _print_json(rows)
        return
    table = Table("id", "topic", "level", "kind", "question", box=None, pad_edge=False)
    for item in found:
        table.add_row(item.id, item.topic, item.level, item.kind, item.prompt)
    _console().print(table if found else "No question matches. Leave out an option.")


@app.command()
def interview(
    topic: Topic = "",
    level: Level = "",
    count: Annotated[int, typer.Option(help="How many questions.", min=1, max=50)] = 3,
) -> None:
    """Be interviewed in the terminal: answer, or type hint, skip or quit; an empty line ends an answer.

    Example: yes skip | tutor interview --topic optimization --count 2
    """
    from tutor.grading import GradingError

    tutor = _open()
    _check_choices(tutor, topic, level)
    run = tutor.interview(topic=topic, level=level, count=count)
    while run.current is not None:
        question = run.current
        _console().print(
            f"\n{len(run.grades) + 1} of {len(run.questions)}  ({question.topic}, {question.level})", style="bold"
        )
        _console().print(question.prompt)
        attempt, hints = _attempt(question.hints)
        if attempt == "quit":
            break
        if attempt == "skip":
            run = run.after(None)
            continue
        try:
            result = tutor.grade(question, attempt, hints=hints)
        except GradingError as error:
            _complain(error)
            continue
        _print_grade(result, as_json=False)
        run = run.after(result)
    graded = sum(item is not None for item in run.grades)
    score = "no score" if run.score is None else f"score {run.score:.0%}"
    _console().print(f"\n{graded} of {len(run.questions)} answered, {score}. What to study next: tutor progress")


def _attempt(hints: Sequence[str]) -> tuple[str, int]:
    """What the learner typed until an empty line, or `skip` or `quit`; and the hints they took."""
    typed: list[str] = []
    taken = 0
    for line in _lines("> ", keep_empty=True):
        word = line.strip().lower()
        if not typed and word in {"skip", "quit"}:
            return word, taken
        if not typed and word == "hint":
            _console().print(f"Hint: {hints[taken]}" if taken < len(hints) else "There are no more hints.")
            taken = min(taken + 1, len(hints))
        elif word:
            typed.append(line)
        elif typed:
            return "\n".join(typed), taken
    return "\n".join(typed) or "quit", taken


@app.command()
def progress(as_json: Json = False) -> None:
    """Show how you stand in each topic, and what to study next.

    Example: tutor progress --json
    """
    from rich.table import Table

    tutor = _open()
    topics = tutor.topic_progress()
    if as_json:
        _print_json(
            [
                {
                    "topic": item.topic,
                    "attempted": item.attempted,
                    "attempts": item.attempts,
                    "score": round(item.score, 4),
                    "last": item.last.isoformat(),
                }
                for item in topics
            ]
        )
        return
    if not topics:
        _console().print("No graded answers yet. Start with: tutor interview")
        return
    table = Table("topic", "questions", "attempts", "score", "last", box=None, pad_edge=False)
    for item in topics:
        table.add_row(item.topic, str(item.attempted), str(item.attempts), f"{item.score:.0%}", f"{item.last:%Y-%m-%d}")
    _console().print(table)
    for point in tutor.most_missed():
        typer.echo(f"  missed {point.times}x: {point.text}  (read {point.document_id} > {point.heading_path})")
    _console().print(f"Study next: {topics[0].topic}  (tutor interview --topic {topics[0].topic})")


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

    tutor = _tutor(_settings())
    if list_documents:
        _list_documents(tutor, as_json=as_json)
        return
    files = [tutor.fetch_guide(path) if is_url(path) else Path(path) for path in paths or ()]
    with _progress_bar() as bar:
        report = tutor.update_index(files, rebuild=rebuild, remove=remove or (), progress=bar)
    for problem in report.problems:
        _complain(f"left out {problem}")
    for note in report.notes:
        _complain(note)
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
        _print_json(summary)
    else:
        _console().print(
            f"{summary['documents']} documents, {summary['passages']} passages: {len(report.added)} added, "
            f"{len(report.changed)} changed, {len(report.removed)} removed, {report.kept} unchanged."
        )
    if report.problems and paths:
        raise typer.Exit(1)


def _list_documents(tutor: Tutor, *, as_json: bool) -> None:
    from rich.table import Table

    entries = tutor.index.manifest.documents
    if as_json:
        _print_json(
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
    _console().print(table)


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
    for finding in diagnose(_settings(), measure=measure):
        findings.append(finding)
        if not as_json:
            mark = {"ok": "ok  ", "note": "note", "wrong": "!!  "}[finding.health]
            mend = f"  -> {finding.mend}" if finding.mend else ""
            typer.echo(f"{mark} {finding.subject}: {finding.text}{mend}")
    if as_json:
        _print_json([asdict(finding) for finding in findings])
    if any(finding.health == "wrong" for finding in findings):
        raise typer.Exit(1)


@app.command("settings")
def show_settings(as_json: Json = False) -> None:
    """Show the effective settings, and where each comes from.

    Example: tutor settings
    """
    from rich.table import Table

    from tutor.settings import origins

    settings = _settings()
    places = origins(settings, os.environ)
    values = settings.model_dump(mode="json")
    if as_json:
        _print_json({name: {"value": values[name], "from": places[name]} for name in values})
        return
    table = Table("setting", "value", "from", "what it is", box=None, pad_edge=False)
    for name, field in type(settings).model_fields.items():
        shown = values[name] if not isinstance(values[name], list) else ", ".join(map(str, values[name]))
        table.add_row(name, str(shown), places[name], field.description or "")
    _console().print(table)


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
        _print_json([{"path": item.path, "line": item.line, "message": item.message} for item in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(f"{len(problems)} problems" if problems else "No problems.")
    if problems:
        raise typer.Exit(1)


@eval_app.command("retrieval")
def eval_retrieval(
    cases: Annotated[
        Path | None, typer.Option(help="Cases as JSON lines, or a folder in BEIR's format; ours if left out.")
    ] = None,
    guides: Annotated[
        Path | None, typer.Option(help="Index this folder alone, in a temporary home, and measure on it.")
    ] = None,
    ranking: Annotated[
        list[RankingName] | None, typer.Option(help="May be given more than once; all if left out.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Only the first so many cases; 0 for all.", min=0)] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the ranked hits of each case here, one JSON object a line.")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE, e.g. recall@5=0.8: exit with 1 below it.")
    ] = None,
    baseline: Baseline = None,
    max_drop: MaxDrop = None,
    seed: Seed = 0,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="SETTING=VALUE,VALUE: measure with each; more than once for every combination."),
    ] = None,
) -> None:
    """Measure retrieval: recall@1/5/10, MRR@10, nDCG@10, and whether the tutor declines what it should.

    Example: tutor eval retrieval --limit 5 --ranking fused
    """
    from evals.retrieval import run_retrieval_eval
    from evals.sweep import read_grid, run_sweep, sweep_table
    from index.retriever import RANKINGS

    _check_baseline(baseline, max_drop)
    with _progress_bar() as bar:

        def run(changed: Mapping[str, str]) -> RetrievalReport:
            return run_retrieval_eval(
                _settings(**changed),
                cases=cases,
                guides=guides,
                rankings=tuple(name for name in RANKINGS if not ranking or name in ranking),
                limit=limit,
                progress=bar,
                predictions=predictions,
                seed=seed,
            )

        rows = run_sweep(read_grid(sweep or []), run)
    if sweep:
        _console().print(sweep_table(rows))
        if json_file:
            records = [row.as_dict() for row in rows]
            json_file.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    report = rows[0].report
    _console().print(report.table)
    if json_file:
        json_file.write_text(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    groups = {scores.ranking: scores.by_case for scores in report.scores}
    failures = report.failures(fail_under or [])
    _end_eval([*failures, *_drops("retrieval", groups, baseline, max_drop, seed)])


@eval_app.command("abstention")
def eval_abstention(
    cases: Cases = None,
    guides: EvalGuides = None,
    limit: KindLimit = 0,
    seed: Seed = 0,
    json_file: JsonFile = None,
    html: Html = None,
    fail_under: FailUnder = None,
    baseline: Baseline = None,
    max_drop: MaxDrop = None,
) -> None:
    """Measure what the tutor answers and what it declines, by kind of question and by threshold.

    Example: tutor eval abstention --limit 2 --guides corpus/guides
    """
    _check_baseline(baseline, max_drop)
    report = _run_eval("abstention", _settings(), cases, guides, limit, seed)
    _end_report(report, json_file, html, fail_under, baseline, max_drop)


@eval_app.command("conversation")
def eval_conversation(
    cases: Cases = None,
    guides: EvalGuides = None,
    limit: KindLimit = 0,
    seed: Seed = 0,
    json_file: JsonFile = None,
    html: Html = None,
    fail_under: FailUnder = None,
    baseline: Baseline = None,
    max_drop: MaxDrop = None,
) -> None:
    """Measure follow-ups: whether search finds with the rewritten question what it finds with the full one.

    Example: tutor eval conversation --limit 2 --guides corpus/guides
    """
    _check_baseline(baseline, max_drop)
    report = _run_eval("conversation", _settings(), cases, guides, limit, seed)
    _end_report(report, json_file, html, fail_under, baseline, max_drop)


@eval_app.command("citations")
def eval_citations(
    cases: Cases = None,
    guides: EvalGuides = None,
    model: Model = "",
    limit: KindLimit = 0,
    seed: Seed = 0,
    json_file: JsonFile = None,
    html: Html = None,
    fail_under: FailUnder = None,
    baseline: Baseline = None,
    max_drop: MaxDrop = None,
) -> None:
    """Measure the citations of answers: whether they bear it out, are all needed, and point at the right section.

    Example: tutor eval citations --limit 2 --guides corpus/guides
    """
    _check_baseline(baseline, max_drop)
    report = _run_eval("citations", _settings(language_model=model), cases, guides, limit, seed)
    _end_report(report, json_file, html, fail_under, baseline, max_drop)


@eval_app.command("all")
def eval_all(
    cases: Cases = None,
    guides: EvalGuides = None,
    limit: KindLimit = 0,
    seed: Seed = 0,
    json_file: JsonFile = None,
    html: Html = None,
) -> None:
    """Run every eval that needs no language model: retrieval, abstention, conversation, citations, grading.

    Example: tutor eval all --limit 1
    """
    from datetime import date

    from evals.html_report import html_page
    from evals.suite import run_suite

    with _progress_bar() as bar:
        suite = run_suite(
            _settings(), cases=cases, guides=guides, limit=limit, seed=seed, day=date.today(), progress=bar
        )
    for report in suite.reports:
        _print_report(report)
    for reason in suite.left_out:
        _complain(f"left out {reason}")
    if json_file:
        suite.save(json_file)
    if html:
        page = html_page("How good is the tutor?", f"{suite.day.isoformat()}, {suite.machine}", suite.reports)
        html.write_text(page, encoding="utf-8")


def _run_eval(
    name: str, settings: Settings, cases: Path | None, guides: Path | None, limit: int, seed: int
) -> EvalReport:
    from evals.cases_format import first_of_each_kind
    from evals.retrieval import tutor_of_cases
    from evals.suite import EVALS

    with _progress_bar() as bar, tutor_of_cases(settings, cases, guides, progress=bar) as (tutor, found, problems):
        return EVALS[name](tutor, first_of_each_kind(found, limit), problems=problems, seed=seed, progress=bar)


def _print_report(report: EvalReport) -> None:
    typer.echo(f"\n{report.name}")
    _console().print(report.table)
    for note in report.notes:
        typer.echo(note)


def _end_report(
    report: EvalReport,
    json_file: Path | None,
    html: Path | None,
    fail_under: Sequence[str] | None,
    baseline: Path | None,
    max_drop: Sequence[str] | None,
) -> None:
    from evals.html_report import html_page

    _print_report(report)
    if json_file:
        json_file.write_text(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if html:
        html.write_text(html_page(f"tutor eval {report.name}", "", [report]), encoding="utf-8")
    failures = report.failures(fail_under or [])
    _end_eval([*failures, *_drops(report.name, report.groups, baseline, max_drop, report.seed)])


@eval_app.command("compare")
def eval_compare(
    first: Annotated[Path, typer.Argument(help="Report that an eval wrote with --json.")],
    second: Annotated[Path, typer.Argument(help="Report of a later run of the same eval on the same cases.")],
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare two runs, question by question: what got better or worse, and what may be chance.

    Example: tutor eval compare evals/baseline.json evals/baseline.json
    """
    from evals.comparison import compare_runs, read_groups

    found = compare_runs(read_groups(first), read_groups(second), seed=seed)
    if as_json:
        _print_json(found.as_dict())
    else:
        _console().print(found.table)


def _check_baseline(baseline: Path | None, max_drop: Sequence[str] | None) -> None:
    if bool(baseline) != bool(max_drop):
        raise typer.BadParameter("--baseline (a report of an earlier run) and --max-drop METRIC=VALUE go together.")


def _drops(
    name: str, groups: Mapping[str, CaseFigures], baseline: Path | None, max_drop: Sequence[str] | None, seed: int
) -> list[str]:
    from evals.comparison import drops, read_groups

    return drops(read_groups(baseline, name), groups, max_drop or (), seed=seed) if baseline else []


def _end_eval(failures: Sequence[str]) -> None:
    for failure in failures:
        _complain(failure)
    if failures:
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
    with _progress_bar() as bar:
        given = read_pairs(pairs)
        sources = [*given, *ours, docstring_pairs(), *made_pairs(given, seed=seed)]
        report = train(sources, output, steps=steps, seed=seed, progress=bar)
    (output / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _print_json(report)


@eval_app.command("grading")
def eval_grading(
    cases: Annotated[
        Path | None, typer.Option(help="Judged answers as JSON lines; our battery of attacks if left out.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the score of each case here, one JSON object a line.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Only the first so many cases or questions; 0 for all.", min=0)] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as JSON.")] = None,
) -> None:
    """Measure the offline grader: agreement with people on judged answers, or what it falls for.

    A case has id, question, answer and a reference, references, key_point or key_points; score or label where people judged it.

    Example: tutor eval grading --limit 1
    """
    from dataclasses import asdict

    from evals.grading import agreement, read_grading_cases, score_cases, write_predictions
    from tutor.grader import shipped_grader

    if cases is None:
        if predictions:
            raise typer.BadParameter("--predictions needs --cases.")
        figures: dict[str, Any] = _run_battery(limit)
    else:
        read = read_grading_cases(cases)[: limit or None]
        scores = score_cases(read, shipped_grader())
        if predictions:
            write_predictions(predictions, read, scores)
        found = agreement(read, scores)
        figures = {name: asdict(figure) for name, figure in found.items()}
        for name, figure in found.items():
            typer.echo(f"{name:9} {figure.value:.3f}  (95 % {figure.low:.3f} to {figure.high:.3f}, by question)")
        if not found:
            typer.echo(f"{len(scores)} answers scored. None has a label to compare with.")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _run_battery(limit: int) -> dict[str, Any]:
    from corpus.questions import read_questions
    from evals.grading_battery import by_case, pass_rates, run_battery
    from tutor.grader import shipped_grader
    from tutor.grading import grade_attempt
    from tutor.settings import CORPUS_FOLDER

    bank, _ = read_questions([CORPUS_FOLDER / "questions"])
    trials = run_battery(
        bank[: limit or None],
        lambda question, attempt: grade_attempt(
            question, attempt, grader=shipped_grader(), cite=lambda _section, _text: None
        ),
    )
    rates = pass_rates(trials)
    for kind, (passed, tried) in rates.items():
        typer.echo(f"{passed / tried:6.1%}  {passed}/{tried}  {kind}")
    kinds = {kind: {"passed": passed, "tried": tried} for kind, (passed, tried) in rates.items()}
    return {"eval": "grading", "kinds": kinds, "by_case": by_case(trials)}


@eval_app.command("grounding")
def eval_grounding(
    cases: Annotated[
        Path, typer.Option(help="Answers as JSON lines: id, passages, answer; question, sentences and labels if known.")
    ],
    limit: Annotated[int, typer.Option(help="Only the first so many cases; 0 for all.", min=0)] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the verdict on each case here, one JSON object a line.")
    ] = None,
    fail_under: Annotated[
        list[str] | None, typer.Option(help="METRIC=VALUE, e.g. faithfulness=0.9: exit with 1 below it.")
    ] = None,
) -> None:
    """Measure how much of each answer its passages bear out, and how well the check agrees with people's labels.

    Lines that hold no case are left out, counted and shown. The predictions have id, grounded_probability, sentence_probs, spans.
    """
    from evals.grounding import run_grounding_eval

    with _progress_bar() as bar:
        report = run_grounding_eval(cases, limit=limit, progress=bar, predictions=predictions)
    _console().print(report.table)
    if json_file:
        json_file.write_text(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    failures = report.failures(fail_under or [])
    for failure in failures:
        _complain(failure)
    if failures:
        raise typer.Exit(1)


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

    with _progress_bar() as bar:
        report = train(
            data,
            output,
            guides=CORPUS_FOLDER / "guides",
            bank=CORPUS_FOLDER / "questions",
            seed=seed,
            progress=bar,
        )
    _print_json(report)


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

    with _progress_bar() as bar:
        report = train(
            data,
            texts,
            output,
            guides=CORPUS_FOLDER / "guides",
            bank=CORPUS_FOLDER / "questions",
            seed=seed,
            progress=bar,
        )
    _print_json(report)


# What the commands share


def _settings(**overrides: Any) -> Settings:  # noqa: ANN401 - a value for any setting
    """The effective settings; an option that was left out overrides nothing."""
    from tutor.settings import read_settings

    return read_settings(**{name: value for name, value in overrides.items() if value})


def _tutor(settings: Settings) -> Tutor:
    from tutor.tutor import Tutor

    return Tutor(settings)


def _open(settings: Settings | None = None, *, refresh: bool = False) -> Tutor:
    """A tutor with an index: made now where there is none yet, brought up to date on `refresh`."""
    from index.passage_index import IndexStaleError

    tutor = _tutor(settings or _settings())
    if refresh or not tutor.has_index:
        try:
            with _progress_bar() as bar:
                report = tutor.update_index(progress=bar)
        except IndexStaleError as error:
            if not (sys.stdin.isatty() and typer.confirm(f"{error} Rebuild now?")):
                raise
            with _progress_bar() as bar:
                report = tutor.update_index(rebuild=True, progress=bar)
        for problem in report.problems:
            _complain(f"left out {problem}")
    for problem in tutor.question_problems:
        _complain(f"left out {problem}")
    if tutor.model_problem:
        _complain(f"{tutor.model_problem} Answers are the guides' own words.")
    return tutor


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    # Where nobody watches, even a bar that goes away leaves an empty line.
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield show


def _console() -> Any:  # noqa: ANN401 - rich is imported here alone
    from rich.console import Console

    # A pipe gets the text as it is: wrapping is for eyes. Brackets in a question are tensors and lists, not styles.
    width = None if sys.stdout.isatty() else 10_000
    return Console(soft_wrap=width is not None, width=width, markup=False, emoji=False, highlight=False)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def _print_answer(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        from tutor.records import answer_record

        _print_json(answer_record(answer))
        return
    if answer.standalone_question != answer.question:
        typer.echo(f"(searched for: {answer.standalone_question})\n")
    for note in answer.notes:
        _complain(note)
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


def _print_grade(grade: Grade, *, as_json: bool) -> None:
    if as_json:
        from tutor.records import grade_record

        _print_json(grade_record(grade))
        return
    typer.echo(f"Score: {'not judged' if grade.score is None else f'{grade.score:.0%}'}  ({grade.question.id})")
    for number, verdict in enumerate(grade.verdicts, start=1):
        typer.echo(f"{number:>2}. {verdict.verdict:<12} [{verdict.key_point.weight:g}] {verdict.key_point.text}")
        if verdict.doubt:
            typer.echo(f"               uncertain: {verdict.doubt}")
        if verdict.dispute:
            typer.echo(f"               disputed (it was {verdict.dispute.before.verdict}): {verdict.dispute.reason}")
        if verdict.evidence:
            typer.echo(f"               you: {verdict.evidence}")
        if verdict.verdict != "made" and verdict.citation:
            chunk = verdict.citation.chunk
            typer.echo(f"               read: {chunk.title} > {chunk.path} ({chunk.place})")
    for found in grade.misconceptions:
        typer.echo(f"  misconception: {found.misconception.text}")
    typer.echo(grade.feedback)
    if grade.follow_up:
        typer.echo(f"Follow-up: {grade.follow_up}")


def _scope(
    topics: Sequence[str] | None,
    levels: Sequence[str] | None,
    languages: Sequence[str] | None,
    guides: Sequence[str] | None,
) -> Scope:
    from index.scope import Scope

    return Scope(tuple(guides or ()), tuple(topics or ()), tuple(languages or ()), tuple(levels or ()))


def _check_choices(tutor: Tutor, topic: str, level: str) -> None:
    from corpus.questions import LEVELS

    topics = sorted({question.topic for question in tutor.questions})
    if topic and topic not in topics:
        raise typer.BadParameter(f"there is no topic {topic!r}. Expected one of {', '.join(topics)}.")
    if level and level not in LEVELS:
        raise typer.BadParameter(f"there is no level {level!r}. Expected one of {', '.join(LEVELS)}.")


def _lines(prompt: str, *, keep_empty: bool = False) -> Iterator[str]:
    """Lines of standard input until its end, with a prompt where a person types."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write(prompt)
            sys.stderr.flush()
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            raise ValueError("Standard input is not UTF-8 text. Convert it first, e.g. with iconv.") from error
        if not line:
            return
        if keep_empty or line.strip():
            yield line.rstrip("\n")


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ValueError("Standard input is not UTF-8 text. Convert it first, e.g. with iconv.") from error


def _complain(message: object) -> None:
    typer.echo(f"tutor: {message}", err=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. Known errors become one line; exit status 2 for misuse, 1 for failure."""
    try:
        # Ends in SystemExit: typer prints its own usage errors and exits with 2.
        app(args=list(arguments) if arguments is not None else None)
    except Exception as error:
        if os.environ.get("TUTOR_DEBUG"):
            raise
        _complain(_one_line(error))
        sys.exit(2 if _is_misuse(error) else 1)


def _is_misuse(error: Exception) -> bool:
    from index.scope import ScopeError
    from tutor.grading import GradingError
    from tutor.settings import SettingsError
    from tutor.tutor import QuestionError

    return isinstance(error, GradingError | QuestionError | ScopeError | SettingsError | FileNotFoundError)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {str(error.filename)!r}. Check the path and its permissions, or set TUTOR_HOME."
    if isinstance(error, ValueError | RuntimeError | OSError) and str(error):
        return " ".join(str(error).split())
    return f"{type(error).__name__}: {error}. This is a bug; run again with --debug and report what it prints."
