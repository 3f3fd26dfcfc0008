"""A Werkzeug application. One process: instances are lithos' matter."""
import os

from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response


@Request.application
def application(request):
    return Response("werkzeug {}\n".format(os.environ.get("LITHOS_NAME", "alone")))


# The port is that of development; with WERKZEUG_SERVER_FD it counts for nothing.
run_simple("127.0.0.1", 8080, application)
