"""From questions to a trained head: collect, extract, train, use.

So few questions make a poor head; `make demo-head` takes all of them.
"""

import sys

from swift_bon import best_of_n, collect, extract_features, load_model, train_reward_head

NUM_QUESTIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 48

model, tokenizer = load_model()
prompts = collect(
    model, tokenizer, "train.jsonl", split="train", limit=NUM_QUESTIONS, max_new_tokens=16
)
num_right = sum(sum(prompt.correct) for prompt in prompts)
print(f"{num_right} right of {sum(len(prompt.candidates) for prompt in prompts)} candidates")

extract_features(model, tokenizer, "train.jsonl", "train.features", projection_dim=64)
head, report = train_reward_head("train.jsonl", "train.features", "my-head", seeds=[0])
print("saved to my-head:", head)

result = best_of_n(
    model, tokenizer, "What is 2 plus 3?", head, num_return_sequences=8, max_new_tokens=16, seed=0
)[0]
print(f"{result.score:.3f}  {result.text!r}")
