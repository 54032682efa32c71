"""The shapes of other tools' files, one module each; registry.py knows them all."""
