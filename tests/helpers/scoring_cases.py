"""What the tests of added scores share: prompts with texts, and tiny reward models."""

import functools
import random

import torch
import transformers

from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.tasks.registry import load_task
from tiny_models import ARCHITECTURES, EOS, SHAPE, VOCAB, build, tiny_tokenizer

ENCODER = {"num_attention_heads": 4, "type_vocab_size": 1, "num_labels": 1}
OTHERS = {"bert": ("Bert", ENCODER), "roberta": ("Roberta", ENCODER), "fnet": ("FNet", ENCODER)}


def texted_prompts(num_prompts: int = 9, seed: int = 0) -> list[PromptCandidates]:
    """With 1 to 5 candidates each: an empty text, equal ones, spaces at both ends, long ones."""
    draw = random.Random(seed)
    letters = list(VOCAB)[6:]
    rows = []
    for index, question in enumerate(load_task("basics").questions("train")[:num_prompts]):
        texts = [" ab " if index % 2 else ""]
        texts += ["".join(draw.choices(letters, k=draw.randrange(1, 30))) for _ in range(index % 4)]
        texts += texts[1:2]
        candidates = [
            StoredCandidate(text, [*map(VOCAB.__getitem__, text), EOS], bool(n % 2), None)
            for n, text in enumerate(texts)
        ]
        rows.append(PromptCandidates(question.id, question.prompt, question.reference, candidates))
    return rows


def reward_model(name: str = "llama", dtype: torch.dtype = torch.float32, **changes):
    """A random one, in evaluation mode, named tiny/reward-<architecture>."""
    prefix, differences = {**ARCHITECTURES, **OTHERS}[name]
    config_class = getattr(transformers, f"{prefix}Config")
    config = config_class(**{**SHAPE, "num_labels": 1, **differences, **changes})
    model = build(getattr(transformers, f"{prefix}ForSequenceClassification"), config, dtype)
    model.config._name_or_path = model.name_or_path = f"tiny/reward-{name}"
    return model


@functools.cache
def shared_reward_model(name: str = "llama"):
    """For tests that do not change it."""
    return reward_model(name)


def conversation_ids(prompt: PromptCandidates, number: int, tokenizer=None) -> list[int]:
    text = f"<user>{prompt.prompt}</s><assistant>{prompt.candidates[number].text}</s>"
    return (tokenizer or tiny_tokenizer())(text, add_special_tokens=False)["input_ids"]


@torch.no_grad()
def score_alone(model, prompt: PromptCandidates, number: int) -> float:
    """One conversation through the model as it is."""
    return model(torch.tensor([conversation_ids(prompt, number)])).logits.item()
