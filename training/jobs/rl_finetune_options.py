"""The options of rl_finetune."""

import dataclasses

from django.utils.translation import gettext_lazy

from training.engine.rl.engines import ENGINES
from training.jobs.corpora import DEMO, STUDY
from training.runs.options import REPORT_TO, option

# The engine's lists, repeated here because importing it imports torch; a test holds them together.
ON_POLICY = ("rloo", "grpo", "ppo", "reinforce", "expert-iteration", "pathwise")
DIRECT = ("dpo", "kto")
KL_IN_REWARD = ("rloo", "ppo", "reinforce", "expert-iteration")
TERMS = ("fluency", "length", "chrf", "bleu", "exact_match", "f1", "accuracy", "discriminator")
REAL = 20_000  # responses that a discriminator learns from, at most
NEEDS_REFERENCES = {"chrf", "bleu", "exact_match", "f1", "accuracy"}


@dataclasses.dataclass(frozen=True)
class Options:
    policy: str = option(
        label=gettext_lazy("Policy"),
        help=gettext_lazy("the policy to tune"),
        of_model="policy",
    )
    reward: str = option(
        "",
        label=gettext_lazy("Reward model"),
        help=gettext_lazy("the preference model that gives the reward; dpo and kto need none"),
        of_model="preference",
    )
    algorithm: str = option(
        "rloo",
        label=gettext_lazy("Algorithm"),
        help=gettext_lazy(
            "dpo and kto learn from the study's judgements, the others from sampled responses and their rewards"
        ),
        choices=(*ON_POLICY, *DIRECT),
    )
    engine: str = option(
        "palate",
        label=gettext_lazy("Training engine"),
        help=gettext_lazy(
            "palate: the built-in training loop; trl: TRL's trainers, for rloo and grpo (requirements-trl.txt)"
        ),
        choices=ENGINES,
        advanced=gettext_lazy("Update"),
    )
    max_steps: int = option(
        60,
        label=gettext_lazy("Number of steps"),
        help=gettext_lazy("number of optimizer steps"),
        minimum=1,
    )
    output: str = option(
        "",
        label=gettext_lazy("Output folder"),
        help="folder to save the tuned policy in (default: one under var/models)",
    )
    name: str = option(
        "",
        label=gettext_lazy("Name"),
        help=gettext_lazy("name of the model version"),
    )
    guard: str = option(
        "",
        label=gettext_lazy("Guard model"),
        help=gettext_lazy(
            "a preference model that the policy is not tuned on; when its reward falls, the run stops and restores "
            "the best step"
        ),
        of_model="preference",
    )
    more_rewards: str = option(
        "",
        label=gettext_lazy("Additional reward models"),
        help=gettext_lazy("additional preference models"),
        of_model="preference",
        several=True,
        advanced=gettext_lazy("Rewards"),
    )
    ensemble: str = option(
        "mean",
        label=gettext_lazy("Ensemble method"),
        help=gettext_lazy(
            "how several preference models, or the members of one, are combined; uncertainty: mean minus penalty "
            "times standard deviation"
        ),
        choices=("mean", "worst", "uncertainty"),
        advanced=gettext_lazy("Rewards"),
    )
    uncertainty_penalty: float = option(
        1.0,
        label=gettext_lazy("Uncertainty penalty"),
        help=gettext_lazy("weight of the standard deviation for ensemble uncertainty"),
        minimum=0,
        advanced=gettext_lazy("Rewards"),
    )
    terms: str = option(
        "",
        label=gettext_lazy("Reward terms"),
        help=gettext_lazy(
            "additional reward terms with weights, such as fluency=0.1,length=-0.01: fluency, length, chrf, bleu, "
            "exact_match, f1, accuracy, discriminator"
        ),
    )
    reward_function: str = option(
        "",
        label=gettext_lazy("Reward function"),
        help="dotted path of a function (prompts, responses) -> rewards whose result is added",
        commands_only=True,
        advanced=gettext_lazy("Rewards"),
    )
    discriminator_corpus: str = option(
        STUDY,
        label=gettext_lazy("Real texts for the discriminator"),
        help=gettext_lazy(
            "the texts that the term discriminator learns as real: 'study' (the study's responses to training "
            "prompts), or 'demo'"
        ),
        for_commands="or files, as for pretrain",
        on_pages=(STUDY, DEMO),
        advanced=gettext_lazy("Rewards"),
    )
    prompts_per_step: int = option(
        16,
        label=gettext_lazy("Prompts per step"),
        help=gettext_lazy("number of prompts per step"),
        minimum=1,
    )
    num_generations: int = option(
        4,
        label=gettext_lazy("Responses per prompt"),
        help=gettext_lazy("samples per prompt; rloo and grpo compare them"),
        minimum=1,
    )
    max_completion_length: int = option(
        64,
        label=gettext_lazy("Maximum response length (tokens)"),
        help=gettext_lazy("maximum length of a response, in tokens"),
        minimum=1,
        maximum=4096,
    )
    max_length: int = option(
        1024,
        label=gettext_lazy("Maximum length (tokens)"),
        help=gettext_lazy("maximum length of a prompt with a judged response for dpo and kto, in tokens"),
        minimum=2,
        maximum=1_000_000,
    )
    temperature: float = option(
        1.0,
        label=gettext_lazy("Temperature"),
        help=gettext_lazy("sampling temperature; 0 is greedy decoding, which only dpo and kto accept"),
        minimum=0,
        maximum=10,
    )
    top_k: int = option(
        0,
        label=gettext_lazy("Top-k"),
        help=gettext_lazy("sample among the k likeliest tokens; 0 uses all"),
        minimum=0,
        advanced=gettext_lazy("Sampling"),
    )
    top_p: float = option(
        1.0,
        label=gettext_lazy("Top-p"),
        help=gettext_lazy("sample among the likeliest tokens with this total probability"),
        minimum=0.01,
        maximum=1,
        advanced=gettext_lazy("Sampling"),
    )
    learning_rate: float = option(
        0.0,
        label=gettext_lazy("Learning rate"),
        help=gettext_lazy("0 uses a value that depends on the model's size"),
        minimum=0,
        maximum=1,
    )
    critic_learning_rate: float = option(
        0.001,
        label=gettext_lazy("Critic learning rate"),
        help=gettext_lazy("learning rate of ppo's critic, a value head on the policy's states"),
        minimum=0,
        maximum=1,
        advanced=gettext_lazy("Update"),
    )
    num_iterations: int = option(
        1,
        label=gettext_lazy("Iterations per batch"),
        help=gettext_lazy("passes over each batch of samples"),
        minimum=1,
        maximum=100,
        advanced=gettext_lazy("Update"),
    )
    num_mini_batches: int = option(
        1,
        label=gettext_lazy("Number of mini-batches"),
        help=gettext_lazy("optimizer steps in one pass over a batch"),
        minimum=1,
        advanced=gettext_lazy("Update"),
    )
    epsilon: float = option(
        0.2,
        label=gettext_lazy("Clipping range (epsilon)"),
        help=gettext_lazy("clipping range of the probability ratio: ppo's ε"),
        minimum=0.001,
        maximum=10,
        advanced=gettext_lazy("Update"),
    )
    beta: float = option(
        0.05,
        label=gettext_lazy("KL coefficient (beta)"),
        help=gettext_lazy("weight of the KL penalty"),
        minimum=0,
    )
    direct_beta: float = option(
        0.1,
        label=gettext_lazy("Beta of DPO and KTO"),
        help=gettext_lazy("β of dpo and kto; a larger value keeps the policy closer to the initial one"),
        minimum=0.0001,
        advanced=gettext_lazy("KL"),
    )
    kl_target: float = option(
        0.0,
        label=gettext_lazy("KL target"),
        help=gettext_lazy("adapt beta towards this KL per response; 0 keeps beta fixed"),
        minimum=0,
    )
    max_kl: float = option(
        0.0,
        label=gettext_lazy("Maximum KL"),
        help=gettext_lazy("the saved policy's KL never exceeds this; 0 sets no limit"),
        minimum=0,
    )
    distinct_floor: float = option(
        0.0,
        label=gettext_lazy("Minimum diversity"),
        help=gettext_lazy(
            "the saved policy's distinct-2 is never below this share of the initial one's; the run stops below it; 0 "
            "sets no limit"
        ),
        minimum=0,
        maximum=1,
    )
    target_quality: float = option(
        0.0,
        label=gettext_lazy("Target quality"),
        help=gettext_lazy(
            "stop once the responses to the held-out prompts have this mean quality; 0 completes all steps"
        ),
        minimum=0,
        maximum=0.999,
    )
    kl_estimator: str = option(
        "auto",
        label=gettext_lazy("KL estimator"),
        help=gettext_lazy("estimator in the KL penalty"),
        choices=("auto", "k1", "k2", "k3"),
        advanced=gettext_lazy("KL"),
    )
    whiten_rewards: bool = option(
        False,
        label=gettext_lazy("Whiten rewards"),
        help=gettext_lazy("normalize each batch of rewards to mean 0 and variance 1"),
        advanced=gettext_lazy("Rewards"),
    )
    reward_clip: float = option(
        0.0,
        label=gettext_lazy("Reward clipping"),
        help=gettext_lazy("clip rewards to this many standard deviations around the initial mean; 0 does not clip"),
        minimum=0,
        advanced=gettext_lazy("Rewards"),
    )
    missing_eos_penalty: float = option(
        1.0,
        label=gettext_lazy("Penalty for unfinished responses"),
        help=gettext_lazy("subtracted from the reward of a truncated response"),
        minimum=0,
        advanced=gettext_lazy("Rewards"),
    )
    lora_r: int = option(
        0,
        label=gettext_lazy("LoRA rank"),
        help=gettext_lazy("rank of a LoRA adapter to train; 0 trains all weights"),
        minimum=0,
        maximum=1024,
    )
    precision: str = option(
        "auto",
        label=gettext_lazy("Numerical precision"),
        help=gettext_lazy("precision of the gradient passes; auto uses bfloat16 where processor and model benefit"),
        choices=("auto", "float32", "bfloat16"),
        advanced=gettext_lazy("Update"),
    )
    sampler: str = option(
        "transformers",
        label=gettext_lazy("Sampler"),
        help="transformers: sample in this process; vllm: sample from a vLLM server (docs/guides/tune.md)",
        choices=("transformers", "vllm"),
        commands_only=True,
        advanced=gettext_lazy("Sampling"),
    )
    vllm_server_base_url: str = option(
        "http://127.0.0.1:8000",
        label=gettext_lazy("vLLM server address"),
        help="base URL of the vLLM server",
        commands_only=True,
        advanced=gettext_lazy("Sampling"),
    )
    eval_steps: int = option(
        10,
        label=gettext_lazy("Steps between evaluations"),
        help=gettext_lazy("steps between evaluations on the held-out prompts"),
        minimum=1,
        advanced=gettext_lazy("Evaluation"),
    )
    best_of: int = option(
        8,
        label=gettext_lazy("Best of n"),
        help=gettext_lazy("n of the best-of-n baseline; 1 omits it"),
        minimum=1,
        maximum=256,
        advanced=gettext_lazy("Evaluation"),
    )
    save_steps: int = option(
        20,
        label=gettext_lazy("Steps between checkpoints"),
        help=gettext_lazy("steps between checkpoints"),
        minimum=1,
        advanced=gettext_lazy("Evaluation"),
    )
    report_to: str = REPORT_TO
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of prompts and samples"),
    )
