//! `nightlatch debug verify-jws`: the server's own verification of signatures, for scripts.
//!
//! Public sets of test vectors bring keys and tokens of their own; what is shown by them is that what
//! is forged, malformed or of another algorithm is refused by the very code that access tokens meet.

use std::io::{self, BufRead, Write};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::signature;
use crate::json_lines::{LinesReport, answer_lines};

/// One line in.
#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    id: Value,
    jwk: Value,
    jws: String,
}

/// Answers every line `{id, jwk, jws}` with `{id, valid}`, or with `{id, error}` where it cannot be read.
///
/// # Errors
/// Those of reading and writing.
pub fn verify_jws_lines(input: impl BufRead, output: impl Write) -> io::Result<LinesReport> {
    let expected = "a JSON object with the object `jwk` and the text `jws`";
    answer_lines(input, output, expected, |question: Question| {
        let is_valid = is_valid(&question.jwk, &question.jws).unwrap_or(false);
        Ok(json!({"id": question.id, "valid": is_valid}))
    })
}

/// Whether a key has signed a text (RFC 7515, compact); `None`: it is none of our keys, or no such text.
fn is_valid(jwk: &Value, jws: &str) -> Option<bool> {
    let jwk = Jwk::deserialize(jwk).ok()?;
    let algorithm = algorithm_of(&jwk)?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let signed = signature::split(jws)?;
    let said = signed.header()?;
    Some(said.alg == algorithm && signed.claims_if_signed_by(&key, algorithm).is_some())
}

/// The only algorithm that a key is taken for.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return None,
    };
    let common = &jwk.common;
    let is_named = common.key_algorithm.is_none_or(|named| named == algorithm.into());
    let is_for_this =
        common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
    (is_named && is_for_this).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use super::super::key::SigningKey;
    use super::super::tests::{key, signed};
    use super::*;

    fn verdicts(lines: &[Value]) -> Vec<Value> {
        let input: Vec<_> = lines.iter().map(Value::to_string).collect();
        let mut output = Vec::new();
        let report = verify_jws_lines(input.join("\n").as_bytes(), &mut output);
        assert_eq!(report.expect("memory is writable").refused, 0);
        let output = String::from_utf8(output).expect("JSON is UTF-8");
        let answers = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        answers.map(|answer| answer["valid"].clone()).collect()
    }

    /// RFC 8037, appendix A, and RFC 7515, appendix A.3.
    #[test]
    fn the_examples_of_the_standards_are_valid_and_nothing_else_is() {
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let of_ed25519 = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
            hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let p256 = json!({ "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let of_p256 = "eyJhbGciOiJFUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
            DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let with = |key: &Value, name: &str, value: Value| {
            let mut key = key.clone();
            key[name] = value;
            key
        };
        let cut = &of_ed25519[..of_ed25519.len() - 4];
        let line = |jwk: &Value, jws: &str| json!({ "jwk": jwk, "jws": jws });
        let lines = [
            line(&ed25519, of_ed25519),
            line(&p256, of_p256),
            line(&with(&ed25519, "use", json!("sig")), of_ed25519),
            line(&p256, of_ed25519),
            line(&ed25519, of_p256),
            line(&with(&ed25519, "use", json!("enc")), of_ed25519),
            line(&with(&ed25519, "alg", json!("ES256")), of_ed25519),
            line(&with(&ed25519, "key_ops", json!(["sign"])), of_ed25519),
            line(&ed25519, cut),
            line(&ed25519, ""),
            line(&json!("no key"), of_ed25519),
            line(&json!({ "kty": "oct", "k": "AAAA" }), of_ed25519),
        ];
        let expected = [vec![json!(true); 3], vec![json!(false); 9]].concat();
        assert_eq!(verdicts(&lines), expected);
    }

    #[test]
    fn what_must_be_understood_is_refused() {
        let ours: SigningKey = key(1);
        let jwk = serde_json::to_value(&ours.public).expect("it is JSON");
        let header = |more: &str| format!(r#"{{"alg":"EdDSA"{more}}}"#);
        let lines = [
            header(""),
            header(r#","typ":"JWT","kid":"x""#),
            header(r#","crit":["exp"]"#),
            header(r#","b64":false"#),
            header(r#","jku":"https://evil.test""#),
            header(r#","alg":"EdDSA""#),
        ]
        .map(|header| json!({ "jwk": jwk, "jws": signed(&ours, header.as_bytes(), b"text") }));
        assert_eq!(verdicts(&lines), [true, true, false, false, false, false].map(Value::from));
    }
}
