"""A learner's progress as the Markdown and HTML that the page shows: what is due, the plan, topics, days, the map of the guides. Pure; knows no Gradio.

Besides links into guides there are two kinds that the page follows: `#practise-…` begins an interview, `#save-…` saves a file.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from urllib.parse import quote

from corpus.chunks import anchor
from corpus.questions import Question
from tutor.coverage import STRONG, DayOfPractice, SectionCoverage, SectionState, TopicStanding
from tutor.interview import MAX_QUESTIONS, Interview
from tutor.interview_report import percent
from tutor.progress import PointStanding
from tutor.schedule import Card, StudyPlan
from ui.pictures import calendar, plan_bars, radar, score_line
from ui.render import page_markdown, practise_link, read_link, said, score_cell, topic_label
from ui.render_interview import REPORT_FORMATS, STYLE_LABELS

_DUE_SHOWN = 8
_DAYS_SHOWN = 30
_STATE_LABELS: Mapping[SectionState, str] = {"never asked": "never asked", "weak": "weak", "strong": "strong"}


def save_link(kind: str, name: str = "", ending: str = "") -> str:
    """The link that saves a file: the deck for `anki`, `csv`, `json`, or the `report` of an interview."""
    return f"#save-{kind}" + "".join(f"/{quote(part, safe='')}" for part in (name, ending) if part)


# Where one stands


def nothing_yet(questions: int) -> str:
    """What stands in place of the figures before the first answer."""
    return (
        f'<div class="nothing"><h2>Nothing graded yet</h2><p>Answer a first question: your score by topic, what is due again and what to '
        f"read will stand here. Or give the day of your interview below, and see how many of the {questions} questions a day that makes.</p>"
        f'<p><a class="action" href="{practise_link("any")}">Practise now</a></p></div>'
    )


@dataclass(frozen=True)
class Figures:
    """What is said at the head of the page."""

    due: int
    answered: int
    questions: int
    score: float | None
    """Mean of the latest score of each question, 0 to 1."""
    streak: int
    """Days in a row on which something was answered, up to today or yesterday."""


def figures_html(figures: Figures) -> str:
    """The head of the page: four figures."""
    cells = (
        ("Due today", str(figures.due)),
        ("Questions answered", f"{figures.answered} <small>of {figures.questions}</small>"),
        ("Score", percent(figures.score)),
        ("Days in a row", str(figures.streak)),
    )
    return (
        "<dl class='figures'>"
        + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in cells)
        + "</dl>"
    )


def streak(days: Sequence[DayOfPractice], today: date) -> int:
    """Days in a row on which something was answered; a day that is not over breaks nothing."""
    practised = {item.day for item in days}
    day = today if today in practised else today - timedelta(days=1)
    count = 0
    while day - timedelta(days=count) in practised:
        count += 1
    return count


# What is due


def due_markdown(
    due: Sequence[Card],
    questions: Mapping[str, Question],
    titles: Mapping[str, str],
    *,
    now: datetime,
    next_due: datetime | None,
) -> str:
    """The questions to be asked again today, the least remembered first; when the next one is where there are none."""
    return "\n".join(_due(due, questions, titles, now, next_due))


def _due(
    due: Sequence[Card],
    questions: Mapping[str, Question],
    titles: Mapping[str, str],
    now: datetime,
    next_due: datetime | None,
) -> Iterator[str]:
    if not due:
        later = f" The next question comes again on {_day(next_due, now)}." if next_due else ""
        yield f"## Nothing is due today\n\nWhat you answered has not had time to be forgotten.{later}\n"
        yield f"[Practise something new]({practise_link('any')})"
        return
    put = min(len(due), MAX_QUESTIONS)
    how_many = "it" if len(due) == 1 else f"all {put}" if put == len(due) else f"{put} of them"
    yield f"## Due today: {len(due)}\n"
    yield f"[Practise {how_many} now]({practise_link('due')})\n"
    for card in due[:_DUE_SHOWN]:
        topic = said(topic_label(card.topic, titles))
        about = f"{topic} · last on {_day(card.last_review, now)} · {card.recall(now):.0%} likely still known"
        prompt = page_markdown(" ".join(questions[card.question_id].prompt.split()))
        practise = practise_link("question", card.question_id)
        yield f'- <span class="what">{prompt} <small>{about}</small></span> [Practise]({practise})'
    if len(due) > _DUE_SHOWN:
        yield f"\nAnd {len(due) - _DUE_SHOWN} more."


def _day(moment: datetime, now: datetime) -> str:
    return f"{moment.astimezone(now.tzinfo):%Y-%m-%d}"


# The plan


def day_html(day: date | None, today: date) -> str:
    """The field for the day of the interview: the browser's own, which brings its calendar and knows the learner's way to write dates."""
    value = f' value="{day}"' if day else ""
    return (
        f'<label class="day-field"><span>Day of the interview</span><input type="date" min="{today + timedelta(days=1)}"{value}>'
        "</label>"
    )


def plan_html(plan: StudyPlan, *, new: int, needed: int) -> str:
    """How many questions a day until the interview; where that is not enough, what would be left out, and what would do.

    `new` questions were never asked; `needed` is the number a day with which all are.
    """
    days = len(plan.days)
    far = "tomorrow" if days == 1 else f"in {days} days"
    head = f"Interview on {plan.until:%d %B %Y}, {far}: <b>{plan.a_day} a day</b>"
    if not plan.a_day:
        text = "Nothing is new and nothing falls due before then. Practise what you are unsure of."
    elif plan.is_met:
        text = (
            f"Each of the {new} questions that are new to you is asked, " if new else "Nothing is new to you any more, "
        )
        text += "and each is asked again when it is due."
    else:
        left = [f"{plan.never_asked} would never be asked"] if plan.never_asked else []
        left += [f"{plan.overdue} not again in time"] if plan.overdue else []
        text = f"That is not enough: {' and '.join(left)}. {needed} a day would do; or choose fewer topics."
    kind = "" if plan.is_met else " short"
    rows = "".join(
        f"<tr><th scope='row'>{day.day}</th><td>{day.again}</td><td>{day.new}</td></tr>" for day in plan.days[:7]
    )
    numbers = (
        "<details class='numbers'><summary>The next days in numbers</summary><table class='plain'><thead><tr><th scope='col'>Day</th>"
        f"<th scope='col'>Again</th><th scope='col'>New</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )
    return (
        f"<div class='planned{kind}'><div><p class='head'>{head}</p><p>{text}</p>{numbers}"
        "<p class='note'>Reckoned as if every answer to come were a good one: look again each day.</p></div>"
        f"<figure>{plan_bars(plan)}<figcaption><i class='key again'></i> due again <i class='key new'></i> new"
        "</figcaption></figure></div>"
    )


# Topics and days


def standing_html(
    standings: Sequence[TopicStanding], days: Sequence[DayOfPractice], titles: Mapping[str, str], today: date
) -> str:
    """The radar of the topics, the scores over time and the calendar, each with its numbers as a table."""
    names = [topic_label(item.topic, titles) for item in standings]
    return (
        f"<div class='beside'><div>{_radar(standings, names)}</div><div class='topics'>{_topics(standings, names)}</div>"
        f"<div>{_days(days, today)}</div></div>"
    )


def _radar(standings: Sequence[TopicStanding], names: Sequence[str]) -> str:
    picture = radar(standings, names)
    shown = f"<figure>{picture}<figcaption>The outermost line is 100%.</figcaption></figure>" if picture else ""
    return f"<h2>By topic</h2>{shown}"


def _topics(standings: Sequence[TopicStanding], names: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><th scope='row'><span class='numbered'><span>{number}</span><span>{html.escape(name)}</span></span></th>"
        f"<td>{item.attempted} of {item.questions}</td><td>{'–' if item.score is None else score_cell(item.score)}</td></tr>"
        for number, (item, name) in enumerate(zip(standings, names, strict=True), start=1)
    )
    return (
        "<table class='plain'><thead><tr><th scope='col'>Topic</th><th scope='col'>Answered</th>"
        f"<th scope='col'>Score</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _days(days: Sequence[DayOfPractice], today: date) -> str:
    rows = "".join(
        f"<tr><th scope='row'>{item.day}</th><td>{item.attempts}</td><td>{item.score:.0%}</td></tr>"
        for item in reversed(days[-_DAYS_SHOWN:])
    )
    return (
        f"<h2>Over time</h2><figure>{score_line(days)}<figcaption>Mean score of each day; larger points, more answers.</figcaption></figure>"
        f"<figure>{calendar(days, today)}<figcaption>Answers a day, the last half year.</figcaption></figure>"
        "<details class='numbers'><summary>The days in numbers</summary><table class='plain'><thead><tr><th scope='col'>Day</th>"
        f"<th scope='col'>Answers</th><th scope='col'>Score</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


# The map of the guides


def map_html(sections: Sequence[SectionCoverage], guides: Mapping[str, str]) -> str:
    """A row for each guide with a tile for each section, which opens the list of its sections; `guides` are titles by document.

    The tiles are for the eye and the mouse; what they say stands in the list, with links to read the section and to be asked about it.
    """
    if not sections:
        return ""
    key = "".join(
        f"<span><i class='tile {kind}'></i> {words}</span>"
        for kind, words in (
            ("strong", f"strong: {STRONG:.0%} and more"),
            ("weak", "weak"),
            ("never", "never asked"),
            ("none", "no question on it"),
        )
    )
    rows = "".join(
        _guide(document_id, guides.get(document_id, document_id), list(group))
        for document_id, group in groupby(sections, key=lambda item: item.document_id)
    )
    return f"<h2>The guides, section by section</h2><p class='tiles key'>{key}</p><div class='map'>{rows}</div>"


def _guide(document_id: str, title: str, sections: Sequence[SectionCoverage]) -> str:
    name = anchor(document_id)
    tiles = "".join(
        f"<i class='tile {_kind(item)}' data-row='map-{name}-{number}' title='{html.escape(_last(item.heading), quote=True)}: "
        f"{_standing(item)}'></i>"
        for number, item in enumerate(sections)
    )
    asked = [item for item in sections if item.questions]
    strong, weak = (sum(item.state == state for item in sections) for state in ("strong", "weak"))
    counts = f"{strong} strong, {weak} weak, {len(asked) - strong - weak} to go"
    items = "".join(_section(f"map-{name}-{number}", item) for number, item in enumerate(sections))
    return (
        f"<details><summary><span class='title'>{html.escape(title)}</span><span class='tiles' aria-hidden='true'>{tiles}</span>"
        f"<small>{counts}</small></summary><ul>{items}</ul></details>"
    )


def _section(row: str, item: SectionCoverage) -> str:
    read = html.escape(read_link(item.document_id, item.section.partition("#")[2]), quote=True)
    heading = html.escape(item.heading.replace(" > ", " › "))
    last = html.escape(_last(item.heading), quote=True)
    ask = f"<a class='ask' href='{practise_link('section', item.section)}' aria-label='Ask me about {last}'>Ask me</a>"
    return (
        f"<li id='{row}' tabindex='-1'><i class='tile {_kind(item)}'></i><span class='what'><a href='{read}'>{heading}</a> "
        f"<small>{_standing(item)}</small></span>{ask if item.questions else ''}</li>"
    )


def _kind(item: SectionCoverage) -> str:
    if not item.questions:
        return "none"
    return "never" if item.state == "never asked" else item.state


def _standing(item: SectionCoverage) -> str:
    if not item.questions:
        return "no question on it"
    return _STATE_LABELS[item.state] + (f", {item.score:.0%}" if item.score is not None else "")


def _last(heading: str) -> str:
    return heading.rsplit(" > ", 1)[-1]


# Points


def points_markdown(missed: Sequence[PointStanding], made: Sequence[PointStanding], titles: Mapping[str, str]) -> str:
    """The points to study next, each with the section to read, and those that are known; empty where there are none."""
    lines = [
        *_points("Most often missed", "missed", missed, titles),
        *_points("Your strongest points", "made", made, titles),
    ]
    return "\n".join(lines)


def _points(title: str, verb: str, points: Sequence[PointStanding], titles: Mapping[str, str]) -> Iterator[str]:
    if points:
        yield f"## {title}\n"
    for point in points:
        times = "once" if point.times == 1 else f"{point.times} times"
        path = said(point.heading_path.replace(" > ", " › "))
        # What is known need not be read again.
        link = _read(point) if verb == "missed" else ""
        read = f" [Read: {path}]({link})" if link else ""
        yield f"- {page_markdown(point.text)} <small>{said(topic_label(point.topic, titles))}, {verb} {times}.</small>{read}"
    if points:
        yield ""


def _read(point: PointStanding) -> str:
    """Where the page opens the section to read; empty where the point names none."""
    return read_link(point.document_id, anchor(point.heading_path.split(" > ")[-1])) if point.document_id else ""


# Interviews


def interviews_html(interviews: Sequence[Interview]) -> str:
    """The interviews, each with its report to read and to save; empty where there are none."""
    if not interviews:
        return ""
    rows = "".join(map(_interview, interviews))
    return (
        "<h2>Your interviews</h2><table class='plain'><thead><tr><th scope='col'>Begun</th><th scope='col'>Style</th>"
        "<th scope='col'>Questions</th><th scope='col'>Score</th><th scope='col'>Report</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _interview(interview: Interview) -> str:
    begun = f"{interview.started_at.astimezone():%Y-%m-%d %H:%M}"
    opens = practise_link("interview", interview.id)
    label = "Read" if interview.is_over else "Go on with it"
    saves = " ".join(
        f"<a href='{save_link('report', interview.id, ending)}' aria-label='Save the report of {begun} as {name}'>{name}</a>"
        for ending, (name, _) in REPORT_FORMATS.items()
    )
    style = html.escape(STYLE_LABELS[interview.plan.style].split(":")[0])
    score = "–" if interview.score is None else score_cell(interview.score)
    return (
        f"<tr><th scope='row'>{begun}</th><td>{style}</td><td>{len(interview.rounds)}</td><td>{score}</td>"
        f"<td class='saves'><a href='{opens}' aria-label='{label}: interview of {begun}'>{label}</a> {saves}</td></tr>"
    )


# Files


def exports_html() -> str:
    """Links that save the history and the questions."""
    files = (
        ("anki", "Anki deck", "all questions, with key points and sources"),
        ("csv", "CSV", "your graded answers, for a spreadsheet"),
        ("json", "JSON", "everything of yours, to be imported again"),
    )
    links = "".join(
        f'<li><a class="download" href="{save_link(kind)}">{name}</a> <span>{what}</span></li>'
        for kind, name, what in files
    )
    return f"<ul class='exports'>{links}</ul>"


def parcel_html(name: str, content: bytes, *, visit: int) -> str:
    """A file for the page to save, under the id of the click that asked for it."""
    data = base64.b64encode(content).decode()
    return f'<a id="parcel-{visit}" download="{html.escape(name)}" data-content="{data}"></a>'
