from annotate.quality.intervals import mean_by_prompt


def test_the_interval_holds_the_mean_and_one_prompt_tells_nothing_of_others():
    mean, low, high = mean_by_prompt([[1, 1], [0], [1, 0]] * 20)
    assert low < mean == 0.6 < high
    assert mean_by_prompt([[1, 1, 1]]) == (1, 0, 1)
