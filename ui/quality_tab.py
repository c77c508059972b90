"""The Quality tab: the last report of all evals, one eval at a time. With `tutor eval` the only door from here to the evals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

import evals
from evals.html_report import REPORT_STYLE, section
from evals.report import SuiteReport
from evals.suite import last_report
from tutor.tutor import Tutor
from ui.page import known_errors_shown

SHIPPED_REPORT = Path(evals.__file__).parent / "baseline.json"


class QualityView(NamedTuple):
    """What the tab shows, in the order of `QualityTab.view`."""

    lead: str
    choice: gr.Radio
    report: str


@dataclass(frozen=True)
class QualityHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor
    shipped: Path = SHIPPED_REPORT

    def refresh(self, choice: str | None = None) -> QualityView:
        """The last whole run of `tutor eval all` here, or the one that came with the tutor; the eval that was looked at stays."""
        own = last_report(self.tutor.settings)
        trouble = ""
        with known_errors_shown():
            try:
                suite = _read(own, _changed(own)) if own.exists() else None
            except (OSError, ValueError) as error:
                # What came with the tutor is still there to be seen.
                suite, trouble = None, f" {error}"
            whose = "The last run here" if suite else "The run that came with the tutor"
            suite = suite or _read(self.shipped, _changed(self.shipped))
        names = [report.name for report in suite.reports]
        chosen = choice if choice in names else names[0]
        lead = f"{whose}: {suite.day.isoformat()}, {suite.machine}. Measure anew: `tutor eval all`.{trouble}"
        return QualityView(lead, gr.Radio(names, value=chosen), _shown(suite, chosen))

    def show(self, choice: str) -> str:
        """One eval of the report."""
        return self.refresh(choice).report


@lru_cache(maxsize=2)
def _read(file: Path, changed: int) -> SuiteReport:
    del changed  # A file that was written anew is another one.
    return SuiteReport.read(file)


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns


def _shown(suite: SuiteReport, name: str) -> str:
    [report] = [report for report in suite.reports if report.name == name]
    return f'<style>{REPORT_STYLE}</style><div class="report" aria-label="{escape(name)}">{section(report)}</div>'


@dataclass(frozen=True)
class QualityTab:
    """The components that are refreshed, and the handlers that refresh them."""

    handlers: QualityHandlers
    choice: gr.Radio
    view: tuple[gr.Markdown, gr.Radio, gr.HTML]


def build_quality_tab(tutor: Tutor) -> QualityTab:
    """Lay the tab out."""
    handlers = QualityHandlers(tutor)
    with gr.Column(elem_classes="page"):
        lead = gr.Markdown(elem_id="quality-lead")
        choice = gr.Radio([], label="Eval", show_label=False, container=False, elem_id="quality-choice")
        report = gr.HTML(elem_id="quality", js_on_load=None)
    choice.input(handlers.show, choice, report, api_visibility="private", show_progress="hidden")
    return QualityTab(handlers, choice, (lead, choice, report))
