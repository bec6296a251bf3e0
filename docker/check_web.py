"""Health check of the web container: the login page answers, if only by sending the caller on to HTTPS.

The Host header is the first that ALLOWED_HOSTS allows.
"""

import http.client
import os
import sys

host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".") or "localhost"
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
connection.request("GET", "/login/", headers={"Host": "localhost" if host == "*" else host})
sys.exit(connection.getresponse().status >= 400)
