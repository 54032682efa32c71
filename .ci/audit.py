"""Look for known vulnerabilities in the packages of requirements.lock: exit status 1 when there is one.

Without an answer from the advisory service nothing is claimed: this says loudly what was not audited, and ends well.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements.lock"), "--require-hashes",
         "--disable-pip", "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True,
    )  # fmt: skip
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (ended.stderr.strip().splitlines() or ["no answer"])[-1][:200]
        print(f"NOT AUDITED: the advisory service cannot be reached ({reason})")
        return
    report(packages)


def report(packages: list[dict]) -> None:
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"VULNERABLE: {package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    print(f"audited {len(packages) - len(skipped)} of {len(packages)} packages; vulnerable: {len(vulnerable)}")
    if skipped:
        print(f"NOT AUDITED: the advisory service knows nothing of {len(skipped)}: {', '.join(skipped)}")
    sys.exit(bool(vulnerable))


if __name__ == "__main__":
    main()
