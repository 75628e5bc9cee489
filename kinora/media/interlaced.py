"""Interlaced video as whole frames: the two fields of a frame show two instants, and moving edges become combs."""

from collections.abc import Iterable, Iterator

import av
from av.filter import Graph


def deinterlaced(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield frames as they are, but those marked as interlaced with the missing lines of their first field made up.

    FFmpeg's `bwdif` does it (Bob Weaver: it follows motion, and interpolates with the filter of BBC's w3fdif). It looks
    one frame ahead, and begins with the first frame that is so marked.
    """
    graph, known = None, None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        shape = (frame.width, frame.height, frame.format.name)
        if graph is None or shape != known:
            if graph is not None:
                yield from _last(graph)
            graph, known = _graph(frame), shape
        graph.vpush(frame)
        yield from _ready(graph)
    if graph is not None:
        yield from _last(graph)


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def _last(graph: Graph) -> Iterator[av.VideoFrame]:
    graph.vpush(None)
    yield from _ready(graph)
