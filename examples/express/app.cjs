// An Express application that takes Nightlatch's access tokens: jose and the published keys, nothing else.
const express = require("express");
const { createRemoteJWKSet, errors, jwtVerify } = require("jose");

const nightlatch = process.env.NIGHTLATCH || "http://127.0.0.1:8080";
// PUBLIC_URL of Nightlatch.
const issuer = process.env.ISSUER || "http://localhost";
const keys = createRemoteJWKSet(new URL(nightlatch + "/.well-known/jwks.json"));

// What says that a token is none of ours. Everything else, such as keys that cannot be fetched, says
// nothing of it.
const REFUSED = [
  errors.JWTClaimValidationFailed, // and JWTExpired
  errors.JWTExpired,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
];

async function known(request, response, next) {
  const [scheme, token] = (request.get("Authorization") || "").split(" ");
  if (scheme !== "Bearer" || !token) {
    return response.status(401).set("WWW-Authenticate", "Bearer").json({ error: "no token" });
  }
  try {
    const told = await jwtVerify(token, keys, { issuer, audience: "nightlatch", typ: "at+jwt" });
    request.claims = told.payload;
  } catch (error) {
    if (REFUSED.some((kind) => error instanceof kind)) {
      return response.status(401).set("WWW-Authenticate", "Bearer").json({ error: error.code });
    }
    // Not knowing is not "no": a client that is told 401 would sign somebody out.
    return response.status(503).set("Retry-After", "5").json({ error: "not now" });
  }
  next();
}

const application = express();
application.disable("x-powered-by");
application.get("/me", known, (request, response) => response.json(request.claims));

const [port = "3000"] = process.argv.slice(2);
const server = application.listen(Number(port), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
