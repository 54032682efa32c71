"""The jobs of runs. Each module defines a job's options (one dataclass, from which the command's flags, the page's form
and their validation are derived), its checks, and its work."""
