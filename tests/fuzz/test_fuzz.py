"""The fuzzer of the readers, for ten seconds; `make fuzz` goes on longer, from another seed."""

import pytest
from fuzz import run
from judge import Case, make_files
from targets import TARGETS

SEED = 1


def test_no_reader_does_what_it_must_not():
    num_cases, faults = run(10, SEED)
    assert not faults, "\n".join(f"{fault.text}\n{fault.kind}: {fault.case}" for fault in faults)
    assert num_cases > len(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_files_without_damage_are_read(target, tmp_path):
    TARGETS[target].write(tmp_path)
    TARGETS[target].read(tmp_path)


def test_a_number_makes_the_same_files_again(tmp_path):
    for number in range(40):
        folders = [tmp_path / f"{number}{letter}" for letter in "ab"]
        for folder in folders:
            make_files(Case(SEED, number), folder, tmp_path / "trap")
        one, other = ({p.name: p.read_bytes() for p in f.iterdir() if p.is_file()} for f in folders)
        assert one == other
