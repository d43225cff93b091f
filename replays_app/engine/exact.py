"""Exact statistics in plain Python: importing scipy takes a second, so only the tests use it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a failure rate at 95 %; `sided` 1: only `high` is claimed (no failure was seen)."""

    low: float
    high: float
    sided: Literal[1, 2]


def interval(failures: int, judged: int) -> Interval:
    """Clopper–Pearson: one-sided at zero failures, two-sided otherwise."""
    if not 0 <= failures <= judged or judged == 0:
        raise ValueError(f"{failures} of {judged} is not a count of failures")
    if failures == 0:
        return Interval(0.0, 1 - ALPHA ** (1 / judged), 1)
    tail = ALPHA / 2
    low = _bisect(lambda p: 1 - _at_most(failures - 1, judged, p) - tail)
    high = 1.0
    if failures < judged:
        high = _bisect(lambda p: tail - _at_most(failures, judged, p))
    return Interval(low, high, 2)


def _at_most(failures: int, judged: int, rate: float) -> float:
    """P(X <= failures) for X ~ Binomial(judged, rate), 0 < rate < 1."""
    logs = math.log(rate), math.log1p(-rate)
    return math.fsum(
        math.exp(math.log(math.comb(judged, k)) + k * logs[0] + (judged - k) * logs[1])
        for k in range(failures + 1)
    )


def _bisect(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def boschloo_less(f_new: int, n_new: int, f_old: int, n_old: int) -> float:
    """Boschloo's exact test, the p-value of "the new version fails no less often than the old one".

    The versions are the two binomial samples, which scipy wants in the *columns* of its table:
    `boschloo_exact([[f_new, f_old], [n_new - f_new, n_old - f_old]], alternative="less")`.
    Fisher's p-values are compared as whole numbers, so that ties are ties.
    """
    if not (0 <= f_new <= n_new and 0 <= f_old <= n_old):
        raise ValueError(f"{f_new} of {n_new} and {f_old} of {n_old} are not counts of failures")
    total = n_new + n_old
    observed = _fisher_less(f_new, f_new + f_old, n_new, n_old)
    ways_seen = math.comb(total, f_new + f_old)
    if observed == ways_seen:
        return 1.0
    weights = []  # (failures in all, log of the number of ways at least as extreme)
    for failures in range(total + 1):
        ways = math.comb(total, failures)
        extreme = tail = 0
        for x in range(max(0, failures - n_old), min(n_new, failures) + 1):
            tail += math.comb(n_new, x) * math.comb(n_old, failures - x)
            if tail * ways_seen > observed * ways:
                break
            extreme = tail
        if extreme:
            weights.append((failures, math.log(extreme)))
    return _largest_probability(weights, total)


def _fisher_less(x: int, failures: int, n_new: int, n_old: int) -> int:
    """Numerator of P(new failures <= x) when all the failures fell anywhere."""
    first = max(0, failures - n_old)
    return sum(math.comb(n_new, i) * math.comb(n_old, failures - i) for i in range(first, x + 1))


def _largest_probability(weights: list[tuple[int, float]], total: int) -> float:
    """Maximum over the common failure rate of the probability that `weights` describe."""

    def probability(angle: float) -> float:
        # sin² makes every bump of the curve about as wide as any other, so an even grid sees them.
        rate = math.sin(angle) ** 2
        fail, hold = math.log(rate), math.log1p(-rate)
        return math.fsum(math.exp(w + k * fail + (total - k) * hold) for k, w in weights)

    points = 64 + 8 * math.isqrt(total)
    step = math.pi / 2 / points
    heights = [probability(step * (i + 0.5)) for i in range(points)]
    best = 0.0
    for i, height in enumerate(heights):
        if height >= 0.9 * max(heights) and height == max(heights[max(i - 1, 0) : i + 2]):
            # Half a step is as near to the ends (rates 0 and 1) as the search may come.
            middle = step * (i + 0.5)
            best = max(best, _peak(probability, max(middle - step, step / 2), middle + step))
    return min(1.0, best)


def _peak(curve: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search for the highest point between `low` and `high`."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = curve(left), curve(right)
    for _ in range(30):
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = curve(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = curve(right)
    return max(at_left, at_right)
