"""What can be seen of a bitstream without decoding it: damage that a decoder may decode to a wrong picture.

H.264 and HEVC never hold two zero bytes followed by 0, 1 or 2 inside of a unit (ITU-T H.264 and H.265, 7.4.1 and
7.4.2: `emulation_prevention_three_byte`). What writes zeros over a part of a file leaves just these.
"""

import re

import av

MOST_PADDING = 32  # zeros at the end of a unit: the encoders of some phones fill up to a round length
FORBIDDEN = re.compile(rb"\0\0[\0-\2]")
# Where each unit begins with 0, 0, 1 (annex B), and any zeros before that are padding.
FORBIDDEN_IN_STREAM = re.compile(rb"\0\0(?:\x02|\0+[\x02-\xff])|\0{%d}" % (MOST_PADDING + 1))


def length_size(context: av.VideoCodecContext) -> int | None:
    """Return how many bytes say how long each unit of a packet is (ISO/IEC 14496-15).

    0 where each begins with a start code, and None where a codec has no such units.
    """
    place = {"h264": 4, "hevc": 21}.get(context.name)
    if place is None:
        return None
    header = context.extradata or b""
    return (header[place] & 3) + 1 if header[:1] == b"\1" and place < len(header) else 0


def holds_forbidden_bytes(packet: bytes, size: int | None) -> bool:
    """Say whether a unit of a packet holds what none may; `size` is that of `length_size`."""
    if not size:
        return size == 0 and FORBIDDEN_IN_STREAM.search(packet) is not None
    at = 0
    while at + size < len(packet):
        start = at + size
        at = start + int.from_bytes(packet[at:start], "big")
        unit = packet[start:at]
        whole = unit.rstrip(b"\0")
        if len(unit) - len(whole) > MOST_PADDING or FORBIDDEN.search(whole):
            return True
    return False
