"""The commands in experiments' docstrings begin as they must."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
sys.path.insert(0, str(EXPERIMENTS))
COMMANDS = [
    command
    for path in sorted(EXPERIMENTS.glob("*.py"))
    for command in re.findall(
        r"^    python experiments/(\w+\.py.*)$", path.read_text(), re.M
    )
]


def test_there_are_commands():
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_gives_a_name_where_its_program_needs_one(command):
    program, *words = shlex.split(command)
    module = importlib.import_module(program.removesuffix(".py"))
    presets = getattr(module, "PRESETS", None)
    if presets is not None and "" not in presets:
        assert words and words[0] in presets, f"one of {list(presets)} comes first"
