"""Reports of evals as one HTML page that needs nothing else: tables, plots in SVG, and the worst cases to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from evals.report import LESS_IS_BETTER, Confusion, Curve, EvalReport
from evals.statistics import Interval

_WIDTH, _HEIGHT, _ROW, _LETTER = 820, 300, 22, 6.4
REPORT_STYLE = """
.report .plot { overflow-x: auto; margin: 1rem 0; }
.report svg { width: 100%; max-width: 820px; min-width: 560px; height: auto; display: block; }
.report svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.report svg .soft { fill: var(--soft); } .report svg .grid { stroke: var(--line); }
.report svg .range { stroke: var(--ink); stroke-width: 1.5; }
.report details { border-top: 1px solid var(--line); padding: .4rem 0; } .report summary { cursor: pointer; }
.report .soft { color: var(--soft); } .report pre { white-space: pre-wrap; font: inherit; margin: .3rem 0; }
.report table { border-collapse: collapse; display: block; overflow-x: auto; } .report th { font-weight: 600; text-align: left; }
.report th, .report td { padding: .15rem .7rem .15rem 0; border-bottom: 1px solid var(--line); }
.report td { text-align: right; font-variant-numeric: tabular-nums; }
"""
"""How the sections look, below an element of the class `report` that says what --ink, --soft, --line and --c0 to --c3 are."""
_PAGE_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #656d76; --line: #d0d7de;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #8d96a0; --line: #30363d;
  --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
"""
_DASHES = ("", "7 4", "2 3", "10 3 2 3")
"""Lines are told apart without their colours too."""


def html_page(title: str, lead: str, reports: Sequence[EvalReport]) -> str:
    """The page. Whatever stands in a case is shown as text, never run."""
    sections = "".join(f"<h2>{escape(report.name)}</h2>{section(report)}" for report in reports)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_PAGE_STYLE}{REPORT_STYLE}</style></head><body>"
        f'<main class="report"><h1>{escape(title)}</h1><p class="soft">{escape(lead)}</p>{sections}</main></body></html>\n'
    )


def section(report: EvalReport) -> str:
    """What one eval found: notes, bars, curves, tables of verdicts, the worst cases. Text of cases is escaped."""
    bars = [
        (f"{group}: {metric}", found)
        for group, intervals in report.intervals.items()
        for metric, found in intervals.items()
    ]
    bars += [
        (f"{name} (less is better)" if name in LESS_IS_BETTER else name, found)
        for name, found in report.figures.items()
    ]
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    return (
        "".join(f"<p>{escape(note)}</p>" for note in report.notes)
        + (f'<p class="soft">{escape(settings)}</p>' if settings else "")
        + _bar_chart(report.name, bars)
        + "".join(_line_chart(curve) for curve in report.curves)
        + "".join(_confusion_table(item) for item in report.confusions)
        + "".join(_worst(report))
    )


def _bar_chart(name: str, bars: Sequence[tuple[str, Interval]]) -> str:
    height = _ROW * len(bars) + 26
    left = 16 + _LETTER * max((len(label) for label, _ in bars), default=0)
    reach = _WIDTH - left - 60

    def across(value: float) -> float:
        return left + reach * min(1.0, max(0.0, value))

    parts = [_frame(height, f"{name}: means with 95 % intervals by question")]
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{across(step):.1f}" x2="{across(step):.1f}" y1="0" y2="{height - 22}"/>')
        parts.append(f'<text class="soft" x="{across(step):.1f}" y="{height - 6}" text-anchor="middle">{step:g}</text>')
    for place, (label, found) in enumerate(bars):
        top = place * _ROW + 4
        middle = top + 7
        parts.append(f'<text x="{left - 8:.1f}" y="{top + 11}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{left:.1f}" y="{top}" width="{across(found.value) - left:.1f}" height="14" rx="2" '
            f'fill="var(--c0)" opacity="0.65"><title>{found} ({found.cases} cases)</title></rect>'
        )
        parts.append(
            f'<line class="range" x1="{across(found.low):.1f}" x2="{across(found.high):.1f}" y1="{middle}" y2="{middle}"/>'
        )
        parts.append(f'<text x="{across(1) + 10:.1f}" y="{top + 11}">{found.value:.3f}</text>')
    return "".join(parts) + "</svg></div>"


def _line_chart(curve: Curve) -> str:
    left, right, top, bottom = 46, _WIDTH - 170, 10, _HEIGHT - 40
    most = max((x for points in curve.lines.values() for x, _ in points), default=0.0) or 1.0

    def place(x: float, y: float) -> str:
        return f"{left + (right - left) * x / most:.1f},{bottom - (bottom - top) * y:.1f}"

    parts = [f"<h3>{escape(curve.title)}</h3>", _frame(_HEIGHT, curve.title)]
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - (bottom - top) * step
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{step:g}</text>')
        x = left + (right - left) * step
        parts.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{most * step:g}</text>')
    parts.append(
        f'<text class="soft" x="{(left + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(curve.axis)}</text>'
    )
    for number, (name, points) in enumerate(curve.lines.items()):
        pen = f'stroke="var(--c{number % 4})" stroke-width="2" stroke-dasharray="{_DASHES[number % 4]}" fill="none"'
        parts.append(f'<polyline {pen} points="{" ".join(place(x, y) for x, y in points)}"/>')
        y = top + 12 + 20 * number
        parts.append(f'<line {pen} x1="{right + 14}" x2="{right + 44}" y1="{y - 4}" y2="{y - 4}"/>')
        parts.append(f'<text x="{right + 50}" y="{y}">{escape(name)}</text>')
    return "".join(parts) + "</svg></div>"


def _frame(height: int, label: str) -> str:
    return f'<div class="plot"><svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" aria-label="{escape(label)}">'


def _confusion_table(found: Confusion) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in (found.title, *found.verdicts))
    rows = "".join(
        f"<tr><th>{escape(label)}</th>{''.join(f'<td>{count}</td>' for count in counts)}</tr>"
        for label, counts in found.counts.items()
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _worst(report: EvalReport) -> Iterator[str]:
    figures_of = dict(report.worst_cases)
    if report.shown_cases:
        yield "<h3>Worst cases</h3>"
    for case in report.shown_cases:
        detail = report.details[case]
        figures = ", ".join(f"{name} {value:.2f}" for name, value in figures_of[case].items())
        passages = "".join(f"<li><pre>{escape(passage)}</pre></li>" for passage in detail.passages)
        yield (
            f'<details><summary>{escape(detail.question)} <span class="soft">{escape(case)}: {escape(figures)}</span></summary>'
            f"{_titled('Answer', detail.answer)}{_titled('Why', detail.reason)}"
            f"<b>Passages</b><ol>{passages}</ol></details>"
        )


def _titled(title: str, text: str) -> str:
    return f"<b>{title}</b><pre>{escape(text)}</pre>" if text else ""
