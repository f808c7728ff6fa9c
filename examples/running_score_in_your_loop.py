"""A decoding loop of your own, with the score of each candidate kept running."""

import inspect

import torch

from swift_bon import load_head, load_model
from swift_kernels import RunningScore, select_best

NUM_CANDIDATES, MAX_NEW_TOKENS = 8, 16

model, tokenizer = load_model()
chat = [{"role": "user", "content": "What is the capital of Kenya?"}]
prompt = tokenizer.apply_chat_template(
    chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)["input_ids"]
torch.manual_seed(0)

running = RunningScore(load_head(), num_candidates=NUM_CANDIDATES)
fed = prompt.expand(NUM_CANDIDATES, -1)  # [N, tokens]: what the model reads next
active = torch.zeros(NUM_CANDIDATES, dtype=torch.bool)  # [N]: nothing of the prompt is scored
goes_on = ~active
written, past = [], None
# transformers 5.24 renamed the argument
cache = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
with torch.no_grad():
    for _ in range(MAX_NEW_TOKENS):
        outputs = model(fed, use_cache=True, output_hidden_states=True, **{cache: past})
        past = outputs[cache]  # newer transformers call it "cache"
        running.update([state[:, -1:] for state in outputs.hidden_states], active)
        fed = torch.multinomial(outputs.logits[:, -1].softmax(-1), num_samples=1)  # [N, 1]
        written.append(fed)
        goes_on = goes_on & (fed[:, 0] != tokenizer.eos_token_id)
        active = goes_on  # a token that ends a candidate is not scored, nor what comes after
scores = running.scores()  # [N]
for tokens, score in zip(torch.cat(written, dim=1), scores, strict=True):
    print(f"{score:8.3f}  {tokenizer.decode(tokens).split(tokenizer.eos_token)[0]!r}")
print("best:", int(select_best(scores, NUM_CANDIDATES)))
