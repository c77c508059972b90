"""The Quality tab: which report it shows, and what it does with one that cannot be read."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import gradio as gr
import pytest

from evals.report import CaseDetail, Curve, EvalReport, SuiteReport
from evals.suite import last_report
from tutor.tutor import Tutor
from ui.quality_tab import SHIPPED_REPORT, QualityHandlers

OWN = SuiteReport(
    [
        EvalReport("retrieval", {"fused": {"a": {"hit@1": 1.0}}}, 0),
        EvalReport(
            "grounding",
            {"answers": {"a": {"faithfulness": 1.0}, "b": {"faithfulness": 0.0}}},
            0,
            details={
                "b": CaseDetail("What is <b>dropout</b>?", ("It zeroes units.",), "It adds units.", "unsupported")
            },
            curves=[Curve("Reliability", "chance", {"measured": [(0.0, 0.5), (1.0, 1.0)]})],
        ),
    ],
    [],
    date(2026, 12, 24),
    "a sledge",
)


def test_before_a_run_of_ones_own_the_shipped_report_is_shown(tutor: Tutor):
    view = QualityHandlers(tutor).refresh()

    shipped = SuiteReport.read(SHIPPED_REPORT)
    assert view.lead.startswith(f"The run that came with the tutor: {shipped.day.isoformat()}, {shipped.machine}.")
    assert [value for _, value in view.choice.choices] == [report.name for report in shipped.reports]
    assert view.choice.value == "retrieval"
    assert "Recall by k" in view.report


def test_the_last_run_here_is_shown_and_the_choice_stays(tutor: Tutor):
    OWN.save(last_report(tutor.settings))

    view = QualityHandlers(tutor).refresh("grounding")

    assert view.lead.startswith("The last run here: 2026-12-24, a sledge.")
    assert view.choice.value == "grounding"
    assert "What is &lt;b&gt;dropout&lt;/b&gt;?" in view.report
    assert "It zeroes units." in view.report
    assert QualityHandlers(tutor).show("grounding") == view.report


def test_a_later_run_takes_the_place_of_the_one_that_was_shown(tutor: Tutor):
    OWN.save(last_report(tutor.settings))
    QualityHandlers(tutor).refresh()
    later = SuiteReport(OWN.reports[:1], [], date(2027, 1, 1), "a sledge with bells")

    later.save(last_report(tutor.settings))

    assert "2027-01-01, a sledge with bells" in QualityHandlers(tutor).refresh("grounding").lead


def test_a_damaged_report_is_told_and_the_shipped_one_shown(tutor: Tutor):
    OWN.save(last_report(tutor.settings))
    last_report(tutor.settings).write_text("{")

    view = QualityHandlers(tutor).refresh()

    assert view.lead.startswith("The run that came with the tutor")
    assert "is no report of all evals" in view.lead


def test_without_any_report_the_page_says_that_something_went_wrong(
    tutor: Tutor, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(gr.Error, match="Something went wrong"):
        QualityHandlers(tutor, shipped=tmp_path / "none.json").refresh()

    assert "none.json" in caplog.text
