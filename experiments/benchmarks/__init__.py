"""What `benchmark.py` is made of.

- `cases`: the GANs that are timed, and the data that they train on.
- `jaxgan_side`, `torch_side`: each case on either side, and how its steps are run.
- `torch_twin`, `torch_translators`: jaxgan's networks and steps in PyTorch.
- `machine`: cores, and the speed of a matrix product.
- `race`: a process for each side, and the turns that they take.
- `report`: the figures, as plain values and as a table.
"""
