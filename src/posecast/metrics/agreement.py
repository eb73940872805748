"""What many people's votes say: how far they agree, and how sure a share of them is."""

import math
from collections.abc import Sequence

import numpy as np

Z95 = 1.959964
"""Of the normal distribution: 95 % lie within."""


def krippendorff_alpha(units: Sequence[Sequence[str]]) -> float:
    """Krippendorff's alpha for names (nominal data): 1 where all agree, 0 as by chance.

    Args:
        units: for each thing that was judged, what each judge said; any number of judges. Things
            with fewer than two judgements do not count.

    NaN where nothing was judged twice, or where everybody said the same of everything.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), case C.
    """
    paired = [list(unit) for unit in units if len(unit) > 1]
    names = sorted({name for unit in paired for name in unit})
    counts = np.array([[unit.count(name) for name in names] for unit in paired], float)
    if len(names) < 2:
        return math.nan
    judges = counts.sum(axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (judges - 1)
    total, by_name = judges.sum(), counts.sum(axis=0)
    observed = total - agreeing.sum()
    expected = total - (by_name * (by_name - 1)).sum() / (total - 1)
    return float(1 - observed / expected)


def agreeing_share(units: Sequence[Sequence[str]]) -> float:
    """Of all pairs of judgements of one thing the share that is equal, each thing counted alike.

    NaN where nothing was judged twice.
    """
    shares = []
    for unit in units:
        if (count := len(unit)) > 1:
            equal = sum(unit.count(name) * (unit.count(name) - 1) for name in set(unit))
            shares.append(equal / (count * (count - 1)))
    return float(np.mean(shares)) if shares else math.nan


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share among `count` independent votes.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference"
    (1927). (0, 1) for no votes.
    """
    if count == 0:
        return 0.0, 1.0
    z = Z95
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z**2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)
