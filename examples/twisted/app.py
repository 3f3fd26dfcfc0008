"""A Twisted site on the socket that it is given."""
import os
import socket

from twisted.internet import reactor
from twisted.web import resource, server


class Hello(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        return "twisted {}\n".format(os.environ.get("LITHOS_NAME", "alone")).encode()


site = server.Site(Hello())
if os.environ.get("LISTEN_FDS") == "1":
    sock = socket.socket(fileno=3)
    sock.setblocking(False)
    reactor.adoptStreamPort(sock.fileno(), socket.AF_INET, site)
    sock.close()  # Twisted has a copy
else:
    reactor.listenTCP(8080, site)
reactor.run()
