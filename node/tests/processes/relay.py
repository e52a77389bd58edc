"""Passes frames on between network devices, some of them late: delay where the kernel has no netem.

Usage: python3 relay.py MILLI MS DEVICE...

Of a thousand frames MILLI are held back for up to MS milliseconds, so that they come after later ones.
It ends with its standard input.
"""
import heapq
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING, EVERY_PROTOCOL = 263, 15, 4, 3
# What the kernel says of a frame's checksum and segments goes in front of it, and is handed on.
VNET_HDR_BYTES = 10
FRAME_BYTES_MAX = 1 << 17

milli, ms, names = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
ports = []
for name in names:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.bind((name, EVERY_PROTOCOL))
    ports.append(port)
chance = random.Random(1)
at_of = {}
waiting = []
count = 0
print("relaying", flush=True)
while True:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, _, to, frame = heapq.heappop(waiting)
        try:
            ports[to].send(frame)
        except OSError:
            pass  # A full queue loses frames, as links do.
    wait = max(0.0, waiting[0][0] - now) if waiting else 1.0
    ready, _, _ = select.select([*ports, sys.stdin], [], [], wait)
    if sys.stdin in ready and not sys.stdin.read(1):
        break
    for port in ready:
        if port is sys.stdin:
            continue
        frame, (_, _, kind, *_) = port.recvfrom(FRAME_BYTES_MAX)
        if kind == PACKET_OUTGOING:
            continue
        here = ports.index(port)
        header = frame[VNET_HDR_BYTES:]
        at_of[header[6:12]] = here
        known = at_of.get(header[:6])
        late = chance.random() * ms / 1000 if chance.randrange(1000) < milli else 0.0
        for to in range(len(ports)):
            if to != here and known in (None, to):
                count += 1
                heapq.heappush(waiting, (time.monotonic() + late, count, to, frame))
