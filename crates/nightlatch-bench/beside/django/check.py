"""What many have behind nginx: a view of Django that says whether a request has a session, and whose.

As its manual has it: sessions and users in the database, read for each request.

    check.py FOLDER COUNT      makes the database and so many sessions, and prints their keys
    FOLDER=.. gunicorn check:application
"""

import os
import sys

import django
from django.conf import settings

FOLDER = os.environ.get("FOLDER") or sys.argv[1]

settings.configure(
    SECRET_KEY="a bench is no secret, but it is long enough for one",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(FOLDER, "django.db"),
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


def check(request):
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return HttpResponse(headers={"Remote-User": request.user.get_username()})


urlpatterns = [path("check", check)]
application = get_wsgi_application()


def prepare(count):
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("walker", password="nine slow herons over ponds")
    for _ in range(count):
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        print(session.session_key)


if __name__ == "__main__":
    prepare(int(sys.argv[2]))
