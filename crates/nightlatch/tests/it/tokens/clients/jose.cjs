// Verifies an access token as a Node service would: jose and the published keys, nothing else.
const { createRemoteJWKSet, jwtVerify } = require("jose");

const [origin, issuer, token] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(origin + "/.well-known/jwks.json"));
jwtVerify(token, keys, { issuer, audience: "nightlatch", typ: "at+jwt" })
  .then(({ payload }) => console.log(JSON.stringify(payload)))
  .catch((error) => {
    console.error(error.code);
    process.exit(1);
  });
