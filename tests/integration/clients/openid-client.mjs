// openid-client 6 as its README uses it. It checks iss, state, nonce, signature and claims by itself.
import * as client from "openid-client";
import { end, hear, say } from "./dialogue.mjs";

const told = await hear();
const insecure = { execute: [client.allowInsecureRequests] }; // the tests' issuer is on loopback
const auth = told.client_secret ? client.ClientSecretBasic(told.client_secret) : client.None();
const config = await client.discovery(new URL(told.issuer), told.client_id, undefined, auth, insecure);
client.enableNonRepudiationChecks(config); // verify the ID token's signature too

const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: told.redirect_uri,
  scope: told.scope,
  state,
  nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  ...told.more,
});
say({ url: url.href });

const { ended } = await hear();
try {
  const tokens = await client.authorizationCodeGrant(config, new URL(ended), {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  });
  const claims = tokens.claims();
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token);
  const introspector = told.service
    ? await client.discovery(
        new URL(told.issuer),
        told.service.id,
        undefined,
        client.ClientSecretBasic(told.service.secret),
        insecure,
      )
    : null;
  const live = introspector && (await client.tokenIntrospection(introspector, refreshed.access_token));
  await client.tokenRevocation(config, refreshed.refresh_token);
  const ended_ = introspector && (await client.tokenIntrospection(introspector, refreshed.access_token));
  say({ claims, userinfo, live, ended: ended_, scope: tokens.scope, expires_in: tokens.expiresIn() });
} catch (error) {
  say({ error: error.error ?? error.code ?? error.message, name: error.name, why: error.message });
}
end();
