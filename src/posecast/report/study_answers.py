"""`posecast study read`: what raters preferred, how sure that is, and how far they agree.

A rate is the share of choices for the first method, each clip counted alike. Its interval (Wilson)
is as if every clip were one vote: choices of one clip are not independent, and it is other clips
that one wants to know of. Agreement is of the sides chosen, which were shuffled: chance is a half.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posecast.errors import PosecastError
from posecast.metrics import agreement
from posecast.report.study_files import TRUTH, Answers, StudyKey, StudyPair, read_answers, read_key

ALL_ACTIONS = "all"


@dataclass(frozen=True)
class Preference:
    """How often one method was preferred to another."""

    method: str
    other: str
    action: str
    """ALL_ACTIONS for all of them."""
    num_clips: int
    num_votes: int
    rate: float
    """Share of choices for `method`, each clip counted alike."""
    low: float
    high: float


@dataclass(frozen=True)
class StudyResult:
    """What the answers say."""

    preferences: tuple[Preference, ...]
    """For each comparison all actions, then each."""
    raters: tuple[str, ...]
    left_out: dict[str, str]
    """Raters who do not count, and why."""
    alpha: float
    """Krippendorff's alpha of the sides chosen, attention checks left out; NaN: nothing was judged
    twice."""
    agreeing: float
    """Share of pairs of raters who chose the same side."""
    left_share: float
    """Share of choices for the left side: far from one half, sides were preferred."""

    def summary(self) -> str:
        rows = [_row(each) for each in self.preferences]
        width = max(len(name) for name, _ in rows)
        count = sum(each.num_votes for each in self.preferences if each.action == ALL_ACTIONS)
        lines = [f"{len(self.raters)} raters, {count} choices"]
        lines += [f"  left out: {rater}: {why}" for rater, why in self.left_out.items()]
        lines += ["", "share of choices for the first (95 % interval; clips, choices)"]
        lines += [f"  {name:{width}}  {text}" for name, text in rows]
        lines += [
            "",
            f"agreement: Krippendorff's alpha {self.alpha:.2f}, "
            f"{100 * self.agreeing:.0f} % of pairs of raters chose alike"
            if self.agreeing == self.agreeing
            else "agreement: no pair was judged by two raters",
            f"left side chosen: {100 * self.left_share:.0f} %",
        ]
        return "\n".join(lines)


def read_study(
    study: str | Path, answers: Sequence[str | Path], least_checks: float = 0.8
) -> StudyResult:
    """What answers to a study say.

    Args:
        answers: files that the page saved, one a rater.
        least_checks: share of the attention checks that a rater must have got right to count.

    Raises:
        PosecastError: no study, answers of another one, one rater twice, or nobody who counts.
    """
    if not 0 <= least_checks <= 1:
        raise PosecastError(f"least_checks is {least_checks}; expected a share, 0 to 1")
    key = read_key(Path(study))
    by_rater: dict[str, Answers] = {}
    for path in answers:
        each = read_answers(Path(path), key)
        if each.rater in by_rater:
            raise PosecastError(f"{path}: there are answers of rater {each.rater!r} already")
        by_rater[each.rater] = each
    reasons = {name: _why_not(key, each, least_checks) for name, each in by_rater.items()}
    left_out = {name: why for name, why in reasons.items() if why}
    counted = {name: each for name, each in by_rater.items() if name not in left_out}
    if not any(each.answers for each in counted.values()):
        told = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise PosecastError(f"no answers that count among those of {len(by_rater)} raters. {told}")
    return _result(key, counted, left_out)


def _why_not(key: StudyKey, answers: Answers, least: float) -> str:
    """Why a rater does not count; "" for one who does."""
    checks = {pair.pair: pair for pair in key.pairs if pair.is_check}
    given = [each for each in answers.answers if each.pair in checks]
    if not checks:
        return ""
    right = sum(getattr(checks[each.pair], each.choice) == TRUTH for each in given)
    if not given or right < least * len(given):
        return f"{right} of {len(given)} attention checks right"
    return ""


def _result(key: StudyKey, counted: dict[str, Answers], left_out: dict[str, str]) -> StudyResult:
    sides: dict[str, list[str]] = defaultdict(list)
    for each in counted.values():
        for answer in each.answers:
            sides[answer.pair].append(answer.choice)
    asked = [pair for pair in key.pairs if not pair.is_check and pair.pair in sides]
    preferences = []
    for method, other in key.comparisons:
        pairs = [pair for pair in asked if {pair.left, pair.right} == {method, other}]
        actions = sorted({pair.action for pair in pairs})
        groups = {ALL_ACTIONS: pairs}
        if len(actions) > 1:
            groups |= {name: [p for p in pairs if p.action == name] for name in actions}
        preferences += [
            _preference(method, other, action, group, sides)
            for action, group in groups.items()
            if group
        ]
    units = [sides[pair.pair] for pair in asked]
    chosen = [side for unit in units for side in unit]
    return StudyResult(
        *(tuple(preferences), tuple(counted), left_out),
        *(agreement.krippendorff_alpha(units), agreement.agreeing_share(units)),
        chosen.count("left") / max(len(chosen), 1),
    )


def _preference(
    method: str, other: str, action: str, pairs: Iterable[StudyPair], sides: dict[str, list[str]]
) -> Preference:
    votes = {
        pair.clip: [getattr(pair, side) == method for side in sides[pair.pair]] for pair in pairs
    }
    rate = float(np.mean([np.mean(each) for each in votes.values()]))  # each clip counted alike
    count = sum(map(len, votes.values()))
    return Preference(
        method, other, action, len(votes), count, rate, *agreement.wilson_interval(rate, len(votes))
    )


def _row(each: Preference) -> tuple[str, str]:
    name = f"{each.method} against {each.other}"
    if each.action != ALL_ACTIONS:
        name = f"  {each.action.replace('_', ' ') or '(no action)'}"
    rate, low, high = (100 * share for share in (each.rate, each.low, each.high))
    return name, f"{rate:3.0f} % ({low:.0f} to {high:.0f}; {each.num_clips}, {each.num_votes})"
