"""Policy optimization. finetune is the run; onpolicy and direct implement the algorithms.

Imports nothing: pages and commands read lists of this package, and torch must not slow them.
"""
