"""The page on which the owner deletes a study."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from annotate.models.choices import Role
from annotate.web.access import managed_study
from core.errors import PalateError
from training.runs.study_deletion import contents, delete_study


def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Say what would be deleted, offer the export, and ask the owner to type the study's short name."""
    study = managed_study(request, slug)
    owns = study.memberships.filter(user__username=request.user.get_username(), role=Role.OWNER).exists()
    problem = ""
    if request.method == "POST":
        try:
            if not owns:
                raise PalateError(_("Only the owner can delete the study."))
            delete_study(study=study, confirmation=request.POST.get("confirmation", ""), actor=request.user)
        except PalateError as error:
            problem = str(error)
        else:
            messages.success(request, _("The study %(slug)s was deleted.") % {"slug": slug})
            return redirect("studies")
    context = {"study": study, "tab": "settings", "owns": owns, "counts": contents(study), "problem": problem}
    return render(request, "manage/delete.html", context, status=422 if problem else 200)
