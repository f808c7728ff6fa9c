"""What is examined, and what several checks look at: computed once, when it is first asked for."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from swift_bon.diagnosis.own_forward import (
    OwnReading,
    device_of,
    random_head,
    read_candidate,
    score_rounding,
    shaped_head,
    uncompiled,
)
from swift_bon.generation.batch_proof import prove_batches
from swift_bon.generation.best_of import best_of_n
from swift_bon.generation.results import Candidate
from swift_kernels import RewardHead

# Of unequal length, so that the batch has padding.
PROMPTS = (
    "Name a colour.",
    "What is the capital of Peru, and which ocean is near it?",
    "A farmer has 17 sheep, buys 5 more on Monday and sells 8 of them on Friday. How many sheep "
    "are there now? Say how you found it, step by step, in one or two short sentences.",
)
# What rounding does in a whole forward, in what one rounding of its input does. Half precision has
# less: products are summed in float32 and rounded once.
ROOM, ROOM_IN_HALF = 8, 2
Rows = list[list[Candidate]]  # by prompt


class Patient:
    """A model with all that it is used with.

    Args:
        head: None takes a random one of the model's shape.
        chat_template_kwargs: what else the chat template reads.
        generate_kwargs: of the user, `max_new_tokens` among them.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        head: RewardHead | None,
        prompts: Sequence[str],
        num_return_sequences: int,
        seed: int,
        chat_template_kwargs: Mapping[str, Any],
        generate_kwargs: dict[str, Any],
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.given_head = head
        self.uses_given_head = head is not None
        self.prompts = list(prompts)
        self.num_return_sequences = num_return_sequences
        self.seed = seed
        self.chat_template_kwargs = dict(chat_template_kwargs)
        self.generate_kwargs = generate_kwargs

    @cached_property
    def prompt_ids(self) -> list[list[int]]:
        """Of each prompt, as the chat template alone gives them."""
        return [self._render(prompt) for prompt in self.prompts]

    def _render(self, prompt: str) -> list[int]:
        def render(content: object, **options: Any) -> Any:
            message = {"role": "user", "content": content}
            options = {**options, **self.chat_template_kwargs}
            return self.tokenizer.apply_chat_template(
                [message], add_generation_prompt=True, **options
            )

        content: object = prompt
        if prompt.split()[0] not in render(prompt, tokenize=False):  # a template that reads parts
            content = [{"type": "text", "text": prompt}]
        return list(render(content, tokenize=True, return_dict=True)["input_ids"])

    @cached_property
    def own_head(self) -> RewardHead:
        try:
            return random_head(self.model, max(self.prompt_ids, key=len), self.seed)
        except (AttributeError, TypeError, ValueError):  # no plain forward: best_of_n says why
            return shaped_head(self.model)

    @property
    def head(self) -> RewardHead:
        if self.uses_given_head and self.given_head is not None:
            return self.given_head
        return self.own_head

    @cached_property
    def pad_id(self) -> int:
        """One that the model has; what stands where attention is masked is of no matter."""
        num_tokens = uncompiled(self.model).get_input_embeddings().weight.shape[0]
        ids = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((i for i in ids if i is not None and i < num_tokens), 0)

    @property
    def name(self) -> str:
        """The hub id or path the model was loaded from, or its class."""
        return getattr(self.model, "name_or_path", "") or type(self.model).__name__

    @property
    def end_ids(self) -> set[int]:
        """Tokens that end a text of plain `generate`."""
        config = uncompiled(self.model).generation_config
        ends = self.generate_kwargs.get("eos_token_id", config.eos_token_id)
        return {ends} if isinstance(ends, int) else set(ends or ())

    def sample(
        self,
        count: int,
        batch_size: int | None,
        prompts: Sequence[str] | None = None,
        **changes: Any,
    ) -> Rows:
        """`best_of_n` as it is judged: candidates of every prompt."""
        options = {
            "batch_size": batch_size,
            "seed": self.seed,
            "show_progress": False,
            "chat_template_kwargs": self.chat_template_kwargs,
        }
        results = best_of_n(
            self.model,
            self.tokenizer,
            self.prompts if prompts is None else prompts,
            self.head,
            count,
            **{**options, **self.generate_kwargs, **changes},
        )
        return [result.candidates for result in results]

    @cached_property
    def together(self) -> Rows:
        """All candidates at once; where the model can, each prompt run once for all of its own."""
        return self.sample(self.num_return_sequences, None)

    @cached_property
    def one_by_one(self) -> Rows:
        """The same candidates each in a batch of its own: no padding, nothing shared."""
        return self.sample(self.num_return_sequences, 1)

    @cached_property
    def unshared(self) -> Rows:
        """The first candidate of each prompt, all at once: nothing to share."""
        return self.sample(1, None)

    @cached_property
    def readings(self) -> list[list[OwnReading]]:
        """The plain forward of every candidate of `together`."""
        return [
            [
                read_candidate(self.model, ids, candidate.token_ids, self.head)
                for candidate in candidates
            ]
            for ids, candidates in zip(self.prompt_ids, self.together, strict=True)
        ]

    @property
    def pads(self) -> bool:
        """Whether `best_of_n` puts prompts of unequal length into one batch of this model."""
        return prove_batches(self.model).pads

    @property
    def shares(self) -> bool:
        """Whether it runs a prompt once for all of its candidates."""
        has_cache = self.generate_kwargs.get("use_cache", True)
        return bool(has_cache) and prove_batches(self.model).shares

    @property
    def room(self) -> int:
        return ROOM if self.readings[0][0].states.dtype == torch.float32 else ROOM_IN_HALF

    @cached_property
    def allowed_score_error(self) -> float:
        """What rounding may do to a score, by what it does in plain forwards."""
        readings = [reading for row in self.readings for reading in row]
        summing = max(score_rounding(reading.states, self.head) for reading in readings)
        return self.room * max(reading.score_noise for reading in readings) + summing

    @cached_property
    def allowed_state_error(self) -> float:
        """And to a state, relative to its length."""
        readings = [reading for row in self.readings for reading in row]
        eps = torch.finfo(readings[0].states.dtype).eps
        return self.room * max(eps, *(reading.state_noise for reading in readings))

    def generate(self, prompts: Sequence[Sequence[int]], **changes: Any) -> Any:
        """Plain `model.generate` of some prompts, padded on the left by hand."""
        length = max(map(len, prompts))
        device = device_of(self.model)
        rows = [[self.pad_id] * (length - len(ids)) + list(ids) for ids in prompts]
        mask = [[0] * (length - len(ids)) + [1] * len(ids) for ids in prompts]
        options = {"pad_token_id": self.pad_id, "tokenizer": self.tokenizer}
        return uncompiled(self.model).generate(
            input_ids=torch.tensor(rows, dtype=torch.int64, device=device),
            attention_mask=torch.tensor(mask, dtype=torch.int64, device=device),
            **{**options, **self.generate_kwargs, **changes},
        )

    def plain_text(self, prompts: Sequence[Sequence[int]], **changes: Any) -> list[list[int]]:
        """Token ids of plain `generate`'s greedy responses, without what stands after their end."""
        output = self.generate(prompts, do_sample=False, **changes)
        length, texts = max(map(len, prompts)), []
        for row in output[:, length:].tolist():
            end = next((i + 1 for i, token in enumerate(row) if token in self.end_ids), len(row))
            texts.append(row[:end])
        return texts

    @cached_property
    def plain_texts(self) -> list[list[int]]:
        """Of each prompt alone."""
        return [self.plain_text([ids])[0] for ids in self.prompt_ids]
