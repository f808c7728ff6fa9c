"""Extract: run the model once over stored candidates and keep the features of their tokens."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from swift_bon.candidates.files import path_beside, read_candidates, read_header, read_labels
from swift_bon.candidates.groups import groups_of
from swift_bon.candidates.records import PromptCandidates, PromptLabels
from swift_bon.features.model_features import ModelFeatures
from swift_bon.features.spec import DTYPES, FeatureSpec, feature_spec
from swift_bon.features.store import FeatureStore
from swift_bon.features.store_files import INDEX_NAME, has_size, read_entries, read_index
from swift_bon.features.store_writer import missing_prompts, write_store
from swift_bon.features.stored_states import StoredStates
from swift_bon.models.chat_templates import template_digest
from swift_bon.models.forward import count_scored_tokens
from swift_bon.models.identity import check_training_data, identify
from swift_bon.models.model_checks import check_model_and_tokenizer
from swift_bon.models.sampled_weights import weights_digest
from swift_bon.models.stored_prompts import StoredPrompts
from swift_kernels.checks import check_choice, check_layers


def extract_features(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
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
    show_progress: bool = True,
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
            share of them for each layer (above 8, a multiple of 8), None the states themselves.
        projection_dim: K, numbers kept for each token.
        batch_size: candidates in one forward, halved when memory runs out.
        seed: of the sample that the projection is found from.
        show_progress: False shows no bar and says nothing.
        say: takes what is to be known before the start: the disk that is needed.

    Raises:
        ValueError: a bad argument, a store made with other settings or by another run at the same
            time, states that are NaN or exceed the dtype.
        OSError: the disk has not enough space. What was written stays good.

    >>> from swift_bon import collect, extract_features, load_model
    >>> model, tokenizer = load_model()
    >>> _ = collect(model, tokenizer, "a.jsonl", limit=4, max_new_tokens=8)
    >>> options = {"projection_dim": 16, "show_progress": False}
    >>> store = extract_features(model, tokenizer, "a.jsonl", "a.features", **options)
    >>> store.spec.dim, store.spec.dtype
    (16, 'float16')
    """
    path = Path(path)
    check_model_and_tokenizer(model, tokenizer)
    prompts, header = read_candidates(path), read_header(path)
    check_training_data(prompts, header, identify(model), path, model)
    spec = feature_spec(model, layers, scored_tokens, dtype, projection is not None)
    if not count_scored_tokens(prompts, spec.scored_tokens):
        raise ValueError(
            f"no candidate in {path} has a token that counts: scored_tokens is "
            f"{spec.scored_tokens!r}; take 'response', or collect longer candidates"
        )
    made_from = {
        "weights": weights_digest(model),
        "chat_template": template_digest(tokenizer),
        "states": None,
        "projection": projection,
        "projection_dim": None if projection is None else projection_dim,
        "seed": seed,
    }
    task, stored = header["task"], StoredPrompts(tokenizer, header)

    def make_source(members: Sequence[PromptCandidates], spec: FeatureSpec) -> ModelFeatures:
        groups = groups_of(members, task)
        settings: dict[str, Any] = {"groups": groups, "batch_size": batch_size, "stored": stored}
        return ModelFeatures(model, tokenizer, members, spec, **settings)

    heard = say if show_progress else None
    return write_store(Path(folder), prompts, spec, made_from, make_source, heard)


def project_features(
    path: str | Path,
    states: str | Path,
    folder: str | Path,
    *,
    layers: Sequence[int] | None = None,
    dtype: str | None = None,
    projection: str | None = "mixed",
    projection_dim: int | None = 512,
    seed: int = 0,
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,
) -> FeatureStore:
    """As `extract_features`, from a store of the states themselves: the model is not needed.

    Args:
        path: the file that `collect` made.
        states: folder of a store that was extracted with `projection=None`.
        layers: some of those that it has; None takes all.

    The other arguments, and what is raised, are those of `extract_features`.

    >>> from swift_bon import collect, extract_features, load_model, project_features
    >>> model, tokenizer = load_model()
    >>> _ = collect(model, tokenizer, "a.jsonl", limit=4, max_new_tokens=8)
    >>> options = {"projection": None, "show_progress": False}
    >>> _ = extract_features(model, tokenizer, "a.jsonl", "states", **options)
    >>> options = {"layers": [10, 20], "projection_dim": 16, "show_progress": False}
    >>> project_features("a.jsonl", "states", "a.features", **options).spec.dim
    16
    """
    prompts = read_candidates(path)
    whole = FeatureStore(states, prompts)
    if whole.spec.projection is not None:
        raise ValueError(
            f"{states} holds a projection of the states (or float8, which is scaled), expected the "
            "states themselves; extract with projection=None"
        )
    _, earlier = read_index(Path(states))
    dtype = dtype or ("bfloat16" if projection is None else "float16")
    spec = dataclasses.replace(
        whole.spec,
        layers=check_layers(layers, whole.spec.num_layers) or whole.spec.layers,
        dtype=check_choice(dtype, tuple(DTYPES), "dtype"),
    )
    whole.spec.blocks_of(spec.layers)  # refuses layers that it has not
    made_from = {
        **earlier,
        "states": whole.spec.dtype,
        "projection": projection,
        "projection_dim": None if projection is None else projection_dim,
        "seed": seed,
    }

    def make_source(members: Sequence[PromptCandidates], spec: FeatureSpec) -> StoredStates:
        is_all = len(members) == len(prompts)  # then what it has read is not hashed again
        return StoredStates(whole if is_all else FeatureStore(states, members), spec)

    heard = say if show_progress else None
    return write_store(Path(folder), prompts, spec, made_from, make_source, heard)


def open_features(
    path: str | Path,
    folder: str | Path | None = None,
    *,
    load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    prompts: Sequence[PromptLabels] | None = None,
    layers: Sequence[int] | None = None,
    scored_tokens: str | None = None,
    batch_size: int = 64,
    show_progress: bool = True,
    say: Callable[[str], None] = tqdm.write,
) -> FeatureStore:
    """The store of a candidates file; what is not in it yet is extracted, as the rest of it was.

    Args:
        path: the file that `collect` made.
        folder: of the store; None takes `<name>.features` beside it.
        load: gives the model and its tokenizer; not called where the store is whole.
        prompts: of that file, where it was read already; None reads it.
        layers: of a new store; None takes all. An old one keeps its own.
        scored_tokens: of a new store ("fed" unless given); an old one must have the same.

    The file is read once where the store is whole, by its labels alone; where tokens are wanted,
    they are read by `extract_features`.

    Raises:
        as `extract_features`.
    """
    folder = default_folder(path) if folder is None else Path(folder)
    settings: dict[str, Any] = {"layers": layers}
    if (folder / INDEX_NAME).exists():
        prompts = read_labels(path) if prompts is None else prompts
        spec, made_from = read_index(folder)
        if scored_tokens not in (None, spec.scored_tokens):
            raise ValueError(
                f"scored_tokens is {scored_tokens!r}, the features in {folder} are of "
                f"{spec.scored_tokens!r}; take another folder for features"
            )
        scored_tokens = spec.scored_tokens
        entries = [entry for entry in read_entries(folder) if has_size(folder, entry)]
        if not missing_prompts(prompts, entries, folder):
            return FeatureStore(folder, prompts)
        if made_from["states"] is not None:
            raise ValueError(
                f"{folder} lacks prompts of {path}, and was made from a store of states; extract "
                "the new prompts into that store first, then into this one from it, with --states"
            )
        settings = {"layers": spec.layers, "dtype": spec.dtype, "seed": made_from["seed"]}
        settings |= {name: made_from[name] for name in ("projection", "projection_dim")}
    model, tokenizer = load()
    return extract_features(
        model,
        tokenizer,
        path,
        folder,
        scored_tokens=scored_tokens or "fed",
        batch_size=batch_size,
        show_progress=show_progress,
        say=say,
        **settings,
    )


def default_folder(path: str | Path) -> Path:
    """`runs/train.jsonl` has its features in `runs/train.features/`."""
    return path_beside(Path(path), ".features")
