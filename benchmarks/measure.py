"""How figures are taken: alternatives in the same run, in turns, medians, and memory in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

GIB = 2**30


@dataclass(frozen=True)
class Figure:
    """A measured value and the limit that it has to keep; without a limit it is there to compare."""

    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return (self.at_most is None or self.value <= self.at_most) and (self.at_least is None or self.value >= self.at_least)

    @property
    def limit(self) -> str:
        """The limit as people read it."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else ""


@dataclass(frozen=True)
class Run:
    """One run in a process of its own: seconds of the call, and the most memory that the process ever had (bytes)."""

    seconds: float
    peak: int


def medians(runs: Mapping[str, Callable[[], object]], repeats: int = 5, warm_up: bool = True) -> dict[str, float]:
    """Seconds of each alternative: the median of `repeats` runs, taken in turns, so that a busy machine is busy for all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + warm_up):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn or not warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def fresh(function: Callable[..., object], *arguments: Any) -> Run:
    """Call a function (of a module, with arguments that can be pickled) in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        run: Run = ours.recv()
    except EOFError as error:
        raise RuntimeError(f"{function.__name__} failed; the lines above say why") from error
    finally:
        process.join()
    return run


def _report(pipe: Any, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    start = time.perf_counter()
    function(*arguments)
    seconds = time.perf_counter() - start
    pipe.send(Run(seconds, _peak()))


def _peak() -> int:
    """The most memory that this process ever had. On Linux getrusage would begin with the peak of the process that started this one."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1_024
