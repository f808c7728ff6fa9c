"""Options that several commands have."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[
    str, typer.Option(help="Language model: the embedded one's name, a hub id or a path.")
]
Head = Annotated[
    str | None,
    typer.Option(
        help="Head to score with: a folder or a hub id; the one that ships for the model if left "
        "out."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Progress = Annotated[
    bool,
    typer.Option("--progress/--no-progress", help="Draw how far it is while it works."),
]
Samples = Annotated[
    int, typer.Option("--samples", "-n", help="Candidates sampled for each prompt.")
]
MaxNewTokens = Annotated[int, typer.Option(help="Most tokens that a candidate may have.")]
Temperature = Annotated[
    float, typer.Option(help="Temperature of the sampling: above 1 more varied, below 1 less.")
]
TopP = Annotated[
    float,
    typer.Option(
        help="Sample from the likeliest tokens that hold this share of the probability, "
        "out of those that --top-k keeps; 1 keeps these."
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        help="Sample from so many of the likeliest tokens, 0 from all; as the model's "
        "generation_config.json says if left out, or 50."
    ),
]
Seed = Annotated[
    int, typer.Option(help="Seed of the random streams, of which each candidate has its own.")
]
TemplateArguments = Annotated[
    str | None,
    typer.Option(
        help='What else the chat template reads, a JSON object as {"enable_thinking": false}; '
        "nothing if left out."
    ),
]
Candidates = Annotated[Path, typer.Argument(help="Candidates file, as collect or import wrote it.")]
Layers = Annotated[
    str | None, typer.Option(help="Hidden states to read, as in 0,8,16-30; all if left out.")
]
ForwardBatch = Annotated[
    int, typer.Option(help="Candidates in one forward; halved when memory runs out.")
]


def likeliest(top_k: int | None) -> dict[str, Any]:
    """`top_k` for `generate`, which takes None for none and not for what the model says."""
    return {} if top_k is None else {"top_k": top_k}


def parse_arguments(text: str | None) -> Any:
    """The arguments of a chat template, as JSON has them."""
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"--chat-template-kwargs is {text!r:.80}, expected a JSON object: {error}"
        ) from error


def parse_layers(text: str | None) -> list[int] | None:
    """`0,8,16-30` as indices."""
    if text is None:
        return None
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        are_numbers = first.strip().isdecimal() and last.strip().isdecimal()
        if not are_numbers or int(first) > int(last):
            raise ValueError(f"layers is {text!r}, expected something like 0,8,16-30")
        layers += range(int(first), int(last) + 1)
    return layers
