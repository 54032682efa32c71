"""Where a person gets everything that is stored about them."""

from allauth.account.decorators import reauthentication_required
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from annotate.models.accounts import User
from annotate.privacy.personal_data import export_personal_data
from core.attachments import attachment


@require_safe
@reauthentication_required
def personal_data(request: HttpRequest) -> HttpResponseBase:
    """One's own data as a JSON file; for superusers that of the account named in `?account=`."""
    actor = User.objects.get(username=request.user.get_username())
    name = request.GET.get("account", "").replace("\0", "").strip() or actor.username
    if name != actor.username and not actor.is_superuser:
        raise Http404
    user = get_object_or_404(User, username=name)
    return attachment(export_personal_data(user=user, actor=actor), "personal-data.json")
