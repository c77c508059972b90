"""Reports of evals as one HTML page that needs nothing else: tables, plots in SVG, and the worst cases to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from evals.report import Curve, EvalReport
from evals.statistics import Interval

WORST_CASES = 10
_WIDTH, _HEIGHT, _LEFT, _ROW = 760, 300, 300, 22
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --soft: #656d76; --line: #d0d7de;
  --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #8d96a0; --line: #30363d;
  --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .soft { fill: var(--soft); } svg .grid { stroke: var(--line); } svg .range { stroke: var(--ink); stroke-width: 1.5; }
details { border-top: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
.soft { color: var(--soft); } pre { white-space: pre-wrap; font: inherit; margin: .3rem 0; }
"""
_DASHES = ("", "7 4", "2 3", "10 3 2 3")
"""Lines are told apart without their colours too."""


def html_page(title: str, lead: str, reports: Sequence[EvalReport]) -> str:
    """The page. Whatever stands in a case is shown as text, never run."""
    sections = "".join(_section(report) for report in reports)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="soft">{escape(lead)}</p>{sections}</body></html>\n'
    )


def _section(report: EvalReport) -> str:
    bars = [
        (f"{group}: {metric}", found)
        for group, intervals in report.intervals.items()
        for metric, found in intervals.items()
    ]
    bars += list(report.figures.items())
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    return (
        f"<h2>{escape(report.name)}</h2>"
        + "".join(f"<p>{escape(note)}</p>" for note in report.notes)
        + (f'<p class="soft">{escape(settings)}</p>' if settings else "")
        + _bar_chart(report.name, bars)
        + "".join(_line_chart(curve) for curve in report.curves)
        + "".join(_worst(report))
    )


def _bar_chart(name: str, bars: Sequence[tuple[str, Interval]]) -> str:
    height = _ROW * len(bars) + 26
    reach = _WIDTH - _LEFT - 60

    def across(value: float) -> float:
        return _LEFT + reach * min(1.0, max(0.0, value))

    parts = [_frame(height, f"{name}: means with 95 % intervals by question")]
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="{across(step):.1f}" x2="{across(step):.1f}" y1="0" y2="{height - 22}"/>')
        parts.append(f'<text class="soft" x="{across(step):.1f}" y="{height - 6}" text-anchor="middle">{step:g}</text>')
    for place, (label, found) in enumerate(bars):
        top = place * _ROW + 4
        middle = top + 7
        parts.append(f'<text x="{_LEFT - 8}" y="{top + 11}" text-anchor="end">{escape(label)}</text>')
        parts.append(
            f'<rect x="{_LEFT}" y="{top}" width="{across(found.value) - _LEFT:.1f}" height="14" rx="2" '
            f'fill="var(--c0)" opacity="0.65"><title>{found} ({found.cases} cases)</title></rect>'
        )
        parts.append(
            f'<line class="range" x1="{across(found.low):.1f}" x2="{across(found.high):.1f}" y1="{middle}" y2="{middle}"/>'
        )
        parts.append(f'<text x="{across(1) + 10:.1f}" y="{top + 11}">{found.value:.3f}</text>')
    return "".join(parts) + "</svg>"


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
    return "".join(parts) + "</svg>"


def _frame(height: int, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" aria-label="{escape(label)}">'


def _worst(report: EvalReport) -> Iterator[str]:
    shown = [(case, row) for case, row in report.worst_cases if case in report.details][:WORST_CASES]
    if shown:
        yield "<h3>Worst cases</h3>"
    for case, row in shown:
        detail = report.details[case]
        figures = ", ".join(f"{name} {value:.2f}" for name, value in row.items())
        passages = "".join(f"<li>{escape(passage)}</li>" for passage in detail.passages)
        yield (
            f'<details><summary>{escape(detail.question)} <span class="soft">{escape(case)}: {escape(figures)}</span></summary>'
            f"<p>{escape(detail.reason)}</p><pre>{escape(detail.answer)}</pre><ol>{passages}</ol></details>"
        )
