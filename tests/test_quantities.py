from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.questions import Quantity, Question, read_questions
from tutor.quantities import judge_result, other_number, stated_numbers
from tutor.settings import CORPUS_FOLDER

CACHE = Quantity(40.0, "GiB", "40")
MEMORY = Quantity(112.0, "GB", "112")
WEIGHTS = Quantity(4_194_304.0, "parameters", "2**22")
TIME = Quantity(97.5, "ms", "97.5", 0.01)
SHARE = Quantity(22.58, "percent", "100 * 7 / 31", 0.01)
F1 = Quantity(0.7273, "1", "160 / 220", 0.005)
RATE = Quantity(3.17e-05, "1", "1e-3 * 0.75 ** 12", 0.01)
WORKERS = Quantity(41.0, "workers", "41")
WORK = Quantity(462_422_016.0, "FLOP", "1")
COST = Quantity(0.7716, "USD", "2.5 / 3.24", 0.01)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("about 50k values", 50_000, ""),
        ("1.2e9 bytes", 1.2e9, "byte"),
        ("16 GB", 16, "gigabyte"),
        ("16 GiB", 16, "gibibyte"),
        ("16GB", 16, "gigabyte"),
        ("16 Gb", 16, "gigabit"),
        ("**16 GiB**", 16, "gibibyte"),
        ("2**30 bytes", 2**30, "byte"),
        ("2 x 10^9 parameters", 2e9, ""),
        ("$2^{30}$ bytes", 2**30, "byte"),
        ("2³⁰ bytes", 2**30, "byte"),
        (r"$3.17\cdot10^{-5}$", 3.17e-5, ""),
        ("3.17 × 10⁻⁵", 3.17e-5, ""),
        ("1/3", 1 / 3, ""),
        (r"$\frac{1}{3}$", 1 / 3, ""),
        ("12.5 %", 12.5, "percent"),
        (r"$12.5\%$", 12.5, "percent"),
        ("12.5 percent", 12.5, "percent"),
        ("1,234,567 weights", 1_234_567, ""),
        (r"$70{,}778{,}880$", 70_778_880, ""),
        ("4.2 million", 4.2e6, ""),
        ("7B parameters", 7e9, ""),
        ("989 TFLOPS", 989, "teraFLOPS"),
        ("989 TFLOP/s", 989, "teraFLOP/second"),
        ("63 FLOP/B", 63, "FLOP/byte"),
        ("97.5 ms", 97.5, "millisecond"),
        ("70 亿", 7e9, ""),
        ("36.09 亿字节", 36.09e8, "byte"),
        ("3 万", 30_000, ""),
        ("-0.4", -0.4, ""),
    ],
)
def test_number_is_read_with_its_unit(text: str, value: float, unit: str):
    (number,) = stated_numbers(text)

    assert number.value == pytest.approx(value, rel=1e-12)
    assert number.unit == unit


@pytest.mark.parametrize("text", ["GPT-4", "x2 and h100", "no number at all", "", "三分之一", "v1.2.3.4"])
def test_names_with_digits_are_no_results(text: str):
    assert all(not number.is_result for number in stated_numbers(text))


RIGHT = [
    (CACHE, "The cache takes 40 GiB."),
    (CACHE, "40"),
    (CACHE, "It is 42.95 GB, in decimal units."),
    (CACHE, "So that is 2^30 × 40 bytes = 42,949,672,960 bytes"),
    (CACHE, "320 KiB a token, times 131,072 tokens = 40 GiB, more than half of an 80 GB card."),
    (CACHE, "I get 40960 MiB."),
    (MEMORY, "Sixteen bytes a parameter: 7e9 × 16 = 112 GB, more than one 80 GB GPU holds."),
    (MEMORY, "16 bytes per parameter, so 0.112 TB"),
    (MEMORY, "7e9 * 16 = 1.12e11 bytes"),
    (WEIGHTS, "about 4.19 million"),
    (WEIGHTS, "4.2M parameters"),
    (WEIGHTS, "$64\\cdot65536=4{,}194{,}304$ weights"),
    (WEIGHTS, "That is $2^{22}$."),
    (TIME, "0.0975 s"),
    (TIME, "4.875 / 50 = 0.0975 seconds"),
    (TIME, "roughly 98 ms"),
    (SHARE, "7/31 = 22.6%"),
    (SHARE, "The bubble is 0.226 of the time."),
    (F1, "160 / 220 ≈ 0.727"),
    (F1, "72.7 %"),
    (F1, "0.73"),
    (RATE, "3.17e-5"),
    (RATE, r"$10^{-3}\cdot0.0317=3.17\cdot10^{-5}$"),
    (WORKERS, "1024 / 25 = 40.96, so 41 workers"),
    (WORK, "0.462 GFLOPs"),
    (WORK, "56·56·128·576·2 = 462 MFLOP"),
    (COST, "$0.77"),
    (COST, "2.50 / 3.24 = 0.77 dollars"),
    (COST, "77 cents"),
]


@pytest.mark.parametrize(("asked", "attempt"), RIGHT)
def test_right_result_counts_in_any_unit_of_its_kind(asked: Quantity, attempt: str):
    assert judge_result(asked, attempt).verdict == "right"


WRONG = [
    (CACHE, "It takes 40 GB.", "wrong unit", "its unit is not"),
    (CACHE, "It takes 43 GiB.", "wrong unit", "GB and GiB"),
    (CACHE, "It takes 40 MiB.", "wrong unit", "its unit is not"),
    (CACHE, "It takes 40 Gibit.", "wrong unit", "its unit is not"),
    (CACHE, "It takes 320 GiB.", "wrong unit", "factor of 8"),
    (CACHE, "It takes 20 GiB.", "wrong", "too small by a factor of 2"),
    (CACHE, "It takes 400 GiB.", "power of ten", "too large by a factor of 10"),
    (CACHE, "The cache grows with the sequence.", "none", "no result"),
    (CACHE, "", "none", "no result"),
    (MEMORY, "It takes 112 MB.", "wrong unit", "its unit is not"),
    (MEMORY, "It takes 1.12 TB.", "power of ten", "factor of 10"),
    (MEMORY, "7e9 × 12 = 84 GB.", "wrong", "too small"),
    (TIME, "It takes 97.5 s.", "wrong unit", "its unit is not"),
    (TIME, "It takes 97.5 GB.", "wrong unit", "its unit is not"),
    (TIME, "It takes 52 ms.", "wrong", "too small"),
    (WEIGHTS, "4,194,304 bytes", "wrong unit", "its unit is not"),
    (WEIGHTS, "That makes 2,097,152 parameters.", "wrong", "factor of 2"),
    (WEIGHTS, "That makes 4.2 billion parameters.", "power of ten", "1,000"),
    (SHARE, "The bubble is 29%.", "wrong", "too large"),
    (F1, "0.0727", "power of ten", "too small by a factor of 10"),
    (F1, "-0.7273", "wrong", "sign"),
    (F1, "0.7", "near", "more digits"),
    (WORKERS, "1024 / 25 = 40.96 workers", "near", "close"),
    (WORKERS, "40 workers", "near", "close"),
    (WEIGHTS, "4,194,305 parameters", "near", "close"),
    (WEIGHTS, "4.15 million parameters", "near", "close"),
    (WORK, "It needs 231 MFLOP.", "wrong", "factor of 2"),
]


@pytest.mark.parametrize(("asked", "attempt", "verdict", "told"), WRONG)
def test_wrong_result_is_named_for_what_it_is(asked: Quantity, attempt: str, verdict: str, told: str):
    judged = judge_result(asked, attempt)

    assert judged.verdict == verdict
    assert told in judged.message


@pytest.mark.parametrize(("asked", "attempt"), [case[:2] for case in WRONG])
def test_message_does_not_give_the_result_away(asked: Quantity, attempt: str):
    shown = {number.value for number in stated_numbers(judge_result(asked, attempt).message)}

    assert asked.value in {number.value for number in stated_numbers(attempt)} or asked.value not in shown


@pytest.mark.parametrize(
    ("asked", "attempt", "prompt"),
    [
        (CACHE, "2 × 40 layers × 8 heads × 128 = 81,920 values, so the cache takes 85 GiB.", ""),
        (CACHE, "There are 40 layers. In total the cache takes 85 GiB.", ""),
        (WORKERS, "The machine has 41 cores. It needs 12 workers.", ""),
        (Quantity(8.0, "GPUs", "8"), "Each of the 8 experts needs 12 GPUs, so the answer is 96 GPUs.", ""),
        (F1, "Not 0.727, because precision is lower.", ""),
        (Quantity(3.2, "1", "3.2"), "From 3.2 to 6.4.", ""),
        (CACHE, "Between 30 and 50 GiB, or 20-40 GiB.", ""),
        (Quantity(64.0, "1", "64"), "The width is 64.", "How large is the sum for width 64?"),
    ],
)
def test_intermediate_or_given_number_does_not_earn_the_point(asked: Quantity, attempt: str, prompt: str):
    assert judge_result(asked, attempt, prompt).verdict != "right"


@pytest.mark.parametrize(
    "attempt",
    [
        "The cache takes 40 GiB. No wait, the answer is 80 GiB.",
        "It takes 40 GiB or 80 GiB.",
        "It takes 80 GiB or 40 GiB.",
        "40 GiB for the keys. In total the cache takes 80 GiB.",
    ],
)
def test_right_result_that_is_taken_back_does_not_count(attempt: str):
    assert judge_result(CACHE, attempt).verdict == "contradicted"


@pytest.mark.parametrize(
    "attempt",
    [
        "It takes 40 GiB. With full multi-head attention the total would be 320 GiB.",
        "It takes 40 GiB, not 80 GiB.",
        "I first had 80 GiB. Correction: it is 40 GiB.",
    ],
)
def test_comparison_does_not_take_the_result_back(attempt: str):
    assert judge_result(CACHE, attempt).verdict == "right"


def test_evidence_is_the_learners_sentence():
    judged = judge_result(CACHE, r"A token takes 320 KiB. So the cache takes $40\,\text{GiB}$ in all. That is much.")

    assert judged.evidence == r"So the cache takes $40\,\text{GiB}$ in all."


def computed():
    questions, _ = read_questions([CORPUS_FOLDER / "questions"])
    return [pytest.param(question.quantity, question, id=question.id) for question in questions if question.quantity]


@pytest.mark.parametrize(("asked", "question"), computed())
def test_model_answer_of_a_compute_question_is_right(asked: Quantity, question: Question):
    assert judge_result(asked, question.answer, question.prompt).verdict == "right"


@pytest.mark.parametrize(("asked", "question"), computed())
def test_bare_value_is_right_and_its_thousandfold_is_not(asked: Quantity, question: Question):
    unit = "" if asked.unit == "1" else f" {asked.unit}"

    assert judge_result(asked, f"So it is {asked.value:.10g}{unit}.", question.prompt).verdict == "right"
    assert judge_result(asked, f"So it is {asked.value * 1000:.10g}{unit}.", question.prompt).verdict == "power of ten"
    assert judge_result(asked, f"So it is {asked.value * 1.7:.4g}{unit}.", question.prompt).verdict in {"wrong", "none"}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789.,eE^×x*/-+=()$%{}\\ GiBsok ⁻³万", max_size=60))
def test_no_text_makes_it_fail(text: str):
    judge_result(CACHE, text, text)


def test_huge_powers_are_left_alone():
    assert judge_result(CACHE, "9^9999999999 and 9^399 and 0^-5 and 1e999 GiB").verdict in {"none", "wrong"}


@pytest.mark.parametrize(
    ("wanted", "said", "expected"),
    [
        ("The F1 score is about 0.727.", "The F1 score is 0.94.", "0.94"),
        ("The cache takes 40 GiB.", "So the cache takes 20 GiB.", "20 GiB"),
        ("The F1 score is about 0.727.", "The F1 score is 0.73.", ""),
        ("The cache takes 40 GiB.", "It is about 43 GB.", ""),
        ("Precision is 0.80 here.", "The precision is 80 %.", ""),
        ("The cache takes 40 GiB.", "It has 32 layers.", ""),
        ("The cache takes 40 GiB.", "It takes 2 * 20 GiB.", ""),
        ("Each head has 64 dimensions.", "With 12 heads each has 64 dimensions.", ""),
        ("The cache takes 40 GiB.", "The cache grows with the sequence.", ""),
    ],
)
def test_other_value_for_the_same_thing_is_found(wanted: str, said: str, expected: str):
    found = other_number(wanted, said)

    assert (found.text if found else "") == expected


def test_numbers_of_the_question_and_of_other_phrasings_are_no_other_value():
    wanted = "The receptive field is 511 steps."

    assert other_number(wanted, "With 8 steps it is long.", given="How long is it after 8 steps?") is None
    assert other_number(wanted, "It sees 255 steps back.", phrasings=("one step and 255 steps on each side",)) is None
    assert other_number(wanted, "It sees 255 steps back.") is not None
