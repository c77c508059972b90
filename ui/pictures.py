"""Pictures of a learner's progress as inline SVG, in the colours of the page: nothing is fetched, nothing is run. Pure.

All are 360 units wide, the narrowest column of the page, so that their letters are never smaller than written. Each says in its label
what it shows; the numbers themselves stand beside it, as a table.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby

from tutor.coverage import DayOfPractice, TopicStanding
from tutor.schedule import StudyDay, StudyPlan

_WIDTH = 360
_LEFT, _RIGHT = 42, 8
"""Room for the numbers of an axis, and so that the last point is not cut off."""
_WEEKS = 26
_CELL, _GAP = 10.5, 2
_MOST_BARS = 60
_FEWEST_SPOKES = 3


def _svg(kind: str, height: float, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg class="picture {kind}" viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, words: str, *, anchor: str = "middle", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{html.escape(words)}</text>'


def _titled(shape: str, title: str) -> str:
    """A shape (an empty tag) that says what it stands for when the mouse rests on it."""
    return f"{shape[:-2]}><title>{html.escape(title)}</title></{shape[1 : shape.index(' ')]}>"


# How the learner stands in each topic


def radar(standings: Sequence[TopicStanding], names: Sequence[str]) -> str:
    """A spoke for each topic, numbered from 1, clockwise from the top; empty where there are too few to span a plane.

    A topic in which nothing was judged lies in the middle, as a ring.
    """
    if len(standings) < _FEWEST_SPOKES:
        return ""
    height, radius = 320, 132.0
    middle = (_WIDTH / 2, height / 2)

    def at(number: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * number / len(standings) - math.pi / 2
        return middle[0] + share * radius * math.cos(angle), middle[1] + share * radius * math.sin(angle)

    def ring(share: float) -> str:
        corners = " ".join("{:.1f},{:.1f}".format(*at(number, share)) for number in range(len(standings)))
        return f'<polygon class="grid" points="{corners}"/>'

    parts = [ring(share) for share in (0.25, 0.5, 0.75, 1.0)]
    for number in range(len(standings)):
        x, y = at(number, 1)
        parts.append(f'<line class="grid" x1="{middle[0]:g}" y1="{middle[1]:g}" x2="{x:.1f}" y2="{y:.1f}"/>')
    corners = " ".join("{:.1f},{:.1f}".format(*at(number, item.score or 0)) for number, item in enumerate(standings))
    parts.append(f'<polygon class="area" points="{corners}"/>')
    for number, (item, name) in enumerate(zip(standings, names, strict=True)):
        x, y = at(number, item.score or 0)
        kind = "dot" if item.score is not None else "dot empty"
        said = "not practised yet" if item.score is None else f"{item.score:.0%}"
        parts.append(_titled(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>', f"{name}: {said}"))
        x, y = at(number, 1.1)
        parts.append(_text(x, y + 4, str(number + 1)))
    practised = [item for item in standings if item.score is not None]
    return _svg(
        "radar", height, f"Scores in {len(practised)} of {len(standings)} topics, numbered as in the table.", parts
    )


# Over time


def score_line(days: Sequence[DayOfPractice]) -> str:
    """The mean score of each day of practice; the larger the point, the more was answered. Empty without a day."""
    if not days:
        return ""
    height, top, bottom = 180, 12, 26
    first, last = days[0].day, days[-1].day
    span = max(1, (last - first).days)

    def x(day: date) -> float:
        # A single day stands in the middle.
        share = (day - first).days / span if last > first else 0.5
        return _LEFT + 6 + share * (_WIDTH - _LEFT - _RIGHT - 12)

    def y(score: float) -> float:
        return top + (1 - score) * (height - top - bottom)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" y1="{y(share):.1f}" x2="{_WIDTH - _RIGHT}" y2="{y(share):.1f}"/>'
        )
        if share in {0.0, 0.5, 1.0}:
            parts.append(_text(_LEFT - 6, y(share) + 4, f"{share:.0%}", anchor="end"))
    path = " ".join(f"{x(item.day):.1f},{y(item.score):.1f}" for item in days)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    for item in days:
        size = min(3 + math.sqrt(item.attempts), 8)
        title = f"{item.day.isoformat()}: {item.score:.0%}, {_counted(item.attempts, 'answer')}"
        shape = f'<circle class="dot" cx="{x(item.day):.1f}" cy="{y(item.score):.1f}" r="{size:.1f}"/>'
        parts.append(_titled(shape, title))
    parts.append(_text(x(first), height - 6, first.isoformat(), anchor="start" if last > first else "middle"))
    if last > first:
        parts.append(_text(x(last), height - 6, last.isoformat(), anchor="end"))
    label = f"Score by day, {_counted(len(days), 'day')} from {first} to {last}; the last one {days[-1].score:.0%}."
    return _svg("scores", height, label, parts)


def calendar(days: Sequence[DayOfPractice], today: date) -> str:
    """The last half year, a column for each week from Monday to Sunday; the stronger a day, the more was answered."""
    by_day = {item.day: item for item in days}
    monday = today - timedelta(days=today.weekday() + 7 * (_WEEKS - 1))
    step, left, top = _CELL + _GAP, 34, 18
    parts = [
        _text(left - 6, top + row * step + 9, name, anchor="end") for row, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))
    ]
    shown = [monday + timedelta(days=number) for number in range((today - monday).days + 1)]
    for number, day in enumerate(shown):
        item = by_day.get(day)
        attempts = item.attempts if item else 0
        x, y = left + number // 7 * step, top + number % 7 * step
        title = f"{day.isoformat()}: {_counted(attempts, 'answer') if attempts else 'nothing'}"
        strength = 0 if not attempts else 1 if attempts < 3 else 2 if attempts < 8 else 3
        shape = f'<rect class="day level-{strength}" x="{x:.1f}" y="{y:.1f}" width="{_CELL}" height="{_CELL}" rx="2"/>'
        parts.append(_titled(shape, title))
        # In the first days of a month, so that two names do not meet.
        if day.day <= 7 and day.weekday() == 0 and number // 7 < _WEEKS - 1:
            parts.append(_text(x, 11, f"{day:%b}", anchor="start"))
    practised = sum(day in by_day for day in shown)
    return _svg("calendar", top + 7 * step, f"Practised on {practised} of the last {len(shown)} days.", parts)


# The plan


def plan_bars(plan: StudyPlan) -> str:
    """How many questions each day of the plan has, those due again and new ones; a bar for several days where there are many."""
    size = math.ceil(len(plan.days) / _MOST_BARS)
    groups = [
        [day for _, day in group]
        for _, group in groupby(enumerate(plan.days), key=lambda numbered: numbered[0] // size)
    ]
    height, top, bottom = 130, 12, 24
    most = max(1, plan.a_day)
    width = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    thickness = min(width * 0.8, 28)

    def tall(count: float) -> float:
        return count / most * (height - top - bottom)

    floor = height - bottom
    parts = [
        f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}"/>{_text(_LEFT - 6, y + 4, count, anchor="end")}'
        for y, count in ((top, str(most)), (floor, "0"))
    ]
    for number, group in enumerate(groups):
        again, new = _mean([day.again for day in group]), _mean([day.new for day in group])
        x = _LEFT + (number + 0.5) * width - thickness / 2
        title = f"{_days(group)}: {again:.0f} again, {new:.0f} new" + (" a day" if len(group) > 1 else "")
        for kind, base, count in (("again", 0.0, again), ("new", again, new)):
            if count:
                box = f'x="{x:.1f}" y="{floor - tall(base + count):.1f}" width="{thickness:.1f}" height="{tall(count):.1f}"'
                parts.append(_titled(f'<rect class="{kind}" {box}/>', title))
    parts.append(_text(_LEFT, height - 6, plan.days[0].day.isoformat(), anchor="start"))
    if len(plan.days) > 1:
        parts.append(_text(_WIDTH - _RIGHT, height - 6, plan.days[-1].day.isoformat(), anchor="end"))
    label = f"Questions a day until {plan.until}: at most {plan.a_day}, those due again below, new ones above."
    return _svg("plan", height, label, parts)


def _mean(counts: Sequence[int]) -> float:
    return sum(counts) / len(counts)


def _days(group: Sequence[StudyDay]) -> str:
    first, last = group[0].day, group[-1].day
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
