"""What is everywhere: the error that a user reads."""

import pickle

import pytest

from jaxgan.types import UsageError


def typed(name):
    """As a command line that knows two options."""
    known = ("batch_size", "resize")
    return f"--{name.replace('_', '-')}" if name in known else name


@pytest.mark.parametrize(
    ("error", "plain", "flagged"),
    (
        (
            UsageError("batch_size", 0, "must be 1 or more."),
            "batch_size 0 must be 1 or more.",
            "--batch-size 0 must be 1 or more.",
        ),
        (
            UsageError("data", "x", ": give `images`, or `resize` N."),
            "data x: give `images`, or `resize` N.",
            "data x: give `images`, or --resize N.",
        ),
        (
            UsageError("resize", None, "and `batch_size` 3 exclude each other."),
            "resize and `batch_size` 3 exclude each other.",
            "--resize and --batch-size 3 exclude each other.",
        ),
        (
            UsageError(None, None, "No image; give `resize`."),
            "No image; give `resize`.",
            "No image; give --resize.",
        ),
    ),
)
def test_an_error_is_worded_in_names_or_in_flags(error, plain, flagged):
    assert str(error) == plain
    assert error.worded(typed) == flagged
    again = pickle.loads(pickle.dumps(error))
    assert (again.option, again.value, again.reason) == error.args
    assert isinstance(error, ValueError)


def test_an_error_of_another_option_says_the_same_of_it():
    error = UsageError("data", "x", "is gray.").renamed("reference")
    assert str(error) == "reference x is gray."
