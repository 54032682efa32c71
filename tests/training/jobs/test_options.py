import argparse
import re
from dataclasses import dataclass, fields

import pytest

from core.errors import PalateError
from training.models import RunKind
from training.runs.job import JOBS
from training.runs.options import add_arguments, form_of, option, parse, refuse_commands_only
from training.web.run_views import STARTED_HERE


@dataclass(frozen=True)
class Options:
    model: str = option(label="Model", help="which model", of_model="policy")
    steps: int = option(10, label="Steps", help="how many", minimum=1, maximum=100)
    rate: float = option(0.5, label="Rate", help="how fast", minimum=0)
    split: str = option("all", label="Split", help="which", choices=("all", "test"), advanced="More")


def test_defaults_fill_what_is_not_given():
    assert parse(Options, {"model": "m", "rate": ""}) == Options(model="m", steps=10, rate=0.5, split="all")


def test_strings_become_the_declared_types():
    assert parse(Options, {"model": "m", "steps": "7", "rate": "0.25"}) == Options("m", 7, 0.25)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, None),
        ({"model": ""}, "--model is needed"),
        ({"model": "m", "steps": "many"}, "--steps must be a whole number, not 'many'"),
        ({"model": "m", "steps": 0}, "--steps must be at least 1, not 0"),
        ({"model": "m", "steps": 101}, "--steps must be at most 100, not 101"),
        ({"model": "m", "rate": "nan"}, "--rate must be a finite number"),
        ({"model": "m", "split": "dev"}, "--split must be one of all, test, not 'dev'"),
        ({"model": "m", "stepps": 3}, "unknown option 'stepps'"),
    ],
)
def test_bad_values_name_the_flag_and_what_would_be_right(values, message):
    if message is None:
        message = "--model is needed: which model"
        values = {"model": None}
    with pytest.raises(PalateError, match=message.replace("(", r"\(")):
        parse(Options, values)


def test_a_missing_required_option_is_an_error():
    with pytest.raises(PalateError, match="--model is needed"):
        parse(Options, {})


def test_lists_of_the_engine_are_those_of_the_jobs():
    import training.engine.experimental  # noqa: F401  # registers its kinds
    from training.engine.pretraining.objectives import OBJECTIVES
    from training.engine.rl.config import DIRECT, ON_POLICY
    from training.engine.rl.rewards import LEARNED_TERMS, NEEDS_REFERENCES, TERMS
    from training.jobs import pretrain
    from training.jobs import rl_finetune_options as rl_finetune

    assert (rl_finetune.ON_POLICY, rl_finetune.DIRECT) == (ON_POLICY, DIRECT)
    assert (set(rl_finetune.TERMS), rl_finetune.NEEDS_REFERENCES) == ({*TERMS, *LEARNED_TERMS}, NEEDS_REFERENCES)
    assert pretrain.OBJECTIVES == OBJECTIVES


@pytest.mark.parametrize(
    ("kind", "name"), [("rl_finetune", "reward_function"), ("rl_finetune", "vllm_server_base_url")]
)
def test_what_names_something_of_the_server_is_for_commands_alone(kind, name):
    assert name not in form_of(JOBS[kind].options, models={}).base_fields
    assert "output" not in form_of(JOBS[kind].options, models={}).base_fields
    for values in ({name: "os.system"}, {"output": "/tmp/x"}):
        with pytest.raises(PalateError, match="only a command there can set it"):
            refuse_commands_only(JOBS[kind].options, values)
    refuse_commands_only(JOBS[kind].options, {"max_steps": 3})


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (RunKind.PRETRAIN, {"output"}),
        (RunKind.TRAIN_PREFERENCE, {"output"}),
        (RunKind.DISTIL, {"output", "corpus"}),
        (RunKind.RL_FINETUNE, {"output", "reward_function", "sampler", "vllm_server_base_url"}),
        (RunKind.NEXT_TASKS, set()),
        (RunKind.NEXT_ROUND, set()),
    ],
)
def test_pages_have_every_option_that_names_nothing_of_the_server(kind, left_out):
    options = JOBS[kind].options
    assert {field.name for field in fields(options)} - set(form_of(options, models={}).base_fields) == left_out


@pytest.mark.parametrize(("kind", "name"), [("rl_finetune", "discriminator_corpus"), ("pretrain", "corpus")])
def test_of_texts_on_the_server_pages_may_choose_those_of_the_study_and_the_demo(kind, name):
    offered = form_of(JOBS[kind].options, models={}).base_fields[name].choices
    assert {value for value, _ in offered} >= {"study", "demo"}
    refuse_commands_only(JOBS[kind].options, {name: "study"})
    with pytest.raises(PalateError, match=r"it must be one of .*study"):
        refuse_commands_only(JOBS[kind].options, {name: "/etc/passwd"})


@pytest.mark.parametrize("kind", list(JOBS))
def test_every_option_of_every_job_is_explained_in_its_help(kind):
    parser = argparse.ArgumentParser()
    add_arguments(parser, JOBS[kind].options)
    for action in parser._actions:
        assert action.help, f"{kind}: {action.dest} has no help"
    assert parser.format_help()


def test_commands_are_told_what_may_be_named_and_pages_what_is_listed():
    parser = argparse.ArgumentParser()
    add_arguments(parser, Options)
    assert "which model (a model version, a folder or a hub name)" in " ".join(parser.format_help().split())
    listed = form_of(Options, models={"policy": [("1", "base")]}).base_fields["model"].help_text
    assert listed == "which model. Listed: this study's models and those that all studies share."
    nothing = form_of(Options, models={}).base_fields["model"].help_text
    assert nothing == "which model. There is none yet."


@pytest.mark.parametrize("kind", STARTED_HERE)
def test_no_page_offers_what_it_does_not_take(kind):
    for name, field in form_of(JOBS[kind].options, models={}).base_fields.items():
        assert not re.search(r"\b(folder|hub|files?|commands?)\b", field.help_text), f"{name}: {field.help_text}"


def test_commands_alone_are_told_of_files():
    parser = argparse.ArgumentParser()
    add_arguments(parser, JOBS["pretrain"].options)
    assert "training prompts); or files, separated by commas: .txt" in " ".join(parser.format_help().split())


def test_an_option_is_offered_where_the_setting_that_it_needs_is_filled_in(settings):
    options = JOBS["machine_judge"].options
    settings.JUDGE_URL = ""
    assert "endpoint_model" not in form_of(options, models={}).base_fields
    settings.JUDGE_URL = "http://127.0.0.1:1/v1"
    assert "endpoint_model" in form_of(options, models={}).base_fields


def test_the_form_has_the_options_limits_and_model_choices():
    form = form_of(Options, models={"policy": [("1", "base")]})({"model": "2", "steps": "0", "split": "test"})
    assert set(form.errors) == {"model", "steps"}
    form = form_of(Options, models={"policy": [("1", "base")]})(
        {"model": "1", "steps": "5", "rate": "", "split": "test"}
    )
    assert form.is_valid(), form.errors


@pytest.mark.parametrize(
    ("given", "cleaned"), [(["1", "2"], "1,2"), ("1, 2", "1,2"), ("", ""), ([], ""), ("/models/secret", None)]
)
def test_of_several_models_only_those_that_are_listed_are_taken(given, cleaned):
    kind = form_of(JOBS["rl_finetune"].options, models={"preference": [("1", "a"), ("2", "b")], "policy": [("3", "c")]})
    untouched = {name: field.initial for name, field in kind.base_fields.items()}
    form = kind(untouched | {"policy": "3", "more_rewards": given})
    assert form.is_valid() == (cleaned is not None), form.errors
    assert form.cleaned_data.get("more_rewards") == cleaned


def test_advanced_options_are_folded_under_their_heading_and_opened_where_wrong():
    kind = form_of(Options, models={"policy": [("1", "base")]})
    (heading, fields, wrong), *others = kind().folded()
    assert (heading, [field.name for field in fields], wrong, others) == ("More", ["split"], False, [])
    form = kind({"model": "1", "split": "dev"})
    assert [field.name for field in form.plain()] == ["model", "steps", "rate"]
    assert form.folded()[0][2]
