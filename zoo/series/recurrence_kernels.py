"""A linear recurrence along the steps of series, as a compiled loop for the CPU."""

import numpy as np

from .markov_log_kernels import compiled


@compiled
def follow(begin: int, end: int, gates: np.ndarray, inputs: np.ndarray, states: np.ndarray) -> None:
    """states_t = gates_t * states_t-1 + inputs_t number by number, all (N, T, Q); before the first step they are zero."""
    for n in range(begin, end):
        states[n, 0] = inputs[n, 0]
        for t in range(1, gates.shape[1]):
            for k in range(gates.shape[2]):
                states[n, t, k] = gates[n, t, k] * states[n, t - 1, k] + inputs[n, t, k]
