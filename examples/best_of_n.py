"""Best-of-N in one call: eight answers to each question, scored while they are written."""

from swift_bon import best_of_n, load_head, load_model

QUESTIONS = ["What is the capital of Kenya?", "What is 9 + 13?"]

model, tokenizer = load_model()  # the embedded model; or any hub id or path
head = load_head()  # the head that ships for it; or a folder or hub id

results = best_of_n(
    model, tokenizer, QUESTIONS, head, num_return_sequences=8, max_new_tokens=16, seed=0
)
for question, result in zip(QUESTIONS, results, strict=True):
    print(f"\n{question} -> {result.text!r}")
    for candidate in sorted(result.candidates, key=lambda candidate: -candidate.score):
        print(f"{candidate.score:8.3f}  {candidate.mean_logprob:7.3f}  {candidate.text!r}")
