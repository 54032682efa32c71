"""The rules of a judgement, held by the database itself: it fits its task, and it is never changed."""

from django.db import migrations

FITS = """
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

APPEND_ONLY = """
CREATE FUNCTION palate_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Erasing a whole study (annotate.studies.operations.erase_study) is the one way out.
    IF TG_OP = 'DELETE' THEN
        IF current_setting('palate.erasing', true) = 'on' THEN
            RETURN OLD;
        END IF;
    ELSIF to_jsonb(OLD) - 'live' = to_jsonb(NEW) - 'live' AND OLD.live AND NOT NEW.live THEN
        RETURN NEW;
    END IF;
    RAISE restrict_violation USING MESSAGE = 'judgements are append-only: make a new one that supersedes it';
END $$;
CREATE TRIGGER judgement_append_only BEFORE UPDATE OR DELETE ON annotate_judgement
    FOR EACH ROW EXECUTE FUNCTION palate_append_only();
"""

UNDO = """
DROP TRIGGER judgement_append_only ON annotate_judgement;
DROP TRIGGER judgement_fits ON annotate_judgement;
DROP FUNCTION palate_append_only;
DROP FUNCTION palate_judgement_fits;
"""


class Migration(migrations.Migration):
    dependencies = [("annotate", "0002_initial")]
    operations = [migrations.RunSQL(FITS + APPEND_ONLY, UNDO)]
