"""Guides, searches among them, uploads and question banks as the Markdown and HTML of the Library tab. Pure; knows no Gradio."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from corpus.check import BankCheck
from corpus.documents import Problem
from index.build import BuildReport
from index.hits import Hit
from index.passage_index import IndexedDocument
from tutor.library import FileState
from tutor.question_banks import KeptSayings, OwnBank
from tutor.question_drafts import Draft
from tutor.reading import OpenGuide
from ui.render import HERE, Picture, mark_quote, page_markdown, read_link, said, section_link, tagged


def documents_html(documents: Mapping[str, IndexedDocument]) -> str:
    """The documents of the index, a row each; what to do where there are none."""
    if not documents:
        return '<p class="empty">There are no documents yet. Add a guide under “Your guides”.</p>'
    rows = "".join(
        f"<tr><th scope='row'><a href='{html.escape(read_link(name))}'>{html.escape(entry.title)}</a>"
        f"<small>{html.escape(entry.topic)}</small></th><td>{html.escape(language_label(entry.language))}</td>"
        f"<td>{entry.chunks}</td></tr>"
        for name, entry in documents.items()
    )
    passages = sum(entry.chunks for entry in documents.values())
    return (
        f"<table class='plain'><caption>{len(documents)} documents, {passages:,} passages</caption><thead><tr>"
        "<th scope='col'>Title and topic</th><th scope='col'>Language</th><th scope='col'>Passages</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


_LANGUAGES = {"en": "English", "zh": "Chinese"}


def guide_markdown(opened: OpenGuide, *, visit: int = 0, picture: Picture | None = None) -> str:
    """The open part of a guide, the quoted words marked. What was asked for carries the id `visit-…`, so that the page finds it."""
    lines = opened.document.text.split("\n")
    first, last = opened.lines.start - 1, opened.lines.stop - 1
    start, end = opened.line - 1, min(opened.end, last)
    before, passage, after = (
        "\n".join(lines[left:right]) for left, right in ((first, start), (start, end), (end, last))
    )
    marked = mark_quote(passage, opened.quote) if opened.quote.strip() else passage
    if opened.quote.strip() and marked == passage:
        # A passage that was cut at another place by now.
        whole = "\n".join(lines[first:last])
        found = mark_quote(whole, opened.quote)
        before, marked, after = ("", found, "") if found != whole else (before, passage, after)
    if marked == passage:
        line, *rest = passage.split("\n")
        opening = f"{line} {HERE}" if re.match(r"#{1,6} ", line) else f"{HERE}\n\n{line}"
        marked = "\n".join((opening, *rest))
    text = page_markdown(f"{before}\n{marked}\n{after}".strip("\n"), document_id=opened.document.id, picture=picture)
    parts = _parts_line(opened)
    lost = (
        '<p class="empty">The guide has no such section any more, so it is open at its top.</p>'
        if opened.is_lost
        else ""
    )
    return "\n\n".join(filter(None, (lost, parts, tagged(text, visit=visit), parts)))


def _parts_line(opened: OpenGuide) -> str:
    """Which part of a long guide is open, with links to those around it."""
    count = len(opened.starts)
    if count == 1:
        return ""
    around = [(opened.part - 1, "← Before"), (opened.part + 1, "Next →")]
    links = [
        f"[{label}]({read_link(opened.document.id, line=opened.starts[part])})"
        for part, label in around
        if 0 <= part < count
    ]
    return " · ".join((f"Part {opened.part + 1} of {count}", *links))


def contents_html(opened: OpenGuide) -> str:
    """The table of contents of a guide; empty where it has a heading at most."""
    # The first one is the guide's own title.
    headings = (
        opened.headings[1:] if opened.headings and opened.headings[0].text == opened.document.title else opened.headings
    )
    if not headings:
        return ""
    top = min(heading.level for heading in headings)
    rows = "".join(
        f'<li class="level-{min(heading.level - top, 3)}"><a href="'
        f'{html.escape(read_link(opened.document.id, heading.anchor, line=heading.line))}">{_plain_heading(heading.text)}</a></li>'
        for heading in headings
    )
    return f"<details class='contents'><summary>Contents <small>{_counted(len(headings), 'section')}</small></summary><ul>{rows}</ul></details>"


def _plain_heading(text: str) -> str:
    return html.escape(re.sub(r"[`$]", "", text))


def found_markdown(
    question: str, hits: Sequence[Hit], quotes: Sequence[str], *, is_covered: bool = True, notes: Sequence[str] = ()
) -> str:
    """What a search in the library found: each section with the sentence that says most, and the link that opens it there."""
    if not hits:
        return '<p class="empty">No guide has a word of this. Search in other words, or narrow the search less.</p>'
    parts = [f'<p class="empty">{html.escape(note)}</p>' for note in notes]
    count = _counted(len(hits), "section")
    nearest = f"The guides do not seem to cover “{said(question)}”. The nearest {count}:"
    parts.append(f"{count} for “{said(question)}”" if is_covered else nearest)
    for hit, quote in zip(hits, quotes, strict=True):
        chunk = hit.chunk
        about = " · ".join(
            filter(
                None, (" › ".join((chunk.title, *chunk.heading_path[:-1])), language_label(chunk.language), chunk.level)
            )
        )
        parts.append(
            f'<div class="found">\n\n**[{said(chunk.heading)}]({section_link(chunk, quote)})**\n'
            f"<small>{html.escape(about)}</small>\n\n{page_markdown(quote, document_id=chunk.document_id)}\n\n</div>"
        )
    return "\n\n".join(parts)


_STAGE_WORDS = {
    "waiting": "waiting",
    "reading": "reading …",
    "splitting": "splitting into passages …",
    "embedding": "embedding",
    "saving": "saving …",
}


def upload_html(states: Sequence[FileState]) -> str:
    """How far each uploaded file is; the reason of what failed. Empty where nothing was uploaded."""
    if not states:
        return ""
    over = sum(state.is_over for state in states)
    rows = "".join(
        f'<li class="{state.stage}"><b>{html.escape(state.name)}</b> <span>{_stage(state)}</span></li>'
        for state in states
    )
    return (
        f'<div class="uploads"><p role="status">{over} of {_counted(len(states), "file")} finished</p>'
        f'<progress value="{over}" max="{len(states)}" aria-label="Files finished"></progress><ul>{rows}</ul></div>'
    )


def _stage(state: FileState) -> str:
    if state.stage == "done":
        if not state.document_id:
            return f"✓ {html.escape(state.message)}"
        link = f"<a href='{html.escape(read_link(state.document_id))}'>Read it</a>"
        return f"✓ {html.escape(state.message)}, {_counted(state.total, 'passage')}. {link}"
    if state.stage == "failed":
        return f"✗ left out: {html.escape(state.message)}"
    if state.stage == "cancelled":
        return "– cancelled, nothing of it was kept"
    counted = f" {state.done:,} of {_counted(state.total, 'passage')} …" if state.total else ""
    return f"{_STAGE_WORDS[state.stage]}{counted}"


def report_html(report: BuildReport) -> str:
    """What became of the library after a change."""
    parts = [
        f"{what}: {', '.join(map(html.escape, names))}."
        for what, names in (("Added", report.added), ("Updated", report.changed), ("Removed", report.removed))
        if names
    ]
    said_of = [*map(str, report.problems), *report.notes]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in said_of)
    return f'<p role="status">{" ".join(parts) or "Nothing has changed."}</p>' + (f"<ul>{notes}</ul>" if notes else "")


def bank_check_html(name: str, check: BankCheck, *, is_kept: bool = False) -> str:
    """What the linter says of a question bank: what joins, what is left out and why, and what would make it better."""
    sound = _counted(len(check.questions), "question")
    head = f"saved: {sound} can be asked now." if is_kept else f"{sound} can join the bank."
    if not check.questions:
        return refused_html(name, "no question can join the bank.", check)
    return _linted(f"✓ <b>{html.escape(name)}</b> {head}", check)


def sayings_html(name: str, kept: KeptSayings) -> str:
    """What candidates say of a bank, kept; and what of it fits no key point."""
    head = f"✓ <b>{html.escape(name)}</b> saved: the grader knows more ways to say {_counted(kept.key_points, 'key point')} now."
    return f'<div class="linted"><p role="status">{head}</p>{_problems("Left out", kept.problems)}</div>'


def refused_html(name: str, why: str, check: BankCheck | None = None) -> str:
    """Why a question bank is not kept, with what the linter says of it."""
    return _linted(f"✗ <b>{html.escape(name)}</b> {html.escape(why)}", check)


def draft_html(draft: Draft, check: BankCheck) -> str:
    """What a draft is made of, what was dropped from it, and what is left to do."""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in draft.notes)
    dropped = f"<h4>Left out of the draft ({len(draft.notes)})</h4><ul>{notes}</ul>" if notes else ""
    head = f"A draft of {_counted(len(draft.questions), 'question')} stands in the editor. It counts once you have read and saved it."
    return _linted(html.escape(head), None) + f'<div class="linted">{dropped}</div>' + _linted("", check)


def _linted(head: str, check: BankCheck | None) -> str:
    problems = (
        "".join((_problems("Left out", check.left_out), _problems("To make it better", check.advice))) if check else ""
    )
    return f'<div class="linted">{f"""<p role="status">{head}</p>""" if head else ""}{problems}</div>'


def _problems(title: str, problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    rows = "".join(f"<li><b>line {item.line}</b> {html.escape(item.message)}</li>" for item in problems)
    return f"<h4>{title} ({len(problems)})</h4><ul>{rows}</ul>"


def own_banks_html(banks: Sequence[OwnBank]) -> str:
    """The own question banks, a row each; what to do where there are none."""
    if not banks:
        return '<p class="empty">You have no question bank of your own yet. Upload one, write one in the editor, or draft one from a guide.</p>'
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(bank.name)}</th><td>{bank.questions}</td><td>{bank.mistakes}</td></tr>"
        for bank in banks
    )
    return (
        f"<table class='plain'><caption>{_counted(len(banks), 'bank')} of your own</caption><thead><tr><th scope='col'>File</th>"
        f"<th scope='col'>Questions that count</th><th scope='col'>Left out</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def language_label(code: str) -> str:
    """What a language is called."""
    return _LANGUAGES.get(code, code)
