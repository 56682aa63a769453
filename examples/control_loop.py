"""A policy in a control loop: a 4-16-1 network balances a pole on a cart, one prediction in each time step.

The cart and pole are those of Barto, Sutton and Anderson, "Neuronlike adaptive elements that can solve difficult
learning control problems" (1983): 1 kg, 0.1 kg, half a length of 0.5 m, steps of 0.02 s. The network learns to
imitate a controller, 20 N times tanh(gain . state), and then takes its place. `predict` reads the state where it
stands and writes into an array made before the loop, so it allocates nothing.
"""

import math

import numpy as np

import fastmlp

GAIN = np.array([0.05, 0.15, 1.5, 0.3])  # of position, velocity, angle, angular velocity


def step(state, force, dt=0.02):
    """One time step of the cart and the pole, in place."""
    x, v, angle, w = state
    pull = (force + 0.05 * w * w * math.sin(angle)) / 1.1
    turn = (9.8 * math.sin(angle) - math.cos(angle) * pull) / (0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1))
    push = pull - 0.05 * turn * math.cos(angle) / 1.1
    state[:] = x + dt * v, v + dt * push, angle + dt * w, w + dt * turn


def main(epochs=30, steps=2000):
    """Learns the controller, then balances; the largest angle in radians that the pole had."""
    states = np.random.default_rng(0).uniform(-1, 1, (5000, 4)).astype(np.float32)
    net = fastmlp.Network([4, 16, 1], activation="tanh", seed=0)
    net.fit(states, np.tanh(states @ GAIN), epochs=epochs, optimizer=fastmlp.Adam(0.005))
    state = np.array([0.5, 0.0, 0.2, 0.0], dtype=np.float32)
    u = np.empty(1, dtype=np.float32)
    largest = 0.0
    for _ in range(steps):
        net.predict(state, out=u)
        step(state, 20 * float(u[0]))
        largest = max(largest, abs(float(state[2])))
    print(f"{steps * 0.02:.0f} s: the pole was never further than {largest:.3f} rad from upright,")
    print(f"and the cart came from 0.50 m to {state[0]:.2f} m of its place")
    return largest, float(state[0])


if __name__ == "__main__":
    main()
