"""Serves on the socket that it is given, or on one of its own in development."""
import asyncio
import os
import socket


async def answer(reader, writer):
    await reader.readline()
    body = "asyncio {}\n".format(os.environ.get("LITHOS_NAME", "alone"))
    writer.write("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{}".format(len(body), body).encode())
    await writer.drain()
    writer.close()


async def main():
    if os.environ.get("LISTEN_FDS") == "1":
        server = await asyncio.start_server(answer, sock=socket.socket(fileno=3))
    else:
        server = await asyncio.start_server(answer, "127.0.0.1", 8080)
    async with server:
        await server.serve_forever()


asyncio.run(main())
