"""What the columns of tables hold, for tables whose numbers would be too many to explain one by one."""

from typing import Any

from django.utils.translation import gettext_lazy as _

VOTES = _("votes of the raters named above the table; repeats, known answers and excluded raters left out")
FITTED = _("the fitted model named with the strengths")

# key: (heading, what a number is, method, source)
COLUMNS: dict[str, tuple[Any, Any, Any, Any]] = {
    "answers": (_("Answers"), _("How many judgements the rater has made here"), _("count"), VOTES),
    "agreement": (
        _("Agrees with others"),
        _("How often another rater of the same task says the same of the same two responses"),
        _("share of pairs of answers; the interval is on the rater's page"),
        VOTES,
    ),
    "reliability": (
        _("Reliability α"),
        _("How likely the rater gives the true answer; few answers leave it near two thirds"),
        _("Dawid & Skene 1979 with one parameter a rater, prior Beta(4, 2); posterior mean, and its interval at 95 %"),
        VOTES,
    ),
    "first": (_("First"), _("How often the response shown first is preferred, ties left out"), _("share"), VOTES),
    "longer": (_("Longer"), _("How often the longer response is preferred, ties left out"), _("share"), VOTES),
    "pace": (_("Seconds each"), _("Seconds spent on a judgement"), _("median of the timed ones"), VOTES),
    "fast": (
        _("Too fast"),
        _("The share of timed answers given before the texts could be read"),
        _("more than 100 characters a second, about a thousand words a minute"),
        VOTES,
    ),
    "hasty": (
        _("Too fast to read"),
        _("How many of the timed answers were given before the texts could be read"),
        _("more than 100 characters a second, about a thousand words a minute"),
        VOTES,
    ),
    "run": (
        _("Same answer in a row"),
        _("How often the rater gave the same answer one after the other, at most"),
        _("longest run, in the order of time"),
        VOTES,
    ),
    "rank": (
        _("Rank"),
        _("The place by strength, and between which places it lies"),
        _("counts who is better or worse beyond doubt: differences at 95 %, corrected for all others (Bonferroni)"),
        FITTED,
    ),
    "wins": (
        _("Wins"),
        _("Votes won, a tie being half a win; a ranking of K counts as K - 1 votes"),
        _("weighted count"),
        VOTES,
    ),
    "votes": (
        _("Votes"),
        _("Votes that the author took part in; a ranking of K counts as K - 1 votes"),
        _("weighted count"),
        VOTES,
    ),
    "share": (
        _("Share of votes of ↓ against →"),
        _("The share of its votes against the other that it won, a tie being half; in brackets how many votes"),
        _("weighted share, without a model and without an interval"),
        VOTES,
    ),
    "chance": (
        _("Chance of the first"),
        _("How likely the first of the pair is preferred to the second, ties left out"),
        _("Davidson's model; the logistic function of the difference of strengths"),
        VOTES,
    ),
    "reach": (
        _("Reaches now"),
        _("How far the interval reaches from the number at 95 %, to the farther side"),
        _("sandwich covariance by task; for agreement half the bootstrap interval"),
        VOTES,
    ),
    "needed": (
        _("Judgements still needed"),
        _("How many more judgements until the interval is as narrow as required; 0 when it does"),
        _("drawn from the fitted model on tasks like those there are, as wide as now where votes of a task are alike"),
        VOTES,
    ),
    "said": (
        _("It says"),
        _("The mean chance that the machine gives to the response with the smaller number"),
        _("mean of both orders, by bins of a tenth"),
        _("pairs that the machine judged in both orders and people judged too"),
    ),
    "people": (
        _("People"),
        _("The share of people's votes for that response, a tie being half"),
        _("mean over the pairs of the bin"),
        _("pairs that the machine judged in both orders and people judged too"),
    ),
    "all-votes": (_("All votes"), _("The result of all votes"), _("as on the pages quality and standings"), VOTES),
    "without": (
        _("Without"),
        _("The same result without this rater's votes"),
        _("computed anew without them; strengths by Davidson's model"),
        VOTES,
    ),
}
