"""What may be done with batches of a model: proven on two short prompts, in its own `generate`.

Nothing is read off a signature or a class: an adapter, a compiled wrapper or a replaced `forward`
may hide, drop or add arguments. What is not proven is done without.
"""

import contextlib
import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Cache

from swift_bon.models.padding import position_ids
from swift_bon.models.prefix import (
    CACHE_NAMES,
    can_share,
    find_cache,
    share_prefill,
    take_tokens,
)
from swift_bon.models.proofs import MODEL_ERRORS, PLAINLY, agree, proven
from swift_bon.models.vocabulary import input_device, num_token_ids
from swift_bon.models.wrappers import bare_model

PADDING, LENGTH = 5, 8  # tokens of the two prompts: as many as any context has room for
STRIDE = 7  # of their token ids


class BatchProof(NamedTuple):
    """What holds for a model in the state that it is in."""

    feeds_text: bool  # what is written is what is read next, token for token
    keeps_cache: bool  # or each step must read the whole text
    pads: bool  # a prompt gives with padding before it what it gives alone
    needs_position_ids: bool  # and that only where `generate` is given them
    shares: bool  # candidates may share the prefill of their prompt


def prove_batches(model: Any) -> BatchProof:
    """See `BatchProof`. A few forwards of `LENGTH` tokens, once for each state of a model."""
    return proven(model, _prove)


def _prove(model: Any) -> BatchProof:
    bare = bare_model(model)
    device = input_device(bare)
    input_ids = torch.arange(2 * LENGTH, dtype=torch.int64, device=device)
    input_ids = (input_ids.view(2, LENGTH) * STRIDE + 1) % num_token_ids(bare)
    attention_mask = torch.ones_like(input_ids)
    attention_mask[0, :PADDING] = 0
    probe = _Probe()
    rng = torch.random.fork_rng() if bare.training else contextlib.nullcontext()  # dropout
    with rng, contextlib.suppress(*MODEL_ERRORS):
        model.generate(
            input_ids=input_ids,
            attention_mask=attention_mask,
            **{**PLAINLY, "custom_generate": probe, "max_new_tokens": 2},
        )
    return probe.proof


class _Probe:
    """A decoding method that writes nothing."""

    def __init__(self) -> None:
        self.proof = BatchProof(
            feeds_text=True, keeps_cache=True, pads=False, needs_position_ids=False, shares=False
        )

    @torch.no_grad()
    def __call__(
        self, model, input_ids, logits_processor, stopping_criteria, generation_config, **kwargs
    ) -> Tensor:
        self.model, self.generation_config = model, generation_config
        self.proof = self.proof._replace(feeds_text=self._feeds_text(input_ids, kwargs))
        if kwargs.get("use_cache") and not self._keeps_cache(input_ids, kwargs):
            self.proof = self.proof._replace(keeps_cache=False)
            kwargs |= {"use_cache": False, **{name: None for name in CACHE_NAMES if name in kwargs}}
        if model.training:  # two runs differ by dropout
            return input_ids
        alone = self._run(input_ids[:1, PADDING:], take_tokens(kwargs, [0], slice(PADDING, None)))
        whole = self._run(input_ids[1:], take_tokens(kwargs, [1], slice(None)))
        expected = torch.cat([alone, whole])
        if self._gives(expected, input_ids, kwargs):
            self.proof = self.proof._replace(pads=True)
        elif "position_ids" not in kwargs:
            kwargs["position_ids"] = position_ids(kwargs["attention_mask"])
            if self._gives(expected, input_ids, kwargs):
                self.proof = self.proof._replace(pads=True, needs_position_ids=True)
        if not self.proof.pads:
            expected, input_ids = whole, input_ids[1:]
            kwargs = take_tokens(kwargs, [1], slice(None))
        self.proof = self.proof._replace(shares=self._shares(expected, input_ids, kwargs))
        return input_ids

    def _feeds_text(self, input_ids: Tensor, kwargs: dict[str, Any]) -> bool:
        inputs = self.model.prepare_inputs_for_generation(input_ids, **_with_new_cache(kwargs))
        fed = inputs.get("input_ids")  # or embeddings
        return fed is None or torch.equal(fed, input_ids)

    def _keeps_cache(self, input_ids: Tensor, kwargs: dict[str, Any]) -> bool:
        kwargs = _with_new_cache(kwargs)
        outputs = self.model._prefill(input_ids, self.generation_config, kwargs)
        caches = [cache for cache in map(find_cache, (kwargs, outputs)) if cache is not None]
        return not caches or any(map(_is_filled, caches))

    def _gives(self, expected: Tensor, input_ids: Tensor, kwargs: dict[str, Any]) -> bool:
        with contextlib.suppress(*MODEL_ERRORS):
            return agree(self._run(input_ids, kwargs), expected, self.model.dtype)
        return False

    def _shares(self, expected: Tensor, input_ids: Tensor, kwargs: dict[str, Any]) -> bool:
        rows = [row for row in range(len(input_ids)) for _ in range(2)]
        kwargs = take_tokens(kwargs, rows, slice(None))
        if not can_share(self.model, kwargs):
            return False
        with contextlib.suppress(*MODEL_ERRORS):
            shared = share_prefill(self.model, input_ids[rows], rows, kwargs)
            return shared is not None and self._gives(expected[rows], input_ids[rows], shared)
        return False

    def _run(self, input_ids: Tensor, kwargs: dict[str, Any]) -> Tensor:
        """Logits of the first and the second new token, `[N, 2, V]`."""
        kwargs = _with_new_cache(kwargs)
        outputs = self.model._prefill(input_ids, self.generation_config, kwargs)
        first = outputs.logits[:, -1]
        kwargs = self.model._update_model_kwargs_for_generation(outputs, kwargs)
        input_ids = torch.cat([input_ids, input_ids[:, -2:-1]], dim=1)
        inputs = self.model.prepare_inputs_for_generation(
            input_ids, next_sequence_length=1 if kwargs.get("use_cache") else None, **kwargs
        )
        second = self.model(**inputs, return_dict=True).logits[:, -1]
        return torch.stack([first, second], dim=1)


def _with_new_cache(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The same arguments, where the cache is empty with another one: it will be used again."""
    caches = {name: kwargs[name] for name in CACHE_NAMES if kwargs.get(name) is not None}
    new = {name: copy.deepcopy(cache) for name, cache in caches.items() if not _is_filled(cache)}
    return {**kwargs, **new}


def _is_filled(cache: Cache) -> bool:
    if all(getattr(cache, "is_linear", [False])):  # states of one size, whatever was read
        return cache.is_initialized
    return cache.get_seq_length() > 0
