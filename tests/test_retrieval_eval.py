"""Figures of retrieval, against values computed by hand."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest

from corpus.chunks import Chunk
from evals.cases_format import CaseError, Relevant, RetrievalCase
from evals.retrieval import METRICS, OUR_CASES, RetrievalReport, matches, measure, run_retrieval_eval, score_case
from index.hits import Hit
from index.retriever import RANKINGS
from tutor.settings import Settings
from tutor.tutor import Tutor

DROPOUT = {
    "id": "dropout",
    "question": "What does dropout do in training?",
    "answerable": True,
    "relevant": [{"document": "regularization.md", "heading": "Dropout", "grade": 2}],
}
FOLLOW_UP = {
    "id": "patience",
    "kind": "followup",
    "question": "What is its patience?",
    "history": ["What is early stopping?"],
    "answerable": True,
    "relevant": [{"document": "regularization.md", "heading": "2. Early stopping", "grade": 2}],
}
CHINESE = {
    "id": "nms",
    "kind": "chinese",
    "question": "非极大值抑制怎么计算？",
    "answerable": True,
    "relevant": [{"document": "zh-notes.md", "heading": "非极大值抑制", "grade": 2}],
}
BREAD = {"id": "bread", "question": "How do I bake sourdough bread?", "answerable": False, "relevant": []}


def hit(heading: str, document: str = "optimization.md", piece: int = 1) -> Hit:
    """A passage below a heading, the `piece`-th of its section."""
    path = tuple(heading.split(" > "))
    chunk = Chunk(f"{document}#{heading}~{piece}", document, "Optimization", path, "…", 1, 2)
    return Hit(chunk, 0.5, 0.5, 0.5)


def case(*relevant: tuple[str, int]) -> RetrievalCase:
    """A case that these headings answer (grade 2) or help with (grade 1)."""
    sections = tuple(Relevant("optimization.md", heading, grade) for heading, grade in relevant)
    return RetrievalCase("adam", "What is Adam?", relevant=sections, kind="single")


def write_cases(file: Path, *rows: object) -> Path:
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return file


def run(settings: Settings, small_corpus: Path, cases: Path) -> RetrievalReport:
    return run_retrieval_eval(
        settings,
        cases=cases,
        guides=small_corpus / "guides",
        rankings=RANKINGS,
        limit=0,
        progress=lambda _stage, _done, _total: None,
    )


# One case


def test_section_at_the_top_is_a_full_success() -> None:
    assert score_case(case(("Adam", 2)), [hit("Adam"), hit("SGD")]) == dict.fromkeys(METRICS, 1.0)


def test_section_in_second_place_is_worth_less() -> None:
    scores = score_case(case(("Adam", 2)), [hit("SGD"), hit("Adam")])

    assert scores == {
        "recall@1": 0.0,
        "recall@5": 1.0,
        "recall@10": 1.0,
        "hit@1": 0.0,
        "hit@5": 1.0,
        "MRR@10": 0.5,
        "nDCG@10": pytest.approx(1 / math.log2(3)),
    }


def test_several_sections_and_grades_are_weighed() -> None:
    relevant = case(("Adam", 2), ("AdamW", 2), ("Momentum", 1))

    scores = score_case(relevant, [hit("Adam"), hit("Momentum"), hit("SGD"), hit("AdamW")])

    # A grade of 2 gains 3, a grade of 1 gains 1; only a grade of 2 is an answer that recall asks for.
    gained = 3 / math.log2(2) + 1 / math.log2(3) + 3 / math.log2(5)
    ideal = 3 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    assert scores["nDCG@10"] == pytest.approx(gained / ideal)
    assert (scores["recall@1"], scores["recall@5"], scores["hit@1"], scores["MRR@10"]) == (0.5, 1.0, 1.0, 1.0)


def test_section_that_only_helps_is_no_answer() -> None:
    scores = score_case(case(("Adam", 2), ("Momentum", 1)), [hit("Momentum"), hit("Adam")])

    assert (scores["hit@1"], scores["MRR@10"]) == (0.0, 0.5)


def test_section_that_helps_counts_where_nothing_answers() -> None:
    assert score_case(case(("Momentum", 1)), [hit("Momentum")])["recall@1"] == 1.0


def test_section_counts_once_at_its_first_passage() -> None:
    pieces = [hit("Adam", piece=number) for number in (1, 2, 3)]
    others = [hit("SGD", piece=number) for number in (1, 2)]

    assert score_case(case(("Adam", 2)), pieces)["nDCG@10"] == 1.0
    assert score_case(case(("Adam", 2)), [*others, *pieces])["MRR@10"] == 0.5
    assert score_case(case(("Adam", 2), ("AdamW", 2)), pieces)["recall@10"] == 0.5


def test_section_below_the_tenth_place_is_not_found() -> None:
    others = [hit(f"Section {number}") for number in range(10)]

    assert score_case(case(("Adam", 2)), [*others, hit("Adam")]) == dict.fromkeys(METRICS, 0.0)
    assert score_case(case(("Adam", 2)), [*others[:9], hit("Adam")])["MRR@10"] == pytest.approx(0.1)


def test_search_that_finds_nothing_scores_nothing() -> None:
    assert score_case(case(("Adam", 2)), []) == dict.fromkeys(METRICS, 0.0)


@pytest.mark.parametrize(
    ("document", "heading", "expected"),
    [
        ("zh/optimization.md", "Adam", True),
        ("optimization.md", "Adam", True),
        ("optimization.md", "3. Optimizers", True),
        ("optimization.md", "adam", True),
        ("optimization.md", "Optimization", True),
        ("optimization.md", "", True),
        ("optimization.md", "AdamW", False),
        ("timization.md", "Adam", False),
        ("vision.md", "Adam", False),
    ],
)
def test_section_is_named_by_any_heading_on_its_path(document: str, heading: str, *, expected: bool) -> None:
    assert matches(document, heading, hit("Optimizers > Adam", "zh/optimization.md").chunk) is expected


# A run


def test_run_on_a_small_corpus_finds_its_sections(settings: Settings, small_corpus: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", DROPOUT, FOLLOW_UP, CHINESE, BREAD)

    report = run(settings, small_corpus, cases)

    assert [scores.ranking for scores in report.scores] == list(RANKINGS)
    assert report.scores[-1].means == dict.fromkeys(METRICS, 1.0)
    assert report.cases == 4
    assert report.kinds == {"single": ["dropout"], "followup": ["patience"], "chinese": ["nms"]}
    assert report.abstention is not None
    assert (report.abstention.answered_rightly, report.abstention.declined_rightly) == (1.0, 1.0)
    assert report.abstention.auc == 1.0
    assert json.loads(json.dumps(report.as_dict()))["rankings"]["fused"]["recall@5"] == 1.0


def test_users_home_is_left_alone(
    settings: Settings, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    run(settings, small_corpus, write_cases(tmp_path / "cases.jsonl", DROPOUT))

    assert not settings.home.exists()
    assert list(scratch.iterdir()) == []


def test_follow_up_is_searched_with_its_subject(settings: Settings, small_corpus: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", FOLLOW_UP)

    [row] = run(settings, small_corpus, cases).predictions

    assert row["standalone_question"] == "What is early stopping's patience?"


def test_prediction_has_this_shape(settings: Settings, small_corpus: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", DROPOUT, CHINESE, BREAD)

    rows = run(settings, small_corpus, cases).predictions

    assert [(row["id"], row["answered"]) for row in rows] == [("dropout", True), ("nms", True), ("bread", False)]
    best = rows[0]["hits"][0]
    assert set(rows[0]) == {"id", "standalone_question", "answered", "hits"}
    assert best == {
        "document": "regularization.md",
        "heading": "Dropout",
        "start_line": 11,
        "end_line": 17,
        "score": best["score"],
    }
    scores = [item["score"] for item in rows[0]["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_unknown_section_is_reported_and_does_not_count_against_the_search(
    settings: Settings, small_corpus: Path, tmp_path: Path
) -> None:
    lost = {**DROPOUT, "id": "lost", "relevant": [{"document": "regularization.md", "heading": "Drop-out", "grade": 2}]}
    half = {**DROPOUT, "id": "half", "relevant": [*lost["relevant"], *DROPOUT["relevant"]]}

    report = run(settings, small_corpus, write_cases(tmp_path / "cases.jsonl", DROPOUT, lost, half))

    assert set(report.scores[-1].by_case) == {"dropout", "half"}
    assert report.scores[-1].means["recall@1"] == 1.0
    assert [(problem.path, problem.line) for problem in report.problems] == [("cases.jsonl", 2), ("cases.jsonl", 3)]
    assert "regularization.md > Drop-out" in str(report.problems[0])


def test_broken_line_is_reported_beside_the_figures_of_the_rest(
    settings: Settings, small_corpus: Path, tmp_path: Path
) -> None:
    report = run(settings, small_corpus, write_cases(tmp_path / "cases.jsonl", DROPOUT, ["no case"], BREAD))

    assert report.cases == 2
    assert [str(problem).split(":")[:2] for problem in report.problems] == [["cases.jsonl", "2"]]
    assert report.as_dict()["left_out"] == [str(problem) for problem in report.problems]
    assert "left out cases.jsonl:2" in str(report.table.caption)


def test_beir_folder_is_measured_without_a_home(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    texts = {
        "d1": "Dropout zeroes activations.",
        "d2": "AdamW decouples weight decay.",
        "d3": "ReLU is max of 0 and x.",
    }
    write_cases(folder / "corpus.jsonl", *({"_id": name, "title": "", "text": text} for name, text in texts.items()))
    write_cases(
        folder / "queries.jsonl", {"_id": "q1", "text": "weight decay"}, {"_id": "q2", "text": "dropout and relu"}
    )
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td1\t1\nq2\td3\t1\n")

    report = run_retrieval_eval(
        settings, cases=folder, guides=None, rankings=("fused",), limit=0, progress=lambda *_: None
    )

    assert report.scores[0].by_case["q1"] == dict.fromkeys(METRICS, 1.0)
    assert report.scores[0].by_case["q2"]["recall@1"] == 0.5
    assert report.scores[0].by_case["q2"]["recall@5"] == 1.0
    assert not settings.home.exists()


def test_limit_takes_the_first_cases(settings: Settings, small_corpus: Path, tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", DROPOUT, FOLLOW_UP, BREAD)

    report = run_retrieval_eval(
        settings, cases=cases, guides=small_corpus / "guides", rankings=("fused",), limit=1, progress=lambda *_: None
    )

    assert list(report.scores[0].by_case) == ["dropout"]
    assert report.abstention is None


def test_cases_that_cannot_be_read_are_refused(settings: Settings, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="No cases at"):
        run(settings, small_corpus, tmp_path / "missing.jsonl")


# Limits


def worse_report(tutor: Tutor) -> RetrievalReport:
    """A report with one case found and one lost, one question wrongly answered and one wrongly declined."""
    found = RetrievalCase("found", "What does dropout do?", relevant=(Relevant("regularization.md", "Dropout", 2),))
    lost = RetrievalCase("lost", "xyzzy", relevant=(Relevant("regularization.md", "Dropout", 2),))
    trick = RetrievalCase("trick", "What does dropout do?", answerable=False)
    far = RetrievalCase("far", "xyzzy", answerable=False)
    return measure(tutor.retriever, [found, lost, trick, far], rankings=("fused",), threshold=0.3)


def test_limit_that_is_met_is_no_failure(tutor: Tutor) -> None:
    assert worse_report(tutor).failures(["recall@5=0.5", "hit@1=0.2", "answered=0.5"]) == []


def test_failure_names_the_metric_and_the_worst_cases(tutor: Tutor) -> None:
    failures = worse_report(tutor).failures(["recall@5=0.9", "answered=0.9", "declined=0.9"])

    assert failures == [
        "recall@5 is 0.500, under 0.900 (worst: lost, found)",
        "answered is 0.500, under 0.900 (worst: lost)",
        "declined is 0.500, under 0.900 (worst: trick)",
    ]


def test_chance_of_more_confidence_is_the_share_of_pairs_in_order(tutor: Tutor) -> None:
    abstention = worse_report(tutor).abstention

    # (found, far) is in order, (lost, trick) is not, (found, trick) and (lost, far) are ties.
    assert abstention is not None
    assert abstention.auc == (1 + 0 + 0.5 + 0.5) / 4


@pytest.mark.parametrize("limit", ["recall@7=0.5", "recall@5", "recall@5=high", "=0.5", "recall@5=nan", ""])
def test_limit_that_is_none_is_refused(tutor: Tutor, limit: str) -> None:
    with pytest.raises(ValueError, match=r"is not METRIC=VALUE. Metrics: recall@1, "):
        worse_report(tutor).failures([limit])


def test_shipped_cases_can_be_read() -> None:
    from evals.cases_format import read_cases

    cases, problems = read_cases(OUR_CASES)

    assert problems == []
    assert any(case.history for case in cases)
    assert any(not case.answerable for case in cases)
