"""The pictures of a learner's progress: well-formed, within their frame, and saying in words what they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest

from tutor.coverage import DayOfPractice, TopicStanding
from tutor.schedule import StudyDay, StudyPlan
from ui.pictures import calendar, plan_bars, radar, score_line

TODAY = date(2026, 3, 4)
STANDINGS = [TopicStanding("a", 1.0, 3, 9), TopicStanding("b", None, 0, 9), TopicStanding("c", 0.5, 1, 9)]
NAMES = ["Attention", "<b>BatchNorm</b>", "CUDA & more"]


def practised(*pairs: tuple[int, float], attempts: int = 1) -> list[DayOfPractice]:
    """Days so many days ago, with their scores."""
    return [DayOfPractice(TODAY - timedelta(days=ago), attempts, score) for ago, score in pairs]


def study_plan(days: Sequence[StudyDay], a_day: int) -> StudyPlan:
    return StudyPlan(days[-1].day + timedelta(days=1), a_day, tuple(days), never_asked=0, overdue=0)


def shapes(svg: str, kind: str) -> list[ElementTree.Element]:
    """The shapes of a kind (a tag, or a tag with a class) in a picture."""
    tag, _, name = kind.partition(".")
    return [
        shape
        for shape in ElementTree.fromstring(svg).iter(tag)
        if name in (shape.get("class") or "").split() or not name
    ]


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in shapes(svg, "title")]


def label(svg: str) -> str:
    return ElementTree.fromstring(svg).get("aria-label") or ""


@pytest.mark.parametrize(
    "svg",
    [
        radar(STANDINGS, NAMES),
        score_line(practised((40, 0.0), (3, 0.4), (0, 1.0), attempts=90)),
        calendar(practised((0, 0.5)), TODAY),
        plan_bars(study_plan([StudyDay(TODAY, 2, 1)], 3)),
    ],
    ids=["radar", "scores", "calendar", "plan"],
)
def test_a_picture_says_what_it_is_fetches_nothing_and_stays_in_its_frame(svg: str):
    picture = ElementTree.fromstring(svg)
    width, height = map(float, (picture.get("viewBox") or "").split()[2:])

    assert picture.get("role") == "img"
    assert label(svg)
    assert "http" not in svg
    for shape in picture.iter():
        reach = float(shape.get("r") or 0)
        for axis, limit, size in (("x", width, "width"), ("y", height, "height")):
            for name in (axis, f"c{axis}", f"{axis}1", f"{axis}2"):
                if shape.get(name):
                    assert float(shape.get(name, 0)) - reach >= 0
                    assert float(shape.get(name, 0)) + reach + float(shape.get(size) or 0) <= limit


def test_the_radar_has_a_spoke_for_each_topic_and_a_ring_in_the_middle_where_nothing_was_judged():
    svg = radar(STANDINGS, NAMES)

    assert [text.text for text in shapes(svg, "text")] == ["1", "2", "3"]
    assert titles(svg) == ["Attention: 100%", "<b>BatchNorm</b>: not practised yet", "CUDA & more: 50%"]
    assert len(shapes(svg, "circle.empty")) == 1
    top, unknown, half = shapes(svg, "circle.dot")
    assert (float(top.get("cx", 0)), float(top.get("cy", 0))) == (180, 28), "the full score lies on the outermost line"
    assert (float(unknown.get("cx", 0)), float(unknown.get("cy", 0))) == (180, 160)
    assert float(half.get("cx", 0)) < 180
    assert label(svg) == "Scores in 2 of 3 topics, numbered as in the table."


def test_two_topics_span_no_radar():
    assert radar(STANDINGS[:2], NAMES[:2]) == ""


def test_scores_go_up_and_to_the_right_and_the_larger_point_has_more_answers():
    days = [*practised((10, 0.2)), *practised((0, 0.9), attempts=9)]
    first, last = shapes(score_line(days), "circle")

    assert float(first.get("cx", 0)) < float(last.get("cx", 0))
    assert float(first.get("cy", 0)) > float(last.get("cy", 0))
    assert float(first.get("r", 0)) < float(last.get("r", 0))
    assert titles(score_line(days)) == ["2026-02-22: 20%, 1 answer", "2026-03-04: 90%, 9 answers"]
    assert label(score_line(days)) == "Score by day, 2 days from 2026-02-22 to 2026-03-04; the last one 90%."


def test_one_day_stands_in_the_middle_and_none_makes_no_picture():
    [point] = shapes(score_line(practised((0, 0.5))), "circle")

    assert 180 < float(point.get("cx", 0)) < 220
    assert score_line([]) == ""


def test_the_calendar_ends_today_and_shows_how_much_was_answered():
    days = [*practised((200, 1.0), (9, 0.2)), *practised((1, 0.2), attempts=5), *practised((0, 0.2), attempts=20)]
    svg = calendar(days, TODAY)
    cells = shapes(svg, "rect")

    assert titles(svg)[-2:] == ["2026-03-03: 5 answers", "2026-03-04: 20 answers"]
    assert [cell.get("class") for cell in cells[-2:]] == ["day level-2", "day level-3"]
    assert titles(svg)[-10] == "2026-02-23: 1 answer"
    assert cells[-10].get("class") == "day level-1"
    assert titles(svg)[0] == "2025-09-08: nothing", "a Monday, 25 weeks before this one"
    assert label(svg) == "Practised on 3 of the last 178 days."


def test_a_bar_is_as_tall_as_its_day_has_questions_those_due_again_below():
    svg = plan_bars(study_plan([StudyDay(TODAY, 6, 4), StudyDay(TODAY + timedelta(days=1), 5, 0)], 10))
    [first, second] = shapes(svg, "rect.again")
    [new] = shapes(svg, "rect.new")

    assert float(first.get("height", 0)) / float(second.get("height", 0)) == pytest.approx(6 / 5, abs=0.01)
    assert float(new.get("y", 0)) + float(new.get("height", 0)) == pytest.approx(float(first.get("y", 0)), abs=0.2)
    assert titles(svg)[0] == "2026-03-04: 6 again, 4 new"


def test_a_long_plan_has_a_bar_for_several_days():
    days = [StudyDay(TODAY + timedelta(days=number), number % 2 * 4, 0) for number in range(300)]
    svg = plan_bars(study_plan(days, 4))

    assert len(shapes(svg, "rect")) == 60
    assert titles(svg)[0] == "2026-03-04 to 2026-03-08: 2 again, 0 new a day"


def test_a_plan_that_asks_for_nothing_has_no_bar():
    assert shapes(plan_bars(study_plan([StudyDay(TODAY, 0, 0)], 0)), "rect") == []
