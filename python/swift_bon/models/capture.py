"""Hidden states of a forward pass, taken by hooks: no copy, no `output_hidden_states`.

The tensors are the ones Hugging Face returns as `hidden_states`: the input of every decoder block,
and the output of the final norm, which is the decoder's `last_hidden_state`.
"""

import functools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from swift_bon.models.identity import num_hidden_layers
from swift_bon.models.interrupts import in_evaluation_mode
from swift_bon.models.model_checks import check_widths
from swift_bon.models.vocabulary import input_device, num_token_ids


class CaptureError(RuntimeError):
    """A forward whose hidden states are not those that were verified."""


class DecoderParts(NamedTuple):
    """Where the hidden states of a model appear."""

    decoder: nn.Module  # its `last_hidden_state` is the output of the final norm
    blocks: nn.ModuleList  # block l takes hidden state l


_verified_parts: "weakref.WeakKeyDictionary[PreTrainedModel, DecoderParts]" = (
    weakref.WeakKeyDictionary()
)
# Two verifications at once could disturb each other: they switch the model to evaluation mode. An
# interrupt may leave the lock taken: its own thread gets in again, others after a while.
_verify_lock = threading.RLock()
LONGEST_WAIT_S = 10


def find_decoder_parts(model: PreTrainedModel) -> DecoderParts:
    """The decoder and its blocks, checked once per model against `output_hidden_states=True`.

    Raises:
        ValueError: no list of blocks reproduces the model's own hidden states, bit for bit, or
            they are not all as wide as its config says.
    """
    if model not in _verified_parts:
        is_locked = _verify_lock.acquire(timeout=LONGEST_WAIT_S)
        try:
            if model not in _verified_parts:
                _verified_parts[model] = _search_decoder_parts(model)
        finally:
            if is_locked:
                _verify_lock.release()
    return _verified_parts[model]


def _search_decoder_parts(model: PreTrainedModel) -> DecoderParts:
    _remove_hooks(model.modules())  # of a search that was interrupted
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
    device = input_device(model)
    mask = [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    attention_mask = torch.tensor(mask, device=device, dtype=torch.int64)
    input_ids = torch.arange(10, device=device, dtype=torch.int64).view(2, 5) % num_token_ids(model)
    captured: list[tuple[Tensor, ...]] = []

    def run() -> tuple[Tensor, ...] | None:
        with Capture(model, captured.append, parts=parts):
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
            return model(**inputs, output_hidden_states=True, use_cache=False).hidden_states

    try:
        expected = in_evaluation_mode(model, run)
    except CaptureError:
        return False  # a list of other modules
    if len(captured) != 1 or expected is None or len(captured[0]) != len(expected):
        return False
    check_widths(model, expected)
    kept = attention_mask.bool()
    return all(
        state.shape == other.shape and torch.equal(state[kept], other[kept])
        for state, other in zip(captured[0], expected, strict=True)
    )


def _nothing() -> None:
    """As a weak reference whose object is gone."""


class _BlockExit:
    """`__exit__`, made anew for each `with` block, which alone holds it.

    So it lives as long as the block, and that a capture is over is known without running any code
    that an interrupt could cut off. It is a partial, as no frame holds one while it is called:
    tracebacks keep frames for as long as they like.
    """

    def __get__(self, capture: "Capture | None", owner: "type[Capture]") -> Callable[..., None]:
        if capture is None:
            return owner._close
        close = functools.partial(owner._close, capture)
        if not capture.is_open():
            capture._block = weakref.ref(close)
        return close


class Capture:
    """While open, hands the hidden states of every forward of this thread to a function.

    Args:
        model: a Hugging Face decoder.
        receive: called after the decoder with L tensors `[N, T, H]`.
        layers: indices of the hidden states wanted; None takes all.
        newest_only: hand over only the last token's, `[N, 1, H]`, so that a forward of many tokens
            keeps none of the others alive.
        parts: where to hook; None finds and verifies them.

    Forwards of other threads pass by unseen. A second capture of one model in one thread is refused
    with a RuntimeError. Hooks that an interrupt left do nothing, and the next capture removes them.
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
        self._thread = 0
        self._block: Callable[[], object] = _nothing  # what lives as long as the `with` block

    def __enter__(self) -> "Capture":
        self._thread = threading.get_ident()
        if self._block() is None:  # without `with`
            self._block = weakref.ref(self)
        decoder, blocks = self.parts
        modules = (decoder, *blocks)
        if any(capture.is_mine() for _, _, capture in _hooks(modules)):
            raise RuntimeError(
                "this model is already being scored in this thread: a generate call inside "
                "another one would mix their scores; finish the first, or use a second model"
            )
        _remove_hooks(modules)
        try:
            for index in self.layers:
                if index < len(blocks):
                    blocks[index].register_forward_pre_hook(self._take_input, with_kwargs=True)
            decoder.register_forward_pre_hook(self._start)
            decoder.register_forward_hook(self._finish)
        except BaseException:  # an interrupt among them: no hook stays behind
            self._close()
            raise
        return self

    def _close(self, *exc_info: object) -> None:
        self._block = _nothing
        self._states.clear()
        _remove_hooks((self.parts.decoder, *self.parts.blocks))

    __exit__ = _BlockExit()

    def is_open(self) -> bool:
        return self._block() is not None

    def is_mine(self) -> bool:
        return threading.get_ident() == self._thread and self.is_open()

    def _start(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if self.is_mine() or not self.is_open():
            self._states.clear()  # of a forward that failed half-way

    def _take_input(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> None:
        # without kwargs: PyTorch may call it so in one thread while another one removes it
        if self.is_mine():
            state = args[0] if args else (kwargs or {}).get("hidden_states")
            if state is None:
                raise CaptureError(f"{type(module).__name__} was called without hidden_states")
            self._add(state)

    def _add(self, state: Tensor) -> None:
        if self.newest_only and state.shape[1] > 1:
            state = state[:, -1:].clone()  # a view would keep all of it
        self._states.append(state)

    def _finish(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not self.is_mine():
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


def _hooks(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Module, int, Capture]]:
    """The hooks of captures on some modules, by their keys. They are the only list of captures:
    one beside them could be interrupted while the two differ."""
    for module in modules:
        for key, hook in [*module._forward_pre_hooks.items(), *module._forward_hooks.items()]:
            capture = getattr(hook, "__self__", None)
            if isinstance(capture, Capture):
                yield module, key, capture


def _remove_hooks(modules: Iterable[nn.Module]) -> None:
    """Those of captures that are over, also where an interrupt left them behind."""
    for module, key, capture in _hooks(modules):
        if not capture.is_open():
            module._forward_pre_hooks_with_kwargs.pop(key, None)
            module._forward_pre_hooks.pop(key, None)
            module._forward_hooks.pop(key, None)
