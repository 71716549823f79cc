// oauth4webapi 3, the strict one: every answer is checked against its RFC, headers included.
import * as oauth from "oauth4webapi";
import { end, hear, say } from "./dialogue.mjs";

const told = await hear();
const insecure = { [oauth.allowInsecureRequests]: true }; // the tests' issuer is on loopback
const issuer = new URL(told.issuer);
const found = {};
for (const algorithm of ["oidc", "oauth2"]) {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
  found[algorithm] = await oauth.processDiscoveryResponse(issuer, response);
}
const as = found.oidc;
const client = { client_id: told.client_id };
const auth = told.client_secret ? oauth.ClientSecretBasic(told.client_secret) : oauth.None();

const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const url = new URL(as.authorization_endpoint);
for (const [name, value] of Object.entries({
  client_id: client.client_id,
  redirect_uri: told.redirect_uri,
  response_type: "code",
  scope: told.scope,
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  ...told.more,
})) {
  url.searchParams.set(name, value);
}
say({ url: url.href, same: JSON.stringify(found.oidc) === JSON.stringify(found.oauth2) });

const { ended } = await hear();
try {
  const parameters = oauth.validateAuthResponse(as, client, new URL(ended), state);
  const response = await oauth.authorizationCodeGrantRequest(
    as, client, auth, parameters, told.redirect_uri, verifier, insecure,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
    expectedNonce: nonce,
    requireIdToken: true,
  });
  await oauth.validateApplicationLevelSignature(as, response, insecure);
  const claims = oauth.getValidatedIdTokenClaims(tokens);

  // RFC 9068, as a resource server would: typ, signature, iss, aud, exp, and the claims it must have.
  const call = new Request("https://api.storybuddy.example/", {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  const access = await oauth.validateJwtAccessToken(as, call, told.audience, insecure);

  const asked = await oauth.userInfoRequest(as, client, tokens.access_token, insecure);
  const userinfo = await oauth.processUserInfoResponse(as, client, claims.sub, asked);

  const again = await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, insecure);
  const refreshed = await oauth.processRefreshTokenResponse(as, client, again);

  let [live, after] = [null, null];
  if (told.service) {
    const service = { client_id: told.service.id };
    const proof = oauth.ClientSecretBasic(told.service.secret);
    const introspect = async () =>
      oauth.processIntrospectionResponse(
        as,
        service,
        await oauth.introspectionRequest(as, service, proof, refreshed.access_token, insecure),
      );
    live = await introspect();
    const gone = await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, insecure);
    await oauth.processRevocationResponse(gone);
    after = await introspect();
  }
  say({ claims, access, userinfo, live, ended: after, scope: tokens.scope });
} catch (error) {
  say({ error: error.error ?? error.code ?? error.message, name: error.name, why: error.message });
}
end();
