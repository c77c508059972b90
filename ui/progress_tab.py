"""The Progress tab: scores by topic and over time, and what to read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr
import pandas as pd

from tutor.progress import Review
from tutor.tutor import Tutor
from ui.page import FORMULAS, known_errors_shown, topic_titles
from ui.render import missed_markdown, progress_html


class ProgressView(NamedTuple):
    """What the tab shows, in the order of `ProgressTab.view`."""

    table: str
    plot: gr.BarPlot
    missed: str


@dataclass(frozen=True)
class ProgressHandlers:
    """What the tab does with a tutor."""

    tutor: Tutor

    def refresh(self) -> ProgressView:
        """The learner's progress as it stands now."""
        titles = topic_titles(self.tutor)
        with known_errors_shown():
            topics = self.tutor.topic_progress()
            reviews = self.tutor.progress.reviews(self.tutor.settings.learner)
            missed = self.tutor.most_missed()
        scores = score_table(reviews)
        return ProgressView(
            progress_html(topics, titles),
            # One bar says nothing that the table does not, and bars without height look like a fault.
            gr.BarPlot(scores, sort=list(scores["attempt"]), visible=len(scores) > 1 and bool(scores["score"].any())),
            missed_markdown(missed, titles),
        )


def score_table(reviews: Sequence[Review]) -> pd.DataFrame:
    """A row for each of the last attempts that have a score, oldest first: its number, score in percent, and question."""
    judged = [(number, review) for number, review in enumerate(reviews, start=1) if review.score is not None]
    return pd.DataFrame(
        [
            {"attempt": str(number), "score": round(100 * (review.score or 0.0)), "question": review.question_id}
            for number, review in judged[-30:]
        ],
        columns=["attempt", "score", "question"],
    )


@dataclass(frozen=True)
class ProgressTab:
    """The components that are refreshed, and the handlers that refresh them."""

    handlers: ProgressHandlers
    view: tuple[gr.HTML, gr.BarPlot, gr.Markdown]


def build_progress_tab(tutor: Tutor) -> ProgressTab:
    """Lay the tab out."""
    with gr.Column(elem_classes="page"):
        table = gr.HTML(elem_id="progress-table")
        plot = gr.BarPlot(
            x="attempt",
            y="score",
            y_lim=[0, 100],
            x_title="Attempt",
            y_title="Score in percent",
            title="Score of each attempt",
            tooltip=["question"],
            height=240,
            visible=False,
            show_label=False,
            label="Score of each attempt",
            container=False,
            buttons=[],
            elem_id="progress-plot",
        )
        missed = gr.Markdown(latex_delimiters=FORMULAS, elem_id="missed")
    return ProgressTab(ProgressHandlers(tutor), (table, plot, missed))
