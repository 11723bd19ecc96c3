"""An experiment's command line, as a user calls it."""

import sys

from jaxgan.run import cli


def run(module, *argv):
    """Its exit code."""
    old, sys.argv[0] = sys.argv[0], f"{module.__name__}.py"
    try:
        presets = getattr(module, "PAINTED", module.PRESET)
        cli.main(presets, module.build, list(map(str, argv)))
        return 0
    except SystemExit as error:
        return error.code
    finally:
        sys.argv[0] = old
