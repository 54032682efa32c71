"""What a Run can do. One module a job: its options (one dataclass, from which the command's flags, the
page's form and their validation all come), its checks, and the work itself."""
