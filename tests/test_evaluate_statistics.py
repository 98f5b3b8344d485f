import pytest

from rag.evaluate import statistics
from rag.evaluate.metrics import aurc


def test_a_mean_lies_in_its_interval_and_is_drawn_alike_each_time() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.0, 1.0, 1.0, 0.0]
    one = statistics.mean(values)
    assert one == statistics.mean(values)
    assert one.value == pytest.approx(4.5 / 8)
    assert one.n == 8
    assert one.low is not None and one.high is not None
    assert 0 <= one.low < one.value < one.high <= 1


def test_one_question_tells_no_interval() -> None:
    assert statistics.mean([0.3]) == statistics.Estimate(0.3, None, None, 1)


def test_a_share_of_all_is_not_certain() -> None:
    # Clopper and Pearson for 10 of 10: the lower end is (0.025) ** (1 / 10)
    whole = statistics.share([1.0] * 10)
    assert whole.value == 1
    assert whole.low == pytest.approx(0.025**0.1)
    assert whole.high == 1
    assert statistics.share([0.0] * 10).high == pytest.approx(1 - 0.025**0.1)


def test_equal_values_have_an_interval_of_no_width() -> None:
    same = statistics.mean([0.25, 0.25, 0.25])
    assert (same.low, same.high) == (0.25, 0.25)
    assert statistics.mean([0.0, 0.0]).high == 0


def test_percentiles() -> None:
    median = statistics.percentile([1, 2, 3, 4, 100], 50)
    assert median.value == 3
    assert median.low is not None and median.low <= 3


def test_paired_keeps_rows_together() -> None:
    found = statistics.paired(aurc, [0.9, 0.8, 0.1, 0.2], [0.0, 0.0, 1.0, 1.0])
    assert found.value == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high


def test_mcnemar_by_hand() -> None:
    # 5 better, 0 worse: both tails of a fair coin, 2 / 2 ** 5
    before, after = [False] * 5 + [True] * 3, [True] * 8
    assert statistics.mcnemar(before, after) == pytest.approx(2 / 32)
    # 1 better, 1 worse
    assert statistics.mcnemar([True, False], [False, True]) == 1
    assert statistics.mcnemar([True, False], [True, False]) == 1


def test_permutation_by_hand() -> None:
    # All differences are +1: of 2 ** 6 sign patterns two are as far out.
    assert statistics.permutation([0.0] * 6, [1.0] * 6) == pytest.approx(2 / 64)
    # Differences 1 and -1: every pattern is at least as far out as the mean 0.
    assert statistics.permutation([0, 1], [1, 0]) == 1
    assert statistics.permutation([0.5, 0.2], [0.5, 0.2]) == 1
    assert statistics.permutation([0.5], [0.9]) == 1
