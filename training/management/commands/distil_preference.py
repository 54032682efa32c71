from training.management.run_command import RunCommand
from training.models import RunKind


class Command(RunCommand):
    kind = RunKind.DISTIL
