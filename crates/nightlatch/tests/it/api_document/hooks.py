"""Who asks, when schemathesis tests the API document: a stranger, a browser or a program.

Some operations end the session of whoever asks, so a session is looked at before it is used, and another
one is begun where it is over. No schema leads to a token or an id that the server knows, so every other
request that is well formed is given one.
"""

import itertools
import os

import requests
import schemathesis
from schemathesis import GenerationMode

SERVER = os.environ["SERVER"]
COOKIE = "__Host-nightlatch"
# One of the document's own examples is a password change from the first to the second.
PASSWORDS = ["correct horse battery staple", "wrong zebra battery staple"]


def log_in_with_password(path):
    for password in PASSWORDS:
        answer = requests.post(SERVER + path, json={"username": "alice", "password": password}, timeout=30)
        if answer.status_code == 200:
            return answer, password
    raise RuntimeError(f"alice cannot log in: {answer.status_code} {answer.text}")


def log_in(path):
    return log_in_with_password(path)[0]


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


TURNS = itertools.count()


def known_session():
    cookies = log_in("/api/v1/auth/login").headers["set-cookie"]
    cookie = cookies.split(COOKIE + "=")[1].split(";")[0]
    answer = requests.get(f"{SERVER}/api/v1/session", headers={"Cookie": f"{COOKIE}={cookie}"}, timeout=30)
    return answer.json()["session"]["id"]


def give_what_is_known(context, case, **kwargs):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE or next(TURNS) % 2:
        return
    if "id" in case.path_parameters:
        case.path_parameters["id"] = known_session()
    if not isinstance(case.body, dict) or case.path.endswith("/register"):
        return
    answer, password = log_in_with_password("/api/v1/auth/token")
    if "current_password" in case.body:
        [other] = [other for other in PASSWORDS if other != password]
        case.body = {"current_password": password, "new_password": other}
    elif "password" in case.body:
        case.body = {"username": "alice", "password": password}
    for field, token in [("refresh", "refresh"), ("token", "access")]:
        if field in case.body:
            case.body[field] = answer.json()[token]


def note(context, case, response):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(f"{case.method} {case.path} {response.status_code}\n")


schemathesis.hook("after_call")(note)

WHO = {"browser": Browser, "program": Program}.get(os.environ["WHO"])
if WHO:
    schemathesis.auth(refresh_interval=None)(WHO)
    schemathesis.hook("before_call")(give_what_is_known)
