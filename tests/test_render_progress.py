"""A learner's progress as the page shows it."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from interview_making import NOON, answer, grade, interview, put, question, said

from tutor.coverage import DayOfPractice, SectionCoverage, TopicStanding
from tutor.interview import InterviewPlan
from tutor.progress import PointStanding, Review
from tutor.schedule import StudyDay, StudyPlan, cards
from ui.render_progress import (
    Figures,
    day_html,
    due_markdown,
    figures_html,
    interviews_html,
    map_html,
    nothing_yet,
    parcel_html,
    plan_html,
    points_markdown,
    practise_link,
    save_link,
    standing_html,
    streak,
)

TODAY = date(2026, 3, 4)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MISSED = PointStanding(
    "Dropout is off at inference.", "regularization", 2, "regularization.md", "Dropout > At inference"
)
SECTIONS = [
    SectionCoverage("regularization#dropout", "regularization.md", "Dropout", "strong", 0.9, ("dropout",)),
    SectionCoverage("regularization#at-inference", "regularization.md", "Dropout > At <b>inference</b>", "weak", 0.0, ("dropout", "x")),
    SectionCoverage("regularization#l2", "regularization.md", "L2", "never asked", None, ("l2",)),
    SectionCoverage("regularization#sources", "regularization.md", "Sources", "never asked", None, ()),
    SectionCoverage("zh/notes#批归一化", "zh/notes.md", "批归一化", "never asked", None, ("zh",)),
]  # fmt: skip


def days(*ago: int) -> list[DayOfPractice]:
    return [DayOfPractice(TODAY - timedelta(days=number), 1, 0.5) for number in ago]


def due_list(count: int, *, next_due: datetime | None = None) -> str:
    bank = {f"q{number}": question(f"q{number}", prompt=f"What is $p_{number}$?") for number in range(count)}
    history = [Review(name, "regularization", "…", 0.1, {}, NOW - timedelta(days=3)) for name in bank]
    titles = {"regularization": "Regularization"}
    return due_markdown(list(cards(history).values()), bank, titles, now=NOW, next_due=next_due)


def planned(*, never_asked: int = 0, overdue: int = 0, a_day: int = 3, count: int = 2) -> StudyPlan:
    study = tuple(StudyDay(TODAY + timedelta(days=number), 1, 2) for number in range(count))
    return StudyPlan(TODAY + timedelta(days=count), a_day, study, never_asked=never_asked, overdue=overdue)


def test_before_the_first_answer_it_says_what_to_do_first():
    shown = nothing_yet(372)

    assert "Answer a first question" in shown
    assert "372 questions" in shown
    assert 'href="#practise-any"' in shown


def test_figures_stand_at_the_head():
    shown = figures_html(Figures(due=3, answered=12, questions=372, score=0.64, streak=2))

    cells = dict(re.findall("<dt>(.+?)</dt><dd>(.+?)</dd>", shown))
    assert cells == {
        "Due today": "3",
        "Questions answered": "12 <small>of 372</small>",
        "Score": "64%",
        "Days in a row": "2",
    }


def test_a_day_that_is_not_over_breaks_no_streak():
    assert streak(days(2, 1), TODAY) == 2
    assert streak(days(2, 1, 0), TODAY) == 3
    assert streak(days(3, 2), TODAY) == 0
    assert streak(days(3, 1, 0), TODAY) == 2
    assert streak([], TODAY) == 0


def test_what_is_due_is_listed_with_a_link_to_practise_each_and_all():
    shown = due_list(2)

    assert "## Due today: 2" in shown
    assert "[Practise all 2 now](#practise-due)" in shown
    assert r"What is \(p_0\)?" in shown
    assert "Regularization · last on 2026-03-01 · " in shown
    assert "[Practise](#practise-question/q1)" in shown


def test_one_question_is_practised_by_itself_and_many_are_not_all_listed():
    assert "[Practise it now]" in due_list(1)
    many = due_list(60)
    assert "[Practise 50 of them now]" in many
    assert many.count("#practise-question") == 8
    assert "And 52 more." in many


def test_nothing_due_says_when_the_next_one_comes():
    shown = due_list(0, next_due=NOW + timedelta(days=2))

    assert "Nothing is due today" in shown
    assert "on 2026-03-06" in shown
    assert "[Practise something new](#practise-any)" in shown


def test_the_day_of_the_interview_is_to_come():
    assert 'min="2026-03-05"' in day_html(None, TODAY)
    assert "value" not in day_html(None, TODAY)
    assert 'value="2027-01-12"' in day_html(date(2027, 1, 12), TODAY)


def test_a_plan_that_is_met_says_how_many_a_day_and_shows_the_days():
    shown = plan_html(planned(), new=4, needed=3)

    assert "Interview on 06 March 2026, in 2 days: <b>3 a day</b>" in shown
    assert "Each of the 4 questions that are new to you is asked" in shown
    assert shown.count("<th scope='row'>") == 2
    assert "class='planned'" in shown
    assert "<svg" in shown


def test_a_plan_that_cannot_be_met_says_so_and_what_would_do():
    shown = plan_html(planned(never_asked=40, overdue=2), new=44, needed=23)

    assert "That is not enough: 40 would never be asked and 2 not again in time. 23 a day would do" in shown
    assert "class='planned short'" in shown
    assert "2 not again" not in plan_html(planned(never_asked=40), new=44, needed=23)


def test_a_plan_of_nothing_says_so():
    assert "Nothing is new" in plan_html(planned(a_day=0, count=1), new=0, needed=0)
    assert "tomorrow" in plan_html(planned(a_day=0, count=1), new=0, needed=0)
    assert "Nothing is new to you any more, and each" in plan_html(planned(), new=0, needed=3)


def test_the_table_of_topics_bears_the_numbers_of_the_radar():
    standings = [TopicStanding(name, score, 1, 5) for name, score in (("a", 0.5), ("b", None), ("c", 0.8))]
    shown = standing_html(standings, days(3, 0), {"a": "R&D"}, TODAY)

    assert "<span>1</span><span>R&amp;D</span></span></th><td>1 of 5</td>" in shown
    assert "<td>–</td>" in shown
    assert shown.count("<svg") == 3
    assert shown.index("2026-03-04</th>") < shown.index("2026-03-01</th>"), "the last day comes first"


def test_the_map_has_a_tile_for_each_section_that_leads_to_its_entry():
    shown = map_html(SECTIONS, {"regularization.md": "Regularization"})

    assert re.findall(r"<i class='tile (\w+)' data-row", shown) == ["strong", "weak", "never", "none", "never"]
    rows = re.findall("data-row='([^']+)'", shown)
    assert re.findall("<li id='([^']+)'", shown) == rows
    assert len(set(rows)) == 5
    assert "1 strong, 1 weak, 1 to go" in shown
    assert "<span class='title'>zh/notes.md</span>" in shown, "a guide without a title goes by its name"
    assert map_html([], {}) == ""


def test_an_entry_of_the_map_leads_to_the_guide_and_to_a_question():
    shown = map_html(SECTIONS, {})
    entries = re.findall("<li .+?</li>", shown)

    assert "href='#read-regularization.md--at-inference'" in entries[1]
    assert "Dropout › At &lt;b&gt;inference&lt;/b&gt;" in entries[1]
    assert "weak, 0%" in entries[1]
    assert "href='#practise-section/regularization%23at-inference'" in entries[1]
    assert "never asked" in entries[2]
    assert "no question on it" in entries[3]
    assert "Ask me" not in entries[3]
    assert "<b>inference" not in shown


def test_links_carry_names_of_any_kind():
    assert practise_link("section", "zh/notes#批--一") == "#practise-section/zh%2Fnotes%23%E6%89%B9--%E4%B8%80"
    assert save_link("report", "ab12", "md") == "#save-report/ab12/md"
    assert save_link("anki") == "#save-anki"


def test_missed_points_lead_to_what_to_read_and_known_ones_do_not():
    shown = points_markdown([MISSED], [replace(MISSED, text="It zeroes $p$.", times=1)], {})

    assert "## Most often missed" in shown
    assert "missed 2 times" in shown
    assert shown.count("(#read-regularization.md--at-inference)") == 1
    assert r"- It zeroes \(p\)." in shown
    assert "made once" in shown
    assert points_markdown([], [], {}) == ""


def test_interviews_are_listed_with_their_reports():
    over = interview(
        [put(question()), answer(grade(question(), "made", "made")), said("end")], InterviewPlan(style="screening")
    )
    left = replace(interview([put(question())]), id="two")
    shown = interviews_html([left, over])

    assert re.findall(r">(Go on with it|Read)</a>", shown) == ["Go on with it", "Read"]
    assert "<td>Screening</td><td>1</td>" in shown
    assert "100%" in shown
    assert re.findall("href='(#save[^']+)'", shown)[3:] == [
        save_link("report", "one", end) for end in ("md", "html", "json")
    ]
    assert f"{NOON.astimezone():%Y-%m-%d %H:%M}" in shown
    assert interviews_html([]) == ""


def test_a_file_travels_in_the_page():
    shown = parcel_html("a&b.json", b'{"a": "\xc3\xa4"}', visit=7)

    assert 'id="parcel-7"' in shown
    assert 'download="a&amp;b.json"' in shown
    assert base64.b64decode(re.findall('data-content="(.+?)"', shown)[0]) == b'{"a": "\xc3\xa4"}'
