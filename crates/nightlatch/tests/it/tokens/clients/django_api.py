"""A Django REST API whose only knowledge of users are access tokens, at simplejwt's defaults."""

import json
import sys

import django
from django.conf import settings
from django.urls import path

origin, issuer, *tokens = sys.argv[1:]
settings.configure(
    SECRET_KEY="unused" * 8,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_simplejwt",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    SIMPLE_JWT={
        "ALGORITHM": "ES256",
        "JWK_URL": origin + "/.well-known/jwks.json",
        "AUDIENCE": "nightlatch",
        "ISSUER": issuer,
    },
)
django.setup()

from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Me(APIView):
    def get(self, request):
        return Response({"id": request.user.id})


urlpatterns = [path("me/", Me.as_view())]

client = APIClient()
for token in tokens:
    client.credentials(HTTP_AUTHORIZATION="Bearer " + token)
    answer = client.get("/me/")
    print(json.dumps({"status": answer.status_code, "id": answer.data.get("id")}))
