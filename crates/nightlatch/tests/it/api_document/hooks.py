"""Who asks, when schemathesis tests the API document: a stranger, a browser or a program.

Some operations end the session of whoever asks, so a session is looked at before it is used, and another
one is begun where it is over.
"""

import os

import requests
import schemathesis

SERVER = os.environ["SERVER"]
COOKIE = "__Host-nightlatch"
# One of the document's own examples is a password change from the first to the second.
PASSWORDS = ["correct horse battery staple", "wrong zebra battery staple"]


def log_in(path):
    for password in PASSWORDS:
        answer = requests.post(SERVER + path, json={"username": "alice", "password": password}, timeout=30)
        if answer.status_code == 200:
            return answer
    raise RuntimeError(f"alice cannot log in: {answer.status_code} {answer.text}")


def is_good(headers):
    return requests.get(f"{SERVER}/api/v1/session", headers=headers, timeout=30).status_code == 200


class Asks:
    """Keeps the headers that say who somebody is."""

    def __init__(self):
        self.headers = {}

    def get(self, case, context):
        if not self.headers or not is_good(self.headers):
            self.headers = self.begin()
        return self.headers

    def set(self, case, headers, context):
        case.headers.update(headers)


class Browser(Asks):
    def begin(self):
        answer = log_in("/api/v1/auth/login")
        cookie = answer.headers["set-cookie"].split(COOKIE + "=")[1].split(";")[0]
        return {"Cookie": f"{COOKIE}={cookie}", "X-CSRF-Token": answer.json()["csrf_token"]}


class Program(Asks):
    def begin(self):
        return {"Authorization": "Bearer " + log_in("/api/v1/auth/token").json()["access"]}


WHO = {"browser": Browser, "program": Program}.get(os.environ["WHO"])
if WHO:
    schemathesis.auth(refresh_interval=None)(WHO)
