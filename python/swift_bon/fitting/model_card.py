"""The card of a head: what it is, what it was trained on, how well it picks."""

import json
from typing import Any

from swift_bon.fitting.report import number_text

LOSS_NAMES = {
    "bce": "binary cross-entropy",
    "hinge": "hinge",
    "dpo": "log-sigmoid of every right against every wrong candidate of a question",
    "pairwise": "log-sigmoid of right against wrong candidates, averaged within a question",
    "infonca": "InfoNCA",
    "nca": "NCA",
}
SELECTIONS = {"loss": "lowest validation loss", "best_of_n": "highest best-of-N accuracy"}


def model_card(report: dict[str, Any]) -> str:
    """The section on training of a head's model card, in Markdown."""
    source, options, fits = report["candidates"], report["options"], report["fits"]
    chosen, num_candidates = fits[report["chosen"]], source["num_return_sequences"]
    rows = "\n".join(_row(fit, fit is chosen) for fit in fits)
    return f"""## Training

Task `{source["task"]}`, split `{source["split"]}`: {source["num_prompts"]} questions x
{num_candidates} candidates ({source["num_candidates"]} in all), sampled with
`{json.dumps(source["sampling"])}`, seed {source["seed"]}.

- Features: {_features(report["features"])}.
  Scored tokens: `{report["scored_tokens"]}`.
- Head: {_head(options)}.
- Loss: {_loss(options)}.
- AdamW: learning rate {_list(options["learning_rates"])}, weight decay
  {options["weight_decay"]:g}, {_schedule(options)}, {options["batch_size"]} candidates a batch,
  at most {options["epochs"]} epochs, seeds {_list(options["seeds"])}.
- Choice: {options["validation"]:.0%} of the questions were held out. A fit keeps its epoch with the
  {SELECTIONS[options["select_by"]]} and ends after {options["patience"]} epochs without a
  better one; the best fit by the same measure is shipped: seed {chosen["seed"]}, learning rate
  {chosen["learning_rate"]:g}.

Held-out questions of the split, N = {num_candidates}, the shipped fit in bold:

| seed | learning rate | epoch | loss | AUROC | best-of-N | random |
| --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


def _row(fit: dict[str, Any], is_chosen: bool) -> str:
    cells = [str(fit["seed"]), f"{fit['learning_rate']:g}", str(fit["epoch"] + 1)]
    cells += [number_text(fit["loss"], 4)]
    cells += [number_text(fit[name], 3) for name in ("auroc", "best_of_n", "random")]
    return "| " + " | ".join(f"**{cell}**" if is_chosen else cell for cell in cells) + " |"


def _features(features: dict[str, Any]) -> str:
    """Which numbers a token has, of how many tokens, and where they come from."""
    dtype = "" if features["dtype"] is None else f" in {features['dtype']}"
    places = {"store": "from a store", "model": "by one pass of the model an epoch"}
    origin = f"{dtype}, of {features['num_tokens']} tokens, {places[features['kind']]}"
    projection = features["projection"]
    if projection is None:
        return f"full states, {features['dim']} numbers a token{origin}"
    settings = {key: value for key, value in projection.items() if not isinstance(value, list)}
    return f"{features['dim']} directions of a projection `{json.dumps(settings)}`{origin}"


def _head(options: dict[str, Any]) -> str:
    text = "with a gate, " if options["gated"] else "without a gate, "
    text += "all layers" if options["layers"] is None else f"layers {_list(options['layers'])}"
    return text + ", fitted to standardised features" * options.get("standardize", False)


def _loss(options: dict[str, Any]) -> str:
    text = f"`{options['loss']}`, {LOSS_NAMES[options['loss']]}"
    return text + f", alpha {options['alpha']:g}" * (options["loss"] in ("infonca", "nca"))


def _schedule(options: dict[str, Any]) -> str:
    text, warmup = f"{options['schedule']} schedule", options.get("warmup", 0)
    return text + f" after a warm-up over {warmup:.0%} of the steps" * (warmup > 0)


def _list(values: list[float]) -> str:
    *first, last = [f"{value:g}" for value in values]
    return f"{', '.join(first)} and {last}" if first else last
