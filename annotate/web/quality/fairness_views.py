"""The page that shows whether groups want different things, and the rater's page about themselves."""

from math import ceil
from typing import Any

import numpy as np
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotate.analytics.agreement.power import SampleSizeEstimate, agreement_sample_size
from annotate.analytics.fairness import Preference, labels, preferences, shown_groups
from annotate.analytics.figure_labels import figure
from annotate.analytics.ranking import davidson
from annotate.analytics.ranking.graph import connection, ties_keep_the_order
from annotate.analytics.ranking.power import TARGET, VotesNeeded, needs
from annotate.analytics.ranking.table import not_yet
from annotate.analytics.ranking.votes_of_study import RankingInput, Selection, ranking_input
from annotate.analytics.reports.study_data import StudyData
from annotate.audit.operations import recorded
from annotate.members.queries import rating_memberships_of
from annotate.members.rater_groups import declare_group, set_groups
from annotate.models.audit import Action
from annotate.models.studies import Study
from annotate.web.access import managed_study
from annotate.web.quality.quality_views import study_data_for
from core.errors import PalateError
from core.figures import Figure

MAX_AUTHORS = 12
MAX_GROUPS = 26


class GroupsForm(forms.Form):
    groups = forms.CharField(
        label=gettext_lazy("Groups that raters may say they belong to"),
        widget=forms.Textarea(attrs={"rows": 4}),
        required=False,
        help_text=gettext_lazy("One a line, for example native speaker and learner. Nobody has to answer."),
    )
    minimum = forms.IntegerField(
        label=gettext_lazy("Fewest raters of a group that is shown"),
        min_value=5,
        max_value=1000,
        help_text=gettext_lazy("Smaller groups are never shown, nor what would give them away."),
    )


def fairness(request: HttpRequest, slug: str) -> HttpResponse:
    study = managed_study(request, slug)
    initial = {"groups": "\n".join(study.rater_groups), "minimum": study.group_minimum}
    form = GroupsForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            groups = form.cleaned_data["groups"].splitlines()
            with recorded(study=study, user=request.user, action=Action.CHANGED, subject="rater groups", groups=groups):
                set_groups(study=study, groups=groups, minimum=form.cleaned_data["minimum"])
        except PalateError as error:
            form.add_error("groups", str(error))
        else:
            messages.success(request, _("Saved. Raters find the question with the instructions."))
            return redirect("fairness", slug)
    evidence = study_data_for(request, study)
    context: dict[str, Any] = {
        "study": study,
        "tab": "quality",
        "form": form,
        "selection": evidence.selection,
        "target": TARGET,
    }
    context |= _results(evidence)
    return render(request, "manage/fairness.html", context, status=422 if form.errors else 200)


def _results(evidence: StudyData) -> dict[str, Any]:
    study, selection = evidence.study, Selection(judgements=evidence.selection)
    ballot = ranking_input(study, selection, evidence.comparisons)
    known = {"power": _of_agreement(evidence), "judgements": evidence.judgements}
    missing = not_yet(ballot.votes, ballot.names)
    if missing or len(ballot.names) > MAX_AUTHORS:
        many = _("More authors than can be shown by group: %(n)d.") % {"n": len(ballot.names)}
        return {**known, "missing": missing or many}
    by_rater, hidden = _by_raters(study, ballot)
    pairs, why_not = _needs(ballot, evidence.judgements)
    return {
        **known,
        "by_rater": [(p, *_figures(p, _("share; 95 % percentile bootstrap of raters"))) for p in by_rater],
        "hidden": hidden,
        "by_prompt": [
            (p, *_figures(p, _("share; 95 % percentile bootstrap of tasks"))) for p in _by_prompts(evidence, ballot)
        ],
        "needs": pairs,
        "no_needs": why_not,
        "all_pairs": max((more for *_names, _need, more in pairs), default=0),
    }


def _of_agreement(evidence: StudyData) -> tuple[Figure, SampleSizeEstimate] | None:
    """Agreement as it is known now, and how many more judgements it needs; None while it has no interval."""
    enough = agreement_sample_size(evidence.comparisons, evidence.judgements, target=TARGET)
    return (figure("alpha-nominal", enough.now, source=evidence.source), enough) if enough else None


def _by_raters(study: Study, ballot: RankingInput) -> tuple[list[Preference], bool]:
    declared = dict(study.memberships.values_list("pk", "declared_group"))
    raters = np.unique(ballot.comparisons.rater).tolist()
    shown = shown_groups(declared, raters, study.group_minimum)
    votes = ballot.votes
    label = labels(ballot.comparisons, shown.groups)
    groups = list(shown.groups) if len(shown.groups) > 1 else []
    found = preferences(votes.left, votes.right, votes.outcome, label, ballot.comparisons.rater, ballot.names, groups)
    return found, shown.hidden


def _by_prompts(evidence: StudyData, ballot: RankingInput) -> list[Preference]:
    names, number = evidence.prompt_group
    if not 1 < len(names) <= MAX_GROUPS:
        return []
    votes, label = ballot.votes, [number.get(prompt, -1) for prompt in ballot.comparisons.prompt.tolist()]
    return preferences(
        votes.left, votes.right, votes.outcome, np.array(label), ballot.comparisons.cluster, ballot.names, names
    )


def _figures(found: Preference, method: str) -> tuple[Figure, Figure]:
    unit = _("votes")
    words = {"author": found.author, "group": found.group}
    share, difference = found.share, found.difference
    return (
        Figure(
            what=_("The share of its votes that %(author)s wins in %(group)s, a tie being half a vote") % words,
            value=share.value, low=share.low, high=share.high, n=share.n, unit=unit, method=method,
        ),
        Figure(
            what=_("That share minus the one among other votes; 0 where %(group)s wants what the others do") % words,
            value=difference.value, low=difference.low, high=difference.high, n=difference.n, unit=unit, method=method,
        ),
    )  # fmt: skip


def _needs(ballot: RankingInput, judgements: int) -> tuple[list[tuple[str, str, VotesNeeded, int]], str]:
    """For each pair of authors, how many more judgements its interval needs; or why that cannot be told."""
    linked = connection(ballot.votes)
    if linked.parts > 1:
        return [], _("Not yet by pair, because the comparisons fall into parts that were never compared.")
    if linked.separated or ties_keep_the_order(ballot.votes):
        return [], _("Not yet by pair, because somebody never lost or never won: no votes of the model can be drawn.")
    # A judgement brings as many votes on authors as it does now.
    each = judgements / float(ballot.votes.weight.sum())
    found = needs(ballot.votes, davidson.fit(ballot.votes))
    return [(ballot.names[need.a], ballot.names[need.b], need, ceil(need.more * each)) for need in found], ""


def about_me(request: HttpRequest, slug: str) -> HttpResponse:
    """Where a rater may say which group they belong to, and take it back."""
    rater = get_object_or_404(rating_memberships_of(request.user), study__slug=slug)
    problem = ""
    if request.method == "POST":
        try:
            declare_group(rater=rater, group=request.POST.get("group", ""))
        except PalateError as error:
            problem = str(error)
        else:
            messages.success(request, _("Saved. You can change it at any time."))
            return redirect("about-me", slug)
    context = {"study": rater.study, "rater": rater, "problem": problem}
    return render(request, "rate/about_me.html", context, status=422 if problem else 200)
