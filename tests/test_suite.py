"""The evals of the tutor's answers to cases, on the small corpus; and the guard over our own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from corpus.chunks import Chunk
from evals.abstention import abstention_report
from evals.case_cache import CaseCache
from evals.cases_format import CaseError, Relevant, RetrievalCase, first_of_each_kind
from evals.citations import citations_report, score_citations
from evals.comparison import read_groups
from evals.conversation import conversation_report
from evals.html_report import html_page
from evals.report import CaseDetail, Confusion, Curve, EvalReport, SuiteReport
from evals.retrieval import measure, tutor_of_cases
from evals.statistics import Interval
from tutor.answers import Answer, AnswerSentence, Citation
from tutor.settings import read_settings
from tutor.tutor import Tutor

BASELINE = Path(__file__).parent.parent / "evals" / "baseline.json"
DROPOUT = RetrievalCase(
    "dropout",
    "What does dropout do in training?",
    relevant=(Relevant("regularization.md", "Dropout", 2),),
    kind="single",
)
PATIENCE = RetrievalCase(
    "patience",
    "What is its patience?",
    history=("What is early stopping?",),
    relevant=(Relevant("regularization.md", "2. Early stopping", 2),),
    kind="followup",
    standalone="What is the patience of early stopping?",
)
BREAD = RetrievalCase("bread", "How do I bake sourdough bread?", answerable=False, kind="unanswerable")
TRICK = RetrievalCase("trick", "What does dropout do in training?", answerable=False, kind="unanswerable")


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""


# Abstention


def test_abstention_counts_both_ways_of_being_wrong(tutor: Tutor):
    report = abstention_report(tutor, [DROPOUT, PATIENCE, BREAD, TRICK], problems=(), seed=0, progress=no_progress)

    assert report.groups["unanswerable"] == {"bread": {"declined": 1.0}, "trick": {"declined": 0.0}}
    assert report.groups["answerable"] == {"dropout": {"answered": 1.0}, "patience": {"answered": 1.0}}
    assert report.values["declined"] == 0.5
    assert "declined rightly 1, answered wrongly 1; answered rightly 2, declined wrongly 0" in report.notes
    assert [case for case, _ in report.worst_cases] == ["trick"]


def test_abstention_by_threshold_runs_from_answering_all_to_declining_all(tutor: Tutor):
    [curve] = abstention_report(tutor, [DROPOUT, BREAD], problems=(), seed=0, progress=no_progress).curves

    answered, declined = curve.lines["answered rightly"], curve.lines["declined rightly"]
    assert (answered[0], declined[0]) == ((0.0, 1.0), (0.0, 0.0))
    assert [share for _, share in answered] == sorted((share for _, share in answered), reverse=True)
    assert declined[-1] == (1.0, 1.0)


def test_abstention_needs_both_kinds_of_cases(tutor: Tutor):
    with pytest.raises(CaseError, match="answerable and unanswerable"):
        abstention_report(tutor, [DROPOUT], problems=(), seed=0, progress=no_progress)


# Conversation


def test_follow_up_is_found_when_rewritten_as_when_asked_in_full(tutor: Tutor):
    report = conversation_report(tutor, [DROPOUT, PATIENCE], problems=(), seed=0, progress=no_progress)

    assert list(report.groups) == ["bare", "joined", "full", "rewritten"]
    assert set(report.groups["rewritten"]) == {"patience"}
    assert report.groups["rewritten"] == report.groups["full"]
    assert report.details["patience"].answer == "searched for: What is early stopping's patience?"
    assert any(note.startswith("rewritten against full: nDCG@10 +0.000") for note in report.notes)


def test_case_without_the_full_question_is_compared_with_the_other_forms_alone(tutor: Tutor):
    bare = RetrievalCase("patience", PATIENCE.question, PATIENCE.history, relevant=PATIENCE.relevant, kind="followup")

    report = conversation_report(tutor, [bare], problems=(), seed=0, progress=no_progress)

    assert list(report.groups) == ["bare", "joined", "rewritten"]


def test_conversation_needs_a_follow_up(tutor: Tutor):
    with pytest.raises(CaseError, match="No case is an answerable follow-up"):
        conversation_report(tutor, [DROPOUT, BREAD], problems=(), seed=0, progress=no_progress)


# Citations


def answer(*sentences: tuple[str, tuple[int, ...]]) -> Answer:
    """An answer with two citations: 1 says a, 2 says b."""
    texts = {1: "alpha", 2: "beta"}
    citations = tuple(
        Citation(number, Chunk(f"c{number}", "guide.md", "Guide", (f"Section {number}",), text, 1, 2), text, 1.0)
        for number, text in texts.items()
    )
    return Answer("q", "q", tuple(AnswerSentence(text, marks, 1.0) for text, marks in sentences), citations)


def contains_all_words(passages: Sequence[str], sentence: str) -> bool:
    """A judge of words, strict and easy to follow."""
    return set(sentence.lower().strip(".").split()) <= set(" ".join(passages).split())


CASE = RetrievalCase("case", "q", relevant=(Relevant("guide.md", "Section 1", 2),))


def test_citation_that_adds_nothing_costs_precision_alone():
    scores = score_citations(answer(("Alpha.", (1, 2))), CASE, contains_all_words)

    assert scores == {"citation_recall": 1.0, "citation_precision": 0.5, "judged_section": 0.5}


def test_citations_that_are_needed_together_both_count():
    scores = score_citations(answer(("Alpha beta.", (1, 2))), CASE, contains_all_words)

    assert (scores["citation_recall"], scores["citation_precision"]) == (1.0, 1.0)


def test_sentence_that_is_not_borne_out_costs_both():
    scores = score_citations(answer(("Alpha.", (1,)), ("Gamma.", (2,)), ("Beta.", ())), CASE, contains_all_words)

    assert scores["citation_recall"] == pytest.approx(1 / 3)
    assert scores["citation_precision"] == 0.5


def test_quotes_of_the_guides_are_borne_out_by_their_citations(tutor: Tutor, tmp_path: Path):
    cache = CaseCache(tmp_path, ())

    report = citations_report(tutor, [DROPOUT, BREAD], problems=(), seed=0, progress=no_progress, cache=cache)

    assert report.groups["extractive"]["dropout"]["citation_recall"] == 1.0
    assert report.groups["extractive"]["dropout"]["judged_section"] > 0
    assert "0 of 1 answerable questions were declined and are not counted" in report.notes


# The whole, saved and shown


def test_saved_suite_can_be_compared_with(tmp_path: Path):
    report = EvalReport("abstention", {"answerable": {"a": {"answered": 1.0}}}, 0)
    suite = SuiteReport([report], [], date(2026, 11, 21), "two cores")

    suite.save(tmp_path / "baseline.json")

    data = json.loads((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    assert (data["date"], data["machine"]) == ("2026-11-21", "two cores")
    assert read_groups(tmp_path / "baseline.json", "abstention") == report.groups


FULL = EvalReport(
    "grounding",
    {"answers": {"a": {"faithfulness": 1.0}, "b": {"faithfulness": 0.25}}},
    3,
    figures={"sentence_auc": Interval(0.9, 0.8, 1.0, 2), "contradiction_rate": Interval(0.2, 0.1, 0.3, 2)},
    details={"b": CaseDetail("What is dropout?", ("Guide\nDropout zeroes units.",), "It adds units.", "unsupported")},
    curves=[Curve("Reliability", "chance", {"measured": [(0.1, 0.2), (0.9, 1.0)]})],
    confusions=[
        Confusion("label \\ verdict", ["supported", "unsupported"], {"supported": [3, 1], "unsupported": [0, 2]})
    ],
    notes=["2 answers checked"],
    settings={"judge": "none"},
)


def test_saved_report_is_read_back_as_it_was(tmp_path: Path):
    suite = SuiteReport([FULL], ["citations: no case"], date(2026, 11, 21), "two cores")

    suite.save(tmp_path / "evals" / "report.json")
    read = SuiteReport.read(tmp_path / "evals" / "report.json")

    assert read == suite
    assert read.reports[0].worst_cases == FULL.worst_cases
    assert html_page("", "", read.reports) == html_page("", "", suite.reports)
    assert [file.name for file in (tmp_path / "evals").iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"evals": {}}', '{"date": "2026-11-21", "machine": "x", "evals": {"a": {}}}']
)
def test_file_that_is_no_saved_report_is_refused(tmp_path: Path, text: str):
    (tmp_path / "report.json").write_text(text)

    with pytest.raises(ValueError, match=r"no report of all evals .*Make one: tutor eval all"):
        SuiteReport.read(tmp_path / "report.json")


def test_limits_of_a_suite_name_their_eval_and_of_some_metrics_less_is_better():
    suite = SuiteReport([FULL], [], date(2026, 11, 21), "two cores")

    assert suite.failures(["grounding.faithfulness=0.6", "grounding.contradiction_rate=0.2"]) == []
    assert suite.failures(["grounding.sentence_auc=0.95", "grounding.contradiction_rate=0.1"]) == [
        "grounding: sentence_auc is 0.900, under 0.950 (worst: b)",
        "grounding: contradiction_rate is 0.200, over 0.100 (worst: b)",
    ]
    with pytest.raises(ValueError, match=r"not EVAL\.METRIC=VALUE\. Evals: grounding"):
        suite.failures(["faithfulness=0.6"])


class Tags(HTMLParser):
    """The tags of a page that were opened, and whether each was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_needs_nothing_else_and_shows_the_worst_cases_as_text():
    report = EvalReport(
        "retrieval",
        {"fused": {"a": {"hit@1": 1.0}, "b": {"hit@1": 0.0}}},
        0,
        figures={"AUC": Interval(0.9, 0.8, 1.0, 2)},
        details={"b": CaseDetail("<script>x</script>?", ("Guide > Section",), "No.", "expected: another")},
        curves=[Curve("Recall by k", "k", {"fused": [(1.0, 0.5), (10.0, 1.0)]})],
        confusions=[Confusion("label", ["<made>"], {"made": [3]})],
    )
    tags = Tags()

    page = html_page("Report", "today", [report])
    tags.feed(page)

    assert tags.open == []
    assert tags.addresses == []
    assert (tags.seen.count("svg"), tags.seen.count("details"), tags.seen.count("script")) == (2, 1, 0)
    assert tags.seen.count("rect") == 2
    assert "&lt;script&gt;x&lt;/script&gt;?" in page
    assert "<th>&lt;made&gt;</th>" in page
    assert "Guide &gt; Section" in page
    assert "prefers-color-scheme: dark" in page


def test_first_of_each_kind_keeps_their_order():
    assert first_of_each_kind([BREAD, DROPOUT, TRICK, PATIENCE], 1) == [BREAD, DROPOUT, PATIENCE]
    assert len(first_of_each_kind([BREAD, DROPOUT, TRICK, PATIENCE], 0)) == 4


# The guard


@pytest.fixture(scope="module")
def shipped() -> Iterator[tuple[Tutor, list[RetrievalCase]]]:
    with tutor_of_cases(read_settings(), None, None, progress=no_progress) as (tutor, cases, _):
        yield tutor, first_of_each_kind(cases, 10)


def test_search_is_no_worse_than_the_committed_baseline(shipped: tuple[Tutor, list[RetrievalCase]]):
    tutor, cases = shipped
    answerable = [case for case in cases if case.answerable]
    before = read_groups(BASELINE, "retrieval")["fused"]

    scores = measure(tutor.retriever, answerable, rankings=("fused",), threshold=0.5).scores[0]

    assert len(scores.by_case) == 40
    then = sum(before[case]["nDCG@10"] for case in scores.by_case) / len(scores.by_case)
    assert scores.means["nDCG@10"] >= then - 0.03


def test_readme_shows_the_figures_and_the_date_of_the_baseline():
    readme = (BASELINE.parent.parent / "README.md").read_text(encoding="utf-8")
    data = json.loads(BASELINE.read_text(encoding="utf-8"))
    means = data["evals"]["retrieval"]["means"]["fused"].values()

    assert f"{data['date']}, {data['machine']}" in readme
    assert " | ".join(f"**{found['value']:.3f}**".replace("**0.", "**.") for found in means) in readme
