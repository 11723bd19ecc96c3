"""PyTorch's side: the same files through a DataLoader with worker processes."""

import itertools
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks import machine
from benchmarks.feed_turn import BATCH, WORKERS, timed


class Files(Dataset):
    """Images `[3, H, W]`, float32 in [-1, 1]."""

    def __init__(self, folder, resize):
        self.files, self.resize = sorted(Path(folder).iterdir()), resize

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as opened:
            image = opened.convert("RGB")
        if self.resize:
            size = self.resize, self.resize
            image = image.resize(size, Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return pixels.float() / 127.5 - 1


def start(folder: Path, resize: int | None):
    """Begins to feed a folder, as `jaxgan_feed.start`; the one way is "loader"."""
    torch.set_num_threads(machine.cores())
    loader = DataLoader(
        Files(folder, resize),
        batch_size=BATCH,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        drop_last=True,
    )
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def consume(n):
        total = torch.zeros(())
        for batch in itertools.islice(batches, n):
            total += batch.mean()
        return n * BATCH, total.item() / n

    def run(n):
        consume(4 * WORKERS)  # two of each wait
        turn = timed(lambda: consume(n))
        machine.quiet()
        return turn

    return {"loader": run}, lambda: None
