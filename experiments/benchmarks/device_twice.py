"""A run of a few steps, to be made twice: are its weights the same to the last bit?

    python -m benchmarks.device_twice gpu 200

Prints a JSON object: "digest" of the state after so many steps, and "seconds" that
half as many more take, without compiling.
"""

import hashlib
import json
import sys

from benchmarks import race
from benchmarks.cases import CASES

CASE = "digits"


def main(platform: str, steps: int) -> None:
    with race.own_cache():
        side = race.jaxgan(race.Setting(platform))
        import jax

        run = side.start(CASES[CASE], CASES[CASE].data(), None)
        run.run(steps)
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(jax.device_get(run.state)):
            digest.update(leaf.tobytes())
        seconds, *_ = run.run(max(1, steps // 2))
        run.close()
    print(json.dumps({"digest": digest.hexdigest(), "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
