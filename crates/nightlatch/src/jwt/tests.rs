//! Tokens that are ours, and all the others.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;
use nightlatch_core::{
    AsOf, Epoch, Generation, History, Position, Secret, SessionId, Timestamp, UserId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

pub(super) fn key(number: u8) -> SigningKey {
    SigningKey::ed25519(&Secret::new([number; 32])).expect("it is a key")
}

fn parties() -> Parties {
    Parties { issuer: "https://login.test".to_owned(), audience: "nightlatch".to_owned() }
}

fn jwt_with(keys: Vec<SigningKey>) -> Jwt {
    Jwt::new(parties(), KeySource::Configured(keys))
}

fn claims() -> AccessClaims {
    let now = Timestamp::from_seconds(1_790_000_000);
    AccessClaims {
        id: Uuid::from_u128(1),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
        user: UserId::from_uuid(Uuid::from_u128(3)),
        generation: Generation(4),
        history: History { record: Uuid::from_u128(5), epoch: Epoch(6) },
        as_of: AsOf { position: Position(7), row_id: -8 },
        issued_at: now,
        expires_at: now.after(Duration::from_mins(5)),
    }
}

fn encode(part: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("it has three");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

/// A token of these parts, signed with a key as it should be.
pub(super) fn signed(by: &SigningKey, header: &[u8], claims: &[u8]) -> String {
    let said = format!("{}.{}", encode(header), encode(claims));
    let signature = crypto::sign(said.as_bytes(), &by.signing, by.algorithm).expect("it signs");
    format!("{said}.{signature}")
}

#[test]
fn a_token_says_what_the_contract_says() {
    let jwt = jwt_with(vec![key(1)]);
    let token = jwt.sign(&claims()).expect("there is a key");
    let header = part(&token, 0);
    assert_eq!(header, json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": key(1).id }));
    let said = part(&token, 1);
    let user = Uuid::from_u128(3).to_string();
    for (name, value) in [
        ("iss", json!("https://login.test")),
        ("aud", json!("nightlatch")),
        ("sub", json!(user)),
        ("user_id", json!(user)),
        ("sid", json!(Uuid::from_u128(2).to_string())),
        ("jti", json!(Uuid::from_u128(1).to_string())),
        ("token_type", json!("access")),
        ("iat", json!(1_790_000_000)),
        ("nbf", json!(1_790_000_000)),
        ("exp", json!(1_790_000_300)),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    assert_eq!(said.as_object().map(serde_json::Map::len), Some(11), "{said}");
    assert_eq!(jwt.check(&token), AccessCheck::Ours(claims()));
}

#[test]
fn keys_are_rotated_without_refusing_anybody() {
    let (old, both) = (jwt_with(vec![key(1)]), jwt_with(vec![key(2), key(1)]));
    let token = old.sign(&claims()).expect("there is a key");
    assert_eq!(both.check(&token), AccessCheck::Ours(claims()));
    let token = both.sign(&claims()).expect("there is a key");
    assert_eq!(old.check(&token), AccessCheck::Forged, "it has never heard of that key");
    let published: Value = serde_json::from_str(&both.jwks().expect("two keys")).expect("JSON");
    let ids: Vec<_> = published["keys"].as_array().expect("a list").iter().collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0]["kid"], json!(key(2).id));
    assert!(!published.to_string().contains("\"d\""), "public halves alone");
}

#[test]
fn each_kind_of_key_signs_and_is_told_apart() {
    for (name, words) in [
        ("RS256", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("ES256", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("EdDSA", &["genpkey", "-algorithm", "ED25519"]),
    ] {
        let pem = openssl(words);
        // As it stands in an environment variable, too.
        for pem in [pem.replace('\n', "\\n"), pem] {
            let jwt = jwt_with(SigningKey::of_pem(&pem).expect(name));
            let token = jwt.sign(&claims()).expect(name);
            assert_eq!(part(&token, 0)["alg"], json!(name));
            assert_eq!(jwt.check(&token), AccessCheck::Ours(claims()), "{name}");
        }
    }
    for words in [
        &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"][..],
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["genpkey", "-algorithm", "X25519"],
    ] {
        let refused = SigningKey::of_pem(&openssl(words)).err();
        assert_eq!(refused, Some(key::KeyError::Unusable), "{words:?}");
    }
}

fn openssl(words: &[&str]) -> String {
    let made = std::process::Command::new("openssl").args(words).output();
    let made = made.expect("openssl is there (Debian package openssl)");
    String::from_utf8(made.stdout).expect("PEM is text")
}

/// What a token is made of, signed with our key as it should be.
struct Parts {
    key: SigningKey,
    header: Value,
    claims: Value,
}

impl Parts {
    fn of(jwt: &Jwt) -> Self {
        let good = jwt.sign(&claims()).expect("there is a key");
        Self { key: key(1), header: part(&good, 0), claims: part(&good, 1) }
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[name] = value;
        signed(&self.key, header.to_string().as_bytes(), self.claims.to_string().as_bytes())
    }

    fn saying(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.saying_all(claims.to_string().as_bytes())
    }

    fn saying_all(&self, claims: &[u8]) -> String {
        signed(&self.key, self.header.to_string().as_bytes(), claims)
    }
}

fn assert_refused(jwt: &Jwt, tokens: impl IntoIterator<Item = (&'static str, String)>) {
    for (what, token) in tokens {
        assert_eq!(jwt.check(&token), AccessCheck::Forged, "{what}");
    }
}

/// RFC 8725, and what has been found in other people's libraries.
#[test]
fn whatever_is_not_exactly_ours_is_refused() {
    let jwt = jwt_with(vec![key(1)]);
    let parts = Parts::of(&jwt);
    let id = &parts.key.id;
    let good = jwt.sign(&claims()).expect("there is a key");
    assert!(matches!(jwt.check(&parts.with("kid", json!(id))), AccessCheck::Ours(_)), "control");
    let (head, rest) = good.split_once('.').expect("three parts");
    let (body, signature) = rest.split_once('.').expect("three parts");
    let none = json!({ "alg": "none", "typ": "at+jwt", "kid": id });
    let none = encode(none.to_string().as_bytes());
    let twice = format!(r#"{{"alg":"EdDSA","alg":"EdDSA","typ":"at+jwt","kid":"{id}"}}"#);
    let (header, said) = (parts.header.to_string(), parts.claims.to_string());
    assert_refused(
        &jwt,
        [
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            ("two parts", format!("{head}.{body}")),
            ("four parts", format!("{good}.{signature}")),
            ("without a signature", format!("{head}.{body}.")),
            ("algorithm none", format!("{none}.{body}.")),
            ("algorithm none, signed", format!("{none}.{body}.{signature}")),
            ("another signature", format!("{head}.{body}.{}", encode(&[0; 64]))),
            ("a signature with padding", format!("{good}==")),
            ("line breaks", format!("{head}.\n{body}.{signature}")),
            ("an encrypted token", format!("{good}.AAAA.AAAA")),
            ("another key under our id", signed(&key(2), header.as_bytes(), said.as_bytes())),
            ("an algorithm twice", signed(&parts.key, twice.as_bytes(), said.as_bytes())),
            ("the public key as HMAC secret", parts.with("alg", json!("HS256"))),
            ("RSA", parts.with("alg", json!("RS256"))),
            ("an unknown algorithm", parts.with("alg", json!("ROT13"))),
            ("another type", parts.with("typ", json!("JWT"))),
            ("no type", parts.with("typ", Value::Null)),
            ("a key that it brings", parts.with("jwk", json!({ "kty": "OKP" }))),
            ("a key elsewhere", parts.with("jku", json!("https://evil.test/keys"))),
            ("a certificate elsewhere", parts.with("x5u", json!("https://evil.test/cert"))),
            ("a certificate that it brings", parts.with("x5c", json!(["AAAA"]))),
            ("what must be understood", parts.with("crit", json!(["exp"]))),
            ("encoded otherwise", parts.with("b64", json!(false))),
            ("a compressed text", parts.with("zip", json!("DEF"))),
            ("a key id that is no text", parts.with("kid", json!([id]))),
            ("a path as key id", parts.with("kid", json!("../../dev/null"))),
            ("a statement as key id", parts.with("kid", json!("' OR 1=1 --"))),
        ],
    );
}

#[test]
fn claims_that_are_not_ours_are_refused_though_they_are_signed() {
    let jwt = jwt_with(vec![key(1)]);
    let parts = Parts::of(&jwt);
    let twice = parts.claims.to_string().replacen('{', r#"{"sub":"somebody","#, 1);
    assert_refused(
        &jwt,
        [
            ("a claim twice", parts.saying_all(twice.as_bytes())),
            ("no claims", parts.saying_all(b"{}")),
            ("claims that are no JSON", parts.saying_all(b"\xff")),
            ("another issuer", parts.saying("iss", json!("https://evil.test"))),
            ("another audience", parts.saying("aud", json!("other"))),
            ("a list of audiences", parts.saying("aud", json!(["nightlatch", "other"]))),
            ("a refresh token", parts.saying("token_type", json!("refresh"))),
            ("another user", parts.saying("user_id", json!(Uuid::from_u128(9).to_string()))),
            ("no user", parts.saying("sub", json!(""))),
            ("a time as text", parts.saying("exp", json!("1790000300"))),
            ("a time with a fraction", parts.saying("exp", json!(1_790_000_300.5))),
            ("a time beyond all", parts.saying("exp", json!(u64::MAX))),
            ("a later beginning", parts.saying("nbf", json!(1_790_000_001))),
            ("another place in history", parts.saying("fp", json!("AAAA"))),
            ("a claim of somebody else's", parts.saying("admin", json!(true))),
            ("very long", parts.saying("jti", json!("x".repeat(4096)))),
        ],
    );
}

proptest::proptest! {
    #[test]
    fn any_changed_character_is_refused(place in 0_usize..400, other in "[A-Za-z0-9_.-]") {
        let jwt = jwt_with(vec![key(1)]);
        let good = jwt.sign(&claims()).expect("there is a key");
        let place = place % good.len();
        let mut text = good.clone();
        text.replace_range(place..=place, &other);
        let expected = if text == good { AccessCheck::Ours(claims()) } else { AccessCheck::Forged };
        proptest::prop_assert_eq!(jwt.check(&text), expected);
    }

    #[test]
    fn any_text_is_checked_without_panic(text in proptest::prelude::any::<String>()) {
        let _ = jwt_with(vec![key(1)]).check(&text);
    }
}
