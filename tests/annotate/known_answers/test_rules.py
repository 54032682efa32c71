from annotate.collection.gold_rules import close_scores, same_order


class TestSameOrder:
    def test_every_known_preference_must_hold(self):
        assert same_order([1, 2, 3], [1, 2, 3])
        assert not same_order([1, 2, 3], [1, 3, 2])

    def test_a_tie_where_one_is_better_is_wrong(self):
        assert not same_order([1, 2], [1, 1])

    def test_a_preference_where_the_expert_ties_is_not(self):
        assert same_order([1, 1], [2, 1])
        assert same_order([1, 1, 2], [1, 2, 3])
        assert not same_order([1, 1, 2], [1, 3, 2])


class TestCloseScores:
    def test_a_quarter_of_the_scale_is_close(self):
        widths = {"clear": 4.0}
        assert close_scores({"clear": [4]}, {"clear": [3]}, widths)
        assert not close_scores({"clear": [4]}, {"clear": [2]}, widths)

    def test_every_response_counts(self):
        assert not close_scores({"clear": [4, 1]}, {"clear": [4, 5]}, {"clear": 4.0})
