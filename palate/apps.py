from django.apps import AppConfig


class PalateConfig(AppConfig):
    name = "palate"

    def ready(self) -> None:
        # Makes @shared_task use Palate's app in every process that sends or runs tasks.
        import palate.celery  # noqa: F401
