"""What `reproduce.py` is made of.

- `figures`: the table of figures, the only place to add one: commands, seeds, cells.
- `entries`: what its entries are made of.
- `tables`: the README's tables, and how cells become their lines.
- `pictures`: the README's pictures, and what each is cut from.
- `runs`: a figure's commands, run as they are typed, and what is kept of them.
- `readings`: what is read out of a run's folder and of what its commands print.
- `provenance`: versions, commit and machine.
"""
