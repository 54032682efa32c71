from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from annotate.management.arguments import study_named
from core.command import PalateCommand
from core.errors import PalateError
from training.rounds.promotion import Rule, promote_by_rule


class Command(PalateCommand):
    help = "Promote the policy of a round if what its raters said meets a rule; otherwise say why not, with status 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--study", required=True, help="short name of the study")
        parser.add_argument("--round", type=int, default=0, help="number of the round (default: the newest)")
        parser.add_argument(
            "--above", type=float, default=Rule.above, help="the win rate's 95 %% interval lies above this"
        )
        parser.add_argument("--judgements", type=int, default=Rule.judgements, help="at least so many judgements")
        parser.add_argument("--simulated", action="store_true", help="let simulated raters count, too")

    def perform(self, **options: Any) -> Mapping[str, Any]:
        rounds = study_named(options["study"]).rounds.select_related("policy").order_by("-number")
        round_ = rounds.filter(number=options["round"]).first() if options["round"] else rounds.first()
        if round_ is None:
            raise PalateError("--round: the study has no such round; next_round makes one")
        rule = Rule(options["above"], options["judgements"], people_only=not options["simulated"])
        message = promote_by_rule(round_=round_, rule=rule)
        self.stdout.write(f"{round_.policy} is promoted: {message}")
        return {"policy": round_.policy.pk, "round": round_.number, "reason": message}
