"""Interlaced video: each frame holds the lines of two moments, of which a player shows one."""

from collections.abc import Iterable, Iterator

import av
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as Ended
from av.filter import Graph
from av.video.stream import VideoStream


def of_one_moment(frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The same frames, those that are marked as interlaced without the lines of their later field,
    in whose place are those that fit the other ones around (FFmpeg's bwdif)."""
    graph, shape = None, ()
    for frame in frames:
        now = (frame.width, frame.height, frame.format.name)
        if graph is not None and now != shape:
            yield from _through(graph, None)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, shape = _weaver(*now, stream), now
        yield from [frame] if graph is None else _through(graph, frame)
    if graph is not None:
        yield from _through(graph, None)


def _weaver(width: int, height: int, pixels: str, stream: VideoStream) -> Graph:
    graph = Graph()
    size = {"width": width, "height": height, "format": pixels, "time_base": stream.time_base}
    chain = [graph.add_buffer(**size)]
    chain.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    return graph


def _through(graph: Graph, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    """Those that are ready; all that are left where `frame` is None."""
    graph.push(frame)
    while True:
        try:
            yield graph.pull()  # pyright: ignore[reportReturnType]
        except (NothingYet, Ended):
            return
