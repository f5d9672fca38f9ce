"""A linear recurrence along the steps of series, as a compiled loop for the CPU."""

import numpy as np

from .markov_log_kernels import compiled


@compiled
def follow(begin: int, end: int, gates: np.ndarray, inputs: np.ndarray, backwards: bool, states: np.ndarray) -> None:
    """states_t = gates_t * states_t-1 + inputs_t number by number, all (N, T, Q), zero before the first step; or t + 1 for t - 1."""
    steps = gates.shape[1]
    first, way = (steps - 1, -1) if backwards else (0, 1)
    for n in range(begin, end):
        states[n, first] = inputs[n, first]
        for number in range(1, steps):
            t = first + way * number
            for k in range(gates.shape[2]):
                states[n, t, k] = gates[n, t, k] * states[n, t - way, k] + inputs[n, t, k]
