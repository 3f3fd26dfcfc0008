"""An asyncio server on the socket that it was passed by LISTEN_FDS.

It answers a line `PID INSTANCE LISTEN_PID LISTEN_FDNAMES` to whoever connects.
"""
import asyncio
import os
import socket


async def answer(reader, writer):
    env = os.environ
    writer.write("{} {} {} {}\n".format(
        os.getpid(), env["LITHOS_NAME"], env["LISTEN_PID"], env["LISTEN_FDNAMES"]).encode())
    await writer.drain()
    writer.close()


async def main():
    if os.environ.get("LISTEN_FDS") != "1":
        raise SystemExit("LISTEN_FDS is not 1")
    if int(os.environ["LISTEN_PID"]) != os.getpid():
        raise SystemExit("LISTEN_PID is not my pid")
    server = await asyncio.start_server(answer, sock=socket.socket(fileno=3))
    async with server:
        await server.serve_forever()


asyncio.run(main())
