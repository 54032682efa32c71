"""Backups that prove themselves: a dump and, from the same moment, a fingerprint of every table."""

import json
import shutil
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from core.errors import PalateError
from core.postgres_programs import run_program

DUMP, PRINTS = "database.dump", "fingerprints.json"
# Sixty bits of each row's hash, added up: the order of rows does not count, and no row is held in memory.
FINGERPRINT = """SELECT count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint::numeric), 0)::text
FROM {} t"""


def fingerprints() -> dict[str, list[Any]]:
    """Every table of the public schema to its number of rows and the sum of its rows' hashes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        tables = [name for (name,) in cursor.fetchall()]
        found = {}
        for table in tables:
            cursor.execute(FINGERPRINT.format(table))
            found[table] = list(cursor.fetchone())
    return found


def backup(folder: Path) -> dict[str, list[Any]]:
    """Dump the database into a new folder, while it goes on being used. Raises PalateError when that fails."""
    if folder.exists():
        raise PalateError(f"{folder}: exists already; backups are never overwritten")
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True, mode=0o700)
    with transaction.atomic():
        with connection.cursor() as cursor:
            # pg_dump reads in this very snapshot, so that dump and fingerprints tell of one moment.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            snapshot = cursor.fetchone()[0]
        run_program("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={aside / DUMP}")
        found = fingerprints()
    (aside / PRINTS).write_text(json.dumps(found, indent=1) + "\n")
    aside.rename(folder)
    return found


def restore(folder: Path) -> dict[str, list[Any]]:
    """Fill an empty database from a backup and compare every table with what it was.

    Raises PalateError when the database is not empty, or when a table came back different.
    """
    if not (folder / DUMP).is_file() or not (folder / PRINTS).is_file():
        raise PalateError(f"{folder}: is no backup; expected {DUMP} and {PRINTS}")
    if tables := sorted(connection.introspection.table_names()):
        raise PalateError(f"the database has tables already ({', '.join(tables[:3])} …); restore into an empty one")
    connection.close()
    database = str(connection.settings_dict["NAME"])
    options = ("--exit-on-error", "--no-owner", "--single-transaction")
    run_program("pg_restore", *options, f"--dbname={database}", str(folder / DUMP))
    expected, found = json.loads((folder / PRINTS).read_text()), fingerprints()
    if different := [table for table in {**expected, **found} if expected.get(table) != found.get(table)]:
        raise PalateError(f"came back different from what was backed up: {', '.join(sorted(different))}")
    return found
