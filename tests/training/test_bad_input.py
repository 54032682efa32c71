"""Commands refuse what cannot work before anything is loaded or written."""

import json
import os
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from tests.factories import MembershipFactory, PromptFactory, StudyFactory, TaskFactory
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture
def policy(tmp_path):
    """What looks like a causal model's folder as far as config.json tells."""
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "tokenizer.json").touch()
    return str(folder)


def refused(*arguments, **options):
    with pytest.raises(CommandError) as error:
        call_command(*arguments, **options)
    assert not Run.objects.exists()
    return str(error.value)


def test_an_unknown_study():
    assert "nowhere" in refused("train_preference", study="nowhere", base_model="x")


def test_a_missing_model_folder(tmp_path):
    study = PromptFactory().study
    message = refused("generate_responses", study=study.slug, model=str(tmp_path / "no"))
    assert message.startswith("--model")
    assert "no such folder" in message


def test_a_folder_that_holds_no_model(tmp_path, policy):
    study = PromptFactory().study
    assert "config.json" in refused("generate_responses", study=study.slug, model=str(tmp_path))
    assert "not a preference model" in refused("rl_finetune", study=study.slug, policy=policy, reward=policy)
    assert "not a preference model" in refused("rl_finetune", study=study.slug, policy=policy, guard=policy)
    (tmp_path / "policy" / "config.json").write_text('{"architectures": ["BertModel"]}')
    assert "not a causal" in refused("generate_responses", study=study.slug, model=policy)


def test_a_study_without_prompts_or_judgements(policy):
    study = StudyFactory()
    assert "no prompts" in refused("generate_responses", study=study.slug, model=policy)
    assert "no judgements" in refused("train_preference", study=study.slug, base_model=policy)
    assert "no open tasks" in refused("simulate_raters", study=study.slug, judgements=3)


def test_a_split_without_judgements(policy):
    rater = MembershipFactory()
    TaskFactory(study=rater.study)
    submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2]))
    assert "validation split" in refused("train_preference", study=rater.study.slug, base_model=policy)


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("num_generations", "many", "--num-generations must be a whole number"),
        ("num_generations", "0", "at least 1"),
        ("temperature", "nan", "finite"),
        ("top_p", "2", "at most 1"),
    ],
)
def test_options_out_of_range(policy, flag, value, words):
    study = PromptFactory().study
    assert words in refused("generate_responses", study=study.slug, model=policy, **{flag: value})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--reward is needed: rloo learns from"),
        ({"algorithm": "dpo"}, "no judgements"),
        ({"terms": "kindness=1"}, "--terms kindness=1: expected NAME=WEIGHT with a name among fluency"),
        ({"terms": "length=much"}, "the weight must be a finite number, not 'much'"),
        ({"terms": "length=nan"}, "the weight must be a finite number, not 'nan'"),
        (
            {"terms": "length", "vllm_server_base_url": "vllm:8000"},
            "--vllm-server-base-url must be an address such as http://",
        ),
        ({"terms": "chrf=1"}, "compares with a prompt's reference, but prompt"),
        ({"terms": "length", "num_generations": 1}, "--num-generations must be at least 2 for rloo"),
        ({"terms": "length", "sampler": "vllm"}, "--lora-r must be at least 1 with --sampler vllm"),
        (
            {"terms": "length", "num_mini_batches": 17},
            r"--num-mini-batches must be at most --prompts-per-step (16), not 17",
        ),
        ({"terms": "length", "algorithm": "grpo", "kl_estimator": "k1"}, "no gradient in grpo's loss"),
        (
            {"terms": "length", "kl_estimator": "k3"},
            "--kl-estimator k3 in the reward of rloo pushes away from the start",
        ),
        ({"terms": "length", "engine": "trl", "kl_target": 3}, "--kl-target must be 0 with the engine trl"),
        ({"terms": "length", "engine": "trl", "algorithm": "ppo"}, "--algorithm must be one of rloo, grpo"),
    ],
)
def test_tuning_that_cannot_work(policy, options, words):
    study = StudyFactory()
    for split in ("train", "validation"):
        PromptFactory(study=study, split=split)
    assert words in refused("rl_finetune", study=study.slug, policy=policy, **options)


def test_pretraining_by_preference_needs_a_preference_model():
    study = PromptFactory().study
    assert "--reward is needed: objective rwr" in refused("pretrain", study=study.slug, objective="rwr")


def test_an_output_that_exists_or_cannot_be_written(policy, tmp_path):
    study = PromptFactory().study
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert "not an empty folder" in refused("pretrain", study=study.slug, output=str(tmp_path / "full"))
    assert "--json" in refused("pretrain", study=study.slug, json=str(tmp_path / "no" / "where.json"))


def test_help_and_mistakes_of_a_real_process_end_with_the_right_status_and_no_traceback():
    environment = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none"}
    helped = subprocess.run(
        [sys.executable, "manage.py", "rl_finetune", "--help"], capture_output=True, text=True, env=environment
    )
    assert helped.returncode == 0
    assert "--kl-target" in helped.stdout
    wrong = subprocess.run(
        [sys.executable, "manage.py", "rl_finetune", "--stepps", "3"], capture_output=True, text=True, env=environment
    )
    assert wrong.returncode != 0
    assert "Traceback" not in wrong.stderr
