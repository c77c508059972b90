r"""Answers, grades, progress and guides as the Markdown and HTML that the page shows. Pure; knows no Gradio.

Guides, models and learners write the text, so all of it passes through `page_markdown`: HTML in it is shown, not obeyed,
pictures from elsewhere are not fetched, links into other guides open them here, and formulas get the delimiters `\(…\)`
and `\[…\]`. A lone `$` can then stay a dollar: with `$…$` as a delimiter, "$5 and $6" would be set as a formula.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote as url_quote
from urllib.parse import unquote

from corpus.chunks import Chunk, anchor
from corpus.questions import Question
from corpus.sentences import split_sentences
from index.hits import Hit, typed_words
from tutor.answers import NOT_IN_THE_GUIDES, Answer, AnswerSentence, Citation
from tutor.code_sandbox import called_by_tests
from tutor.grading import FoundMisconception, Grade, Verdict, VerdictName
from tutor.injections import without_instructions
from tutor.modes import AnswerMode
from tutor.settings import EXTRACTIVE

VERDICT_LABELS: Mapping[VerdictName, str] = {
    "made": "✓ Made",
    "partial": "◐ Partly made",
    "missing": "✗ Missing",
    "contradicted": "≠ Contradicted",
    "unjudged": "– Not judged",
}

# Text of guides never holds these characters of the private use area: they carry tags safely through the escaping.
_MARK_OPEN, _MARK_CLOSE, _BLOCK_OPEN, _BLOCK_CLOSE = "\ue000", "\ue001", "\ue002", "\ue003"
HERE = "\ue004"
"""Stands for the place in a guide that a link leads to."""
_TAGS = {
    _MARK_OPEN: "<mark>",
    _MARK_CLOSE: "</mark>",
    _BLOCK_OPEN: '<div class="quoted">',
    _BLOCK_CLOSE: "</div>",
}
# Inline formulas follow Pandoc: no space inside the dollars, no digit after the closing one.
_CODE_OR_FORMULA = re.compile(
    r"(?P<fence>^[ \t]*(?P<ticks>```+|~~~+)(?P<info>[^\n]*)\n(?P<body>.*?)(?:^[ \t]*(?P=ticks)[`~]*[ \t]*$|\Z))"
    r"|(?P<code>(?<!`)(?P<tick>`+)(?!`)[^\n]+?(?<!`)(?P=tick)(?!`))"
    r"|\$\$(?P<display>.+?)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^\s$](?:[^$\n]*?[^\s$\\])?)\$(?!\d)",
    re.MULTILINE | re.DOTALL,
)
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
_LINK_TARGET = re.compile(r"\]\((?P<target>[^()\s]*)(?P<title>\s+\"[^\"]*\")?\)")
_PICTURE = re.compile(r"!\[(?P<alt>[^\]\n]*)\]\((?P<target>[^()\s]+)(?:\s+\"[^\"\n]*\")?\)")
_MARKDOWN_SIGN = re.compile(r"([\\*_#~\[\]|>])")


Picture = Callable[[str], str]
"""The address at which a picture is served, by the path that a guide gives it; empty where there is no such picture."""
LINK_QUOTE_CHARACTERS = 500
"""Of the words to be marked that a link into a guide carries at most."""

# Text of guides, models and learners


def page_markdown(text: str, *, document_id: str = "", plain: bool = False, picture: Picture | None = None) -> str:
    """Markdown that the page can show: formulas delimited for KaTeX, HTML escaped, links kept on this page.

    `document_id` is the guide that relative links start from. `plain` shows Markdown signs outside of code and formulas
    as they are, for words that were not written as Markdown. Without `picture` a picture is named, not shown.
    """
    pieces, end = [], 0
    for match in _CODE_OR_FORMULA.finditer(text):
        pieces.append(_with_pictures(text[end : match.start()], document_id, plain, picture))
        pieces.append(_code_or_formula(match))
        end = match.end()
    pieces.append(_with_pictures(text[end:], document_id, plain, picture))
    return "".join(pieces)


def _with_pictures(text: str, document_id: str, plain: bool, picture: Picture | None) -> str:
    """Prose with the pictures that lie beside the guide; what lies elsewhere would be fetched from there, so it is named."""
    if picture is None:
        return _prose(text, document_id, plain=plain)
    pieces, end = [], 0
    for match in _PICTURE.finditer(text):
        if re.match(r"[a-z][a-z0-9+.-]*:|//", match["target"], re.IGNORECASE):
            continue
        pieces.append(_prose(text[end : match.start()], document_id, plain=plain))
        address, what = picture(match["target"]), _attribute(match["alt"])
        missing = html.escape(f"{what} ({unquote(match['target'])})".strip())
        pieces.append(
            f"![{what}]({address})" if address else f'<span class="missing">Picture missing: {missing}</span>'
        )
        end = match.end()
    return "".join((*pieces, _prose(text[end:], document_id, plain=plain)))


def _code_or_formula(match: re.Match[str]) -> str:
    if match["fence"] is not None:
        # ```python run``` tells the tests to run it; the highlighter wants the language alone.
        language = match["info"].split()[:1]
        opening = match["fence"].split("\n", 1)[0]
        indent = opening[: len(opening) - len(opening.lstrip())]
        body = match["body"] if not match["body"] or match["body"].endswith("\n") else match["body"] + "\n"
        return f"{indent}{match['ticks']}{''.join(language)}\n{body}{indent}{match['ticks']}"
    if match["code"] is not None:
        return match["code"]
    return f"\\[{match['display']}\\]" if match["display"] is not None else f"\\({match['inline']}\\)"


def _prose(text: str, document_id: str, *, plain: bool) -> str:
    if plain:
        text = _MARKDOWN_SIGN.sub(r"\\\1", text)
    # A picture would be fetched from wherever the guide says, so its description stands in for it.
    text = text.replace("![", "[picture: ")
    text = _LINK_TARGET.sub(lambda match: f"]({_page_target(match['target'], document_id)})", text)
    return _TAG_START.sub("&lt;", text)


def _page_target(target: str, document_id: str) -> str:
    if re.match(r"(?:https?:|mailto:|#(?:read|source)-)", target):
        return target
    path, _, section = target.partition("#")
    if path and not path.endswith((".md", ".markdown", ".txt")):
        return "#"
    other = posixpath.normpath(posixpath.join(posixpath.dirname(document_id), path)) if path else document_id
    return read_link(other, section)


def read_link(document_id: str, section: str = "", *, line: int = 0, quote: str = "") -> str:
    """The link by which the page opens a guide: at a section's anchor, a line (1-based), with a quote of it marked."""
    # Two hyphens part guide and section, so a guide's own are written otherwise.
    path = url_quote(document_id).replace("--", "%2D%2D") + (f"--{url_quote(section)}" if section else "")
    wanted = [f"line={line}"] if line else []
    if quote.strip():
        wanted.append(f"quote={url_quote(_short_quote(quote), safe='')}")
    return f"#read-{path}" + (f"?{'&'.join(wanted)}" if wanted else "")


def practise_link(kind: str, name: str = "") -> str:
    """The link that begins an interview: on a `question`, a `section` of the guides, all that is `due`, or `any` question."""
    return f"#practise-{kind}" + (f"/{url_quote(name, safe='')}" if name else "")


def _short_quote(quote: str) -> str:
    """As many lines of a quote as a link should carry, each of them a sentence; part of the first where that is longer."""
    kept = ""
    for line in filter(None, map(str.strip, quote.split("\n"))):
        if kept and len(kept) + len(line) > LINK_QUOTE_CHARACTERS:
            break
        kept = f"{kept}\n{line}" if kept else line
    return kept[:LINK_QUOTE_CHARACTERS]


def said(text: str) -> str:
    """The learner's words in one line, shown as they were typed but for formulas and code."""
    return page_markdown(" ".join(text.split()), plain=True)


def typed(text: str) -> str:
    """What a learner typed as a chat bubble shows it."""
    return page_markdown(text)


def as_typed(shown: str) -> str:
    """What a learner typed, from what the bubble shows: an edited question starts from there."""
    text = re.sub(r"\\\((.+?)\\\)", r"$\1$", shown, flags=re.DOTALL)
    return re.sub(r"\\\[(.+?)\\\]", r"$$\1$$", text, flags=re.DOTALL).replace("&lt;", "<")


# Answers


def answer_markdown(answer: Answer, turn: int) -> str:
    """The answer with a chip after what each source supports; of a question the guides do not cover, what is near."""
    if answer.quiz is not None:
        shown = _put(answer.quiz)
    elif answer.is_from_memory or not answer.answered:
        shown = _declined(answer, turn)
    elif _is_whole(answer):
        shown = _sections(answer, turn)
    else:
        shown = _answered(answer, turn)
    return _searched(answer) + shown


def _searched(answer: Answer) -> str:
    lines = list(answer.notes)
    if answer.standalone_question != answer.question:
        lines.insert(0, f"Searched for: {answer.standalone_question}")
    return "".join(f'<span class="searched">{_line(line)}</span>\n\n' for line in lines)


def _is_whole(answer: Answer) -> bool:
    """Whether it quotes whole sections."""
    return answer.mode is AnswerMode.DEEPER and answer.model == EXTRACTIVE


def _sections(answer: Answer, turn: int) -> str:
    """The whole section behind an answer, in the paragraphs of its guide rather than sentence by sentence."""
    titles = {citation.number: _where(citation.chunk) for citation in answer.citations}
    return "\n\n".join(
        f"**{_line(citation.chunk.heading)}** {_chips((citation.number,), turn, titles)}\n\n"
        + passage_markdown(replace(citation.chunk, text=without_instructions(citation.chunk.text)))
        for citation in answer.citations
    )


def _put(question: Question) -> str:
    """A question of the bank that is put to the learner in the chat."""
    translation = f"\n\n{said(question.translation)}" if question.translation else ""
    return (
        f"**{page_markdown(question.prompt)}**{translation}\n\n"
        f'<small class="signature">{_line(question.topic)} · {question.level}. To be graded, reply with: my answer: …</small>'
    )


def _remembered(answer: Answer) -> str:
    """What the model says without the guides: a block of its own, which says so before and not by its looks alone."""
    parts: list[str] = []
    for index, sentence in enumerate(answer.sentences):
        if index:
            parts.append(_between(answer.sentences[index - 1], sentence, is_quoted=False))
        parts.append(f"- {page_markdown(sentence.text)}" if sentence.kind == "item" else page_markdown(sentence.text))
    return (
        f'<div class="memory">\n\n<small class="unsupported-note">{NOT_IN_THE_GUIDES}: from the memory of {_line(answer.model)}, '
        f"checked by nothing</small>\n\n{''.join(parts)}\n\n</div>"
    )


def _answered(answer: Answer, turn: int) -> str:
    titles = {citation.number: _where(citation.chunk) for citation in answer.citations}
    parts: list[str] = []
    for index, sentence in enumerate(answer.sentences):
        previous = answer.sentences[index - 1] if index else None
        following = answer.sentences[index + 1] if index + 1 < len(answer.sentences) else None
        if previous is not None:
            parts.append(_between(previous, sentence, is_quoted=answer.model == EXTRACTIVE))
        chips = "" if _shares_chips(sentence, following) else _chips(sentence.citations, turn, titles)
        parts.append(_sentence(sentence, chips))
    if answer.model != EXTRACTIVE:
        parts.append(f'\n\n<small class="signature">Written by {_line(answer.model)} from the sources.</small>')
    return "".join(parts)


def _between(previous: AnswerSentence, sentence: AnswerSentence, *, is_quoted: bool) -> str:
    """What separates two sentences. An answer made of quotes turns to a new source in a new paragraph."""
    if previous.kind != sentence.kind or sentence.kind in {"code", "formula", "table"}:
        return "\n\n"
    if sentence.kind == "item":
        return "\n"
    return "\n\n" if is_quoted and previous.citations != sentence.citations else " "


def _shares_chips(sentence: AnswerSentence, following: AnswerSentence | None) -> bool:
    """Whether the next sentence rests on the same sources: one chip at the end of such a run says it for all."""
    return (
        following is not None
        and sentence.is_supported
        and following.is_supported
        and following.citations == sentence.citations
    )


def _sentence(sentence: AnswerSentence, chips: str) -> str:
    text = page_markdown(sentence.text)
    if sentence.kind in {"code", "formula", "table"}:
        notes = " ".join(filter(None, (chips, "" if sentence.is_supported else _unsupported_note())))
        return f"{text}\n\n{notes}" if notes else text
    if not sentence.is_supported:
        text = f'<span class="unsupported">{text}</span> {_unsupported_note()}'
    text = f"- {text}" if sentence.kind == "item" else text
    return f"{text} {chips}".rstrip()


def _unsupported_note() -> str:
    return f'<small class="unsupported-note">{NOT_IN_THE_GUIDES}</small>'


def _chips(numbers: Sequence[int], turn: int, titles: Mapping[int, str]) -> str:
    return "".join(
        f'[[{number}]](#source-{turn}-{number} "{_attribute(titles.get(number, ""))}")' for number in numbers
    )


def _declined(answer: Answer, turn: int) -> str:
    text = "**The guides do not cover this.**"
    if answer.is_from_memory:
        text += f"\n\n{_remembered(answer)}"
    else:
        text += " I answer from the guides alone, so I will not guess."
    if not answer.suggestions:
        return text if answer.is_from_memory else f"{text} Ask in other words, or add a guide in the Library."
    near = [
        f"- [{_line(_where(hit.chunk))}](#source-{turn}-{number})"
        for number, hit in enumerate(answer.suggestions, start=1)
    ]
    return "\n".join((text, "", "The nearest sections are:", "", *near))


# Sources


def sources_markdown(answer: Answer | None, turn: int) -> str:
    """The passages that an answer rests on, the quoted words marked; of a declined question, the nearest passages."""
    if answer is None or answer.quiz is not None:
        return (
            "### Sources\n\n"
            '<p class="empty">Every number in an answer leads to the passage it comes from. The passages appear here.</p>'
        )
    if answer.suggestions or not answer.answered:
        cards = [
            _source_card(
                hit.chunk,
                "",
                f"source-{turn}-{number}",
                str(number),
                is_open=False,
                hit=hit,
                question=answer.standalone_question,
            )
            for number, hit in enumerate(answer.suggestions, start=1)
        ]
        title = "Nearest sections"
    else:
        cards = [
            _source_card(
                citation.chunk,
                # Of a whole section everything is quoted: marking all of it would mark nothing.
                "" if _is_whole(answer) else citation.quote,
                f"source-{turn}-{citation.number}",
                str(citation.number),
                is_open=citation.number == 1,
                hit=citation.hit,
                question=answer.standalone_question,
            )
            for citation in answer.citations
        ]
        title = "Sources"
    for_question = f'<div class="for">\n\n{said(answer.question)}\n\n</div>'
    return "\n\n".join((f"### {title}", for_question, *cards))


def reason_line(hit: Hit, question: str) -> str:
    """Why a search for the question found a passage: `matches: dropout, inference · likeness in meaning .71`."""
    matched = ", ".join(typed_words(question, hit.matched)) or "no word"
    return f"matches: {matched} · likeness in meaning {f'{hit.dense_score:.2f}'.replace('0.', '.', 1)}"


def _source_card(
    chunk: Chunk, quote: str, identifier: str, number: str, *, is_open: bool, hit: Hit | None = None, question: str = ""
) -> str:
    line = f", line {chunk.start_line}" if chunk.start_line else ""
    place = chunk.place if chunk.page else f"{chunk.document_id}{line}"
    path = " › ".join((chunk.title, *chunk.heading_path[:-1]))
    label = f'<span class="number">{number}</span> ' if number else "Read: "
    return "\n\n".join(
        (
            f'<details class="source" id="{identifier}"{" open" if is_open else ""}>\n'
            f'<summary>{label}<span class="where"><b>{html.escape(chunk.heading)}</b> '
            f"<small>{html.escape(path)} · {html.escape(place)}</small></span></summary>",
            *([f'<small class="why">{html.escape(reason_line(hit, question))}</small>'] if hit else []),
            passage_markdown(chunk, quote),
            " · ".join(
                (f"[Open the guide here]({section_link(chunk, quote)})", *(_neighbour_links(hit) if hit else ()))
            ),
            "</details>",
        )
    )


def _neighbour_links(hit: Hit) -> Iterator[str]:
    for place, chunk in (("before", hit.around.before), ("after", hit.around.after)):
        if chunk:
            yield f"{place}: [{_line(chunk.heading)}]({section_link(chunk)})"


def section_link(chunk: Chunk, quote: str = "") -> str:
    """The link by which the page opens a guide at a passage, with a quote of it marked."""
    return read_link(chunk.document_id, anchor(chunk.heading), line=chunk.start_line, quote=quote)


def passage_markdown(chunk: Chunk, quote: str = "") -> str:
    """A passage as the page shows it, with the quoted sentences marked."""
    marked = mark_quote(chunk.text, quote) if quote.strip() else chunk.text
    return tagged(page_markdown(marked, document_id=chunk.document_id))


def tagged(text: str, *, visit: int = 0) -> str:
    """Shown Markdown with its marks as tags. `HERE`, or the first mark where it is not in there, gets the id `visit-…`."""
    here = f' id="visit-{visit}"'
    if HERE in text:
        text = text.replace(HERE, f'<span class="visit"{here}></span>')
    elif visit:
        first = f"[{_MARK_OPEN}{_BLOCK_OPEN}]"
        text = re.sub(first, lambda match: _TAGS[match[0]].replace(">", f"{here}>"), text, count=1)
    return re.sub("[\ue000-\ue003]", lambda match: _TAGS[match[0]], text)


def mark_quote(passage: str, quote: str) -> str:
    """The passage with marks around the sentences that stand in the quote, however either of them breaks its lines."""
    wanted = _squash(quote)
    spans: list[tuple[int, int, bool]] = []
    position = 0
    for sentence in split_sentences(passage):
        match = _loose(sentence.text).search(passage, position)
        if match is None:
            continue
        position = match.end()
        if _squash(sentence.text) in wanted:
            spans.append((match.start(), match.end(), sentence.kind in {"code", "formula", "table"}))
    if not spans:
        # Part of a sentence was quoted.
        match = next(
            filter(None, (_loose(part).search(passage) for part in (quote, *quote.splitlines()) if part.strip())), None
        )
        spans = [(match.start(), match.end(), False)] if match else []
    for start, end, is_block in reversed(spans):
        passage = _with_mark(passage, start, end, is_block=is_block)
    return passage


def _with_mark(passage: str, start: int, end: int, *, is_block: bool) -> str:
    if not is_block:
        return f"{passage[:start]}{_MARK_OPEN}{passage[start:end]}{_MARK_CLOSE}{passage[end:]}"
    start = passage.rfind("\n", 0, start) + 1
    end = passage.find("\n", end) if "\n" in passage[end:] else len(passage)
    if passage[start] in " \t":
        # A block inside a list entry: a mark around it would tear the list apart.
        return passage
    return f"{passage[:start]}\n\n{_BLOCK_OPEN}\n\n{passage[start:end]}\n\n{_BLOCK_CLOSE}\n\n{passage[end:]}"


def _squash(text: str) -> str:
    return re.sub(r"[\s>]+", "", text)


def _loose(text: str) -> re.Pattern[str]:
    """The text, with any white space between its words; a quoted block has `>` at the head of each line."""
    return re.compile(r"[\s>]+".join(map(re.escape, text.split())))


# Questions and grades


def question_markdown(question: Question) -> str:
    """The question as the interviewer asks it, below it in the other language, and the names by which tests call the code asked for."""
    called = called_by_tests(question.answer, question.tests)
    names = f"The tests know your code by these names:\n\n```python\n{called}\n```" if called else ""
    translation = f'<p class="translation">{html.escape(question.translation)}</p>' if question.translation else ""
    return "\n\n".join(filter(None, (f"## {page_markdown(question.prompt)}", translation, names)))


def grade_markdown(grade: Grade, *, withheld: Collection[int] = ()) -> str:
    """The grade card: score, a row for each key point, misconceptions, feedback, follow-up, and the model answer folded.

    `withheld` has the numbers of key points whose words are not to be shown yet, nor then the model answer.
    """
    parts = [
        score_bar(grade.score),
        page_markdown(grade.feedback),
        "### Key points",
        *(
            _verdict_row(verdict, number, is_withheld=number in withheld)
            for number, verdict in enumerate(grade.verdicts, start=1)
        ),
    ]
    if grade.misconceptions:
        parts.append("### Misconceptions")
        parts.extend(_misconception(found, number) for number, found in enumerate(grade.misconceptions, start=1))
    if grade.follow_up:
        parts.extend(("### Follow-up question", said(grade.follow_up)))
    if not withheld:
        parts.append(model_answer(grade.question))
    return "\n\n".join(parts)


def model_answer(question: Question, *, is_open: bool = False) -> str:
    """The model answer, behind a fold."""
    return (
        f'<details class="model-answer"{" open" if is_open else ""}>\n<summary>Model answer</summary>\n\n'
        f"{page_markdown(question.answer)}\n\n</details>"
    )


def score_bar(score: float | None) -> str:
    """A score from 0 to 1 in figures and as a bar."""
    if score is None:
        return '<div class="score"><span class="points">Not judged</span></div>'
    return (
        f'<div class="score"><span class="points">{score:.0%}</span>'
        f'<span class="bar"><span class="fill {_band(score)}" style="width:{score:.0%}"></span></span></div>'
    )


def _band(score: float) -> str:
    return "high" if score >= 0.7 else "middle" if score >= 0.4 else "low"


def _verdict_row(verdict: Verdict, number: int, *, is_withheld: bool = False) -> str:
    text = "<em>The follow-up asks for this.</em>" if is_withheld else page_markdown(verdict.key_point.text)
    uncertain = ' <span class="badge uncertain">? Uncertain</span>' if verdict.doubt else ""
    found = f" · {verdict.share:.0%} of it found" if verdict.share else ""
    rows = [
        f'<div class="verdict {verdict.verdict}{" disputed" if verdict.dispute else ""}">',
        f'<span class="badge">{VERDICT_LABELS[verdict.verdict]}</span>{uncertain} {text} '
        f'<small class="weight">weight {verdict.key_point.weight:g}{found}</small>',
    ]
    if verdict.evidence:
        rows.append(f"> You said: “{said(verdict.evidence)}”")
    if verdict.doubt:
        rows.append(f"Uncertain: {said(verdict.doubt)}")
    if verdict.dispute:
        before = VERDICT_LABELS[verdict.dispute.before.verdict]
        rows.append(f"Disputed (it was {before}): “{said(verdict.dispute.argument)}” {said(verdict.dispute.reason)}")
    if verdict.citation and not is_withheld:
        rows.append(cited(verdict.citation, f"point-{number}"))
    return "\n\n".join((*rows, "</div>"))


def _misconception(found: FoundMisconception, number: int) -> str:
    rows = [
        '<div class="verdict misconception">',
        f'<span class="badge">⚠ Mistaken</span> {page_markdown(found.misconception.text)}',
        f"> You said: “{said(found.evidence)}”",
    ]
    if found.citation:
        rows.append(cited(found.citation, f"misconception-{number}"))
    return "\n\n".join((*rows, "</div>"))


def cited(citation: Citation, identifier: str) -> str:
    """The passage behind a point, folded, with the link that opens its guide."""
    return _source_card(citation.chunk, citation.quote, identifier, "", is_open=False)


# Small pieces


def score_cell(score: float) -> str:
    """A score of a table."""
    return (
        f"<span class='cell'><span class='bar'><span class='fill {_band(score)}' style='width:{score:.0%}'></span></span>"
        f"{score:.0%}</span>"
    )


def topic_label(topic: str, titles: Mapping[str, str]) -> str:
    """What a topic is called: the title of its guide, or its name made readable."""
    return titles.get(topic) or topic.replace("-", " ").capitalize()


def _where(chunk: Chunk) -> str:
    return " › ".join((chunk.title, *chunk.heading_path))


def _line(text: str) -> str:
    """Text as one line of Markdown that shows it as it is."""
    return said(text)


def _attribute(text: str) -> str:
    return re.sub(r'[\\"\[\]()<>&]', "", text)
