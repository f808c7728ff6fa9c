"""Options that several commands have."""

from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="The embedded model's name, a hub id, or a path.")]
Head = Annotated[
    str | None, typer.Option(help="A folder or hub id; by default the head that ships.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
Samples = Annotated[int, typer.Option("--samples", "-n", help="N.")]
MaxNewTokens = Annotated[int, typer.Option(help="Longest response, in tokens.")]
Temperature = Annotated[float, typer.Option(help="Of the sampling.")]
TopP = Annotated[float, typer.Option(help="Nucleus sampling; 1 keeps all tokens.")]
Seed = Annotated[int, typer.Option(help="Of the random streams, one for each candidate.")]
