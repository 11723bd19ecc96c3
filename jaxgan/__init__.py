"""jaxgan: generative adversarial networks as pure functions in JAX.

    from jaxgan import losses, models, parallel, phases, recipes

`recipes` are whole GANs, `phases` the algebra they are made of, `parallel` runs their
steps on one device or many. All of this is pure; `run` is the program around it, the
loop and the command line behind `experiments/`.
"""

__version__ = "0.4.0"
