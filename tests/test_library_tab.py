"""What the Library tab does, without a browser."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import gradio as gr
import pytest
from own_bank import OWN_BANK

from tutor.library import Upload
from tutor.settings import Settings
from tutor.tutor import Tutor
from ui.banks_tab import BanksHandlers
from ui.guides_tab import GuidesHandlers
from ui.library_tab import LibraryHandlers
from ui.page import picture_address

pytestmark = pytest.mark.usefixtures("closed_event_loops")
QUANTIZATION = (
    "# Quantization\n\n## INT8\n\nQuantization maps weights to 8-bit integers.\n\n![range](figures/range.png)\n"
)


@pytest.fixture
def library(tutor: Tutor) -> LibraryHandlers:
    return LibraryHandlers(tutor)


@pytest.fixture
def guides(tutor: Tutor) -> GuidesHandlers:
    return GuidesHandlers(tutor)


@pytest.fixture
def banks(tutor: Tutor) -> BanksHandlers:
    return BanksHandlers(tutor)


@pytest.fixture
def guide(tmp_path: Path) -> str:
    file = tmp_path / "quantization.md"
    file.write_text(QUANTIZATION, encoding="utf-8")
    return str(file)


def link(**data: object) -> gr.EventData:
    return gr.EventData(None, data)


def uploaded(guides: GuidesHandlers, *files: str) -> str:
    """What stands there after an upload."""
    *_, last = guides.follow(guides.start(files).upload)
    return last


# Reading


def test_the_library_lists_the_documents_and_what_they_can_be_narrowed_to(library: LibraryHandlers):
    view = library.refresh()

    assert "归一化笔记" in view.table
    assert ("Normalization", "normalization.md") in view.choice.choices
    assert [value for _, value in view.topics.choices] == ["normalization", "regularization", "zh-notes"]
    assert view.languages.choices == [("English", "en"), ("Chinese", "zh")]
    assert [value for _, value in view.levels.choices] == ["junior", "mid"]


def test_the_library_of_a_tutor_without_index_is_empty(settings: Settings):
    assert "no documents" in LibraryHandlers(Tutor(settings)).refresh().table
    assert GuidesHandlers(Tutor(settings)).refresh().choice.choices == []


def test_a_guide_is_read_with_its_formulas_and_contents(library: LibraryHandlers):
    view = library.read("regularization.md")

    assert r"\[" in view.text
    assert r"\lVert w \rVert^2" in view.text
    assert "Early stopping" in view.contents


def test_no_guide_chosen_says_what_to_do(library: LibraryHandlers):
    assert "Choose a guide" in library.read(None).text


def test_a_guide_that_is_gone_is_an_error(library: LibraryHandlers):
    with pytest.raises(gr.Error, match=r"no guide 'gone\.md'"):
        library.read("gone.md")


def test_a_link_of_before_there_were_quotes_opens_the_guide(library: LibraryHandlers):
    view = library.open_link(link(document_id="regularization.md"))

    assert view.tabs.selected == "library"
    assert view.places.selected == "read"
    assert view.choice == "regularization.md"
    assert "Early stopping" in view.text


def test_a_link_marks_the_quoted_sentence_again_and_again(library: LibraryHandlers):
    quote = "A patience of 5 to 10 epochs is common."
    for visit in (1, 2):
        view = library.open_link(
            link(document_id="regularization.md", section="early-stopping", line=0, quote=quote, visit=visit)
        )
        assert f'<mark id="visit-{visit}">A patience\nof 5 to 10 epochs is common.</mark>' in view.text


def test_a_citation_of_an_answer_leads_to_its_sentence(library: LibraryHandlers, tutor: Tutor):
    citation = tutor.ask("What does dropout do at inference?").citations[0]
    view = library.open_link(
        link(
            document_id=citation.chunk.document_id,
            section="dropout",
            line=citation.chunk.start_line,
            quote=citation.quote,
        )
    )

    assert "<mark" in view.text


# Searching


def test_a_search_finds_sections_with_a_sentence_and_a_link_to_it(library: LibraryHandlers):
    view = library.search("how many epochs of patience?", [], [], [])
    shown = str(view.found.value)

    assert view.found.visible
    assert not view.table.visible
    assert "**[Early stopping](#read-regularization.md--early-stopping?line=19&quote=" in shown
    assert "patience" in shown


def test_a_search_is_narrowed_by_topic_language_and_level(library: LibraryHandlers):
    def found(topics: list[str], languages: list[str], levels: list[str]) -> str:
        return str(library.search("BatchNorm at inference", topics, languages, levels).found.value)

    assert "#read-normalization.md" in found([], [], [])
    assert "#read-normalization.md" not in found(["regularization"], [], [])
    assert "#read-zh-notes.md" in found([], ["zh"], [])
    assert "#read-normalization.md" not in found([], [], ["junior"])


def test_a_search_for_nothing_brings_all_guides_back(library: LibraryHandlers):
    view = library.search("  ", [], [], [])

    assert not view.found.visible
    assert view.table.visible


def test_a_topic_that_is_gone_and_a_search_that_is_too_long_are_errors(library: LibraryHandlers):
    with pytest.raises(gr.Error, match="No topic 'gone'"):
        library.search("dropout", ["gone"], [], [])
    with pytest.raises(gr.Error, match="10,000 characters"):
        library.search("x" * 10_000, [], [], [])


def test_a_search_that_finds_nothing_that_fits_says_so(library: LibraryHandlers):
    assert "do not seem to cover “xyzzy”" in str(library.search("xyzzy", [], [], []).found.value)
    assert "No guide has a word" in str(library.search("the", [], [], []).found.value)


# Looking after guides


def test_an_uploaded_guide_can_be_read_and_asked_about(guides: GuidesHandlers, library: LibraryHandlers, guide: str):
    shown = uploaded(guides, guide)

    assert "added, 1 passage." in shown
    assert "8-bit" in library.read("quantization.md").text
    assert "Picture missing: range" in library.read("quantization.md").text


def test_a_picture_is_served_from_a_copy_and_no_folder_of_ours(
    guides: GuidesHandlers, library: LibraryHandlers, guide: str, tmp_path: Path
):
    picture = tmp_path / "range.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n picture")
    uploaded(guides, guide, str(picture))
    address = picture_address(picture)

    assert f"![range]({address})" in library.read("quantization.md").text
    assert address.startswith("gradio_api/file=")
    assert str(tmp_path) not in address


def test_a_file_that_is_no_guide_is_left_out_with_the_reason_and_the_others_go_on(
    guides: GuidesHandlers, guide: str, tmp_path: Path
):
    (tmp_path / "slides.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "empty.md").write_text("", encoding="utf-8")
    shown = uploaded(guides, str(tmp_path / "slides.pdf"), str(tmp_path / "empty.md"), guide)

    assert "3 of 3 files finished" in shown
    assert "<b>empty.md</b> <span>✗ left out: the file is empty." in shown
    assert "<b>quantization.md</b> <span>✓ added" in shown


def test_a_cancelled_upload_says_so_and_keeps_nothing(guides: GuidesHandlers, tutor: Tutor, guide: str):
    started = guides.start([guide])
    button = guides.cancel(started.upload)
    *_, shown = guides.follow(started.upload)

    assert not button.interactive
    assert "cancelled, nothing of it was kept" in shown
    assert "quantization.md" not in tutor.index.manifest.documents
    assert not guides.rest().visible


def test_a_page_that_goes_away_does_not_end_an_upload(guides: GuidesHandlers, tutor: Tutor, guide: str):
    upload = guides.start([guide]).upload
    following = guides.follow(upload)
    next(following)
    following.close()
    for _ in range(600):
        if upload.is_over:
            break
        Event().wait(0.05)

    assert upload.states[0].stage == "done"
    assert "quantization.md" in tutor.index.manifest.documents


def test_a_removal_is_asked_for_and_carried_out(guides: GuidesHandlers, tutor: Tutor, guide: str):
    uploaded(guides, guide)
    asked = guides.ask_removal("quantization.md")
    changed = guides.remove("quantization.md")

    assert "Its file is deleted" in asked.question
    assert asked.row.visible
    assert "You can put it back" in guides.ask_removal("regularization.md").question
    assert "Removed: quantization.md." in changed.report
    assert not changed.row.visible
    assert "quantization.md" not in tutor.index.manifest.documents


def test_a_guide_that_was_taken_out_is_offered_to_be_put_back(guides: GuidesHandlers):
    assert guides.remove("regularization.md").removed.choices == [("regularization.md", "regularization.md")]
    assert "Added: regularization.md." in guides.put_back("regularization.md").report


def test_what_cannot_be_removed_is_an_error(guides: GuidesHandlers):
    for choose in (guides.ask_removal, guides.put_back):
        with pytest.raises(gr.Error, match="Choose the guide"):
            choose(None)
    with pytest.raises(gr.Error, match=r"No document 'gone\.md'"):
        guides.remove("gone.md")


def test_changed_files_are_read_again_and_the_index_rebuilt(guides: GuidesHandlers, small_corpus: Path):
    assert "Nothing has changed" in guides.read_again().report
    file = small_corpus / "guides" / "regularization.md"
    file.write_text(file.read_text(encoding="utf-8").replace("5 to 10", "7 to 11"), encoding="utf-8")

    assert "Updated: regularization.md." in guides.read_again().report
    assert "Nothing has changed" in guides.rebuild().report


# Question banks


def test_what_candidates_say_may_be_uploaded_with_its_bank(banks: BanksHandlers, tutor: Tutor, tmp_path: Path):
    bank, said = tmp_path / "pruning.md", tmp_path / "pruning.said.txt"
    bank.write_text(OWN_BANK, encoding="utf-8")
    said.write_text(
        "# own-pruning\nS: Magnitude pruning removes the smallest weights.\n+: small ones go\n", encoding="utf-8"
    )

    view = banks.upload([str(said), str(bank)])

    assert "✓ <b>pruning.said.txt</b> saved: the grader knows more ways to say 1 key point now." in view.report
    assert tutor.find_question("own-pruning").key_points[0].said == ("small ones go",)
    alone = banks.upload([str(said.rename(tmp_path / "other.said.txt"))])
    assert "✗ <b>other.said.txt</b> There is no own question bank" in alone.report


def test_an_uploaded_bank_is_checked_kept_and_listed(banks: BanksHandlers, tutor: Tutor, tmp_path: Path):
    file = tmp_path / "pruning.md"
    file.write_text(OWN_BANK, encoding="utf-8")
    broken = tmp_path / "broken.md"
    broken.write_bytes(b"\xff")
    view = banks.upload([str(file), str(broken)])

    assert "saved: 1 question can be asked now" in view.report
    assert "<b>line 5</b> own-pruning: the answer has 9 words" in view.report
    assert "broken.md: line 1 is not UTF-8" in view.report
    assert view.choice.choices == [("pruning.md", "pruning.md")]
    assert tutor.find_question("own-pruning")


def test_the_editor_checks_saves_and_opens(banks: BanksHandlers, tutor: Tutor):
    wrong = OWN_BANK.replace("junior", "expert")

    assert "<b>line 5</b> the level is" in banks.check("pruning.md", wrong)
    assert "no question that can join" in banks.save("pruning.md", wrong).report
    assert "saved" in banks.save("pruning.md", OWN_BANK).report
    assert tutor.find_question("own-pruning")
    assert banks.open("pruning.md").text == OWN_BANK


def test_a_bank_is_removed_once_that_is_asked(banks: BanksHandlers, tutor: Tutor):
    banks.save("pruning.md", OWN_BANK)

    assert "pruning.md" in banks.ask_removal("pruning.md").question
    assert not banks.keep().row.visible
    assert banks.remove("pruning.md").choice.choices == []
    assert len(tutor.questions) == 2


def test_a_draft_stands_in_the_editor_and_counts_once_it_is_saved(banks: BanksHandlers, tutor: Tutor):
    stop, button = banks.start_draft("regularization.md")
    drafted = banks.draft("regularization.md", 2, stop)

    assert button.visible
    assert drafted.name == "regularization-draft.md"
    assert "draft: true" in drafted.text
    assert "It counts once you have read and saved it" in drafted.report
    assert "alternative phrasings" in drafted.report
    assert len(tutor.questions) == 2
    assert "saved" in banks.save(drafted.name, drafted.text).report
    assert len(tutor.questions) > 2


def test_choices_that_were_not_made_are_errors(banks: BanksHandlers):
    with pytest.raises(gr.Error, match="Choose the bank to edit"):
        banks.open(None)
    with pytest.raises(gr.Error, match="Choose the bank to remove"):
        banks.ask_removal(None)
    with pytest.raises(gr.Error, match="Choose the guide to draft from"):
        banks.start_draft(None)
    assert "cannot be the name of a bank" in banks.save("../x.md", OWN_BANK).report


# Who may


def test_whoever_may_not_edit_is_refused_by_every_handler(tutor: Tutor, monkeypatch: pytest.MonkeyPatch):
    def refuse(_tutor: Tutor, _request: object) -> Tutor:
        raise gr.Error("Only instructors.", print_exception=False)

    monkeypatch.setattr("ui.guides_tab.editor_tutor", refuse)
    monkeypatch.setattr("ui.banks_tab.editor_tutor", refuse)
    guides, banks, stop = GuidesHandlers(tutor), BanksHandlers(tutor), Event()
    calls = [
        guides.refresh,
        lambda: guides.start([]),
        lambda: list(guides.follow(Upload([]))),
        lambda: guides.ask_removal("regularization.md"),
        lambda: guides.remove("regularization.md"),
        lambda: guides.put_back("regularization.md"),
        guides.read_again,
        guides.rebuild,
        banks.refresh,
        lambda: banks.upload([]),
        lambda: banks.save("x.md", OWN_BANK),
        lambda: banks.check("x.md", OWN_BANK),
        lambda: banks.open("x.md"),
        lambda: banks.ask_removal("x.md"),
        lambda: banks.remove("x.md"),
        lambda: banks.start_draft("regularization.md"),
        lambda: banks.draft("regularization.md", 1, stop),
    ]

    for call in calls:
        with pytest.raises(gr.Error, match="Only instructors"):
            call()


def test_the_places_of_an_editor_are_hidden_from_everybody_else(
    library: LibraryHandlers, monkeypatch: pytest.MonkeyPatch
):
    assert library.refresh().guides.visible
    monkeypatch.setattr("ui.library_tab.may_edit", lambda _tutor, _request: False)

    view = library.refresh()
    assert not view.guides.visible
    assert not view.banks.visible
