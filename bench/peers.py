"""Environments of their own for peers that a bench runs beside Palate: made once, below a temporary folder."""

import subprocess
import sys
import tempfile
from pathlib import Path


def peers_python(*packages: str) -> str:
    """The interpreter of an environment that holds these packages, as pip names them."""
    name = "-".join(package.split("==")[0] for package in packages)
    folder = Path(tempfile.gettempdir()) / f"palate-peers-{name}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "ready").touch()
    return str(python)
