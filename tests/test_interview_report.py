"""What came of an interview, as Markdown, HTML and JSON."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from interview_making import HEAVY, LIGHT, answer, at, grade, interview, put, question, said

from corpus.chunks import Chunk
from tutor.answers import Citation
from tutor.grading import Grade, Verdict
from tutor.interview import FollowUp, Interview, Turn
from tutor.interview_report import (
    InterviewReport,
    duration,
    outcome_of,
    report_html,
    report_markdown,
    report_record,
    summary,
)

DROPOUT = question()
DECAY = question("decay", topic="optimization", kind="compute")
PASSAGE = Chunk("r.md#dropout", "r.md", "Regularization", ("Dropout",), "Dropout zeroes activations.", 11, 14)
NASTY = "It <script>alert(1)</script> zeroes ![x](http://example.org/x.png) | things."


def cited(graded: Grade) -> Grade:
    source = Citation(1, PASSAGE, "", 1.0)
    verdicts = tuple(Verdict(one.key_point, one.verdict, one.evidence, citation=source) for one in graded.verdicts)
    return Grade(graded.question, graded.attempt, verdicts)


@pytest.fixture
def run() -> Interview:
    """An answer with a hint and a follow-up that was met, a question that was not known, one that was skipped."""
    graded = cited(grade(DROPOUT, "missing", "made", attempt=NASTY))
    met = Turn("follow-up", at(90), "It zeroes them.", verdict=Verdict(HEAVY, "made", "It zeroes them."))
    lesson = cited(grade(DECAY, "missing", "missing", attempt="idk"))
    return interview(
        [
            put(DROPOUT),
            said("hint", 30, reply="Think of units."),
            answer(graded, follow_up=FollowUp("What of training?", 1), seconds=60),
            met,
            put(DECAY, 100),
            Turn("dont-know", at(120), grade=lesson),
            put(question("bptt", topic="optimization"), 130),
            said("skip", 140),
            said("end", 150),
        ]
    )


def test_scores_stand_by_topic_and_by_kind_weakest_first(run: Interview):
    report = InterviewReport(run)

    assert [(group.name, group.questions, group.score) for group in report.by_topic] == [
        ("optimization", 2, 0.0),
        ("regularization", 1, pytest.approx(0.25 + 0.375 - 0.05)),
    ]
    assert [group.name for group in report.by_kind] == ["compute", "concept"]


def test_strong_points_are_quoted_and_weak_ones_are_those_still_open(run: Interview):
    report = InterviewReport(run)

    assert [point.verdict.key_point for point in report.strongest] == [LIGHT]
    assert report.strongest[0].verdict.evidence == NASTY
    assert [(point.round.question.id, point.verdict.key_point) for point in report.weakest] == [
        ("decay", HEAVY),
        ("decay", LIGHT),
    ], "what a follow-up brought is not open"


def test_each_section_to_read_stands_once_with_its_open_points(run: Interview):
    (reading,) = InterviewReport(run).readings

    assert reading.citation.chunk == PASSAGE
    assert reading.points == (HEAVY.text, LIGHT.text)
    assert reading.lost == 4


def test_the_line_at_the_head_counts_everything(run: Interview):
    assert summary(InterviewReport(run)) == (
        "Score 29% · 1 of 3 questions answered · 1 not known · 1 skipped · 1 hint · 2 min 30 s"
    )
    assert [outcome_of(round_) for round_ in run.rounds] == ["answered", "unknown", "skipped"]


def test_markdown_holds_answers_follow_ups_and_what_to_read(run: Interview):
    text = report_markdown(run, {"regularization": "Keeping | networks honest"})

    assert "| Keeping \\| networks honest | 1 | 57% |" in text
    assert f"> {NASTY}" in text
    assert "Follow-up: What of training?" in text
    assert "Verdict on point 1: made." in text
    assert "- Regularization > Dropout (r.md:11)" in text
    assert "did not know (counts 0)" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_fetches_nothing_and_obeys_nothing_that_was_said(run: Interview):
    page = report_html(run, {})
    tags = Tags()
    tags.feed(page)

    names = {name for name, _ in tags.found}
    assert not names & {"script", "img", "link", "iframe", "a"}
    assert not any("src" in attributes or "href" in attributes for _, attributes in tags.found)
    assert "&lt;script&gt;" in page
    assert page.count("<table>") == 2


def test_json_has_the_documented_fields(run: Interview):
    record = json.loads(json.dumps(report_record(run)))

    assert list(record) == [
        "version", "id", "started_at", "over", "plan", "score", "seconds", "hints",
        "by_topic", "by_kind", "strongest", "weakest", "study", "questions",
    ]  # fmt: skip
    first = record["questions"][0]
    assert first["follow_ups"] == [
        {"question": "What of training?", "point": 1, "answer": "It zeroes them.", "verdict": "made"}
    ]
    assert first["outcome"] == "answered"
    assert first["grade"]["version"] == 1
    assert record["questions"][1]["score"] == 0
    assert record["questions"][2]["score"] is None
    assert record["study"][0]["heading"] == "Dropout"


def test_an_interview_without_an_answer_has_a_report_too():
    empty = interview([put(DROPOUT), said("end", 3)])

    assert "No score" in report_markdown(empty, {})
    assert report_record(empty)["score"] is None
    assert "left open" in report_markdown(empty, {})
    assert report_html(interview([]), {}).startswith("<!doctype html>")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")])
def test_a_time_is_written_as_one_reads_it(seconds: float, text: str):
    assert duration(seconds) == text
