"""A thread that works ahead of its consumer.

A thread and not a process: the work (copying, decompressing, dequantising) releases the
interpreter lock, and nothing has to be pickled.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar, cast

T = TypeVar("T")

_END = object()
_POLL_S = 0.05


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def read_ahead(items: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """The same items, computed up to ``depth + 1`` of them ahead.

    What is raised there is raised here. When the consumer stops early, so does the thread.

    Args:
        items: Consumed by the thread alone.
        depth: Finished items that may wait; one more may be in the making.
    """
    ready: queue.Queue[object] = queue.Queue(depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_work, args=(items, ready, stopped), daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield cast(T, item)
    finally:
        stopped.set()
        worker.join()


def _work(items: Iterator[T], ready: queue.Queue[object], stopped: threading.Event) -> None:
    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    try:
        if all(put(item) for item in items):
            put(_END)
    except BaseException as error:  # whatever it is, it belongs to the consumer
        put(_Failed(error))
    finally:
        if isinstance(items, Generator):
            items.close()
