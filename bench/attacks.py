"""Does it hold against strangers, hostile texts, slow clients and dead processes?

Starts a Palate of its own with `manage.py up` on loopback, attacks it in about sixty bounded ways, and prints for each
whether it held or broke. Exit status 1 when one broke. The attacks are in bench/attack/, by the part that they attack.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

from attack import accounts, files, machines, texts
from attack.instance import Attack, live_instance

ATTACKS: list[Attack] = [*texts.ATTACKS, *files.ATTACKS, *accounts.ATTACKS, *machines.ATTACKS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="attacks whose name holds this word")
    parser.add_argument("--verbose", action="store_true", help="print the traceback of what broke")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    results = []
    with live_instance() as instance:
        for attack in ATTACKS:
            if options.only not in attack.name:
                continue
            begun, problem = time.monotonic(), ""
            close_connections()
            try:
                attack.run(instance)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
                if options.verbose:
                    traceback.print_exc()
            seconds = round(time.monotonic() - begun, 1)
            results.append({"attack": attack.name, "held": not problem, "seconds": seconds, "problem": problem})
            print(
                f"{'broke' if problem else 'held ':5} {seconds:6.1f} s  {attack.name}  {problem}".rstrip(), flush=True
            )
    broken = [result for result in results if not result["held"]]
    print(f"{len(results) - len(broken)} of {len(results)} held")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(bool(broken))


def close_connections() -> None:
    """An attack may have killed the server at the other end."""
    from django.db import connections

    connections.close_all()


if __name__ == "__main__":
    main()
