"""A Django application that knows its people from Nightlatch, by forward-auth.

It has users and groups of its own, for its tables to refer to, and no passwords: nginx lets nobody through
who is not logged in at Nightlatch, and says who it is.
"""

import os
import sys
from urllib.parse import unquote

from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "app.db"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        __name__ + ".NightlatchMiddleware",
    ],
    AUTHENTICATION_BACKENDS=[__name__ + ".NightlatchBackend"],
)


import django  # noqa: E402

django.setup()

from django.contrib.auth.backends import RemoteUserBackend  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.middleware import RemoteUserMiddleware  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.management import execute_from_command_line  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


class NightlatchMiddleware(RemoteUserMiddleware):
    """Reads the header at every request: whoever has logged out is nobody at the next one."""

    header = "HTTP_REMOTE_USER"

    def process_request(self, request):
        super().process_request(request)
        if request.user.is_authenticated:
            names = request.META.get("HTTP_REMOTE_GROUPS", "")
            names = {unquote(name) for name in names.split(",") if name}
            if names != set(request.user.groups.values_list("name", flat=True)):
                request.user.groups.set([Group.objects.get_or_create(name=n)[0] for n in names])


class NightlatchBackend(RemoteUserBackend):
    """Makes a user of whoever comes for the first time."""

    def clean_username(self, username):
        # Names come as ASCII, the rest percent-encoded.
        return unquote(username)


@login_required
def home(request):
    groups = ", ".join(request.user.groups.order_by("name").values_list("name", flat=True))
    return HttpResponse(f"user {request.user.pk}: {request.user.username} ({groups})\n")


@login_required
def staff(request):
    if not request.user.groups.filter(name="staff").exists():
        raise PermissionDenied
    return HttpResponse("for the staff\n")


urlpatterns = [path("", home), path("staff/", staff)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
