from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        from annotate.privacy import retention
        from training.jobs import registry  # noqa: F401  # fills training.runs.job.JOBS
        from training.runs.uploads import remove_unneeded_uploads

        retention.RULES["uploads"] = remove_unneeded_uploads
