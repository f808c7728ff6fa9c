r"""MATH: competition problems (Hendrycks et al., arXiv 2103.03874).

Trains on all subjects of its training set; the test is MATH-500, the 500 problems that Lightman et
al. (arXiv 2305.20050) and the SWIFT paper test on.
"""

from typing import Any

from swift_bon.graders import mathematics
from swift_bon.graders.boxed import last_boxed
from swift_bon.tasks.dataset_task import Asked, DatasetTask, Part
from swift_bon.tasks.rows import field

PROMPT = (
    "Reason through this mathematics problem step by step. Give the final answer in its simplest "
    "form, written as \\boxed{{answer}}.\n\n{problem}"
)
SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


def read(row: dict[str, Any], where: str) -> Asked:
    """`problem`, and `answer` or the last box of `solution`; `unique_id` where there is one."""
    problem = field(row, "problem", str, where)
    if "answer" in row:
        answer = field(row, "answer", str, where)
    else:
        answer = last_boxed(field(row, "solution", str, where)) or ""
    unique_id = field(row, "unique_id", str, where) if "unique_id" in row else None
    return Asked(PROMPT.format(problem=problem), answer, unique_id)


TASK = DatasetTask(
    "math",
    {
        "train": tuple(
            Part("EleutherAI/hendrycks_math", subject, "train", f"math/train/{subject}")
            for subject in SUBJECTS
        ),
        "test": (Part("HuggingFaceH4/MATH-500", None, "test", "math/test"),),
    },
    read,
    mathematics,
)
