"""A stronger judge beside the offline grounding check: how much of its say makes nothing worse, and what both find together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from corpus.documents import Problem
from evals.agreement import flag_figures
from evals.case_cache import CaseCache
from evals.cases_format import CaseError
from evals.grounding import CheckedCases, GroundingCase, check_cases
from evals.report import EvalReport
from evals.statistics import Interval, bootstrap_means, compare_paired
from index.build import Progress
from tutor.grounding import SUPPORTED
from tutor.judgements import GroundingJudge, Judgement, blended

WEIGHTS = tuple(step / 10 for step in range(11))
"""Shares of the judge that are tried; at 0 the offline check stands alone."""
FOLDS = 5
_REPEATED = 5
_NAMED = 5
_COMPARED = ("auc", "macro_f1")

CacheOf = Callable[[str], CaseCache]
"""The cache of what the judge of a name says."""


@dataclass(frozen=True)
class JudgedCases:
    """Cases with what the offline check and a judge say of each, in one order."""

    checked: CheckedCases
    judgements: Sequence[Sequence[Judgement]]

    def combined(self, weights: Sequence[float]) -> CheckedCases:
        """Both together, with the judge's weight for each case."""
        rows = zip(self.checked.checks, self.judgements, weights, strict=True)
        return replace(self.checked, checks=[blended(check, said, weight) for check, said, weight in rows])

    def alone(self, weight: float) -> CheckedCases:
        """Both together, with one weight."""
        return self.combined([weight] * len(self.judgements))

    def part(self, is_in: Callable[[int], bool]) -> JudgedCases:
        """The cases at some places."""
        places = [place for place in range(len(self.judgements)) if is_in(place)]
        return JudgedCases(
            CheckedCases(
                [self.checked.cases[place] for place in places], [self.checked.checks[place] for place in places]
            ),
            [self.judgements[place] for place in places],
        )


def judged_report(
    cases: Sequence[GroundingCase],
    problems: Sequence[Problem],
    judge: GroundingJudge,
    calibration: Sequence[GroundingCase],
    *,
    cache: CacheOf,
    seed: int,
    progress: Progress,
) -> EvalReport:
    """What the offline check and a judge find together, beside what each finds alone.

    The judge's weight is chosen on the labelled cases of `calibration`. Without any it is chosen on the cases themselves, for
    each fifth of them on the others; without a label it is 0, and the offline check stands. Raises CaseError for a
    calibration that has no label.
    """
    judged, repeated = judge_cases(cases, judge, cache=cache, progress=progress)
    if calibration:
        tuned, _ = judge_cases(calibration, judge, cache=cache, progress=progress)
        if not _rows(tuned.checked):
            raise CaseError("The cases to calibrate the judge on have no label. Expected sentences with unsupported.")
        weights = [choose_weight(tuned)] * len(cases)
        how = f"chosen on {len(calibration)} other cases"
    elif _rows(judged.checked):
        weights = _cross_fitted(judged)
        how = f"chosen for each of {FOLDS} parts of the cases on the others"
    else:
        weights, how = [0.0] * len(cases), "no case has a label to choose it by: name labelled ones with --calibrate"
    offline, both, alone = judged.checked, judged.combined(weights), judged.alone(1.0)
    figures = both.figures(seed)
    for prefix, found in (("offline", offline.figures(seed)), ("judge", alone.figures(seed))):
        figures |= {f"{prefix}_{name}": figure for name, figure in found.items() if name.endswith(_COMPARED)}
    readable = [
        {"judge_readable": sum(not said.problem for said in row) / len(row)} for row in judged.judgements if row
    ]
    figures |= bootstrap_means(readable, seed=seed) | bootstrap_means(repeated, seed=seed)
    return EvalReport(
        "grounding",
        {**{f"offline: {name}": rows for name, rows in offline.groups.items()}, **both.groups},
        seed,
        figures=figures,
        details=both.details,
        curves=[
            replace(curve, title=f"{curve.title}, {whose}")
            for whose, found in (("offline", offline), ("with the judge", both))
            for curve in found.curves
        ],
        confusions=both.confusions,
        notes=[
            *(f"left out {problem}" for problem in problems),
            f"{len(cases)} answers checked, {len(problems)} left out; sentences: {both.verdict_counts}",
            f"judge {judge.name}: weight {', '.join(f'{weight:g}' for weight in sorted(set(weights)))}, {how}",
            *_unreadable(judged),
            *_against_offline(offline, both, figures, seed),
        ],
        settings={"judge": judge.name},
        predictions=both.predictions,
    )


def judge_cases(
    cases: Sequence[GroundingCase], judge: GroundingJudge, *, cache: CacheOf, progress: Progress
) -> tuple[JudgedCases, list[dict[str, float]]]:
    """The offline check and the judge's judgements of each case, and of a few whether both come out the same again."""
    checked, repeated = check_cases(cases, cache=cache("offline"), progress=progress)
    kept = cache(judge.name)
    judgements = []
    for done, (case, check) in enumerate(checked):
        progress("judging", done, len(cases))
        places = [(item.start, item.end) for item in check.sentences]

        def ask(case: GroundingCase = case, places: list[tuple[int, int]] = places) -> Mapping[str, Any]:
            found = judge.judge(case.question, case.passages, case.answer, places)
            is_final = not any(said.problem for said in found)
            return {"judgements": [asdict(said) for said in found], "is_final": is_final}

        found = kept.judged(["judge", case.question, case.passages, case.answer, places], ask)
        judgements.append([Judgement(**row) for row in found["judgements"]])
        if done < _REPEATED:
            repeated.append({"repeatable": float(ask() == found)})
    return JudgedCases(checked, judgements), repeated


def choose_weight(judged: JudgedCases) -> float:
    """The judge's weight that finds most, of those with which neither AUC nor macro-F1 is below the offline check's.

    0 always qualifies: on the cases that it is chosen on, the combination is never worse.
    """
    best, found = 0.0, _quality(judged.checked)
    least = found
    for weight in WEIGHTS[1:]:
        quality = _quality(judged.alone(weight))
        if all(now >= before for now, before in zip(quality, least, strict=True)) and sum(quality) > sum(found) + 1e-9:
            best, found = weight, quality
    return best


def _cross_fitted(judged: JudgedCases) -> list[float]:
    # Cases on the same passages stay together: a weight must not be chosen on what it is measured on.
    texts = list(dict.fromkeys(case.passages for case in judged.checked.cases))
    fold = [texts.index(case.passages) % FOLDS for case in judged.checked.cases]
    by_fold = {
        number: choose_weight(judged.part(lambda place, number=number: fold[place] != number))  # type: ignore[misc]
        for number in set(fold)
    }
    return [by_fold[number] for number in fold]


def _rows(checked: CheckedCases) -> list[tuple[str, bool, float]]:
    return checked.sentence_rows or checked.answer_rows


def _quality(checked: CheckedCases) -> tuple[float, ...]:
    rows = _rows(checked)
    labels = np.array([label for _, label, _ in rows], dtype=np.bool_)
    chances = np.array([chance for _, _, chance in rows], dtype=np.float64)
    found = flag_figures(labels, 1 - chances, chances < SUPPORTED)
    # Of one class alone there is nothing to tell apart, and no reason to listen to the judge.
    return tuple(float(np.nan_to_num(found[name])) for name in _COMPARED)


def _unreadable(judged: JudgedCases) -> Iterator[str]:
    found = [
        f"{case.id}: {said.problem}"
        for case, row in zip(judged.checked.cases, judged.judgements, strict=True)
        for said in row
        if said.problem
    ]
    if found:
        total = sum(map(len, judged.judgements))
        yield f"{len(found)} of {total} judgements unreadable; there the offline check stands"
        yield from (f"unreadable {reason}" for reason in islice(dict.fromkeys(found), _NAMED))


def _against_offline(
    offline: CheckedCases, both: CheckedCases, figures: Mapping[str, Interval], seed: int
) -> Iterator[str]:
    before, after = offline.groups, both.groups
    for group, metric in (("labelled answers", "answer_right"), ("labelled sentences", "sentences_right")):
        if group in before:
            cases = sorted(before[group])
            result = compare_paired(
                [before[group][case][metric] for case in cases],
                [after[group][case][metric] for case in cases],
                seed=seed,
            )
            yield (
                f"with the judge against offline: {metric} {result.difference.value:+.3f} "
                f"({result.difference.low:+.3f} to {result.difference.high:+.3f}), {result.chance}: {result.outcome}"
            )
    for name in (f"{rows}_{metric}" for rows in ("answer", "sentence") for metric in _COMPARED):
        if name in figures and figures[name].value < figures[f"offline_{name}"].value:
            yield (
                f"WORSE with the judge here: {name} {figures[name].value:.3f}, offline "
                f"{figures[f'offline_{name}'].value:.3f}"
            )
