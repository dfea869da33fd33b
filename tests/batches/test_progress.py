"""How far a batch is can be told after any crash."""

import pytest

from gateway.batches.lines import answer
from gateway.batches.progress import Progress

ID = "batch_req_gw00_%d"


def line(number):
    return answer(ID % number, str(number))


@pytest.fixture
def reopened(tmp_path):
    def reopen():
        progress = Progress(tmp_path / "run")
        progress.open()
        return progress

    return reopen


def test_what_is_done_stays_done(reopened):
    progress = reopened()
    for number in (1, 2, 3, 4):
        progress.begin(number)
    progress.end(1, line(1), is_good=True)
    progress.end(2, line(2), is_good=False)
    progress.undo(4, was_begun=True)

    again = reopened()

    assert (again.done, again.interrupted, again.completed, again.failed) == ({1, 2}, {3: 1}, 1, 1)


def test_a_result_that_was_cut_short_is_none(reopened):
    """Wherever it was cut. The request was made, and is not made again."""
    for cut in range(len(line(2))):
        progress = reopened()
        for number in (1, 2):
            progress.begin(number)
        progress.end(1, line(1), is_good=True)
        with (progress.folder / "output.jsonl").open("ab") as file:
            file.write(line(2)[:cut])

        again = reopened()

        assert (again.done, again.interrupted) == ({1}, {2: 1})
        assert (progress.folder / "output.jsonl").read_bytes() == line(1)
        progress.close()


def test_a_journal_that_was_cut_short(reopened):
    progress = reopened()
    progress.begin(12)
    with (progress.folder / "journal").open("ab") as file:
        file.write(b"begun 1")

    assert reopened().interrupted == {12: 1}


def test_what_was_refused_and_what_was_interrupted_is_counted(reopened):
    """Over several processes; what a limit refused before it was begun is not interrupted."""
    progress = reopened()
    progress.undo(1, was_begun=False)
    progress.begin(1)
    progress.undo(1, was_begun=True)
    progress.begin(2)
    progress = reopened()
    progress.begin(2)
    progress.undo(1, was_begun=False)

    again = reopened()

    assert (again.refused, again.interrupted) == ({1: 3}, {2: 2})


def test_of_each_request_one_result_stays(reopened):
    """Who was held up for longer than the lease wrote beside whoever had the batch by then: 21 lines told of 20."""
    first = reopened()
    for number in (1, 2, 3):
        first.begin(number)
    first.end(1, line(1), is_good=True)
    second = reopened()
    for number in (2, 3):
        second.end(number, line(number), is_good=False)
    first.end(2, line(2), is_good=True)
    first.end(3, line(3), is_good=False)

    second.settle()

    assert (second.completed, second.failed, second.done) == (2, 1, {1, 2, 3})
    assert (second.folder / "output.jsonl").read_bytes() == line(1) + line(2)
    assert (second.folder / "errors.jsonl").read_bytes() == line(3)
    assert {path.name for path in second.folder.iterdir()} == {"journal", "output.jsonl", "errors.jsonl"}
