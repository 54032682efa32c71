"""The report of a study: what was asked, how far it can be trusted and what came out, to print or to keep as PDF."""

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.analytics.agreement.power import agreement_sample_size
from annotate.analytics.figure_labels import Table, describe_check
from annotate.analytics.ranking.power import TARGET
from annotate.analytics.ranking.votes_of_study import ranking_input, read, standings_of
from annotate.analytics.reports import quality_report
from annotate.analytics.reports.progress import counts_of, progress_of_study
from annotate.analytics.reports.study_data import StudyData
from annotate.web.access import managed_study
from annotate.web.quality.quality_views import TABLES, study_data_for
from annotate.web.standings.forms import SelectionForm
from annotate.web.standings.views import item_figures, method_of, selection_of, strengths_plot
from core.markdown import sanitised
from core.statistics.bootstrap import DRAWS
from training.models import ModelKind
from training.registry.cards import figure
from training.rounds.reward_and_people import round_summaries

MODELS = 10
FIGURES = ("accuracy", "baselines.longer", "ece")


def tables_of(evidence: StudyData) -> list[tuple[str, Table]]:
    """Agreement by criterion, group, tag and week, each with its title; a single week is the whole study."""
    titles = {
        "criteria": _("By criterion"),
        "groups": _("By group of prompts"),
        "audience": _("By language and other tags"),
        "weeks": _("By week"),
    }
    made = [(title, TABLES[key](evidence)) for key, title in titles.items()]
    return [(title, table) for title, table in made if table.lines and (table.key != "weeks" or len(table.lines) > 1)]


def report(request: HttpRequest, slug: str) -> HttpResponse:
    """Figures of the pages quality, standings and models, and the text that a paper's methods section would need."""
    study = managed_study(request, slug)
    evidence = study_data_for(request, study)
    judged = len(evidence.comparisons) or evidence.criteria
    selection = replace(selection_of(SelectionForm(None, study=study)), judgements=evidence.selection)
    standings = standings_of(study, selection, ranking_input(study, selection, read(study, selection)))
    progress = progress_of_study(study)
    preferences = study.model_versions.filter(kind=ModelKind.PREFERENCE, metrics__has_key="evaluation")[:MODELS]
    context = {
        "study": study,
        "tab": "overview",
        "selection": evidence.selection,
        "counts": counts_of(study, evidence.selection),
        "now": timezone.now(),
        "instructions": sanitised(study.instructions),
        "evidence": evidence,
        "progress": progress,
        "collected_here": progress.imported < progress.judgements or not progress.judgements,
        "missing": quality_report.not_yet(evidence),
        "figures": quality_report.agreement_figures(evidence) if judged else [],
        "tables": tables_of(evidence) if judged else [],
        "enough": agreement_sample_size(evidence.comparisons, evidence.judgements, target=TARGET) if judged else None,
        "target": TARGET,
        "draws": DRAWS,
        "checks": [describe_check(check, source=evidence.source) for check in quality_report.all_checks(evidence)]
        if judged
        else [],
        "found": standings,
        "method": method_of(selection),
        "parts": [
            (part, [(place, *item_figures(place, part, selection)) for place in part.places], strengths_plot(part))
            for part in standings.parts
        ],
        "rounds": round_summaries(study, evidence.selection),
        "preferences": [
            (version, *(figure(version.metrics["evaluation"], name) for name in FIGURES)) for version in preferences
        ],
    }
    return render(request, "manage/report.html", context)
