"""Every command on a database without tables says what to run."""

import sys

import pytest
from django.core.management import get_commands
from django.db import connection, transaction

import manage

ARGUMENTS = {
    "apply_retention": [],
    "create_study": ["shop"],
    "createsuperuser": ["--noinput", "--username", "ada", "--email", "ada@palate.example"],
    "demo": [],
    "distil_preference": ["--study", "shop", "--teacher", "m"],
    "encrypt_secrets": [],
    "evaluate_preference": ["m", "--study", "shop"],
    "export_personal_data": ["ada", "--output", "out.json"],
    "export_preferences": ["--study", "shop", "--format", "pairs", "--output", "out.csv"],
    "generate_responses": ["--study", "shop", "--model", "m"],
    "import_judgements": ["shop", *("--prompts", "file.csv", "--responses", "file.csv", "--judgements", "file.csv")],
    "import_preferences": ["shop", "file.csv"],
    "import_prompts": ["shop", "file.csv"],
    "loop": [],
    "machine_judge": ["--study", "shop", "--model", "m"],
    "next_round": ["--study", "shop", "--policy", "m"],
    "next_tasks": ["--study", "shop", "--by", "random"],
    "pretrain": ["--study", "shop", "--corpus", "file.txt"],
    "promote_policy": ["--study", "shop", "--round", "1"],
    "push_model": ["m", "a/b", "--study", "shop"],
    "reset_sign_in": ["ada"],
    "rl_finetune": ["--study", "shop", "--policy", "m"],
    "score_responses": ["--study", "shop", "--model", "m"],
    "simulate_raters": ["--study", "shop", "--judgements", "9"],
    "train_preference": ["--study", "shop", "--base", "m"],
}
# These make the tables themselves or need none.
WITHOUT = {"backup", "restore", "up"}


@pytest.fixture
def no_tables(db):
    """PostgreSQL looks for tables in an empty schema; rolled back with the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA without_tables; SET LOCAL search_path TO without_tables")


def test_every_own_command_is_tried():
    own = {name for name, app in get_commands().items() if app in ("annotate", "palate", "training")}
    assert own - WITHOUT == set(ARGUMENTS) - {"createsuperuser"}


@pytest.mark.parametrize("command", ARGUMENTS)
def test_a_database_without_tables_is_explained(no_tables, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("file.csv", "file.txt"):
        (tmp_path / name).write_text("text\nWhat is new?\n")
    monkeypatch.setattr(sys, "argv", ["manage.py", command, *ARGUMENTS[command]])
    with pytest.raises(SystemExit) as stopped, transaction.atomic():
        manage.main()
    assert "run: manage.py migrate" in str(stopped.value)
