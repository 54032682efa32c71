"""What judgements refer to stays as it was: the responses of a task that was judged, the scale of a criterion in use."""

from django.db import migrations

TASKS = """
-- Without seqscan: in the middle of an import the planner takes the table of judgements for small and reads all of it.
CREATE FUNCTION palate_judged_task_stays() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan TO off AS $$
BEGIN
    IF current_setting('palate.erasing', true) IS DISTINCT FROM 'on' AND EXISTS (
        SELECT FROM annotate_judgement j WHERE j.task_id IN (OLD.task_id, NEW.task_id)
    ) THEN
        RAISE restrict_violation USING MESSAGE = 'the task was judged: its responses stay as they are';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER taskresponse_stays BEFORE INSERT OR UPDATE OR DELETE ON annotate_taskresponse
    FOR EACH ROW EXECUTE FUNCTION palate_judged_task_stays();
"""

SCALES = """
CREATE FUNCTION palate_scale_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- A wider scale still holds every score.
        IF NEW.key = OLD.key AND NEW.study_id = OLD.study_id
            AND NEW.minimum <= OLD.minimum AND NEW.maximum >= OLD.maximum THEN
            RETURN NEW;
        END IF;
    END IF;
    IF current_setting('palate.erasing', true) IS DISTINCT FROM 'on' AND EXISTS (
        SELECT FROM annotate_judgement j JOIN annotate_task t ON t.id = j.task_id
        WHERE t.study_id = OLD.study_id AND j.scores ? OLD.key
    ) THEN
        RAISE restrict_violation USING MESSAGE = format('scores of %s were given: its scale stays or grows', OLD.key);
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;
CREATE TRIGGER criterion_stays BEFORE UPDATE OR DELETE ON annotate_criterion
    FOR EACH ROW EXECUTE FUNCTION palate_scale_stays();
"""

UNDO = """
DROP TRIGGER criterion_stays ON annotate_criterion;
DROP TRIGGER taskresponse_stays ON annotate_taskresponse;
DROP FUNCTION palate_scale_stays;
DROP FUNCTION palate_judged_task_stays;
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0013_label_of_a_known_answer")]
    operations = [migrations.RunSQL(TASKS + SCALES, UNDO)]
