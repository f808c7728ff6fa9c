"""What the tests of a head's scores for stored candidates share."""

import torch

from feature_cases import shared_model
from swift_bon.collection.head_scores import score_with_head
from swift_kernels import RewardHead
from tiny_models import tiny_tokenizer


def head_of(**options) -> RewardHead:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return RewardHead(4, 32, **options)


def score(path, head, model=None, **options):
    return score_with_head(path, model or shared_model(), tiny_tokenizer(), head, **options)
