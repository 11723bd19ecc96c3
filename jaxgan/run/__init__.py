"""The program around the library: command line, loop, workdirs, files of users.

    from jaxgan import run

    model, state = run.train(config, build, data=images)   # in a notebook
    run.main(PRESET, build)                                # an experiment's last line

Here alone there are flags, an environment and a terminal.
"""

from jaxgan.run.cli import main
from jaxgan.run.commands import Command, Trained
from jaxgan.run.config import Config
from jaxgan.run.draws import draw, samples, translations
from jaxgan.run.loading import Loaded, load
from jaxgan.run.members import member_of
from jaxgan.run.settings import changed
from jaxgan.run.train import train

__all__ = [
    "Command",
    "Config",
    "Loaded",
    "Trained",
    "changed",
    "draw",
    "load",
    "main",
    "member_of",
    "samples",
    "train",
    "translations",
]
