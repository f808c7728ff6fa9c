"""Give a head that was trained before there were fingerprints that of its model.

    python bench/add_fingerprint.py FOLDER [--model smollm2-135m]

Only config.json is written anew; the weights and the model card stay as they are. Give the model
that the head was trained for: nothing can check it.
"""

import argparse
import json
from pathlib import Path

from swift_bon import load_head, load_model
from swift_bon.models import fingerprint
from swift_bon.storage import write_whole
from swift_kernels.head_files import CONFIG_NAME


def add_fingerprint(folder: Path, model) -> None:
    """Into the config.json of a head."""
    config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    model_type = config.pop("model_type")
    config |= {"base_model_fingerprint": fingerprint(model), "model_type": model_type}
    write_whole(folder / CONFIG_NAME, json.dumps(config, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the head")
    parser.add_argument("--model", default="smollm2-135m", help="that it was trained for")
    arguments = parser.parse_args()
    load_head(str(arguments.folder))  # refuses what is no head
    add_fingerprint(arguments.folder, load_model(arguments.model, device="cpu")[0])


if __name__ == "__main__":
    main()
