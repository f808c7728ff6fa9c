"""Extract: run the model once over stored candidates and keep the features of their tokens."""

import dataclasses
import hashlib
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import nn
from tqdm import tqdm

from swift_bon.basis import block_sizes, find_projection, find_scaling
from swift_bon.candidates import PromptCandidates, read_candidates, read_header
from swift_bon.checks import check_same_settings, check_training_data, model_name
from swift_bon.checksums import tensor_sha256
from swift_bon.features import DTYPES, FeatureSpec, sum_moments
from swift_bon.forward import count_scored_tokens
from swift_bon.model_features import SHARD_BYTES, ModelFeatures, feature_spec
from swift_bon.store import FeatureStore
from swift_bon.store_files import (
    INDEX_NAME,
    ShardEntry,
    StoredPrompt,
    append_entry,
    has_size,
    keep_entries,
    next_file,
    prompt_digest,
    read_entries,
    read_index,
    write_index,
    write_tensors,
)

DISK_RESERVE_BYTES = 2**26  # for the index, and for others
MOMENT_BYTES = 16  # of each number in each shard
LOCK_NAME = ".lock"
LEFTOVERS = ("shard-*.safetensors", ".shard*", ".index.json.*", ".projection.*", ".tmp*")
WEIGHTS_PROBED = 16  # of each parameter: enough to tell two checkpoints apart


def extract_features(
    model,
    tokenizer,
    path: str | Path,
    folder: str | Path,
    *,
    layers: Sequence[int] | None = None,
    scored_tokens: str = "fed",
    dtype: str | None = None,
    projection: str | None = "mixed",
    projection_dim: int | None = 512,
    batch_size: int = 64,
    seed: int = 0,
    say: Callable[[str], None] = tqdm.write,
) -> FeatureStore:
    """Write the features of all candidates of a file into a folder, with one pass of the model.

    A killed run goes on where it stopped when called again with the same settings; so does a run
    over a file that has grown. A shard that was lost or cut is made again.

    Args:
        model, tokenizer: the model that wrote the candidates.
        path: the file that `collect` made.
        folder: of the store.
        layers: which hidden states; None takes all `num_hidden_layers + 1`.
        scored_tokens: "fed" leaves out the last token of each response, as scoring while
            generating does; "response" keeps all.
        dtype: "float32", "float16", "bfloat16" or "float8" (e4m3, of standardised numbers); None
            takes float16 with a projection and bfloat16 without.
        projection: "mixed" keeps `projection_dim` directions of all layers together, "per_layer" a
            share of them for each layer, None the states themselves.
        projection_dim: K, numbers kept for each token.
        batch_size: candidates in one forward, halved when memory runs out.
        seed: of the sample that the projection is found from.
        say: takes what is to be known before the start: the disk that is needed.

    Raises:
        ValueError: a bad argument, a store made with other settings or by another run at the same
            time, states that are NaN or exceed the dtype.
        OSError: the disk has not enough space. What was written stays good.
    """
    path, folder = Path(path), Path(folder)
    prompts, header = read_candidates(path), read_header(path)
    check_training_data(prompts, header, model_name(model), path)
    spec = feature_spec(model, layers, scored_tokens, dtype, projection is not None)
    if not count_scored_tokens(prompts, spec.scored_tokens):
        raise ValueError(
            f"no candidate in {path} has a token that counts: scored_tokens is "
            f"{spec.scored_tokens!r}; take 'response', or collect longer candidates"
        )
    source = {
        "weights": weights_digest(model),
        "chat_template": hashlib.sha256(str(tokenizer.chat_template).encode()).hexdigest()[:16],
        "projection": projection,
        "projection_dim": None if projection is None else projection_dim,
        "seed": seed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        with lock.acquire(timeout=0):
            _extract(model, tokenizer, prompts, folder, spec, source, batch_size, say)
    except Timeout as error:
        raise ValueError(f"{folder} is being written by another run; wait for its end") from error
    return FeatureStore(folder, prompts)


def open_features(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    load: Callable[[], tuple],
    scored_tokens: str | None = None,
    batch_size: int = 64,
    say: Callable[[str], None] = tqdm.write,
) -> FeatureStore:
    """The store of a candidates file; what is not in it yet is extracted, as the rest of it was.

    Args:
        path: the file that `collect` made.
        folder: of the store; None takes `<name>.features` beside it.
        load: gives the model and its tokenizer; not called where the store is whole.
        scored_tokens: of a new store ("fed" unless given); an old one must have the same.

    Raises:
        as `extract_features`.
    """
    folder = default_folder(path) if folder is None else Path(folder)
    settings: dict[str, Any] = {}
    if (folder / INDEX_NAME).exists():
        prompts = read_candidates(path)
        spec, source = read_index(folder)
        if scored_tokens not in (None, spec.scored_tokens):
            raise ValueError(
                f"scored_tokens is {scored_tokens!r}, the features in {folder} are of "
                f"{spec.scored_tokens!r}; take another folder for features"
            )
        scored_tokens = spec.scored_tokens
        entries = [entry for entry in read_entries(folder) if has_size(folder, entry)]
        if not _missing_prompts(prompts, entries, folder):
            return FeatureStore(folder, prompts)
        settings = {"layers": spec.layers, "dtype": spec.dtype, "seed": source["seed"]}
        settings |= {name: source[name] for name in ("projection", "projection_dim")}
    return extract_features(
        *load(),
        path,
        folder,
        scored_tokens=scored_tokens or "fed",
        batch_size=batch_size,
        say=say,
        **settings,
    )


def default_folder(path: str | Path) -> Path:
    """`runs/train.jsonl` has its features in `runs/train.features/`."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(".jsonl") + ".features")


def _extract(model, tokenizer, prompts, folder, spec, source, batch_size, say) -> None:
    is_new = not (folder / INDEX_NAME).exists()
    if not is_new:
        spec = _same_store(folder, spec, source)
    # shards without an index are of unknown making
    entries = keep_entries(folder, lambda entry: not is_new and has_size(folder, entry))
    _clear_leftovers(folder, entries)
    missing = _missing_prompts(prompts, entries, folder)
    _check_disk(missing, spec, source, folder, say)
    if is_new:
        spec = _with_projection(model, tokenizer, prompts, spec, source, batch_size)
        write_index(folder, spec, source)
    if not missing:
        return
    features = ModelFeatures(model, tokenizer, missing, spec, batch_size=batch_size)
    progress = tqdm(total=sum(shard.num_tokens for shard in features.shards), unit="token")
    with progress:
        for number, shard in enumerate(features.shards):
            pack = features.read(number)
            file = next_file(entries)
            moments = sum_moments(pack.states)
            tensors = {**pack._asdict(), "moments": moments}
            written = (file, *write_tensors(folder / file, tensors), tensor_sha256(moments))
            stored = [
                StoredPrompt(prompt.id, prompt_digest(prompt), len(prompt.candidates))
                for prompt in (missing[position] for position in shard.prompts)
            ]
            entries.append(ShardEntry(*written, shard.num_tokens, stored))
            append_entry(folder, entries[-1])
            progress.update(shard.num_tokens)


def _with_projection(model, tokenizer, prompts, spec, source, batch_size) -> FeatureSpec:
    if source["projection"] is None and spec.dtype != "float8":
        return spec
    plain = dataclasses.replace(spec, dtype="float32")
    states = ModelFeatures(model, tokenizer, prompts, plain, batch_size=batch_size)
    if source["projection"] is None:  # as they are, they exceed what 8 bits can hold
        found = find_scaling(states, prompts, source["seed"])
    else:
        chosen = (source["projection"], source["projection_dim"], source["seed"])
        found = find_projection(states, prompts, *chosen)
    return dataclasses.replace(spec, projection=found)


def _same_store(folder: Path, spec: FeatureSpec, source: dict[str, Any]) -> FeatureSpec:
    """The spec of the store that is there, once it is known to be of the same making."""
    earlier, earlier_source = read_index(folder)
    without = {"projection": None}
    check_same_settings(
        dataclasses.asdict(dataclasses.replace(earlier, **without)) | earlier_source,
        dataclasses.asdict(dataclasses.replace(spec, **without)) | source,
        folder,
        "use another folder, or delete it",
    )
    return earlier


def _missing_prompts(
    prompts: Sequence[PromptCandidates], entries: Sequence[ShardEntry], folder: Path
) -> list[PromptCandidates]:
    stored = {prompt.id: prompt.digest for entry in entries for prompt in entry.prompts}
    for prompt in prompts:
        if prompt.id in stored and stored[prompt.id] != prompt_digest(prompt):
            raise ValueError(
                f"{folder} has other tokens for the prompt {prompt.id!r} than the candidates; "
                "extract these candidates into another folder"
            )
    return [prompt for prompt in prompts if prompt.id not in stored]


def _clear_leftovers(folder: Path, entries: Sequence[ShardEntry]) -> None:
    """What a killed run left behind, and shards that no longer count."""
    counted = {entry.file for entry in entries}
    for pattern in LEFTOVERS:
        for file in folder.glob(pattern):
            if file.name not in counted:
                file.unlink()


def _check_disk(prompts, spec: FeatureSpec, source, folder: Path, say) -> None:
    """Say what the store will take, and stop where the disk has less."""
    num_tokens = count_scored_tokens(prompts, spec.scored_tokens)
    dim, basis_bytes = spec.dim, 0
    if spec.projection is None and source["projection"] is not None:  # it is yet to be found
        shape = (len(spec.layers), spec.hidden_size)
        num_blocks, size = block_sizes(source["projection"], source["projection_dim"], *shape)
        dim, basis_bytes = num_blocks * size, size * math.prod(shape) * 4  # [B, K, W] float32
    num_bytes = num_tokens * dim * DTYPES[spec.dtype].itemsize
    num_bytes += (num_bytes // SHARD_BYTES + 1) * MOMENT_BYTES * dim + basis_bytes
    free_bytes = shutil.disk_usage(folder).free
    need = (
        f"the features of {num_tokens} tokens ({dim} numbers each, {spec.dtype}) need "
        f"{num_bytes / 1e9:.3g} GB in {folder}, which has {free_bytes / 1e9:.3g} GB free"
    )
    if num_bytes > free_bytes - DISK_RESERVE_BYTES:
        raise OSError(f"{need}; take another folder, a smaller projection_dim, or fewer layers")
    say(need)


def weights_digest(model: nn.Module) -> str:
    """Tells two checkpoints of one name apart: of a few values of every parameter."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        values = parameter.detach().flatten()
        step = max(1, len(values) // WEIGHTS_PROBED)
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(values[::step].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
