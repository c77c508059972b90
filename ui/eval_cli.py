"""`tutor eval`: how good the tutor is, measured on cases. With the Quality tab the only door from here to the evals."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ui.terminal import Json, Model, RankingName, complain, console, effective_settings, print_json, progress_bar

if TYPE_CHECKING:
    from evals.report import EvalReport
    from evals.retrieval import RetrievalReport
    from index.build import Progress
    from tutor.settings import Settings

eval_app = typer.Typer(help="How good is it? Measured on cases.", no_args_is_help=True, rich_markup_mode=None)

Cases = Annotated[Path | None, typer.Option(help="Cases as JSON lines, a file or a folder of them; ours if left out.")]
Guides = Annotated[Path | None, typer.Option(help="Index this folder alone, in a temporary home, and measure on it.")]
KindLimit = Annotated[int, typer.Option("--limit", help="The first so many cases of each kind; 0 for all.", min=0)]
Limit = Annotated[int, typer.Option("--limit", help="Only the first so many cases; 0 for all.", min=0)]
Seed = Annotated[int, typer.Option(help="Of the draws behind the intervals.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Judge anew what an earlier run has judged.")]


@dataclass(frozen=True)
class Output:
    """What becomes of a report, as the options of every eval say it."""

    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None
    html: Annotated[Path | None, typer.Option(help="Write the report here as one HTML page with plots.")] = None
    predictions: Annotated[
        Path | None, typer.Option(help="Write what was said of each case here, one JSON object a line.")
    ] = None
    fail_under: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=VALUE", help="E.g. recall@5=0.8: exit with 1 below it (rmse: above it)."),
    ] = None
    baseline: Annotated[
        Path | None, typer.Option(help="Report of an earlier run (--json) that --max-drop compares with.")
    ] = None
    max_drop: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=VALUE", help="Exit with 1 if it got worse by more since the baseline."),
    ] = None

    def check(self) -> None:
        """Before anything is measured: a baseline without a limit would be measured for nothing."""
        if bool(self.baseline) != bool(self.max_drop):
            raise typer.BadParameter("--baseline (a report of an earlier run) and --max-drop METRIC=VALUE go together.")

    def write(self, report: Mapping[str, Any], page: str, predictions: Sequence[Mapping[str, Any]]) -> None:
        """The files that were asked for."""
        if self.json_file:
            self.json_file.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self.write_others(page, predictions)

    def write_others(self, page: str, predictions: Sequence[Mapping[str, Any]]) -> None:
        """All but the JSON."""
        if self.html:
            self.html.write_text(page, encoding="utf-8")
        if self.predictions:
            rows = (json.dumps(row, ensure_ascii=False) + "\n" for row in predictions)
            self.predictions.write_text("".join(rows), encoding="utf-8")

    def drops(self, report: EvalReport, limits: Sequence[str]) -> list[str]:
        """What got worse since the baseline by more than it may."""
        from evals.comparison import drops, read_figures, read_groups

        if self.baseline is None or not limits:
            return []
        return drops(
            read_groups(self.baseline, report.name),
            report.groups,
            limits,
            seed=report.seed,
            figures=(
                read_figures(self.baseline, report.name),
                {name: found.value for name, found in report.figures.items()},
            ),
        )


def _with_output(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of Output beside its own, gathered in its argument `output`."""
    names = [item.name for item in fields(Output)]

    @wraps(command)
    def run(**options: Any) -> None:  # noqa: ANN401 - a value for any option
        output = Output(**{name: options.pop(name) for name in names})
        output.check()
        try:
            command(**options, output=output)
        except KeyboardInterrupt:
            # What can be judged anew is kept where it was judged.
            kept = " What was judged so far is kept: the same command goes on from there." if "fresh" in options else ""
            complain(f"Stopped.{kept}")
            raise typer.Exit(130) from None

    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "output"
    ]
    types = get_type_hints(Output, include_extras=True)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=types[name]) for name in names
    ]
    parameters = [*own, *shared]
    # Typer reads both.
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@eval_app.command("retrieval")
@_with_output
def eval_retrieval(
    *,
    cases: Annotated[
        Path | None, typer.Option(help="Cases as JSON lines, or a folder in BEIR's format; ours if left out.")
    ] = None,
    guides: Guides = None,
    ranking: Annotated[
        list[RankingName] | None, typer.Option(help="May be given more than once; all if left out.")
    ] = None,
    limit: Limit = 0,
    seed: Seed = 0,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="SETTING=VALUE,VALUE: measure with each; more than once for every combination."),
    ] = None,
    output: Output,
) -> None:
    """Measure retrieval: recall@1/5/10, MRR@10, nDCG@10, and whether the tutor declines what it should.

    Example: tutor eval retrieval --limit 5 --ranking fused
    """
    from evals.html_report import html_page
    from evals.retrieval import run_retrieval_eval
    from evals.sweep import read_grid, run_sweep, sweep_table
    from index.retriever import RANKINGS

    with progress_bar() as bar:

        def run(changed: Mapping[str, str]) -> RetrievalReport:
            return run_retrieval_eval(
                effective_settings(**changed),
                cases=cases,
                guides=guides,
                rankings=tuple(name for name in RANKINGS if not ranking or name in ranking),
                limit=limit,
                progress=bar,
                seed=seed,
            )

        rows = run_sweep(read_grid(sweep or []), run)
    if sweep:
        console().print(sweep_table(rows))
        if output.json_file:
            records = [row.as_dict() for row in rows]
            output.json_file.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    report = rows[0].report
    console().print(report.table)
    shown = report.as_report
    output.write(report.as_dict(), html_page("tutor eval retrieval", "", [shown]), report.predictions)
    _end([*report.failures(output.fail_under or []), *output.drops(shown, output.max_drop or [])])


@eval_app.command("abstention")
@_with_output
def eval_abstention(
    *, cases: Cases = None, guides: Guides = None, limit: KindLimit = 0, seed: Seed = 0, output: Output
) -> None:
    """Measure what the tutor answers and what it declines, by kind of question and by threshold.

    Example: tutor eval abstention --limit 2 --guides corpus/guides
    """
    _end_report(_report("abstention", effective_settings(), cases, guides, limit, seed), output)


@eval_app.command("conversation")
@_with_output
def eval_conversation(
    *, cases: Cases = None, guides: Guides = None, limit: KindLimit = 0, seed: Seed = 0, output: Output
) -> None:
    """Measure follow-ups: whether search finds with the rewritten question what it finds with the full one.

    Example: tutor eval conversation --limit 2 --guides corpus/guides
    """
    _end_report(_report("conversation", effective_settings(), cases, guides, limit, seed), output)


@eval_app.command("citations")
@_with_output
def eval_citations(
    *,
    cases: Cases = None,
    guides: Guides = None,
    model: Model = "",
    limit: KindLimit = 0,
    seed: Seed = 0,
    fresh: Fresh = False,
    output: Output,
) -> None:
    """Measure the citations of answers: whether they bear it out, are all needed, and point at the right section.

    Example: tutor eval citations --limit 2 --guides corpus/guides
    """
    settings = effective_settings(language_model=model)
    _end_report(_report("citations", settings, cases, guides, limit, seed, fresh=fresh), output)


@eval_app.command("grounding")
@_with_output
def eval_grounding(
    *,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="Answers as JSON lines, a file or a folder: id, answer, passages or sections; ours if left out."
        ),
    ] = None,
    guides: Annotated[Path | None, typer.Option(help="Guides in which the cases' sections are looked up.")] = None,
    judge: Annotated[
        str,
        typer.Option(help="A stronger judge beside the offline check: an NLI or detection model, or a language model."),
    ] = "",
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Labelled cases to choose the judge's weight on; the cases themselves if left out."),
    ] = None,
    limit: Limit = 0,
    seed: Seed = 0,
    fresh: Fresh = False,
    output: Output,
) -> None:
    """Measure how much of each answer its passages bear out, and how well the check agrees with people's labels.

    Lines that hold no case are left out, counted and shown. The predictions have id, grounded_probability, sentence_probs, spans.

    Example: tutor eval grounding --limit 5
    """
    from evals.grounding import grounding_report, read_grounding_cases
    from evals.judging import judged_report
    from evals.suite import cache_of
    from tutor.model_judge import make_judge

    if calibrate and not judge:
        raise typer.BadParameter("--calibrate chooses the weight of a judge. Name one: --judge MODEL.")
    settings = effective_settings()
    places = [guides] if guides else settings.guides
    found, problems = read_grounding_cases(cases, places, settings.chunk_words)
    found = found[: limit or None]
    cache = partial(cache_of, settings, fresh=fresh)
    with progress_bar() as bar:
        if judge:
            tuned, mistakes = read_grounding_cases(calibrate, places, settings.chunk_words) if calibrate else ([], [])
            report = judged_report(
                found,
                [*problems, *mistakes],
                make_judge(judge, settings),
                tuned,
                cache=cache,
                seed=seed,
                progress=bar,
            )
        else:
            report = grounding_report(found, problems, cache=cache("offline"), seed=seed, progress=bar)
    _end_report(report, output)


@eval_app.command("grading")
@_with_output
def eval_grading(
    *,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="Judged answers as JSON lines, a file or a folder; ours and the battery of attempts if left out."
        ),
    ] = None,
    model: Model = "",
    graded_answers: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="With --cases: N scored answers of each question, drawn with the seed, calibrate the others, which alone are scored.",
            min=0,
        ),
    ] = 0,
    limit: Limit = 0,
    seed: Seed = 0,
    fresh: Fresh = False,
    output: Output,
) -> None:
    """Measure the grader: agreement with people on judged answers, and what it falls for.

    A case has id, question, answer and a reference, references, key_point or key_points; score or label where people judged it;
    samples, graded answers to the same question (answer and score), calibrate its score. Or its question is the id of one of the bank, with verdicts for its key points.

    Example: tutor eval grading --limit 1
    """
    settings = effective_settings(language_model=model)
    with progress_bar() as bar:
        report = _grading_report(
            settings, cases, graded_answers=graded_answers, limit=limit, seed=seed, fresh=fresh, progress=bar
        )
    _end_report(report, output)


def _grading_report(
    settings: Settings,
    cases: Path | None,
    *,
    graded_answers: int,
    limit: int,
    seed: int,
    fresh: bool,
    progress: Progress,
) -> EvalReport:
    from corpus.questions import read_questions
    from evals.cases_format import CaseError
    from evals.grading import (
        Battery,
        our_questions,
        plain_grade,
        read_grading_cases,
        scores_report,
        with_graded_answers,
    )
    from evals.retrieval import tutor_of_guides
    from evals.suite import cache_of, grader_name, grading_of_ours, verdicts_of
    from tutor.grader import shipped_grader

    if cases is None and graded_answers:
        raise typer.BadParameter("--graded-answers draws from answers with scores. Name a file of them: --cases FILE.")
    if cases is None:
        with tutor_of_guides(settings, None, progress=progress) as tutor:
            grader = grader_name(tutor)
            judge = plain_grade if grader == "offline" else tutor.judge
            battery = Battery(our_questions()[: limit or None], judge, grader)
            return grading_of_ours(tutor, settings, battery, limit=limit, seed=seed, progress=progress, fresh=fresh)
    scored, judged, problems = read_grading_cases(cases, read_questions(list(settings.questions))[0])
    if scored and judged:
        raise CaseError(
            f"{str(cases)!r} holds answers with scores ({len(scored)}) and answers with verdicts ({len(judged)}). Give the "
            "two one by one: they are measured in different ways."
        )
    if graded_answers and judged:
        raise CaseError(f"{str(cases)!r} holds answers with verdicts. --graded-answers draws from answers with scores.")
    if scored:
        left_out: list[str] = []
        if graded_answers:
            scored, left_out = with_graded_answers(scored, graded_answers, seed=seed)
        return scores_report(
            scored[: limit or None],
            problems,
            shipped_grader(),
            cache=cache_of(settings, "offline", fresh=fresh),
            seed=seed,
            progress=progress,
            left_out=left_out,
        )
    with tutor_of_guides(settings, None, progress=progress) as tutor:
        return verdicts_of(
            tutor, settings, judged[: limit or None], problems, seed=seed, progress=progress, fresh=fresh
        )


@eval_app.command("bank")
@_with_output
def eval_bank(
    *,
    questions: Annotated[
        Path | None, typer.Option(help="A question bank, a file or a folder of them; ours if left out.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Only the first so many questions; 0 for all.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Of the lines that are drawn, and the draws behind the intervals.")] = 0,
    fresh: Fresh = False,
    output: Output,
) -> None:
    """Measure the offline grader on a bank's own texts: model answers, answers to another topic, and what candidates say, left out of the bank.

    Example: tutor eval bank --limit 2
    """
    from evals.bank import bank_report, read_bank
    from evals.grading import plain_grade
    from evals.suite import cache_of

    cache = cache_of(effective_settings(), "offline", fresh=fresh)
    bank, problems = read_bank(questions)
    with progress_bar() as bar:
        report = bank_report(bank, problems, plain_grade, limit=limit, cache=cache, seed=seed, progress=bar)
    _end_report(report, output)


@eval_app.command("all")
@_with_output
def eval_all(
    *,
    cases: Cases = None,
    guides: Guides = None,
    model: Model = "",
    limit: KindLimit = 0,
    seed: Seed = 0,
    fresh: Fresh = False,
    output: Output,
) -> None:
    """Run every eval: retrieval, abstention, conversation, citations, grounding, grading, bank; without --model as no model is needed.

    Limits are EVAL.METRIC=VALUE here. A whole run is what the Quality tab of the page shows from then on.

    Example: tutor eval all --limit 1
    """
    from datetime import date

    from evals.html_report import html_page
    from evals.report import split_limits
    from evals.suite import last_report, run_suite
    from tutor.settings import EXTRACTIVE

    settings = effective_settings(language_model=model or EXTRACTIVE)
    with progress_bar() as bar:
        suite = run_suite(
            settings,
            cases=cases,
            guides=guides,
            limit=limit,
            seed=seed,
            day=date.today(),
            progress=bar,
            fresh=fresh,
        )
    for report in suite.reports:
        _print_report(report)
    for reason in suite.left_out:
        complain(f"left out {reason}")
    if output.json_file:
        suite.save(output.json_file)
    if not limit:
        suite.save(last_report(settings))
    page = html_page("How good is the tutor?", f"{suite.day.isoformat()}, {suite.machine}", suite.reports)
    output.write_others(page, [{"eval": report.name, **row} for report in suite.reports for row in report.predictions])
    fallen = [
        f"{report.name}: {failure}"
        for report, limits in split_limits("--max-drop", output.max_drop or [], suite.reports)
        for failure in output.drops(report, limits)
    ]
    _end([*suite.failures(output.fail_under or []), *fallen])


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
        print_json(found.as_dict())
    else:
        console().print(found.table)


def _report(
    name: str,
    settings: Settings,
    cases: Path | None,
    guides: Path | None,
    limit: int,
    seed: int,
    *,
    fresh: bool = False,
) -> EvalReport:
    from evals.cases_format import first_of_each_kind
    from evals.retrieval import tutor_of_cases
    from evals.suite import cache_of, run_eval

    cache = cache_of(settings, "offline", fresh=fresh)
    with progress_bar() as bar, tutor_of_cases(settings, cases, guides, progress=bar) as (tutor, found, problems):
        kept = first_of_each_kind(found, limit)
        return run_eval(name, tutor, kept, problems, cache=cache, seed=seed, progress=bar)


def _print_report(report: EvalReport) -> None:
    typer.echo(f"\n{report.name}")
    console().print(report.table)
    for confusion in report.confusions:
        console().print(confusion.table)
    for note in report.notes:
        typer.echo(note)


def _end_report(report: EvalReport, output: Output) -> None:
    from evals.html_report import html_page

    _print_report(report)
    output.write(report.as_dict(), html_page(f"tutor eval {report.name}", "", [report]), report.predictions)
    _end([*report.failures(output.fail_under or []), *output.drops(report, output.max_drop or [])])


def _end(failures: Sequence[str]) -> None:
    for failure in failures:
        complain(failure)
    if failures:
        raise typer.Exit(1)
