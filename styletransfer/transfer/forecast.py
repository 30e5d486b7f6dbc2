"""What a run will take, told before it begins."""

import time
from dataclasses import dataclass

from styletransfer.runtime.memory import resident
from styletransfer.settings import Settings
from styletransfer.transfer import goals
from styletransfer.transfer.firstimage import first_image
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.stages import plan
from styletransfer.weights.loading import LoadedNetwork


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes
    ----------
    sizes : tuple of (int, int)
        Height and width of each stage; the last is the result's.
    content_layers, style_layers : tuple of str
        What is matched.
    device : str
        Where it is computed.
    tile : int or None
        Pixels a side of the tiles of the last stage; None where it is computed as a whole.
    tiles : int
        How many there are.
    memory : int
        The bytes that the process takes at most, estimated from the graph.
    free : int or None
        Those that it may take, with what it has already; None where nothing is known.
    iterations : int
        How many are asked for.
    seconds : float
        What they take, from the time of one evaluation.
    """

    sizes: tuple[tuple[int, int], ...]
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    device: str
    tile: int | None
    tiles: int
    memory: int
    free: int | None
    iterations: int
    seconds: float


def forecast(
    problems: ProblemMaker, settings: Settings, network: LoadedNetwork, given: Inputs
) -> Forecast:
    """Make the problem of the last stage, evaluate it, and return what the run will take."""
    stages = plan(settings, given.content.shape, network.input_size)
    before, free = resident(), problems.tiling.free
    problem = problems.make(settings, network, given, stages[-1])
    image = first_image(given.init, problem.content, problem.styles[0], network.mean, settings.seed)
    problem.objective.evaluate(image)  # the first one takes the memory, too
    start = time.perf_counter()
    problem.objective.evaluate(image)
    evaluation = time.perf_counter() - start
    sizes = tuple(stage.size(given.content.shape) for stage in stages)
    full = sizes[-1][0] * sizes[-1][1]
    parts = (
        stage.n_iter * height * width / full
        for stage, (height, width) in zip(stages, sizes, strict=True)
    )
    seconds = evaluation * sum(parts)
    content, style = goals.layers(settings, network)
    return Forecast(
        sizes,
        tuple(content),
        tuple(style),
        str(problem.work.device),
        problem.tile,
        problem.tiles,
        before + problem.work.need(problem.tile, settings).total,
        None if free is None else before + free,
        settings.n_iter,
        seconds if settings.time is None else min(seconds, settings.time),
    )
