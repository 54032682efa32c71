"""The embedded PostgreSQL: what Palate uses when DATABASE_URL is unset.

This package is also a Django database backend (`core.embedded_postgres`, see base.py): the server starts when
the first connection is wanted, so `manage.py check` and `makemigrations --check` never start it.
"""
