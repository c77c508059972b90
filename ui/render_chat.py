"""The chat as the page shows it: replies, what a search is narrowed to, a conversation to save. Pure; knows no Gradio."""

from __future__ import annotations

import base64
import html
import json
import re

from index.scope import Scope
from tutor.conversation import Conversation, Turn
from tutor.conversation_records import conversation_markdown, conversation_record
from tutor.grading import Grade
from ui.render import answer_markdown, grade_markdown, page_markdown, sources_markdown, typed


def reply_markdown(turn: Turn, number: int, *, waiting: int = 0) -> str:
    """What the tutor says to a turn; `waiting` requests are served before it."""
    if turn.answer is not None:
        return answer_markdown(turn.answer, number)
    if turn.grade is not None:
        return _graded(turn.grade)
    if turn.failure:
        return f'<span class="failure">{typed(turn.failure)}</span>'
    if waiting:
        others = "1 request is" if waiting == 1 else f"{waiting} requests are"
        return f'<span class="pending">The model is busy: {others} served before yours …</span>'
    return '<span class="pending">Looking in the guides …</span>'


def _graded(grade: Grade) -> str:
    """The grade card, below the question that it is about, and how to go on."""
    open_points = [
        number
        for number, verdict in enumerate(grade.verdicts, start=1)
        if verdict.verdict not in {"made", "unjudged"} and verdict.dispute is None
    ]
    dispute = (
        f'<small class="signature">Wrongly judged? Reply, for example: I disagree with point {open_points[0]}: by “…” I mean …</small>'
        if open_points
        else ""
    )
    question = f"**{page_markdown(grade.question.prompt)}**"
    return "\n\n".join(filter(None, (question, f'<div class="card">\n\n{grade_markdown(grade)}\n\n</div>', dispute)))


def turn_sources(conversation: Conversation, turn: int) -> str:
    """The sources panel for a turn; the empty panel where there is no such turn or no answer yet."""
    if not 0 <= turn < len(conversation.turns):
        return sources_markdown(None, 0)
    return sources_markdown(conversation.turns[turn].answer, turn)


def scope_label(scope: Scope) -> str:
    """What stands on the fold that narrows the search."""
    return f"Search in: {scope.words or 'all guides'}"


def conversation_links(conversation: Conversation) -> str:
    """Links that save a conversation. It travels in the page itself: nothing of the learner's is left in a file of the server."""
    name = re.sub(r"[^\w]+", "-", conversation.title).strip("-").lower()[:60] or "conversation"
    record = json.dumps(conversation_record(conversation), ensure_ascii=False, indent=1)
    links = ""
    for label, ending, kind, text in (
        ("Markdown", "md", "text/markdown", conversation_markdown(conversation)),
        ("JSON", "json", "application/json", record),
    ):
        data = base64.b64encode(text.encode()).decode()
        links += (
            f'<a class="download" download="{html.escape(name)}.{ending}" '
            f'href="data:{kind};charset=utf-8;base64,{data}">{label}</a>'
        )
    return f'<div class="downloads"><span>Save this conversation:</span>{links}</div>'
