"""Work done ahead by threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_order(
    tasks: Iterable[Callable[[], T]], workers: int, ahead: int
) -> Generator[T, None, None]:
    """Yield what the tasks return, in their order, computed while earlier results are in use.

    Whoever does not take all of it closes the iterator: its threads have ended then.

    Parameters
    ----------
    tasks : iterable of callable
        Taken one by one, as results are used; may be endless.
    workers : int
        Threads.
    ahead : int
        Tasks that are begun, or done, before their turn.

    Raises
    ------
    Exception
        What a task raises, when it is its turn.
    """
    # here, since it brings the logging library, which takes 5 ms to import
    from concurrent.futures import ThreadPoolExecutor

    waiting = iter(tasks)
    with ThreadPoolExecutor(workers, "convlet-data") as pool:
        begun = deque(pool.submit(task) for task in islice(waiting, ahead))
        try:
            while begun:
                result = begun.popleft().result()
                begun.extend(pool.submit(task) for task in islice(waiting, 1))
                yield result
        finally:
            for future in begun:
                future.cancel()
