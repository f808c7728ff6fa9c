"""Scores of a reward model: a Hugging Face sequence-classification model with one label."""

import functools
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.collection.added_scores import AddedScores, add_scores
from swift_bon.collection.reward_forward import longest_text, next_batch, reward_forward
from swift_bon.collection.score_journal import PromptScores
from swift_bon.models.chat_templates import TEMPLATE_ERRORS, ChatTemplate
from swift_bon.models.comparison import SNAPSHOT
from swift_bon.models.identity import (
    model_name,
)
from swift_bon.models.loading import without_progress_bars
from swift_bon.models.memory import run_or_free
from swift_bon.models.sampled_weights import weights_digest
from swift_bon.models.vocabulary import num_token_ids
from swift_bon.storage import short_digest
from swift_kernels.checks import check_count


def load_reward_model(
    name: str, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a reward model and its tokenizer. Code that comes with a checkpoint is never run.

    Args:
        name: a hub id or path of a sequence-classification model with one label.
        dtype: of the weights; None takes the checkpoint's.
        device: None takes the GPU if there is one.

    Returns:
        `(model, tokenizer)`, the model in evaluation mode.

    Raises:
        ValueError: it has more labels than one, weights are missing, or it needs its own code.
        OSError: no such hub id or path (from transformers).

    >>> from transformers import LlamaConfig, LlamaForSequenceClassification
    >>> from swift_bon import load_reward_model
    >>> from swift_bon.models import load_tokenizer
    >>> shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    >>> config = LlamaConfig(vocab_size=49152, num_hidden_layers=1, num_labels=1, **shape)
    >>> LlamaForSequenceClassification(config).save_pretrained("reward")  # random weights
    >>> _ = load_tokenizer().save_pretrained("reward")
    >>> model, tokenizer = load_reward_model("reward")
    >>> model.config.num_labels
    1
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    safely = {"trust_remote_code": False}  # None would ask on the terminal
    config = AutoConfig.from_pretrained(name, **safely)
    _check_config(config, name)  # before gigabytes are read
    tokenizer = AutoTokenizer.from_pretrained(name, **safely)
    with without_progress_bars():
        model, info = AutoModelForSequenceClassification.from_pretrained(
            name, config=config, dtype=dtype or "auto", output_loading_info=True, **safely
        )
    if info["missing_keys"]:
        raise ValueError(
            f"{name} has no weights for {', '.join(sorted(info['missing_keys']))}, which would be "
            "random; give a checkpoint that was trained as a reward model"
        )
    return model.to(device).eval(), tokenizer


def score_with_reward_model(
    path: str | Path,
    reward_model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str | None = None,
    batch_size: int = 16,
    show_progress: bool = True,
) -> AddedScores:
    """Store a reward model's score with each candidate of a file.

    The model reads the prompt as the user's turn and the text as the assistant's, through its own
    chat template. Prompts whose candidates all have the score are skipped, so that a file that has
    grown costs only what is new. A killed run goes on where it stopped when called again.

    Args:
        path: the candidates, with their header beside them.
        reward_model, tokenizer: as from `load_reward_model`; the model is put into evaluation mode.
        name: of the score; None takes the last part of the model's id.
        batch_size: conversations in one forward, halved when memory runs out.
        show_progress: bars over the prompts that are checked and the candidates that are scored.

    Returns:
        what was done; a score that is NaN or infinite is not stored, and counted.

    Raises:
        ValueError: not a reward model, no chat template, a conversation longer than the model's
            context, the file has scores of this name from elsewhere, another run is writing it, or
            an argument is bad.
        FileNotFoundError: there is no such file, or no header beside it.

    >>> import json
    >>> from pathlib import Path
    >>> from transformers import LlamaConfig, LlamaForSequenceClassification
    >>> from swift_bon import score_with_reward_model
    >>> from swift_bon.models import load_tokenizer
    >>> candidates = [{"text": text, "token_ids": [5], "correct": True} for text in ("42", "6 x 7")]
    >>> prompt = {"id": "own/test/0", "prompt": "What is 6 x 7?", "candidates": candidates}
    >>> _ = Path("test.jsonl").write_text(json.dumps(prompt))
    >>> header = {"model": "smollm2-135m", "task": "own", "split": "test"}
    >>> _ = Path("test.header.json").write_text(json.dumps(header))
    >>> shape = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1}
    >>> config = LlamaConfig(vocab_size=49152, num_hidden_layers=1, num_labels=1, **shape)
    >>> model = LlamaForSequenceClassification(config)  # random; else from load_reward_model
    >>> score_with_reward_model("test.jsonl", model, load_tokenizer(), name="rm").num_candidates
    2
    """
    scorer = RewardModelScorer(reward_model, tokenizer, batch_size)
    name = default_name(model_name(reward_model)) if name is None else name
    return add_scores(path, name, scorer, show_progress=show_progress)


def default_name(model_id: str) -> str:
    """The last part of a hub id, a path, or a folder of the hub's cache."""
    model_id = model_id.replace("\\", "/").rstrip("/")
    snapshot = SNAPSHOT.search(model_id)
    return snapshot[1].split("--")[-1] if snapshot else model_id.rsplit("/", 1)[-1]


class RewardModelScorer:
    """Scores of a reward model. The arguments are those of `score_with_reward_model`."""

    gives_token_scores = False

    def __init__(
        self,
        reward_model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_size: int = 16,
    ):
        _check_config(reward_model.config, model_name(reward_model))
        if not getattr(tokenizer, "chat_template", None):
            raise ValueError(
                f"the tokenizer of {model_name(reward_model)!r} has no chat template, so that "
                "conversations cannot be rendered as the reward model was trained; set "
                "tokenizer.chat_template as its model card says, and save it with the model"
            )
        self.batch_size = check_count(batch_size, "batch_size")
        self._model, self._tokenizer = reward_model.eval(), tokenizer
        self._context = longest_text(reward_model)
        self._template, self._has_warned = ChatTemplate(tokenizer), False
        self.origin = {
            "reward_model": model_name(reward_model),
            "digest": short_digest(weights_digest(reward_model), str(tokenizer.chat_template)),
        }

    def can_score(self, candidate: StoredCandidate) -> bool:
        return True  # an empty text is an answer too

    def check(self, prompt: PromptCandidates) -> None:
        num_embeddings = num_token_ids(self._model)
        self._warn_of_clock(prompt)
        for number, ids in enumerate(self._render(prompt)):
            where = f"candidate {number} of prompt {prompt.id!r}"
            if not 0 < len(ids) <= self._context:
                raise ValueError(
                    f"{where} has {len(ids)} tokens with its prompt, the reward model reads from 1 "
                    f"to {self._context}; leave it out, or take a reward model that reads more"
                )
            if max(ids) >= num_embeddings:
                raise ValueError(
                    f"{where} has the token id {max(ids)}, the reward model knows only "
                    f"{num_embeddings}; give the tokenizer that belongs to it"
                )

    def score(self, prompts: Sequence[PromptCandidates]) -> list[PromptScores]:
        rows = [[tuple(ids) for ids in self._render(prompt)] for prompt in prompts]
        scores = self._score_rows(list({ids for row in rows for ids in row}))
        return [PromptScores([scores[ids] for ids in row], [None] * len(row)) for row in rows]

    def _warn_of_clock(self, prompt: PromptCandidates) -> None:
        chat = [{"role": "user", "content": prompt.prompt}]
        if not self._has_warned and self._template.reads_clock(chat):
            self._has_warned = True
            warnings.warn(
                "the reward model's chat template writes the date or the time, so that the scores "
                "are those of today; write a day into its template for scores that stay the same",
                stacklevel=2,
            )

    def _render(self, prompt: PromptCandidates) -> list[list[int]]:
        """Token ids of the conversation with each candidate."""
        chats = [
            [
                {"role": "user", "content": prompt.prompt},
                {"role": "assistant", "content": candidate.text},
            ]
            for candidate in prompt.candidates
        ]
        try:
            texts = [self._tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
        except TEMPLATE_ERRORS as error:
            raise ValueError(
                f"the reward model's chat template cannot render prompt {prompt.id!r} with one "
                f"turn of the user and one of the assistant: {error}"
            ) from error
        # the template has the special tokens
        return self._tokenizer(texts, add_special_tokens=False)["input_ids"]

    def _score_rows(self, rows: list[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
        """Each text once, so that equal candidates have equal scores; the longest ones first."""
        rows.sort(key=lambda ids: (-len(ids), ids))
        scores: dict[tuple[int, ...], float] = {}
        while rows:
            batch = next_batch(self._model, rows, self.batch_size)
            forward = functools.partial(reward_forward, self._model, batch)
            values = run_or_free(forward, batch)
            if values is None:
                self.batch_size = len(batch) // 2
                continue
            scores |= zip(batch, values, strict=True)
            del rows[: len(batch)]
        return scores


def _check_config(config: PreTrainedConfig, name: str) -> None:
    if config.num_labels != 1:
        raise ValueError(
            f"{name} has num_labels {config.num_labels}, expected 1, the reward; give a "
            "sequence-classification model that was trained as a reward model"
        )
    if config.is_encoder_decoder:
        raise ValueError(
            f"{name} is an encoder-decoder model, expected a decoder or an encoder alone; take "
            "another reward model"
        )
