"""How long the offline grader takes for an answer, beside a cross-encoder of MiniLM's shape that reads each key point beside each sentence.

    python benchmarks/grading.py

Needs no data: the answers are the bank's model answers, whole and their first third. The cross-encoder has random weights and is given
numbers for words, which spares it work; how long it takes does not depend on either. One core each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corpus.questions import Question

EVERY = 6
"""Each so manieth question is graded."""
MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
VOCABULARY = 30_522


def milliseconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Print the medians."""
    import torch
    from threadpoolctl import threadpool_limits
    from transformers import BertConfig, BertForSequenceClassification

    from corpus.questions import read_questions
    from tutor.grader import shipped_grader, windows_of
    from tutor.grading import grade_attempt
    from tutor.settings import CORPUS_FOLDER

    torch.set_num_threads(1)
    peer = BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, num_labels=1, **MINILM)).eval()
    questions = [item for item in read_questions([CORPUS_FOLDER / "questions"])[0] if not item.path.startswith("zh/")]
    grader = shipped_grader()

    def grade(question: Question, answer: str) -> None:
        grade_attempt(question, answer, grader=grader, cite=lambda _section, _text: None)

    def read(question: Question, answer: str) -> None:
        windows = windows_of(answer)
        longest = max(len(text.split()) for text in windows) + max(
            len(point.text.split()) for point in question.key_points
        )
        peer(torch.randint(VOCABULARY, (len(windows) * len(question.key_points), longest)))

    rows: dict[str, list[tuple[float, float]]] = {}
    with threadpool_limits(1), torch.inference_mode():
        for name, start, share in (("first third", 0, 3), ("model answer", EVERY // 2, 1)):
            for question in questions[start::EVERY]:
                answer = question.answer[: len(question.answer) // share]
                # The question's own texts are read once for all its answers; the answer is new.
                grade(question, "I have not learned that yet.")
                times = milliseconds(partial(grade, question, answer)), milliseconds(partial(read, question, answer))
                rows.setdefault(name, []).append(times)
    print("| answers | ours, ms | cross-encoder, key points alone, ms | ours is times as fast |\n|---|---|---|---|")
    for name, taken in rows.items():
        ours, other = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"| {name} ({len(taken)}) | {ours:.1f} | {other:.1f} | {other / ours:.1f} |")


if __name__ == "__main__":
    main()
