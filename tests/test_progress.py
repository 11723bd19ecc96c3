"""Progress, on a terminal and where there is none."""

import io
import sys

import pytest

from jaxgan.run import progress


class Stream(io.StringIO):
    """A stream that is a terminal, or none."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def stream(monkeypatch):
    """`stream(terminal)` is stderr from then on; its clock goes by a second a call."""

    def of(terminal):
        made = Stream(terminal)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    seconds = iter(range(10**6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    return of


def test_a_log_has_a_line_every_half_minute(stream):
    log = stream(False)
    with progress.bar(120, "translating") as shown:
        for _ in range(100):
            shown.set_postfix_str("d_loss 0.5")
            shown.update(1)
    lines = log.getvalue().splitlines()
    assert lines == [
        f"translating: {n} of 120 images, 1 a second, d_loss 0.5" for n in (30, 60, 90)
    ]
    assert "\r" not in log.getvalue()


def test_what_is_done_already_does_not_count_as_speed(stream):
    log = stream(False)
    shown = progress.bar(1000, unit="step", initial=900)
    for _ in range(30):
        shown.update(2)
    shown.close()
    assert log.getvalue() == "960 of 1000 steps, 2 a second\n"
    assert shown.n == 960


def test_short_work_and_iterables_leave_no_fragments(stream):
    log = stream(False)
    assert list(progress.bars(range(20), 20, "decoding")) == list(range(20))
    assert log.getvalue() == ""
    assert list(progress.bars(iter(range(35)), 0, "decoding")) == list(range(35))
    assert log.getvalue() == "decoding: 30 items, 1 a second\n"


def test_a_terminal_has_a_bar(stream, monkeypatch):
    monkeypatch.undo()
    terminal = Stream(True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.bar(3, "translating") as shown:
        shown.update(3)
    assert "\r" in terminal.getvalue() and "3/3" in terminal.getvalue()
