from django.apps import AppConfig
from django.utils.translation import gettext_noop

LABEL_END = gettext_noop(":")  # Django's forms translate it, and Django's own Chinese leaves it narrow.


class AnnotateConfig(AppConfig):
    name = "annotate"

    def ready(self) -> None:
        from annotate.audit.account_events import connect

        connect()
