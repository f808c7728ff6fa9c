"""Train a head on stored candidates, and save it with its model card."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swift_bon.candidates import read_candidates, read_header, write_whole
from swift_bon.checks import check_training_data, model_name
from swift_bon.features import extract_features
from swift_bon.fitting import TrainingOptions, fit_head
from swift_bon.tasks import load_task
from swift_kernels import RewardHead


def train(
    model, tokenizer, path: str | Path, output: str | Path, **options
) -> tuple[RewardHead, dict[str, Any]]:
    """Train a head on a candidates file and save it with its model card.

    Args:
        model, tokenizer: the model that wrote the candidates.
        path: the file that `collect` made.
        output: folder of the head.
        **options: fields of `TrainingOptions`.

    Returns:
        the head of the seed with the lowest validation loss, and the report saved with it as
        training.json.

    Raises:
        ValueError: candidates of another model, or nothing to learn (all right or all wrong).
    """
    path, output = Path(path), Path(output)
    settings = TrainingOptions(**options)
    prompts, header = read_candidates(path), read_header(path)
    check_training_data(prompts, header, model_name(model), path)
    with tempfile.TemporaryDirectory(prefix=".features-", dir=path.parent) as folder:
        groups = [load_task(header["task"]).group(prompt.id) for prompt in prompts]
        features = extract_features(
            model, tokenizer, prompts, Path(folder), scored_tokens=settings.scored_tokens
        )
        head, fits = fit_head(features, prompts, groups, settings)
    head.base_model = model_name(model)
    report = {
        "candidates": {**header, "num_prompts": len(prompts)},
        "options": asdict(settings),
        "fits": [asdict(fit) for fit in fits],
    }
    head.save_pretrained(output, model_card_kwargs=_model_card(head, report))
    write_whole(output / "training.json", json.dumps(report, indent=1) + "\n")
    return head, report


def _model_card(head: RewardHead, report: dict[str, Any]) -> dict[str, Any]:
    source, options = report["candidates"], report["options"]
    best = min(report["fits"], key=lambda fit: fit["loss"])
    rows = "\n".join(
        f"| {fit['seed']} | {fit['epoch'] + 1} | {fit['loss']:.4f} | {fit['auroc']:.3f} "
        f"| {fit['best_of_n']:.3f} | {fit['random']:.3f} |"
        for fit in report["fits"]
    )
    training = f"""## Training

Task `{source["task"]}`, split `{source["split"]}`: {source["num_prompts"]} questions x
{source["num_return_sequences"]} candidates, sampled with `{json.dumps(source["sampling"])}`,
seed {source["seed"]}. Cross-entropy, AdamW (learning rate {options["learning_rate"]},
weight decay {options["weight_decay"]}, {options["batch_size"]} candidates a batch).
{options["validation"]:.0%} of the questions were held out to choose the epoch and the seed;
seed {best["seed"]} is shipped. Scored tokens: `{head.scored_tokens}`.

Held-out questions of the training split (N = {source["num_return_sequences"]}):

| seed | epoch | loss | AUROC | best-of-N | random |
| --- | --- | --- | --- | --- | --- |
{rows}
"""
    return {"training": training, "base_model": head.base_model}
