"""What holds of judgements, tasks, scales and the log, enforced by the database itself."""

from django.db import migrations

JUDGEMENT_FITS_ITS_TASK = """
CREATE FUNCTION palate_judgement_fits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    k integer := cardinality(NEW.shown);
    expected bigint[];
    study bigint;
    entry record;
    scale record;
BEGIN
    SELECT t.study_id, array_agg(p.response_id ORDER BY p.response_id) INTO study, expected
    FROM annotate_task t JOIN annotate_taskresponse p ON p.task_id = t.id
    WHERE t.id = NEW.task_id GROUP BY t.study_id;
    IF expected IS DISTINCT FROM (SELECT array_agg(s ORDER BY s) FROM unnest(NEW.shown) s) THEN
        RAISE check_violation USING MESSAGE = 'shown must be exactly the responses of the task';
    END IF;
    IF NOT EXISTS (SELECT FROM annotate_membership m WHERE m.id = NEW.rater_id AND m.study_id = study) THEN
        RAISE check_violation USING MESSAGE = 'the rater is not a member of the study';
    END IF;
    IF cardinality(NEW.unacceptable) <> k THEN
        RAISE check_violation USING MESSAGE = 'unacceptable must hold one flag a response';
    END IF;
    IF NEW.ranks IS NOT NULL AND NOT (
        cardinality(NEW.ranks) = k
        AND (SELECT min(r) = 1 AND max(r) = count(DISTINCT r) AND count(r) = k FROM unnest(NEW.ranks) r)
    ) THEN
        RAISE check_violation USING MESSAGE = 'ranks must be a dense weak order, one a response, 1 the best';
    END IF;
    FOR entry IN SELECT key, value FROM jsonb_each(NEW.scores) LOOP
        SELECT minimum, maximum INTO scale FROM annotate_criterion c WHERE c.study_id = study AND c.key = entry.key;
        IF NOT FOUND THEN
            RAISE check_violation USING MESSAGE = format('scores name an unknown criterion: %s', entry.key);
        END IF;
        IF jsonb_typeof(entry.value) <> 'array' OR jsonb_array_length(entry.value) <> k THEN
            RAISE check_violation USING MESSAGE = format('scores of %s must be one a response', entry.key);
        END IF;
        IF EXISTS (
            SELECT FROM jsonb_array_elements(entry.value) v
            WHERE jsonb_typeof(v) <> 'number'
               OR NOT ((v #>> '{}')::double precision BETWEEN scale.minimum AND scale.maximum)
        ) THEN
            RAISE check_violation USING MESSAGE = format(
                'scores of %s must lie between %s and %s', entry.key, scale.minimum, scale.maximum);
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER judgement_fits BEFORE INSERT ON annotate_judgement
    FOR EACH ROW EXECUTE FUNCTION palate_judgement_fits();
"""

JUDGEMENTS_ARE_APPEND_ONLY = """
CREATE FUNCTION palate_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        -- Erasing a whole study (annotate.studies.operations.erase_study).
        IF current_setting('palate.erasing', true) = 'on' THEN
            RETURN OLD;
        END IF;
    ELSIF to_jsonb(OLD) - 'live' = to_jsonb(NEW) - 'live' AND OLD.live AND NOT NEW.live THEN
        RETURN NEW;
    ELSIF current_setting('palate.erasing', true) = 'on' AND NEW.comment = ''
        AND to_jsonb(OLD) - 'comment' = to_jsonb(NEW) - 'comment' THEN
        -- Erasing a person (annotate.members.erasure.erase_member).
        RETURN NEW;
    END IF;
    RAISE restrict_violation USING MESSAGE = 'judgements are append-only: make a new one that supersedes it';
END $$;
CREATE TRIGGER judgement_append_only BEFORE UPDATE OR DELETE ON annotate_judgement
    FOR EACH ROW EXECUTE FUNCTION palate_append_only();
"""

JUDGED_TASKS_KEEP_THEIR_RESPONSES = """
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

SCALES_OF_SCORES_ONLY_GROW = """
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

LOG_IS_APPEND_ONLY = """
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

CACHE = """
CREATE TABLE palate_cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX palate_cache_expires ON palate_cache (expires);
"""

UNDO = """
DROP TABLE palate_cache;
DROP TRIGGER entry_append_only ON annotate_entry;
DROP TRIGGER criterion_stays ON annotate_criterion;
DROP TRIGGER taskresponse_stays ON annotate_taskresponse;
DROP TRIGGER judgement_append_only ON annotate_judgement;
DROP TRIGGER judgement_fits ON annotate_judgement;
DROP FUNCTION palate_entry_append_only;
DROP FUNCTION palate_scale_stays;
DROP FUNCTION palate_judged_task_stays;
DROP FUNCTION palate_append_only;
DROP FUNCTION palate_judgement_fits;
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0002_initial")]
    operations = [
        migrations.RunSQL(
            JUDGEMENT_FITS_ITS_TASK
            + JUDGEMENTS_ARE_APPEND_ONLY
            + JUDGED_TASKS_KEEP_THEIR_RESPONSES
            + SCALES_OF_SCORES_ONLY_GROW
            + LOG_IS_APPEND_ONLY
            + CACHE,
            UNDO,
        )
    ]
