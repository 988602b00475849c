"""Verifies an access token as a Python service would: PyJWT and the published keys, nothing else."""

import json
import sys

import jwt

origin, issuer, token = sys.argv[1:]
keys = jwt.PyJWKClient(origin + "/.well-known/jwks.json")
claims = jwt.decode(
    token,
    keys.get_signing_key_from_jwt(token).key,
    algorithms=["EdDSA", "ES256", "RS256"],
    audience="nightlatch",
    issuer=issuer,
    options={"require": ["exp", "iat", "nbf", "sub", "jti"]},
)
print(json.dumps(claims))
