"""Work on many clips, in several processes, with a progress bar; bad clips do not stop the others.

Work begins in the calling process: a second process costs seconds to start, and most small tasks
are done before it would be ready.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from posecast.clips import ClipError
from posecast.errors import PosecastError
from posecast.records.arguments import as_count

ClipTask = Callable[[str], None]
"""Does one clip, given its id; raises ClipError where the clip is bad. Must be picklable."""

_SECONDS_ALONE = 1.0
_SECONDS_BETWEEN_LINES = 10.0

_task_of_worker: list[ClipTask] = []
"""In worker processes: the one task that they were started for."""


class WorkerError(PosecastError):
    """A worker process ended before its work was done."""


def run_over_clips(
    task: ClipTask, light: Sequence[str], heavy: Sequence[str], workers: int
) -> dict[str, str]:
    """Do the task for every clip: the light ones here, then the heavy ones in `workers` processes.

    0 workers means one per CPU core. Returns the clips that raised ClipError, with the problem.
    Any other error stops the rest and is raised; WorkerError where a process was killed.
    """
    problems: dict[str, str] = {}
    has_own_cores = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_own_cores else os.cpu_count() or 1
    results = _results_of_all(task, light, heavy, as_count(workers, "workers", 0) or cores)
    with _progress(len(light) + len(heavy)) as advance, contextlib.closing(results):
        for clip_id, problem in results:
            if problem is not None:
                problems[clip_id] = problem
            advance(len(problems))
    return problems


def _results_of_all(
    task: ClipTask, light: Sequence[str], heavy: Sequence[str], workers: int
) -> Generator[tuple[str, str | None], None, None]:
    for clip_id in light:
        yield clip_id, _problem(task, clip_id)
    rest = list(heavy)
    end = time.monotonic() + _SECONDS_ALONE
    while rest and (workers == 1 or len(rest) == 1 or time.monotonic() < end):
        clip_id = rest.pop(0)
        yield clip_id, _problem(task, clip_id)
    if rest:
        yield from _run_in_processes(task, rest, min(workers, len(rest)))


def _problem(task: ClipTask, clip_id: str) -> str | None:
    try:
        task(clip_id)
    except ClipError as error:
        return error.problem
    return None


def _run_in_processes(
    task: ClipTask, clip_ids: list[str], workers: int
) -> Generator[tuple[str, str | None], None, None]:
    """Results in the order in which they come; on any error the processes end at once."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:  # the libraries are loaded once, not by every worker
        context.set_forkserver_preload([__name__, type(task).__module__])
    leash, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (task, leash))
    try:
        futures = {pool.submit(_work, clip_id): clip_id for clip_id in clip_ids}
        yield from _results(futures)
        pool.shutdown()
    finally:
        held.close()  # ends workers that are still at work after an error
        pool.shutdown(wait=True, cancel_futures=True)
        leash.close()


def _results(futures: "dict[Future[str | None], str]") -> Iterator[tuple[str, str | None]]:
    waiting = dict(futures)
    for future in as_completed(futures):
        try:
            problem = future.result()
        except BrokenProcessPool:
            raise WorkerError(_why_broken(waiting)) from None
        yield waiting.pop(future), problem


def _why_broken(waiting: "dict[Future[str | None], str]") -> str:
    first = sorted(waiting.values())[:3]
    return (
        "a worker process was killed (too little memory?) or could not start, with clip "
        f"{', '.join(first)} next in line. Use --workers 1 to find the clip; a script of your "
        'own must call this under `if __name__ == "__main__":`'
    )


def _start_worker(task: ClipTask, leash: Connection) -> None:
    """Set up a worker: Ctrl-C is for the parent, and no worker outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _task_of_worker.append(task)
    threading.Thread(target=_end_with_parent, args=(leash,), daemon=True).start()


def _end_with_parent(leash: Connection) -> None:
    """The other end of the leash is closed when the parent lets go, or is no more."""
    with contextlib.suppress(EOFError, OSError):
        leash.recv_bytes()
    os._exit(1)


def _work(clip_id: str) -> str | None:
    return _problem(_task_of_worker[0], clip_id)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A function to call after each clip with the number of clips left out so far."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines(total, console)
        return
    columns = TextColumn("preparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    left_out = TextColumn("{task.fields[left_out]} left out")
    with Progress(*columns, left_out, console=console) as bar:
        row = bar.add_task("", total=total, left_out=0)
        yield lambda left_out: bar.update(row, advance=1, left_out=left_out)


def _plain_lines(total: int, console: Console) -> Callable[[int], None]:
    """For log files: a line every few seconds."""
    count, last = 0, time.monotonic()

    def advance(left_out: int) -> None:
        nonlocal count, last
        count += 1
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(f"{count} of {total} clips, {left_out} left out", highlight=False)

    return advance
