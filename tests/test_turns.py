import pytest

from tutor.settings import Settings
from tutor.turns import BusyError, Turns
from tutor.tutor import Tutor


def test_a_learner_has_so_many_turns_at_once_and_others_have_theirs():
    turns = Turns(at_once=2)

    with turns.of("ana"), turns.of("ana"), turns.of("ben"):
        with pytest.raises(BusyError, match="busy with 2 requests of yours"), turns.of("ana"):
            pass
        with turns.of("ben"):
            pass


def test_a_turn_that_ends_in_an_error_is_given_back():
    turns = Turns(at_once=1)

    with pytest.raises(KeyError), turns.of("ana"):
        raise KeyError
    with turns.of("ana"):
        pass


def test_an_answer_that_grows_holds_a_turn_until_it_is_let_go_of(tutor: Tutor):
    class_tutor = Tutor(tutor.settings.model_copy(update={"requests_at_once": 1}))
    ana, ben = class_tutor.for_learner("ana"), class_tutor.for_learner("ben")
    growing = iter(ana.stream_answer("What does dropout do during training?"))
    next(growing)

    with pytest.raises(BusyError):
        ana.ask("What is LayerNorm?")
    with pytest.raises(BusyError):
        ana.judge(ana.questions[0], "It zeroes activations.")
    assert ben.ask("What is LayerNorm?").answered
    *_, answer = growing
    assert answer.answered
    assert ana.judge(ana.questions[0], "It zeroes activations.").verdicts


def test_the_learners_of_one_tutor_share_the_count_and_a_tutor_of_ones_own_has_none(settings: Settings):
    tutor = Tutor(settings.model_copy(update={"requests_at_once": 1}))
    tutor.update_index()

    with tutor.for_learner("ana")._turn(), pytest.raises(BusyError):
        tutor.for_learner("ana").ask("What is dropout?")
    with tutor._turn():
        assert tutor.ask("What is dropout?").answered
