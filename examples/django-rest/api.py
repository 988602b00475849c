"""A Django REST API whose only knowledge of users are Nightlatch's access tokens, by simplejwt."""

import os
import sys

import django
from django.conf import settings
from django.urls import path

NIGHTLATCH = os.environ.get("NIGHTLATCH", "http://127.0.0.1:8080")

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_simplejwt",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    SIMPLE_JWT={
        "ALGORITHM": "ES256",
        "JWK_URL": NIGHTLATCH + "/.well-known/jwks.json",
        "AUDIENCE": "nightlatch",
        # PUBLIC_URL of Nightlatch.
        "ISSUER": os.environ.get("ISSUER", "http://localhost"),
    },
)
django.setup()

from django.core.management import execute_from_command_line  # noqa: E402
from jwt import PyJWKClientError  # noqa: E402
from rest_framework.exceptions import APIException  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication  # noqa: E402
from rest_framework_simplejwt.state import token_backend  # noqa: E402


class NotNow(APIException):
    status_code = 503
    default_detail = "whether this token is good cannot be told just now"
    # Becomes Retry-After.
    wait = 5


class Authentication(JWTStatelessUserAuthentication):
    """simplejwt says 401 when it cannot fetch the keys, and a client would take that for a logout."""

    def get_validated_token(self, raw_token):
        try:
            # Fetched once in five minutes.
            token_backend.jwks_client.get_jwk_set()
        except PyJWKClientError as error:
            raise NotNow from error
        return super().get_validated_token(raw_token)


class Me(APIView):
    authentication_classes = [Authentication]

    def get(self, request):
        return Response({"id": request.user.id})


urlpatterns = [path("me/", Me.as_view())]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
