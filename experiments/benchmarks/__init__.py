"""What `benchmark.py`, `benchmark_data.py` and `benchmark_tpu.py` are made of.

- `cases`: the GANs that are timed, and the data that they train on.
- `jaxgan_side`, `torch_side`: either side, and how its steps are run; `torch_cases`:
  PyTorch's cases.
- `flops`: how many FLOPs a step has.
- `torch_twin`, `torch_games`, `torch_heads`, `torch_sngan`, `torch_spade`,
  `torch_srgan`, `torch_translators`: jaxgan's networks and steps in PyTorch.
- `torch_spectral`: jaxgan's spectral normalization in PyTorch.
- `machine`: cores, the speed of a matrix product, CPU seconds.
- `process`: a side in a process of its own.
- `race`: the turns that sides take.
- `sweep`, `jaxgan_sweep`: many seeds as one program, against one after another.
- `shell`: what the command lines share.
- `report`: the figures, as plain values and as a table.

Of `benchmark_data.py`:

- `image_files`: the folders of files.
- `feed_turn`: what both sides feed alike, and what they say of a turn.
- `jaxgan_feed`, `torch_feed`: how either side feeds a folder.
- `feed_race`, `feed_report`: the processes and their turns, and the figures.

Of `benchmark_tpu.py`:

- `tpu`: how a step is compiled for TPUs without one, and what is read from it.
- `tpu_networks`: the GANs, of published sizes.
"""
