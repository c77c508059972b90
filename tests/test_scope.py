from __future__ import annotations

import pytest

from corpus.documents import parse_document
from index.scope import EVERYWHERE, Scope, ScopeError
from tutor.tutor import Tutor


@pytest.mark.parametrize(
    ("scope", "documents"),
    [
        (Scope(documents=("regularization.md",)), {"regularization.md"}),
        (Scope(topics=("normalization", "zh-notes")), {"normalization.md", "zh-notes.md"}),
        (Scope(languages=("zh",)), {"zh-notes.md"}),
        (Scope(levels=("junior",)), {"regularization.md", "zh-notes.md"}),
        (Scope(levels=("junior",), languages=("en",)), {"regularization.md"}),
        (EVERYWHERE, {"regularization.md", "normalization.md", "zh-notes.md"}),
    ],
)
def test_a_passage_is_within_where_each_field_that_is_set_has_its_value(
    tutor: Tutor, scope: Scope, documents: set[str]
):
    assert {chunk.document_id for chunk in tutor.index.chunks if scope.admits(chunk)} == documents
    assert {document.id for document in tutor.index.documents if scope.admits(document)} == documents


def test_the_rows_within_are_those_of_the_passages_within(tutor: Tutor):
    scope = Scope(levels=("junior",), languages=("en",))

    rows = tutor.index.rows_within(scope)

    assert rows.tolist() == [row for row, chunk in enumerate(tutor.index.chunks) if scope.admits(chunk)]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (
            Scope(topics=("normalisation",)),
            "No topic 'normalisation' in the guides. Did you mean normalization? "
            "There are: normalization, regularization, zh-notes.",
        ),
        (Scope(languages=("EN",)), "No language 'EN' in the guides. Did you mean en? There are: en, zh."),
        (Scope(levels=("guru",)), "No level 'guru' in the guides. There are: junior, mid."),
        (Scope(documents=("regularization",)), "Did you mean regularization.md"),
    ],
)
def test_what_is_not_there_is_named_with_the_near_and_all_that_is(tutor: Tutor, scope: Scope, message: str):
    with pytest.raises(ScopeError) as error:
        tutor.retrieve("dropout", count=1, within=scope)

    assert message in str(error.value)


def test_all_that_is_not_there_is_reported_together(tutor: Tutor):
    with pytest.raises(ScopeError, match=r"No document 'a\.md'.*No topic 'b'.*No language 'c'.*No level 'd'"):
        tutor.ask("What is dropout?", within=Scope(("a.md",), ("b",), ("c",), ("d",)))


def test_of_a_large_library_a_few_values_are_listed():
    documents = [parse_document("text", f"guide-{number:03}.md", sha256="") for number in range(200)]

    with pytest.raises(ScopeError, match=r"guide-000\.md, .*guide-029\.md and 170 more\.$"):
        Scope(documents=("?",)).check(documents)


def test_one_value_without_its_brackets_is_refused():
    with pytest.raises(TypeError, match=r"topics takes several values, got 'vision'. Write topics=\('vision',\)"):
        Scope(topics="vision")


def test_an_answer_is_taken_from_what_is_within(tutor: Tutor):
    answer = tutor.ask("What does BatchNorm do?", within=Scope(topics=("regularization",)))

    assert {citation.chunk.topic for citation in answer.citations} | {
        hit.chunk.topic for hit in answer.suggestions
    } == {"regularization"}
