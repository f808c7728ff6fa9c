"""Training that is killed, interrupted or out of disk goes on, and ends with the same files."""

import functools
import itertools
import multiprocessing
import os
import random
import resource
import signal
from pathlib import Path

import pytest
import torch

from feature_cases import write_candidates
from fit_cases import TRAINING, with_verdicts
from swift_bon.features import tensor_files
from swift_bon.fitting import head_fitting, training
from swift_bon.fitting.checkpoint import CHECKPOINT_NAME
from swift_bon.fitting.training import train_reward_head

SETTINGS = {**TRAINING, "learning_rates": (0.03, 0.01), "epochs": 3, "batch_size": 32}


@pytest.fixture(scope="module")
def whole(path, store, tmp_path_factory):
    """What an undisturbed run writes."""
    output = tmp_path_factory.mktemp("whole") / "head"
    train_reward_head(path, store, output, **SETTINGS)
    return contents(output)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def start_training(*args, **faults) -> str:
    """In a process of its own, to its end: how it ended."""
    context = multiprocessing.get_context("forkserver")  # imports once, then forks
    context.set_forkserver_preload(["swift_bon.fitting.training", "matplotlib.figure"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_train_with_faults, args=(sender, args, faults))
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = "killed"
    process.join()
    assert process.exitcode == (-signal.SIGKILL if outcome == "killed" else 0)
    return outcome


def _train_with_faults(sender, args, faults: dict) -> None:
    """Die before a step, and so in the middle of a write, or write no file beyond a size."""
    torch.set_num_threads(1)
    steps = itertools.count()

    def faulty(step, *args, **kwargs):
        if next(steps) == faults.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **kwargs)

    places = [(tensor_files, "save_file"), (os, "fsync"), (os, "replace"), (os, "unlink")]
    for module, name in [*places, (training, "plot_curves")]:
        setattr(module, name, functools.partial(faulty, getattr(module, name)))
    if "file_bytes" in faults:
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults["file_bytes"],) * 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        train_reward_head(*args, **SETTINGS)
    except OSError as error:
        sender.send(f"OSError: {error}")
    else:
        sender.send(f"done after {next(steps)} steps")


def test_killed_anywhere_and_started_again(path, store, whole, tmp_path):
    num_steps = int(start_training(path, store, tmp_path / "head").split()[2])
    assert contents(tmp_path / "head") == whole
    for die_at in random.Random(0).sample(range(num_steps), 5):
        output = tmp_path / str(die_at) / "head"
        assert start_training(path, store, output, die_at=die_at) == "killed"
        train_reward_head(path, store, output, **SETTINGS)
        assert contents(output) == whole, die_at


def test_killed_again_and_again(path, store, whole, tmp_path):
    """Each life lasts a little longer, and goes on where the one before ended."""
    output = tmp_path / "head"
    lives = itertools.count(5, 2)
    outcomes = ["killed"]
    while outcomes[-1] == "killed":
        outcomes.append(start_training(path, store, output, die_at=next(lives)))
    assert 4 < len(outcomes) < 10
    assert contents(output) == whole


def test_full_disk(path, store, whole, tmp_path):
    output = tmp_path / "head"
    outcome = start_training(path, store, output, file_bytes=2000)
    assert outcome.startswith("OSError: ")
    assert CHECKPOINT_NAME in outcome
    assert list(output.iterdir()) == []
    train_reward_head(path, store, output, **SETTINGS)
    assert contents(output) == whole


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_interrupted_run_goes_on(path, store, whole, tmp_path, monkeypatch, epochs):
    """By the keyboard, after some epochs; those are not done again."""
    run_epoch = head_fitting.HeadFitting.run_epoch
    ran = []

    def counted(self, show_progress=False):
        if len(ran) == epochs:
            raise KeyboardInterrupt
        ran.append(self.num_epochs_done)
        run_epoch(self, show_progress)

    monkeypatch.setattr(head_fitting.HeadFitting, "run_epoch", counted)
    if epochs < SETTINGS["epochs"]:
        with pytest.raises(KeyboardInterrupt):
            train_reward_head(path, store, tmp_path, **SETTINGS)
        assert set(contents(tmp_path)) == {CHECKPOINT_NAME}
        epochs = SETTINGS["epochs"]
    train_reward_head(path, store, tmp_path, **SETTINGS)
    assert ran == [0, 1, 2]
    assert contents(tmp_path) == whole


def test_damaged_checkpoint_starts_over(path, store, whole, tmp_path):
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"\x08" + bytes(300))
    (tmp_path / f".{CHECKPOINT_NAME}.123").write_bytes(b"half")  # of a run that was killed
    (tmp_path / ".training.json.123").write_bytes(b"{")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.warns(UserWarning, match="or damaged; this fit starts from the beginning"):
        train_reward_head(path, store, tmp_path, **SETTINGS)
    assert contents(tmp_path) == {**whole, "notes.txt": b"mine"}


def test_checkpoint_of_other_labels_is_not_taken(path, prompts, store, tmp_path, monkeypatch):
    other = write_candidates(tmp_path / "turned.jsonl", with_verdicts(prompts, lambda c: not c))
    expected, _ = train_reward_head(other, store, **SETTINGS)
    monkeypatch.setattr(training, "_save", lambda *args: None)  # as if killed before it
    train_reward_head(path, store, tmp_path / "head", **SETTINGS)
    assert (tmp_path / "head" / CHECKPOINT_NAME).exists()
    with pytest.warns(UserWarning, match="is of another fit"):
        head, _ = train_reward_head(other, store, tmp_path / "head", **SETTINGS)
    assert torch.equal(head.reward_weight, expected.reward_weight)


def test_two_runs_into_one_folder(path, store, whole, tmp_path, monkeypatch):
    """The second one is refused while the first one fits, and spoils nothing of it."""
    run_epoch = head_fitting.HeadFitting.run_epoch
    refused, begun = [], []
    begin = head_fitting.HeadFitting.__init__

    def counted(self, *args):
        begun.append(True)
        begin(self, *args)

    monkeypatch.setattr(head_fitting.HeadFitting, "__init__", counted)

    def disturbed(self, show_progress=False):
        if not refused:
            refused.append(True)
            with pytest.raises(ValueError, match="head is being written by another run; wait for"):
                train_reward_head(path, store, tmp_path / "head", **SETTINGS)
        run_epoch(self, show_progress)

    monkeypatch.setattr(head_fitting.HeadFitting, "run_epoch", disturbed)
    train_reward_head(path, store, tmp_path / "head", **SETTINGS)
    assert refused and len(begun) == 1  # before it had read any feature
    assert contents(tmp_path / "head") == whole
