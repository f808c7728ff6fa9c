"""The trained weights of a SWIFT head, and what they were trained for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor

from swift_kernels import head_files
from swift_kernels.backends import Backend
from swift_kernels.checks import SCORED_TOKENS, check_choice, check_tensors, check_text
from swift_kernels.scoring import CandidateScores, score_candidates
from swift_kernels.weights import HeadWeights

CPU = torch.device("cpu")


class RewardHead(
    HeadWeights,
    ModelHubMixin,
    library_name="swift-kernels",
    tags=["reward-model", "best-of-n"],
    license="apache-2.0",
    model_card_template=head_files.MODEL_CARD_TEMPLATE,
):
    """One dot product for the reward and one for the gate of each token (arXiv 2505.12225).

    Parameters (float32): `reward_weight [L, H]`, `reward_bias []`, and with a gate `gate_weight
    [L, H]`, `gate_bias []`; L counts the selected layers.

    Args:
        num_layers: hidden states the model returns: `num_hidden_layers + 1`.
        hidden_size: H.
        gated: False leaves the gate out: a plain average of the rewards.
        layers: ascending indices of the hidden states the head reads; None reads all.
        base_model: the model it was trained for; None fits any model of the same shape.
        base_model_fingerprint: sampled values of that model's weights, as text; see
            `swift_bon.models.fingerprint`.
        scored_tokens: "fed" scores every response token but the last, which `generate` never
            feeds to the model; "response" scores all of them.
        feature: "hidden_states" or "logits", of which nothing is scored yet.

    Raises:
        TypeError, ValueError: naming the argument.

    >>> from swift_kernels import RewardHead
    >>> head = RewardHead(num_layers=2, hidden_size=4, base_model="someone/some-model")
    >>> _ = head.save_pretrained("head")
    >>> RewardHead.from_pretrained("head").digest() == head.digest()
    True
    """

    def __init__(
        self,
        num_layers: int,
        hidden_size: int,
        *,
        gated: bool = True,
        layers: Sequence[int] | None = None,
        base_model: str | None = None,
        scored_tokens: str = "fed",
        feature: str = "hidden_states",
        base_model_fingerprint: str | None = None,
    ):
        super().__init__(num_layers, hidden_size, gated=gated, layers=layers, feature=feature)
        self.base_model = check_text(base_model, "base_model")
        self.base_model_fingerprint = check_text(base_model_fingerprint, "base_model_fingerprint")
        self.scored_tokens = check_choice(scored_tokens, SCORED_TOKENS, "scored_tokens")

    def forward(
        self,
        hidden_states: Sequence[Tensor] | Tensor,
        attention_mask: Tensor | None = None,
        *,
        backend: Backend = "auto",
        return_token_scores: bool = False,
    ) -> Tensor | CandidateScores:
        """`score_candidates` with this head."""
        return score_candidates(
            hidden_states,
            self,
            attention_mask,
            backend=backend,
            return_token_scores=return_token_scores,
        )

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._scoring_config().items())

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as saved in config.json."""
        config = self._scoring_config()
        if self.base_model_fingerprint is not None:
            config["base_model_fingerprint"] = self.base_model_fingerprint
        return config

    def _scoring_config(self) -> dict[str, Any]:
        """All but the fingerprint, which is long and changes no score."""
        return {
            "num_layers": self.num_layers,
            "hidden_size": self.hidden_size,
            "gated": self.gated,
            "layers": None if self.layers is None else list(self.layers),
            "base_model": self.base_model,
            "scored_tokens": self.scored_tokens,
            "feature": self.feature,
        }

    def digest(self) -> str:
        """SHA-256 of the configuration and the weights: which head gave a stored score.

        Without the fingerprint, so that scores stay those of a head that was given one later.
        """
        content = hashlib.sha256(json.dumps(self._scoring_config(), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            content.update(name.encode())
            content.update(value.detach().cpu().float().numpy().tobytes())
        return content.hexdigest()

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Write config.json, model.safetensors and a model card; each file is whole or absent.

        Takes the arguments of `huggingface_hub.ModelHubMixin.save_pretrained`.
        """
        save_directory = Path(save_directory)
        kwargs["repo_id"] = kwargs.get("repo_id") or save_directory.name  # not the staging folder's
        card = {"base_model": self.base_model, **(kwargs.get("model_card_kwargs") or {})}
        with head_files.replace_folder(save_directory) as staging:
            return super().save_pretrained(staging, **{**kwargs, "model_card_kwargs": card})

    def _save_pretrained(self, save_directory: Path) -> None:
        head_files.write(save_directory, self.config(), self.state_dict())

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> "RewardHead":
        """Load a head from a local folder or a hub id. Reads safetensors and JSON only.

        Takes the arguments of `huggingface_hub.ModelHubMixin.from_pretrained`, and `device`.

        Raises:
            FileNotFoundError: there is no such folder, or it misses a file.
            TypeError: another argument; what a head was trained for is not changed by loading it.
            ValueError: a file is damaged, or the weights do not fit the configuration.
        """
        head_files.check_options(kwargs)
        head_files.check_source(pretrained_model_name_or_path)
        with head_files.asked_of_the_hub(pretrained_model_name_or_path, kwargs) as options:
            return super().from_pretrained(pretrained_model_name_or_path, **options)

    @classmethod
    def from_tensors(
        cls,
        tensors: Mapping[str, Tensor],
        num_layers: int,
        hidden_size: int,
        *,
        source: str | Path = "tensors",
        **kwargs: Any,
    ) -> "RewardHead":
        """A head with these weights, copied; no random number is drawn.

        Args:
            tensors: each parameter under its name, of any floating dtype.
            num_layers, hidden_size, **kwargs: the constructor's arguments.
            source: what an error calls the tensors.

        Raises:
            TypeError, ValueError: an argument, or tensors that do not fit it.
        """
        config = {"num_layers": num_layers, "hidden_size": hidden_size, **kwargs}
        device = _device_with_memory()
        head = cls._without_weights(device, **config)
        head.load_tensors(tensors, source, device)
        return head

    @classmethod
    def _without_weights(cls, device: torch.device, **config: Any) -> "RewardHead":
        """No random number is drawn, and no memory taken before `load_tensors` knows how much."""
        if cls is not RewardHead:  # it may make tensors of its own
            with torch.random.fork_rng(devices=[]), device:
                return cls(**config)
        with torch.device("meta"):
            return cls(**config)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str = "cpu", **kwargs: Any) -> "RewardHead":
        hub_options = {name: kwargs.pop(name) for name in head_files.HUB_OPTIONS if name in kwargs}
        config, tensors = head_files.read(model_id, hub_options)
        try:
            head = cls._without_weights(CPU, **config)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"config.json of {model_id} does not describe a head: {error}"
            ) from error
        head.load_tensors(tensors, model_id, CPU)
        return head.to(device)

    @classmethod
    def from_reference_checkpoint(
        cls, path: str | Path, num_layers: int, hidden_size: int, **kwargs: Any
    ) -> "RewardHead":
        """Load a `.pt` file of the paper's code, gated or not, with weights-only loading.

        Args:
            path: a state dict with `fused_layer.weight [2, L*H]` (row 0 gate, row 1 reward) and
                `fused_layer.bias [2]`, or `reward_layer.weight [1, L*H]` and its bias.
            num_layers, hidden_size: L and H of the model it was trained for.
            **kwargs: further arguments of the constructor. Without `scored_tokens` the paper's
                span is taken: "response".

        Raises:
            FileNotFoundError, ValueError: no such file, a pickle that holds more than tensors,
                or tensors of other names or shapes.
        """
        tensors, gated = head_files.read_reference_checkpoint(Path(path))
        shape = {"num_layers": num_layers, "hidden_size": hidden_size, "gated": gated}
        config = {"scored_tokens": "response", **shape, **kwargs}
        device = _device_with_memory()
        head = cls._without_weights(device, **config)
        split = head_files.split_fused(tensors, head.num_selected, hidden_size, path)
        head.load_tensors(split, path, device)
        return head

    def load_tensors(
        self, tensors: Mapping[str, Tensor], source: str | Path, device: torch.device = CPU
    ) -> None:
        """Replace the weights by `tensors` after checking names, shapes and values.

        `device`: where they come to lie if the head has no memory yet.
        """
        expected = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        check_tensors(tensors, expected, source)
        if self.reward_bias.is_meta:
            self.to_empty(device=device)
        self.load_state_dict(tensors)


def _device_with_memory() -> torch.device:
    """The default one, but for "meta", which would drop the weights without a word."""
    device = torch.get_default_device()
    return CPU if device.type == "meta" else device
