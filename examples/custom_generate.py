"""Best-of-N inside `generate`, which then returns the best row of each prompt."""

import torch

from swift_bon import BestOfNDecoding, load_head, load_model

QUESTIONS = ["What is 3 plus 9?", "What is the capital of Kenya?"]

model, tokenizer = load_model()
head = load_head()

chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
inputs = tokenizer.apply_chat_template(
    chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
)
torch.manual_seed(0)
output = model.generate(
    **inputs,
    custom_generate=BestOfNDecoding(head),
    num_return_sequences=8,
    do_sample=True,
    max_new_tokens=16,
    return_dict_in_generate=True,  # without it: the sequences alone
)
answers = output.sequences[:, inputs["input_ids"].shape[1] :]  # [P, length]
for question, answer in zip(QUESTIONS, answers, strict=True):
    print(question, "->", tokenizer.decode(answer, skip_special_tokens=True))
print("scores of all candidates:", output.candidate_scores.view(len(QUESTIONS), 8))
