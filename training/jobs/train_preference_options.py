"""The options of train_preference."""

import dataclasses

from django.utils.translation import gettext_lazy

from training.runs.options import REPORT_TO, option

KINDS = ("auto", "encoder", "causal", "linear", "cnn", "rnn")
FROM_NOTHING = ("linear", "cnn", "rnn")


@dataclasses.dataclass(frozen=True)
class Options:
    base_model: str = option(
        "",
        label=gettext_lazy("Base model"),
        help=gettext_lazy(
            "encoder or causal model to start from; the kinds linear, cnn and rnn need none, and linear with one uses"
            " the states of the frozen model"
        ),
        of_model="policy",
    )
    kind: str = option(
        "auto",
        label=gettext_lazy("Model type"),
        help=gettext_lazy("type of model to train; auto follows the base model"),
        choices=KINDS,
    )
    output: str = option(
        "",
        label=gettext_lazy("Output folder"),
        help="folder to save the model in (default: one under var/models)",
    )
    name: str = option(
        "",
        label=gettext_lazy("Name"),
        help=gettext_lazy("name of the model version"),
    )
    num_epochs: int = option(
        8,
        label=gettext_lazy("Number of epochs"),
        help=gettext_lazy("passes over the training pairs; the weights with the best validation loss are saved"),
        minimum=1,
    )
    learning_rate: float = option(
        0.0,
        label=gettext_lazy("Learning rate"),
        help=gettext_lazy("0 uses a value that depends on the model's size"),
        minimum=0,
        maximum=1,
    )
    max_length: int = option(
        256,
        label=gettext_lazy("Maximum length (tokens)"),
        help=gettext_lazy("maximum length of prompt and response together, in tokens"),
        minimum=8,
        maximum=8192,
    )
    seed: int = option(
        0,
        label=gettext_lazy("Random seed"),
        help=gettext_lazy("seed of the head's weights and the batches"),
    )
    ensemble: int = option(
        1,
        label=gettext_lazy("Ensemble members"),
        help=gettext_lazy("number of ensemble members, whose disagreement measures uncertainty"),
        minimum=1,
        maximum=32,
    )
    reliability: bool = option(
        False,
        label=gettext_lazy("Learn rater reliability"),
        help=gettext_lazy("learn the reliability of each rater, and weight votes accordingly"),
    )
    position: bool = option(
        False,
        label=gettext_lazy("Learn position bias"),
        help=gettext_lazy("learn how much the response shown first is favoured, and correct for it"),
    )

    ties: str = option(
        "davidson",
        label=gettext_lazy("Treatment of ties"),
        help=gettext_lazy("davidson: Davidson's model of ties; half: half a win for each side"),
        choices=("davidson", "half"),
        advanced=gettext_lazy("Votes"),
    )
    votes: str = option(
        "all",
        label=gettext_lazy("Votes used"),
        help=gettext_lazy("use all votes on a pair, or only the majority's answer"),
        choices=("all", "majority"),
        advanced=gettext_lazy("Votes"),
    )
    whole_rankings: bool = option(
        False,
        label=gettext_lazy("Use whole rankings"),
        help=gettext_lazy("treat a ranking of three or more as one observation instead of pairs"),
        advanced=gettext_lazy("Votes"),
    )
    margin: float = option(
        0.0,
        label=gettext_lazy("Margin per strength level"),
        help=gettext_lazy("required reward difference per level of preference strength"),
        minimum=0,
        maximum=10,
        advanced=gettext_lazy("Votes"),
    )
    label_smoothing: float = option(
        0.0,
        label=gettext_lazy("Label smoothing"),
        help=gettext_lazy("label smoothing: move votes towards one half"),
        minimum=0,
        maximum=0.5,
        advanced=gettext_lazy("Votes"),
    )
    by_prompt: bool = option(
        False,
        label=gettext_lazy("Weight prompts equally"),
        help=gettext_lazy("give each prompt the same weight, regardless of its number of votes"),
        advanced=gettext_lazy("Votes"),
    )
    scores: str = option(
        "squared",
        label=gettext_lazy("Score likelihood"),
        help=gettext_lazy("likelihood of scores on criteria: squared error, an ordinal scale, or none"),
        choices=("squared", "ordinal", "none"),
        advanced=gettext_lazy("Scores on criteria"),
    )
    score_weight: float = option(
        0.5,
        label=gettext_lazy("Score weight"),
        help=gettext_lazy("weight of a score relative to a vote"),
        minimum=0,
        maximum=100,
        advanced=gettext_lazy("Scores on criteria"),
    )
    score_by_rater: bool = option(
        False,
        label=gettext_lazy("Standardize scores by rater"),
        help=gettext_lazy("standardize scores by each rater's own mean and standard deviation"),
        advanced=gettext_lazy("Scores on criteria"),
    )
    score_intercepts: bool = option(
        False,
        label=gettext_lazy("Learn rater strictness"),
        help=gettext_lazy("learn the strictness of each rater"),
        advanced=gettext_lazy("Scores on criteria"),
    )
    criteria: str = option(
        "",
        label=gettext_lazy("Criterion weights"),
        help=gettext_lazy("weights of the criteria in the total, such as fluency=2,adequacy=1 (default: the study's)"),
        advanced=gettext_lazy("Scores on criteria"),
    )
    center_rewards_coefficient: float = option(
        0.0,
        label=gettext_lazy("Reward centering coefficient"),
        help=gettext_lazy("weight of the mean squared reward in the loss"),
        minimum=0,
        maximum=10,
        advanced=gettext_lazy("Reward and model"),
    )
    debias: float = option(
        0.0,
        label=gettext_lazy("Length bias penalty"),
        help=gettext_lazy("weight of the penalty on the correlation of reward and length"),
        minimum=0,
        maximum=10,
        advanced=gettext_lazy("Reward and model"),
    )
    ensemble_of: str = option(
        "copies",
        label=gettext_lazy("Ensemble type"),
        help=gettext_lazy("ensemble members are copies of the model, or heads on one backbone"),
        choices=("copies", "heads"),
        advanced=gettext_lazy("Reward and model"),
    )
    layers: int = option(
        0,
        label=gettext_lazy("Number of layers"),
        help=gettext_lazy("number of the base model's layers to keep; 0 keeps all"),
        minimum=0,
        advanced=gettext_lazy("Reward and model"),
    )
    min_steps: int = option(
        150,
        label=gettext_lazy("Minimum number of steps"),
        help=gettext_lazy("minimum number of steps, with more epochs if necessary"),
        minimum=1,
        advanced=gettext_lazy("Optimisation"),
    )
    tokens_per_step: int = option(
        4096,
        label=gettext_lazy("Tokens per batch"),
        help=gettext_lazy("number of tokens in one batch"),
        minimum=64,
        maximum=10_000_000,
        advanced=gettext_lazy("Optimisation"),
    )
    gradient_accumulation_steps: int = option(
        1,
        label=gettext_lazy("Gradient accumulation steps"),
        help=gettext_lazy("batches whose gradients are accumulated for one step"),
        minimum=1,
        advanced=gettext_lazy("Optimisation"),
    )
    weight_decay: float = option(
        0.01,
        label=gettext_lazy("Weight decay"),
        help=gettext_lazy("weight decay"),
        minimum=0,
        maximum=1,
        advanced=gettext_lazy("Optimisation"),
    )
    ema_decay: float = option(
        0.97,
        label=gettext_lazy("EMA decay"),
        help=gettext_lazy("decay of the exponential moving average of the weights, which is saved; 0 disables it"),
        minimum=0,
        maximum=0.9999,
        advanced=gettext_lazy("Optimisation"),
    )
    early_stopping_patience: int = option(
        4,
        label=gettext_lazy("Early stopping patience"),
        help=gettext_lazy("stop after this many evaluations without a better validation loss; 0 never stops"),
        minimum=0,
        advanced=gettext_lazy("Optimisation"),
    )
    precision: str = option(
        "auto",
        label=gettext_lazy("Numerical precision"),
        help=gettext_lazy("precision of the training passes; auto uses bfloat16 where the processor supports it"),
        choices=("auto", "float32", "bfloat16"),
        advanced=gettext_lazy("Speed and memory"),
    )
    share_prompts: bool = option(
        True,
        label=gettext_lazy("Share prompt computation"),
        help=gettext_lazy("causal models encode a prompt once for all its responses, where the result is the same"),
        advanced=gettext_lazy("Speed and memory"),
    )
    lora_r: int = option(
        0,
        label=gettext_lazy("LoRA rank"),
        help=gettext_lazy("rank of LoRA adapters to train instead of all weights; 0 for none"),
        minimum=0,
        advanced=gettext_lazy("Speed and memory"),
    )
    load_in_4bit: bool = option(
        False,
        label=gettext_lazy("Load in 4-bit"),
        help=gettext_lazy("load the base model in 4 bits below its adapters (QLoRA); needs the package bitsandbytes"),
        advanced=gettext_lazy("Speed and memory"),
    )
    engine: str = option(
        "palate",
        label=gettext_lazy("Training engine"),
        help=gettext_lazy(
            "palate: the built-in training loop; trainer: transformers' Trainer, which shards a model over the "
            "processes of accelerate launch"
        ),
        choices=("palate", "trainer"),
        advanced=gettext_lazy("Speed and memory"),
    )
    gradient_checkpointing: bool = option(
        False,
        label=gettext_lazy("Gradient checkpointing"),
        help=gettext_lazy("store fewer activations and recompute them, which saves memory"),
        advanced=gettext_lazy("Speed and memory"),
    )
    report_to: str = REPORT_TO
    learning_curve: int = option(
        0,
        label=gettext_lazy("Learning curve points"),
        help=gettext_lazy(
            "points of the learning curve in the report, each trained on half as many judgements as the next; 0 for "
            "none"
        ),
        minimum=0,
        maximum=12,
        advanced=gettext_lazy("Report"),
    )
    explain: int = option(
        8,
        label=gettext_lazy("Explained prompts"),
        help=gettext_lazy("number of held-out prompts whose rewards the report explains word by word"),
        minimum=0,
        maximum=200,
        advanced=gettext_lazy("Report"),
    )
