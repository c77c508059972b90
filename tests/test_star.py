from __future__ import annotations

import pytest

from tutor.star import asks_for_story, read_story

WHOLE = (
    "In my last job our ranking service was too slow at peak hours. My task was to bring p99 below 100 ms within a month. "
    "I profiled the service and found that tokenization blocked the event loop. I rewrote it as a batched worker. "
    "As a result p99 fell from 180 ms to 75 ms, and we shipped it in March."
)


def test_whole_story_lacks_nothing():
    story = read_story(WHOLE)

    assert story.missing == ()
    assert story.remarks == ()
    assert story.action == "I profiled the service and found that tokenization blocked the event loop."
    assert story.result.startswith("As a result p99 fell")
    assert story.measured_result == "from 180 ms to 75"


@pytest.mark.parametrize(
    ("sentence", "part"),
    [
        ("In my last job our ranking service was too slow at peak hours.", "situation"),
        ("My task was to bring p99 below 100 ms within a month.", "task"),
        ("I rewrote it as a batched worker.", "action"),
        ("As a result p99 fell from 180 ms to 75 ms, and we shipped it in March.", "result"),
    ],
)
def test_each_part_is_found_by_its_own_words(sentence: str, part: str):
    assert getattr(read_story(sentence), part) == sentence


def test_result_without_a_number_is_not_measured():
    story = read_story(
        "Our service was slow. I had to fix it. I profiled it and removed a lock. In the end everybody was happy."
    )

    assert story.result
    assert not story.measured_result
    assert any("not measured" in remark for remark in story.remarks)


def test_number_of_the_situation_is_no_measured_result():
    story = read_story(
        "Our service had 200 users. I was asked to speed it up. I profiled it. In the end everybody was happy."
    )

    assert story.measured_result == ""


def test_story_of_we_asks_for_the_learners_own_part():
    story = read_story(
        "Last year our model failed. We analyzed the logs. We retrained it. As a result recall rose by 12 points."
    )

    assert story.action == ""
    assert story.is_about_others
    assert "“we”" in story.remarks[0]


def test_what_one_would_do_is_no_action():
    story = read_story(
        "I would profile the service first. One should then remove the bottleneck. You have to measure again."
    )

    assert story.action == ""
    assert "what one would do" in story.remarks[0]


def test_general_advice_has_no_part_of_a_story():
    assert read_story("Communication is important. Good engineers listen to each other.").missing == (
        "situation",
        "task",
        "action",
        "result",
    )


@pytest.mark.parametrize(
    "result",
    ["Latency halved.", "It cut the cost by 30 %.", "Recall went from 71 to 84.", "That saved 20 GPU hours a week."],
)
def test_change_is_a_measured_result(result: str):
    assert (
        read_story(f"Last year our job was slow. I profiled it. In the end: {result}").measured_result
        or read_story(f"Last year our job was slow. I profiled it. {result}").measured_result
    )


def test_chinese_story_is_read_and_remarked_in_chinese():
    story = read_story(
        "去年我们团队的推荐服务太慢。我负责把延迟降到100毫秒以下。我分析了日志，定位到分词瓶颈，并重写了这一部分。最终延迟从180毫秒降到75毫秒。"
    )
    other = read_story("去年我们团队的推荐服务太慢。我们分析了日志。我们重写了这一部分。大家都很满意。")

    assert story.missing == ()
    assert "180" in story.measured_result
    assert "“我们”" in other.remarks[0]


@pytest.mark.parametrize(
    ("prompt", "asks"),
    [
        ("Tell me about a time when you led people who did not report to you.", True),
        ("Describe your experience with hyperparameter tuning.", True),
        ("Give me an example of intellectual honesty from your own work.", True),
        ("请讲一次你犯错的经历。", True),
        ("What questions do you have for us?", False),
        ("Why do you want to work at NVIDIA?", False),
    ],
)
def test_only_some_questions_ask_for_a_story(prompt: str, asks: bool):
    assert asks_for_story(prompt) == asks


def test_empty_answer_has_no_part():
    assert len(read_story("").missing) == 4
