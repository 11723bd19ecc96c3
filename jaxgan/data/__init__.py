"""Images in, batches out.

`load` turns a spec such as `"mnist"` or `"folder:~/faces"` into a `Dataset`, a size and
a function from example indices to uint8 images; `indices` says which examples make up
the batch of a step; `prefetch` prepares batches ahead of a loop:

    dataset = data.load("folder:~/faces", resize=64, crop=64)

    def make(step):
        return dataset.fetch(data.indices(seed, step, 32, dataset.size))

    with data.prefetch(make, start=0) as batches:
        for batch in batches: ...

Nothing here downloads, and nothing silently stands in for what was asked: a request
that cannot be met raises `UsageError`, one sentence that says what would be right.
"""

from jaxgan.data import mixtures, painted
from jaxgan.data.dataset import Dataset, centred, make, other_seed, scaled
from jaxgan.data.order import blocks, indices
from jaxgan.data.specs import has_test, load
from jaxgan.data.stream import prefetch

__all__ = [
    "Dataset",
    "blocks",
    "centred",
    "has_test",
    "indices",
    "load",
    "make",
    "mixtures",
    "other_seed",
    "painted",
    "prefetch",
    "scaled",
]
