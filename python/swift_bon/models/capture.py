"""Hidden states of a forward pass, taken by hooks: no copy, no `output_hidden_states`.

The tensors are the ones Hugging Face returns as `hidden_states`: the input of every decoder block,
and the output of the final norm, which is the decoder's `last_hidden_state`.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from swift_bon.models.identity import embedding_matrix, num_hidden_layers


class CaptureError(RuntimeError):
    """A forward whose hidden states are not those that were verified."""


class DecoderParts(NamedTuple):
    """Where the hidden states of a model appear."""

    decoder: nn.Module  # its `last_hidden_state` is the output of the final norm
    blocks: nn.ModuleList  # block l takes hidden state l


_verified_parts: "weakref.WeakKeyDictionary[PreTrainedModel, DecoderParts]" = (
    weakref.WeakKeyDictionary()
)
_open_captures: "weakref.WeakKeyDictionary[PreTrainedModel, set[int]]" = weakref.WeakKeyDictionary()
_open_lock = threading.Lock()
_verify_lock = threading.Lock()  # it switches the whole model to evaluation mode


def find_decoder_parts(model: PreTrainedModel) -> DecoderParts:
    """The decoder and its blocks, checked once per model against `output_hidden_states=True`.

    Raises:
        ValueError: no list of blocks reproduces the model's own hidden states, bit for bit.
    """
    with _verify_lock:
        if model not in _verified_parts:
            _verified_parts[model] = _search_decoder_parts(model)
        return _verified_parts[model]


def _search_decoder_parts(model: PreTrainedModel) -> DecoderParts:
    num_blocks = num_hidden_layers(model)
    candidates = [
        DecoderParts(module, blocks)
        for module in model.get_decoder().modules()
        for blocks in module.children()
        if isinstance(blocks, nn.ModuleList) and len(blocks) == num_blocks
    ]
    for parts in candidates:
        if _reproduces_hidden_states(model, parts):
            return parts
    raise ValueError(
        f"{type(model).__name__} cannot be captured: none of its {len(candidates)} lists of "
        f"{num_blocks} blocks has the hidden states that output_hidden_states=True returns; "
        "score its outputs.hidden_states with swift_kernels.score_candidates instead"
    )


@torch.no_grad()
def _reproduces_hidden_states(model: PreTrainedModel, parts: DecoderParts) -> bool:
    """One short forward, batch of 2 with left padding, captured both ways at once."""
    embeddings = embedding_matrix(model)
    device = embeddings.device
    attention_mask = torch.tensor(
        [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], device=device, dtype=torch.int64
    )
    input_ids = torch.arange(10, device=device, dtype=torch.int64).view(2, 5) % len(embeddings)
    captured: list[tuple[Tensor, ...]] = []
    with _evaluation_mode(model), Capture(model, captured.append, parts=parts):
        try:
            outputs = model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                output_hidden_states=True,
                use_cache=False,
            )
        except CaptureError:
            return False  # a list of other modules
    expected = outputs.hidden_states
    kept = attention_mask.bool()
    return (
        len(captured) == 1
        and expected is not None
        and len(captured[0]) == len(expected)
        and all(
            state.shape == other.shape and torch.equal(state[kept], other[kept])
            for state, other in zip(captured[0], expected, strict=True)
        )
    )


@contextlib.contextmanager
def _evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Capture:
    """While open, hands the hidden states of every forward of this thread to a function.

    Args:
        model: a Hugging Face decoder.
        receive: called after the decoder with L tensors `[N, T, H]`.
        layers: indices of the hidden states wanted; None takes all.
        newest_only: hand over only the last token's, `[N, 1, H]`, so that a forward of many tokens
            keeps none of the others alive.
        parts: where to hook; None finds and verifies them.

    Forwards of other threads pass by unseen, so two threads may generate with one model. A second
    capture of one model in one thread is refused with a RuntimeError.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        receive: Callable[[tuple[Tensor, ...]], None],
        *,
        layers: Sequence[int] | None = None,
        newest_only: bool = False,
        parts: DecoderParts | None = None,
    ):
        self.model = model
        self.receive = receive
        self.parts = find_decoder_parts(model) if parts is None else parts
        num_layers = len(self.parts.blocks) + 1
        self.layers = tuple(range(num_layers)) if layers is None else tuple(layers)
        self.newest_only = newest_only
        self._states: list[Tensor] = []
        self._handles: list[RemovableHandle] = []
        self._thread = 0

    def __enter__(self) -> "Capture":
        self._thread = threading.get_ident()
        with _open_lock:
            threads = _open_captures.setdefault(self.model, set())
            if self._thread in threads:
                raise RuntimeError(
                    "this model is already being scored in this thread: a generate call inside "
                    "another one would mix their scores; finish the first, or use a second model"
                )
            threads.add(self._thread)
        decoder, blocks = self.parts
        for index in self.layers:
            if index < len(blocks):
                hook = blocks[index].register_forward_pre_hook(self._take_input, with_kwargs=True)
                self._handles.append(hook)
        self._handles.append(decoder.register_forward_pre_hook(self._start))
        self._handles.append(decoder.register_forward_hook(self._finish))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._states.clear()
        with _open_lock:
            _open_captures[self.model].discard(self._thread)

    def _is_mine(self) -> bool:
        return threading.get_ident() == self._thread

    def _start(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._is_mine():
            self._states.clear()  # of a forward that failed half-way

    def _take_input(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> None:
        # without kwargs: PyTorch may call it so in one thread while another one removes it
        if self._is_mine():
            state = args[0] if args else (kwargs or {}).get("hidden_states")
            if state is None:
                raise CaptureError(f"{type(module).__name__} was called without hidden_states")
            self._add(state)

    def _add(self, state: Tensor) -> None:
        if self.newest_only and state.shape[1] > 1:
            state = state[:, -1:].clone()  # a view would keep all of it
        self._states.append(state)

    def _finish(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self._is_mine():
            return
        if self.layers[-1] == len(self.parts.blocks):
            self._add(output[0])  # last_hidden_state
        states, self._states = self._states, []
        if len(states) != len(self.layers):
            raise CaptureError(
                f"a forward of {type(self.model).__name__} gave {len(states)} hidden states, "
                f"expected {len(self.layers)}: its blocks ran more or less than once"
            )
        self.receive(tuple(states))
