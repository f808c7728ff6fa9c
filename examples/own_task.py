"""Questions of your own, graded by a function of your own: does the head help on them?"""

import json
from pathlib import Path

from swift_bon import collect, evaluate, load_head, load_model
from swift_bon.tasks import Question

COLOURS = "red orange yellow green blue indigo violet"
PLANETS = "mercury venus earth mars jupiter saturn uranus neptune"
QUESTIONS = [
    {"prompt": "Name a colour of the rainbow, in one word.", "reference": COLOURS},
    {"prompt": "Name a planet, in one word.", "reference": PLANETS},
    {
        "prompt": "Name a planet larger than the Earth.",
        "reference": "jupiter saturn uranus neptune",
    },
]


def grade(question: Question, text: str) -> bool:
    """Right is a text with exactly one of the words of the reference."""
    words = [word.strip(".,!\"'*").lower() for word in text.split()]
    return sum(word in question.reference.split() for word in words) == 1


data = Path("questions.jsonl")
data.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
model, tokenizer = load_model()
prompts = collect(
    model, tokenizer, "mine.jsonl", task="own", data=data, grader=grade, head=load_head()
)
for prompt in prompts:
    print(f"{sum(prompt.correct)} of {len(prompt.correct)} right: {prompt.prompt}")
accuracy = evaluate("mine.jsonl")
print({name: round(accuracy[name], 3) for name in ("random", "mean_logprob", "swift", "oracle")})
