from __future__ import annotations

import os
from pathlib import Path

import pytest

from corpus.documents import (
    MAX_BYTES,
    UnreadableFileError,
    clean,
    decode,
    guide_files,
    language_of,
    parse_document,
    question_lines,
    read_document,
    read_guides,
    split_front_matter,
)

MESSY_GUIDE = """\
---
layout: post
title: "Deep learning: the basics"
lang: en
---

{% include toc.html %}
<div class="panel">
<h2 align="center">ðŸŒŸ Welcome</h2>
</div>

## Why it doesnâ€™t overfit

• Dropout zeroes activations
  • also in convolutions
A loss of $a < b$ and `<div>` stay.&nbsp;So does x &lt; y.

<script>
track("page");
</script>
Early stopping <b>ends</b> training.</div
"""


def parse(text: str):
    return parse_document(text, "notes/basics.md", sha256="")


def test_cleaning_keeps_every_line_on_its_number():
    document = parse(MESSY_GUIDE)

    assert document.text.count("\n") == MESSY_GUIDE.count("\n")
    assert document.text.split("\n")[11] == "## Why it doesn’t overfit"


def test_mojibake_is_mended_and_what_the_author_typed_is_not():
    assert clean("It doesnâ€™t overfit") == "It doesn’t overfit"
    assert clean("He said “no” – naïve Bayes, ﬁne") == "He said “no” – naïve Bayes, ﬁne"


def test_html_liquid_and_scripts_are_taken_out_and_the_words_kept():
    text = parse(MESSY_GUIDE).text

    for rest in ("{%", "<div class", "</div", "Welcome", "track", "<b>"):
        assert rest not in text
    assert "Early stopping ends training." in text


def test_html_with_a_paragraph_of_text_keeps_the_text():
    line = "<p>Batch normalization standardizes each channel with the statistics of the batch.</p>"

    assert clean(line) == "Batch normalization standardizes each channel with the statistics of the batch."


def test_code_and_formulas_that_look_like_html_are_left_alone():
    text = "A loss of $a <b$ and `<div>` stay.\n\n```html\n<div class='x'>\n• bullet\n```\nif a < b and c > d: x"

    assert clean(text) == text


def test_odd_bullets_become_markdown_lists():
    assert clean("• Dropout\n  ▪ in convolutions") == "- Dropout\n  - in convolutions"


def test_entities_are_decoded_in_prose_only():
    assert clean("precision &amp; recall") == "precision & recall"
    assert clean("`a &amp; b`") == "`a &amp; b`"


def test_front_matter_gives_title_topic_level_and_sources():
    text = (
        "---\ntitle: Losses\ntopic: loss-functions\nlevel: mid\nsummary: Which loss when.\nsources: [a, b]\n---\nText."
    )

    document = parse(text)

    assert (document.title, document.topic, document.level) == ("Losses", "loss-functions", "mid")
    assert document.summary == "Which loss when."
    assert document.sources == ("a", "b")


def test_without_front_matter_title_and_topic_come_from_heading_and_file_name():
    document = parse("# **Recurrent** networks\n\nThey share weights over time.")

    assert (document.title, document.topic, document.language) == ("Recurrent networks", "basics", "en")


def test_a_file_without_heading_is_called_by_its_first_short_line_or_its_name():
    assert parse("Notes on GRU\n\nA GRU has two gates.").title == "Notes on GRU"
    assert parse("A GRU has two gates, which is one less than an LSTM.").title == "basics"


def test_two_rulers_around_a_paragraph_are_text_and_not_front_matter():
    text = "---\nDropout is a regularizer.\n---\nMore."

    assert split_front_matter(text) == ({}, text)


@pytest.mark.parametrize("front", ["title: Losses: which one", "date: 2024-02-30", "tags: [a, b"])
def test_broken_front_matter_is_an_error_of_that_file_with_its_line(front: str):
    with pytest.raises(UnreadableFileError, match=r"line \d: the front matter is not YAML"):
        parse(f"---\n{front}\n---\n\nText.")


@pytest.mark.parametrize(("lang", "language"), [("zh-CN", "zh"), ("en_US", "en"), ("EN", "en"), ("fr", "en")])
def test_the_language_of_the_front_matter_is_reduced_to_the_two_that_search_knows(lang: str, language: str):
    assert parse(f"---\nlang: {lang}\n---\nBatch normalization.").language == language


def test_language_is_chinese_from_a_fifth_of_chinese_letters():
    assert language_of("批归一化 (BatchNorm) 的作用是什么？") == "zh"
    assert language_of("BatchNorm 是 a layer that standardizes each channel of the batch") == "en"
    assert language_of("") == "en"


def test_a_file_of_nothing_but_html_says_that_nothing_is_left():
    with pytest.raises(UnreadableFileError, match="nothing is left"):
        parse("<div>\n<img src='a.png'>\n</div>")


def test_numbered_questions_without_headings_are_found():
    text = "\n".join(f"{number}. What is {word}?\nAn answer." for number, word in enumerate("abcdef", start=1))
    text = text.replace("What is", "What is the idea of")

    assert next(iter(question_lines(text).values())) == "What is the idea of a?"
    assert len(question_lines(text)) == 6


def test_a_short_numbered_list_in_a_markdown_guide_is_a_list():
    steps = "\n".join(f"{number}. Do the step with number {number}" for number in range(1, 7))
    headings = "\n\n".join(f"# Heading {number}" for number in range(8))

    assert question_lines("1. Load the data first\n2. Train the model then") == {}
    assert question_lines(f"{headings}\n\n{steps}") == {}


def test_a_bare_title_above_a_sentence_is_a_heading_of_such_a_list():
    questions = "\n".join(f"{number}. What does layer {number} compute?\nIt computes." for number in range(1, 6))
    text = f"Convolutional Networks\nThese questions are asked about networks that see.\n{questions}"

    assert question_lines(text)[1] == "Convolutional Networks"


def test_bytes_that_are_not_utf8_name_the_line_and_the_way_out():
    with pytest.raises(UnreadableFileError, match=r"line 2 is not UTF-8 \(byte 0xc5\).*iconv"):
        decode(b"# Title\n" + "批归一化".encode("gb18030"))


def test_a_byte_order_mark_and_windows_line_ends_are_taken_out():
    assert decode("\ufeff# Dropout\r\n\r\nText\r".encode()) == "# Dropout\n\nText\n"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.md", b"", "empty"),
        ("blank.md", b" \n\n", "empty"),
        ("binary.md", b"PNG\0\0", "binary"),
        ("paper.pdf", b"%PDF-1.7", "the PDF is damaged"),
        ("plot.png", b"PNG", r"\.png files cannot be read yet"),
        ("notes.doc", b"Word 97", r"\.doc files cannot be read. Save it as \.docx"),
        ("slides.PPT", b"PowerPoint 97", r"Save it as \.pptx"),
        ("README", b"text", "files without a suffix"),
    ],
)
def test_a_file_that_is_no_guide_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, reason: str):
    file = tmp_path / name
    file.write_bytes(content)

    with pytest.raises(UnreadableFileError, match=reason):
        read_document(file, name)


def test_a_dump_is_refused_before_it_is_read(tmp_path: Path):
    file = tmp_path / "dump.txt"
    with file.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)

    with pytest.raises(UnreadableFileError, match="too large"):
        read_document(file, "dump.txt")


def test_a_folder_gives_its_readable_visible_files_by_their_paths(tmp_path: Path):
    for name in ("b.md", "zh/a.MD", "notes.txt", "plot.png", ".git/x.md", ".hidden.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")

    assert [name for name, _ in guide_files([tmp_path])] == ["b.md", "notes.txt", "zh/a.MD"]


def test_a_missing_path_says_what_is_expected(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"No such file or folder.*Give a guide"):
        list(guide_files([tmp_path / "nowhere"]))


def test_reading_reports_the_broken_guides_and_returns_the_others(tmp_path: Path):
    (tmp_path / "good.md").write_text("# Dropout\n\nIt zeroes units.", encoding="utf-8")
    (tmp_path / "broken.md").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "date.md").write_text("---\ndate: 2023-02-29\n---\nText.", encoding="utf-8")

    documents, problems = read_guides([tmp_path])

    assert [document.id for document in documents] == ["good.md"]
    assert [problem.path for problem in problems] == ["broken.md", "date.md"]
    assert str(problems[0]).startswith("broken.md: this is a binary file")


def test_the_hash_is_that_of_the_bytes(tmp_path: Path):
    file = tmp_path / "a.md"
    file.write_bytes(b"# A\n\ntext")
    unix = read_document(file, "a.md").sha256
    file.write_bytes(b"# A\r\n\r\ntext")

    assert read_document(file, "a.md").sha256 != unix


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_without_read_permission_is_reported(tmp_path: Path):
    (tmp_path / "locked.md").write_text("text", encoding="utf-8")
    (tmp_path / "locked.md").chmod(0)

    _, problems = read_guides([tmp_path])

    assert "no permission" in str(problems[0])
