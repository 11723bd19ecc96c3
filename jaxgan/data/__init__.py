"""Images in, batches out.

`load` turns a spec such as `"mnist"` or `"folder:~/faces"` into a `Dataset`, and
`from_arrays` makes one of arrays: a size and a function from example indices to
integer images; `indices` says which examples make up the batch of a step; `prefetch`
prepares batches ahead of a loop:

    dataset = data.load("folder:~/faces", resize=64, crop=64)

    def make(step):
        return dataset.fetch(data.indices(seed, step, 32, dataset.size))

    with data.prefetch(make, start=0) as batches:
        for batch in batches: ...

`SOURCES` are what a spec may name; a `Source` of one's own stands beside them. Nothing
here downloads, and nothing silently stands in for what was asked: a request that cannot
be met raises `UsageError`, one sentence that says what would be right.
"""

from jaxgan.data import mixtures, painted
from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import (
    Dataset,
    Group,
    centred,
    eight_bits,
    make,
    of_channels,
    other_seed,
    over_white,
    scaled,
    select,
)
from jaxgan.data.fit import Fit
from jaxgan.data.order import blocks, indices
from jaxgan.data.source import Request, Source
from jaxgan.data.sources import SOURCES, load
from jaxgan.data.stream import prefetch

__all__ = [
    "SOURCES",
    "Dataset",
    "Fit",
    "Group",
    "Request",
    "Source",
    "blocks",
    "centred",
    "eight_bits",
    "fitted",
    "from_arrays",
    "indices",
    "load",
    "make",
    "mixtures",
    "of_channels",
    "other_seed",
    "over_white",
    "painted",
    "prefetch",
    "scaled",
    "select",
]
