"""Questions of the task `basics` by their ids, and one sum."""

from swift_bon.tasks import Question
from swift_bon.tasks.basics import questions

QUESTIONS = {question.id: question for question in questions("all")}
SUM = Question("sum/12+9/1", "sum", "What is 12 + 9?", "21")
