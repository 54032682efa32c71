"""Entries of the log are added and never changed, by a trigger; some are of an account and not of a study."""

import django.db.models.deletion
from django.db import migrations, models

APPEND_ONLY = """
CREATE FUNCTION palate_entry_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Deleting a study and erasing a person are the ways out.
    IF current_setting('palate.erasing', true) = 'on' THEN
        RETURN COALESCE(NEW, OLD);
    END IF;
    -- The account goes, its name stays.
    IF TG_OP = 'UPDATE' AND NEW.user_id IS NULL AND to_jsonb(OLD) - 'user_id' = to_jsonb(NEW) - 'user_id' THEN
        RETURN NEW;
    END IF;
    RAISE restrict_violation USING MESSAGE = 'the log is append-only';
END $$;
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON annotate_entry
    FOR EACH ROW EXECUTE FUNCTION palate_entry_append_only();
"""
UNDO = "DROP TRIGGER entry_append_only ON annotate_entry; DROP FUNCTION palate_entry_append_only;"


class Migration(migrations.Migration):
    dependencies = [("annotate", "0022_one_live_rewrite")]
    operations = [
        migrations.AlterField(
            model_name='entry',
            name='action',
            field=models.CharField(choices=[('added', 'added'), ('removed', 'removed'), ('decided', 'decided'), ('flagged', 'flagged'), ('signed_in', 'signed in'), ('signed_out', 'signed out'), ('exported', 'exported'), ('imported', 'imported'), ('changed', 'changed'), ('trained', 'started a run'), ('promoted', 'began a round'), ('erased', 'erased')], max_length=10),
        ),
        migrations.AlterField(
            model_name='entry',
            name='study',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='audit', to='annotate.study'),
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(fields=['study', '-id'], name='entry_of_study'),
        ),
        migrations.RunSQL(APPEND_ONLY, UNDO),
    ]
