"""A checkpoint of the paper's code as a head."""

from pathlib import Path

from swift_kernels import RewardHead


def convert(
    path: str | Path,
    output: str | Path,
    num_layers: int,
    hidden_size: int,
    *,
    base_model: str | None = None,
) -> RewardHead:
    """Read the authors' `.pt` file and save it as a head; pickled code is never run.

    Args:
        path: the checkpoint.
        output: folder of the head.

    The other arguments, and what is raised, are those of `RewardHead.from_reference_checkpoint`.
    """
    head = RewardHead.from_reference_checkpoint(
        path, num_layers, hidden_size, base_model=base_model
    )
    head.save_pretrained(output)
    return head
