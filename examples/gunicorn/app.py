"""A WSGI application."""
import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["gunicorn {}\n".format(os.environ.get("LITHOS_NAME", "alone")).encode()]
