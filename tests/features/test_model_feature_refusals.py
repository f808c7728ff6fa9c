"""What the model as a source refuses: texts of another model, states that are not finite."""

import pytest
import torch

from feature_cases import (
    FEW_PROMPTS,
    RARE_TOKEN,
    features_of,
    long_prompts,
    named_model,
    spec_of,
)
from swift_bon.candidates.records import PromptCandidates, StoredCandidate
from swift_bon.features.projection import Projection
from tiny_models import EOS


@pytest.mark.parametrize("ids", [[-1], [7, 10**6], [True]])
def test_tokens_of_another_model(ids):
    said = StoredCandidate("", ids, True, None)
    prompt = PromptCandidates("a", "one", "", [FEW_PROMPTS[1].candidates[0], said])
    with pytest.raises(ValueError, match="candidate 1 of prompt 'a' has token ids .*; load the mo"):
        features_of(spec_of(), prompts=[prompt])


def test_texts_beyond_the_context():
    model = named_model()
    (prompt,) = long_prompts(1, 1, 20)
    (ids,) = features_of(spec_of(), prompts=[prompt])._rendered
    for context in (len(ids) + 20, len(ids) + 19):
        model.config.max_position_embeddings = context
        if context == len(ids) + 20:
            features_of(spec_of(), model=model, prompts=[prompt])
            continue
        with pytest.raises(ValueError, match=f"candidate 0 of prompt .*the model, {context}; leav"):
            features_of(spec_of(), model=model, prompts=[prompt])


def with_rare_token(prompts, position):
    """One candidate of one prompt says what no other says."""
    prompt = prompts[position]
    said = StoredCandidate("", [9, RARE_TOKEN, 9, EOS], False, None)
    changed = PromptCandidates(prompt.id, prompt.prompt, "", [*prompt.candidates, said])
    return [*prompts[:position], changed, *prompts[position + 1 :]]


@pytest.mark.parametrize("dtype", ["float32", "float16", "float8"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("layers", [None, [0], [3]], ids=["all", "first", "last"])
def test_a_state_that_is_not_finite_names_the_prompt(dtype, value, layers):
    model = named_model()
    model.get_input_embeddings().weight.data[RARE_TOKEN] = value
    for position in (0, 5, 11):
        prompts = with_rare_token(FEW_PROMPTS, position)
        spec = spec_of(model, layers, dtype=dtype)
        with pytest.raises(ValueError, match="is NaN or infinite; load the model in") as error:
            features_of(spec, model=model, prompts=prompts).read(0)
        assert repr(prompts[position].id) in str(error.value)


def test_states_that_exceed_the_dtype():
    model = named_model()
    model.get_input_embeddings().weight.data[RARE_TOKEN] = 1e5
    prompts = with_rare_token(FEW_PROMPTS, 5)
    with pytest.raises(ValueError, match=r"reach 1e\+05, more than float16 can hold; take bfloat1"):
        features_of(spec_of(model, dtype="float16"), model=model, prompts=prompts).read(0)
    large = Projection(1e6 * torch.ones(1, 5, 128), torch.zeros(1, 5))
    with pytest.raises(ValueError, match="^projected .* float16 can hold; take bfloat16$"):
        features_of(spec_of(dtype="float16", projection=large)).read(0)
    for dtype in ("float32", "bfloat16", "float8"):
        pack = features_of(spec_of(model, dtype=dtype), model=model, prompts=prompts).read(0)
        assert pack.states.float().max() == {"float8": 448.0}.get(dtype, pack.states.float().max())
        assert pack.states.float().isfinite().all()
