"""What a type checker says of features and fitting: nothing of right calls, and of a typo that it
is one (an error that is expected and does not come is an error, too). Checked by mypy, never run.
"""

from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon import load_model
from swift_bon.features import extract_features, project_features, stream_features
from swift_bon.fitting import train_reward_head
from swift_kernels import RewardHead


def right_calls(path: Path, folder: Path) -> RewardHead:
    model, tokenizer = load_model()
    store = extract_features(model, tokenizer, path, folder, layers=(0, 2), show_progress=False)
    project_features(path, folder, folder, projection="per_layer", projection_dim=64)
    streamed = stream_features(model, tokenizer, str(path), scored_tokens="response")
    train_reward_head(path, streamed, None, layers=[0, 2], weight_decay=None)
    trained = train_reward_head(path, store.folder, folder, seeds=(0, 1), learning_rates=[0.1])
    head, report = train_reward_head(path, store, loss="pairwise", epochs=3, gated=False)
    head.save_pretrained(folder / str(report["chosen"]))
    return trained.head


def typos(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    train_reward_head(path, path, learning_rate=0.1)  # type: ignore[call-arg]  # learning_rates
    train_reward_head(path, path, epoch=3)  # type: ignore[call-arg]  # epochs
    train_reward_head(path, path, loss="bcee")  # type: ignore[arg-type]  # bce
    train_reward_head(path, path, select_by="best")  # type: ignore[arg-type]  # best_of_n
    train_reward_head(path, path, seeds=0)  # type: ignore[arg-type]  # a sequence of them
    extract_features(model, tokenizer, path, path, layer=(1,))  # type: ignore[call-arg]  # layers
    project_features(path, path, path, batch_size=8)  # type: ignore[call-arg]  # no model runs
    stream_features(model, tokenizer, path, dtype="float16")  # type: ignore[call-arg]  # the model's
