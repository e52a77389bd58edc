"""The Flower app that `tests/bench/flower.py` measures: FedAvg over NumPy clients.

It trains the network that Accord trains in the same comparison, in the same way: a multilayer perceptron,
uniform initial weights, stochastic gradient descent with momentum on the cross-entropy, updates weighted by
rows. It writes down when each round was aggregated and how long each client computed. What it is not: a
measurement by itself (`flower.py` reads what it wrote), or the same numbers as Accord's bit for bit.
"""

import json
import time
import traceback
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

CLIENTS = 4
PIXEL_MAX = 16.0

client = ClientApp()
server = ServerApp()


def note(context: Context, name: str, **what) -> None:
    """Appends one event to a file of whoever calls; a line is written at once."""
    with open(Path(context.run_config["folder"]) / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def table(context: Context, name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = np.loadtxt(Path(context.run_config["folder"]) / name, np.float32, delimiter=",", skiprows=1, ndmin=2)
    return rows[:, :-1] / np.float32(PIXEL_MAX), rows[:, -1].astype(np.int64)


def initial(sizes: list[int], seed: int) -> list[np.ndarray]:
    """Weight `[in, out]` and bias of each layer."""
    random, arrays = np.random.default_rng(seed), []
    for inputs, outputs in zip(sizes, sizes[1:]):
        bound = inputs**-0.5
        for shape in ((inputs, outputs), (outputs,)):
            arrays.append(random.uniform(-bound, bound, shape).astype(np.float32))
    return arrays


def forward(arrays: list[np.ndarray], inputs: np.ndarray) -> list[np.ndarray]:
    """What comes out of each layer, the inputs first."""
    outs, last = [inputs], len(arrays) - 2
    for at in range(0, len(arrays), 2):
        out = outs[-1] @ arrays[at] + arrays[at + 1]
        outs.append(out if at == last else np.maximum(out, 0, out=out))
    return outs


def gradients(arrays: list[np.ndarray], inputs: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """Of the mean cross-entropy."""
    outs = forward(arrays, inputs)
    shares = np.exp(outs[-1] - outs[-1].max(axis=1, keepdims=True))
    error = shares / shares.sum(axis=1, keepdims=True)
    error[np.arange(len(classes)), classes] -= 1
    error /= np.float32(len(classes))
    found: list[np.ndarray] = [None] * len(arrays)
    for at in range(len(arrays) - 2, -1, -2):
        below = outs[at // 2]
        found[at], found[at + 1] = below.T @ error, error.sum(axis=0)
        if at:
            error = (error @ arrays[at].T) * (below > 0)
    return found


def fit(arrays: list[np.ndarray], inputs: np.ndarray, classes: np.ndarray, config: dict, seed: int) -> None:
    """Trains in place."""
    random = np.random.default_rng(seed)
    rate, momentum = np.float32(config["learning-rate"]), np.float32(config["momentum"])
    velocity = [np.zeros_like(array) for array in arrays] if momentum else None
    for _ in range(config["epochs"]):
        order = random.permutation(len(classes))
        for first in range(0, len(order), config["batch-size"]):
            picks = order[first : first + config["batch-size"]]
            steps = gradients(arrays, inputs[picks], classes[picks])
            for at, step in enumerate(steps):
                if velocity:
                    velocity[at] *= momentum
                    velocity[at] += step
                    step = velocity[at]
                arrays[at] -= rate * step


@client.train()
def train(message: Message, context: Context) -> Message:
    part, number = context.node_config["partition-id"], message.content["config"]["server-round"]
    inputs, classes = table(context, f"part-{part}.csv")
    arrays = message.content["arrays"].to_numpy_ndarrays()
    arrays = [array if array.flags.writeable else array.copy() for array in arrays]
    start = time.perf_counter()
    fit(arrays, inputs, classes, context.run_config, 1_000 * number + part)
    seconds = time.perf_counter() - start
    note(context, f"client-{part}", round=number, seconds=seconds, ended=time.time())
    metrics = MetricRecord({"num-examples": len(classes)})
    return Message(content=RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=message)


class Noted(FedAvg):
    """FedAvg that notes when a round was aggregated, and takes nothing less than all clients."""

    context: Context

    def aggregate_train(self, server_round, replies):
        replies = list(replies)
        faults = [reply.error.reason for reply in replies if reply.has_error()]
        if faults or len(replies) != CLIENTS:
            raise RuntimeError(f"round {server_round}: {len(replies)} replies, faults: {faults}")
        aggregated = super().aggregate_train(server_round, replies)
        note(self.context, "server", event="round", round=server_round, at=time.time())
        return aggregated


@server.main()
def main(grid: Grid, context: Context) -> None:
    try:
        config = context.run_config
        sizes = [int(size) for size in config["sizes"].split("-")]
        arrays = initial(sizes, 0)
        counts = {"fraction_evaluate": 0.0, "min_train_nodes": CLIENTS, "min_available_nodes": CLIENTS}
        strategy = Noted(**counts)
        strategy.context = context
        options = {"num_rounds": config["rounds"], "train_config": ConfigRecord()}
        result = strategy.start(grid, ArrayRecord(arrays), **options)
        arrays = result.arrays.to_numpy_ndarrays()
        inputs, classes = table(context, "held-out.csv")
        right = float((forward(arrays, inputs)[-1].argmax(axis=1) == classes).mean())
        parameters = sum(array.size for array in arrays)
        note(context, "server", event="finished", accuracy=right, parameters=parameters, numpy=np.__version__)
    except Exception:
        note(context, "server", event="failed", why=traceback.format_exc())
        raise
