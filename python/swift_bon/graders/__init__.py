"""Graders: read the answer out of a model's text and compare it with the reference."""

from swift_bon.graders.registry import GRADERS, FunctionGrader, Grader, load_grader

__all__ = ["GRADERS", "FunctionGrader", "Grader", "load_grader"]
